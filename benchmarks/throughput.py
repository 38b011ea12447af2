"""Training speed on this machine: the engine beside stock Keras, and two workers beside one.

Stock Keras has a process of its own, where TensorFlow starts as it does by itself: the engine turns
oneDNN on where TensorFlow leaves it out, and a process has one or the other.
"""

import json
import os
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Executor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
from joblib.externals.loky import ProcessPoolExecutor

from competition import paths
from competition.config.loading import Config, load_config
from competition.config.schema import Variant
from competition.console import with_progress
from competition.data.run import Run, load_run
from competition.digits import Digits
from competition.errors import UserError
from competition.storage import write_text
from competition.system import (
    MORE_MEMORY,
    code_version,
    core_count,
    end_with,
    interruptible,
    library_versions,
    machine_name,
    workers_may_end,
)
from competition.tables import markdown
from competition.training.predict import batches
from competition.training.resources import (
    best_precision,
    start_keras,
    start_stock_keras,
    use_precision,
)
from competition.training.train import compile_for, compiled_model
from competition.training.training_data import one_hot

if TYPE_CHECKING:
    from pandas import DataFrame

ENGINE, STOCK = "engine", "stock float32"
AS_PUBLISHED = "Deotte's, as its users run it"
# C. Deotte, "25 Million Images! [0.99757] MNIST" (Kaggle, 2018).
PUBLISHED_RECIPE = Path(__file__).parents[1] / "configs" / "deotte.yaml"

ROUNDS = 5
STEPS = 40
SKIPPED_STEPS = 3  # the first steps of a `fit` trace the graph and fill its buffers
LEAST_STEPS = 5  # the pace of fewer steps is chance

WORKER_ROUNDS = 3
WORKER_STEPS, WARM_UP_STEPS = 100, 10
SECONDS_BETWEEN_LOOKS = 0.01

SCHEDULE_STEPS = 1000  # a learning rate's schedule needs a length; no speed depends on it

NOTE = (
    f"`{AS_PUBLISHED}` is not the same net on both sides: stock Keras trains his net, by Adam; the "
    "engine trains `plain`, which drops whole feature maps, has no biases in its convolutions and "
    "normalises before ReLU. In all other rows both train the same net with the same settings. "
    "Stock Keras is as it comes: without oneDNN on processors without AVX-512 for neural nets, "
    "where the engine has it."
)

# Trains for an epoch of `STEPS` and returns what `step_ends` does.
Contender = Callable[[], np.ndarray]


@dataclass(frozen=True)
class Net:
    """A net of the comparison: as the engine trains it, and as stock Keras does."""

    name: str
    engine: Variant
    stock: Variant


def benchmark(run: Run) -> str:
    """Measures everything but the race, keeps each part when it is done, returns it as text."""
    start_keras(core_count())
    speeds = measure_speeds(run)
    keep(run, "throughput", speeds.to_dict(orient="records"))
    name, speedups = measure_two_workers(run)
    keep(run, "two_workers", {"variant": name, "speedups": speedups})
    in_hardware = best_precision() == "bfloat16"
    left_out = "" if in_hardware else " No bfloat16 in stock Keras: no hardware here multiplies it."
    return (
        f"{machine_name()}, {core_count()} threads. Medians, lowest and highest in brackets."
        f"{left_out}\n\n{markdown(speed_table(speeds))}\n\n{NOTE}\n\n"
        f"Two workers train `{name}` {spread(speedups, '.2f')} times as fast as one with all the "
        "threads."
    )


def measure_speeds(run: Run) -> "DataFrame":
    """Trains each net by each contender in turns.

    Returns:
        The columns of `measure_net`, and `net`.

    Raises:
        UserError: before anything is measured, when a net cannot be built; later, when the system
            ends the process of stock Keras.
    """
    import pandas

    compared, speeds = nets(run.config), {}
    with interruptible():
        models = {net.name: engine_model(net.engine) for net in compared}
    start = partial(start_stock_keras, core_count())
    with workers_may_end(MORE_MEMORY):
        for net in with_progress("measuring", compared):
            rows = first_rows(run.data_set.train, STEPS * net.engine.batch_size)
            # A process per net: one that grows is replaced, and what is measured then is chance.
            with fresh_workers(1, start) as stock:
                contenders = contenders_of(net, models[net.name], stock, rows)
                speeds[net.name] = measure_net(contenders, net.engine.batch_size)
    return pandas.concat(speeds, names=["net", "row"]).reset_index("net").reset_index(drop=True)


