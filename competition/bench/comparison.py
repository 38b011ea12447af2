"""One net, trained by the engine and by stock Keras in turns."""

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from competition.bench import stock
from competition.bench.nets import ENGINE, STOCK_FLOAT32, Facts, Net, engine
from competition.bench.pace import Pace
from competition.bench.spread import Spread
from competition.bench.work import matrix_product
from competition.digits import Digits
from competition.training.training_data import one_hot

STEPS = 40

# By precision, what measures the machine's FLOP/s.
Products = dict[str, Callable[[], float]]

# What a round measures: paces by contender, FLOP/s by precision.
Round = tuple[dict[str, Pace], dict[str, float]]


@dataclass(frozen=True)
class Entrant:
    """A contender, in whichever process it is.

    Attributes:
        facts: what is told of it.
        fit: trains it on images, uint8 `[n, 28, 28]`, and labels, float32 `[n, 10]`, for an epoch.
    """

    facts: Facts
    fit: Callable[[np.ndarray, np.ndarray], Pace]


def compare(
    net: Net, digits: Digits, stock_process: Executor, rounds: int, on_round: Callable[[], None]
) -> dict[str, Any]:
    """Measures a net's contenders by turns, and at the end of each round products of matrices.

    Each round begins with another contender, so that none always runs on a cooler machine.

    Args:
        net: what to train.
        digits: to train it on.
        stock_process: where stock Keras has started.
        rounds: how often; one round before them, which traces and tunes, is not counted.
        on_round: is called after each round, `rounds` + 1 times.

    Returns:
        JSON values: `batch_size`, `matrix_peak` by precision, and the `contenders` by name.
    """
    entrants = _entrants(net, stock_process)
    precisions = {entrant.facts.precision for entrant in entrants.values()}
    products = {precision: matrix_product(precision) for precision in sorted(precisions)}
    turns = []
    for number in range(1 + rounds):
        in_turn = rotated(entrants, number)
        turns.append(_round(in_turn, net.variant.batch_size, digits, products))
        on_round()
    paces, peaks = _by_name(turns[1:])
    speeds = {name: _images_a_second(net, of_contender) for name, of_contender in paces.items()}
    return {
        "batch_size": net.variant.batch_size,
        "matrix_peak": {precision: peak.to_json() for precision, peak in peaks.items()},
        "contenders": {
            name: _figures(entrant.facts, paces[name], speeds[name], speeds[STOCK_FLOAT32], peaks)
            for name, entrant in entrants.items()
        },
    }


def _entrants(net: Net, stock_process: Executor) -> dict[str, Entrant]:
    """Returns stock Keras's contenders, in their process, and the engine's, in this one."""

    def fit_there(name: str, images: np.ndarray, labels: np.ndarray) -> Pace:
        return stock_process.submit(stock.fit, net, name, images, labels).result()

    facts, own = stock_process.submit(stock.facts, net).result(), engine(net.variant)
    there = {name: Entrant(each, partial(fit_there, name)) for name, each in facts.items()}
    return {**there, ENGINE: Entrant(own.facts(), own.fit)}


def _by_name(rounds: list[Round]) -> tuple[dict[str, list[Pace]], dict[str, Spread]]:
    """Returns each contender's paces, and the machine's FLOP/s by precision."""
    paces, peaks = zip(*rounds, strict=True)
    return (
        {name: [of_round[name] for of_round in paces] for name in paces[0]},
        {kind: Spread(tuple(of_round[kind] for of_round in peaks)) for kind in peaks[0]},
    )


def _figures(
    facts: Facts, paces: list[Pace], speed: Spread, beside: Spread, peaks: dict[str, Spread]
) -> dict[str, Any]:
    """Returns what is told of a contender, in images a second, `beside` stock Keras float32."""
    peak = peaks[facts.precision]
    return {
        "precision": facts.precision,
        "parameters": facts.parameters,
        "training_flop_an_image": facts.training_flop,
        "share_of_matrix_peak": speed.times(facts.training_flop).over(peak).to_json(),
        "images_a_second": speed.to_json(),
        "over_stock_float32": speed.over(beside).to_json(),
        "pause_seconds": Spread(tuple(pace.pause for pace in paces)).to_json(),
    }


def rotated(entrants: dict[str, Entrant], by: int) -> dict[str, Entrant]:
    """Returns the entrants in the same order, but for the first `by`, which come last."""
    names = list(entrants)
    first = by % len(names)
    return {name: entrants[name] for name in [*names[first:], *names[:first]]}


def _round(
    entrants: dict[str, Entrant], batch_size: int, digits: Digits, products: Products
) -> Round:
    rows = np.resize(np.arange(len(digits)), STEPS * batch_size)
    images, labels = digits.images[rows], one_hot(digits.labels[rows])
    paces = {name: entrant.fit(images, labels) for name, entrant in entrants.items()}
    return paces, {precision: product() for precision, product in products.items()}


def _images_a_second(net: Net, paces: list[Pace]) -> Spread:
    return Spread(tuple(net.variant.batch_size / pace.seconds_a_step() for pace in paces))
