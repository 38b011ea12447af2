"""One net, trained by the engine and by stock Keras in turns."""

from collections.abc import Callable
from typing import Any

import numpy as np

from competition.bench.nets import STOCK_FLOAT32, Contender, Net
from competition.bench.pace import Pace, paced_fit
from competition.bench.spread import Spread
from competition.bench.work import matrix_product, training_flop
from competition.digits import Digits
from competition.training.fold import one_hot

STEPS = 40

# By precision, what measures the machine's FLOP/s.
Products = dict[str, Callable[[], float]]

# What a round measures: paces by contender, FLOP/s by precision.
Round = tuple[dict[str, Pace], dict[str, float]]


def compare(net: Net, digits: Digits, rounds: int, on_round: Callable[[], None]) -> dict[str, Any]:
    """Measures a net's contenders by turns, and at the end of each round products of matrices.

    Each round begins with another contender, so that none always runs on a cooler machine.

    Args:
        net: what to train.
        digits: to train it on.
        rounds: how often; one round before them, which traces and tunes, is not counted.
        on_round: is called after each round, `rounds` + 1 times.

    Returns:
        JSON values: `batch_size`, `matrix_peak` by precision, and the `contenders` by name.
    """
    contenders = net.contenders()
    precisions = {contender.precision for contender in contenders.values()}
    products = {precision: matrix_product(precision) for precision in sorted(precisions)}
    turns = []
    for number in range(1 + rounds):
        in_turn = rotated(contenders, number)
        turns.append(_round(in_turn, net.variant.batch_size, digits, products))
        on_round()
    paces, peaks = _by_name(turns[1:])
    speeds = {name: _images_a_second(net, of_contender) for name, of_contender in paces.items()}
    return {
        "batch_size": net.variant.batch_size,
        "matrix_peak": {precision: peak.to_json() for precision, peak in peaks.items()},
        "contenders": {
            name: _figures(contender, paces[name], speeds[name], speeds[STOCK_FLOAT32], peaks)
            for name, contender in contenders.items()
        },
    }


def _by_name(rounds: list[Round]) -> tuple[dict[str, list[Pace]], dict[str, Spread]]:
    """Returns each contender's paces, and the machine's FLOP/s by precision."""
    paces, peaks = zip(*rounds, strict=True)
    return (
        {name: [of_round[name] for of_round in paces] for name in paces[0]},
        {kind: Spread(tuple(of_round[kind] for of_round in peaks)) for kind in peaks[0]},
    )


def _figures(
    contender: Contender, paces: list[Pace], speed: Spread, stock: Spread, peaks: dict[str, Spread]
) -> dict[str, Any]:
    """Returns what is told of a contender, in images a second, beside stock Keras float32."""
    flop = training_flop(contender.model)
    return {
        "precision": contender.precision,
        "parameters": contender.model.count_params(),
        "training_flop_an_image": flop,
        "share_of_matrix_peak": speed.times(flop).over(peaks[contender.precision]).to_json(),
        "images_a_second": speed.to_json(),
        "over_stock_float32": speed.over(stock).to_json(),
        "pause_seconds": Spread(tuple(pace.pause for pace in paces)).to_json(),
    }


def rotated(contenders: dict[str, Contender], by: int) -> dict[str, Contender]:
    """Returns the contenders in the same order, but for the first `by`, which come last."""
    names = list(contenders)
    first = by % len(names)
    return {name: contenders[name] for name in [*names[first:], *names[:first]]}


def _round(
    contenders: dict[str, Contender], batch_size: int, digits: Digits, products: Products
) -> Round:
    rows = np.resize(np.arange(len(digits)), STEPS * batch_size)
    images, labels = digits.images[rows], one_hot(digits.labels[rows])
    paces = {
        name: paced_fit(contender.model, contender.feed(images, labels))
        for name, contender in contenders.items()
    }
    return paces, {precision: product() for precision, product in products.items()}


def _images_a_second(net: Net, paces: list[Pace]) -> Spread:
    return Spread(tuple(net.variant.batch_size / pace.seconds_a_step() for pace in paces))