def nets(config: Config) -> list[Net]:
    """Returns Deotte's net without and with its dropout, as its users run it, and each variant.

    Both sides have the same batch size: of Deotte's, that of the configuration's defaults.
    """

    def deottes(name: str, dropout: float) -> Variant:
        architecture = {"name": name, "dropout": dropout}
        return Variant.model_validate({**dict(config.defaults), "architecture": architecture})

    without, own, plain = deottes("deotte", 0.0), deottes("deotte", 0.4), deottes("plain", 0.4)
    as_published = published_recipe().model_copy(update={"batch_size": plain.batch_size})
    return [
        Net("Deotte's, no dropout", without, without),
        Net("Deotte's, its dropout 0.4", own, own),
        Net(AS_PUBLISHED, plain, as_published),
        *(Net(name, variant, variant) for name, variant in config.variants.items()),
    ]


def published_recipe() -> Variant:
    """Returns Deotte's net, optimiser and schedule: AdamW without weight decay is Adam."""
    return load_config(PUBLISHED_RECIPE).variants["deotte"]


def engine_model(variant: Variant):
    """Returns a variant's compiled model, as its jobs train it."""
    use_precision(variant.precision)
    return compiled_model(variant, SCHEDULE_STEPS)


def stock_model(variant: Variant, precision: str, steps: int = SCHEDULE_STEPS):
    """Returns the same net in Keras's own layers, compiled for a training of `steps`."""
    use_precision(precision)
    model = stock_copy(variant.architecture.build())
    compile_for(variant, model, steps)
    return model


def stock_copy(model):
    """Returns a functional Keras model with the layers from which ours derive in their place.

    It has other weights of the same shapes, in the same order.
    """
    import keras

    def in_stock(layer):
        base: Any = next(kind for kind in type(layer).__mro__ if kind.__module__[:6] == "keras.")
        kind = type(layer) if base is keras.layers.Layer else base
        return kind.from_config(layer.get_config())

    return keras.models.clone_model(model, clone_function=in_stock)


def contenders_of(
    net: Net, model, stock: Executor, rows: tuple[np.ndarray, np.ndarray]
) -> dict[str, Contender]:
    """Returns stock Keras's contenders, in their process, and the engine's, in this one.

    Stock Keras computes in bfloat16, too, where that is multiplied in hardware: elsewhere it takes
    many times as long, and nobody would train in it.
    """

    def in_stock(precision: str) -> np.ndarray:
        return stock.submit(stock_step_ends, net, precision, *rows).result()

    def in_engine() -> np.ndarray:
        return step_ends(model, batches(net.engine.batch_size, *rows), shuffle=False)

    precisions = dict.fromkeys(["float32", best_precision()])
    contenders: dict[str, Contender] = {f"stock {p}": partial(in_stock, p) for p in precisions}
    return contenders | {f"{ENGINE} {model.dtype_policy.compute_dtype}": in_engine}


# In the process of stock Keras: its models, by net and precision.
_stock_models: dict[tuple[str, str], Any] = {}


def stock_step_ends(net: Net, precision: str, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Trains a net in the process of stock Keras, from arrays, as its users do."""
    key = net.name, precision
    if key not in _stock_models:
        _stock_models[key] = stock_model(net.stock, precision)
    return step_ends(_stock_models[key], images, labels, batch_size=net.stock.batch_size)


def step_ends(model, *data: Any, **settings: Any) -> np.ndarray:
    """Trains a compiled model for an epoch, and returns when each of its steps ended.

    Returns:
        float64 `[steps]`, in seconds of a clock that all processes share.
    """
    import keras

    ends: list[float] = []
    clock = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: ends.append(time.monotonic())
    )
    model.fit(*data, verbose=0, callbacks=[clock], **settings)
    return np.array(ends)


def measure_net(contenders: dict[str, Contender], batch_size: int) -> "DataFrame":
    """Has the contenders train in turns: a slow minute of the machine falls on all of them.

    Returns:
        A row per contender and round: `trained_by`, `round`, `images_per_second`, and `ratio`, to
        stock Keras in float32 in the same round.
    """
    import pandas

    names, found = list(contenders), []
    for number in range(1 + ROUNDS):
        # Each round begins with another one, so that none always runs on a cooler machine.
        turn = [*names[number % len(names) :], *names[: number % len(names)]]
        speeds = {}
        for name in turn:
            with interruptible():
                speeds[name] = batch_size * steps_per_second([contenders[name]()])
        if number:  # in round 0 TensorFlow traces and tunes
            found += [(name, number, speeds[name], speeds[name] / speeds[STOCK]) for name in names]
    return pandas.DataFrame(found, columns=["trained_by", "round", "images_per_second", "ratio"])


def measure_two_workers(run: Run) -> tuple[str, list[float]]:
    """Returns the first variant, and per round the speed of two workers over that of one.

    One has all cores, two share them.

    Raises:
        UserError: when the two did not train at the same time, or the system ends one.
    """
    name = next(iter(run.config.variants))
    speedups = []
    with workers_may_end(MORE_MEMORY):
        for _ in with_progress("measuring two workers", range(WORKER_ROUNDS)):
            one, two = (workers_speed(run.config, name, workers) for workers in (1, 2))
            speedups.append(two / one)
    return name, speedups


def workers_speed(config: Config, name: str, workers: int) -> float:
    """Returns the steps per second of workers that train a variant side by side."""
    threads = max(1, core_count() // workers)
    with (
        tempfile.TemporaryDirectory(prefix="meeting-") as meeting,
        fresh_workers(workers, partial(start_keras, threads)) as processes,
    ):
        training = partial(step_ends_in_worker, config, name, Path(meeting), workers)
        futures = [processes.submit(training) for _ in range(workers)]
        # As they come: one that failed is never met, and the others would wait for it.
        return steps_per_second([future.result() for future in as_completed(futures)])


def step_ends_in_worker(config: Config, name: str, meeting: Path, workers: int) -> np.ndarray:
    """Trains a variant in a worker process, as soon as all workers are ready."""
    variant, digits = config.variants[name], load_run(config).data_set.train
    few, many = (
        batches(variant.batch_size, *first_rows(digits, steps * variant.batch_size))
        for steps in (WARM_UP_STEPS, WORKER_STEPS)
    )
    model = engine_model(variant)
    step_ends(model, few, shuffle=False)
    (meeting / f"{os.getpid()}").touch()
    while len(list(meeting.iterdir())) < workers:
        time.sleep(SECONDS_BETWEEN_LOOKS)
    return step_ends(model, many, shuffle=False)


def steps_per_second(trainings: Collection[np.ndarray]) -> float:
    """Returns the steps per second of all trainings together, while all of them ran.

    Args:
        trainings: what `step_ends` returned of each.

    Raises:
        UserError: when one of them did too little in that time, or they did not meet at all.
    """
    begin = max(ends[SKIPPED_STEPS] for ends in trainings)
    end = min(ends[-1] for ends in trainings)
    # Steps at the borders count by their share.
    steps = [np.diff(np.interp([begin, end], ends, np.arange(len(ends))))[0] for ends in trainings]
    if min(steps) < LEAST_STEPS:  # below 0, if one began after another one's end
        raise UserError(
            f"{len(trainings)} workers did not train at the same time, as something else kept the "
            "processor busy; measure again when nothing else runs"
        )
    return float(sum(steps) / (end - begin))


def first_rows(digits: Digits, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns images, uint8 `[count, 28, 28, 1]`, and labels, float32 `[count, 10]`."""
    rows = np.resize(np.arange(len(digits)), count)
    return digits.images[rows][..., None], one_hot(digits.labels[rows])


@contextmanager
def fresh_workers(count: int, start: Callable[[], None]) -> Iterator[Executor]:
    """Fresh worker processes, ended with the block; each calls `start` first.

    The package's own are kept, with the threads and models that they started with.
    """
    workers = ProcessPoolExecutor(count, initializer=_begin, initargs=(os.getpid(), start))
    try:
        yield workers
    finally:
        workers.shutdown(kill_workers=True)  # none waits for another one that failed


def _begin(command_pid: int, start: Callable[[], None]) -> None:
    end_with(command_pid)
    start()


def speed_table(speeds: "DataFrame") -> "DataFrame":
    """Returns a line per net and contender, as text."""
    shown = speeds.groupby(["net", "trained_by"], sort=False).agg(
        images=("images_per_second", partial(spread, form=".0f")),
        ratio=("ratio", partial(spread, form=".2f")),
    )
    shown.columns = ["images/s", "x stock float32"]
    return shown.rename_axis(["net", "trained by"]).reset_index()


def spread(runs: Collection[float], form: str) -> str:
    """Returns median, lowest and highest, for example `"3.1 (2.9 – 3.4)"`."""
    middle, low, high = (format(figure, form) for figure in (median(runs), min(runs), max(runs)))
    return f"{middle} ({low} – {high})"


def keep(run: Run, part: str, found: Any) -> None:
    """Writes a part, as JSON values, to `output/<config>/bench.json`; other parts stay there."""
    path = paths.OutputPaths(run.config.name).bench
    try:
        kept = dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):  # not there, or not what we write
        kept = {}
    measured = {
        "data_fingerprint": run.fingerprint,
        "machine": machine_name(),
        "threads": core_count(),
        "versions": library_versions(),
        "code_version": code_version(),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "found": found,
    }
    write_text(path, json.dumps(kept | {part: measured}, indent=2) + "\n")
