"""Training speed on this machine: the engine against stock Keras, and two workers against one.

Stock Keras has its own process, where TensorFlow starts with its defaults: the engine may turn on
oneDNN, which holds for a whole process.
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
from competition.tables import Table, text_of
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
LEAST_STEPS = 5  # the speed of fewer steps is chance

WORKER_ROUNDS = 3
WORKER_STEPS, WARM_UP_STEPS = 100, 10
SECONDS_BETWEEN_LOOKS = 0.01

SCHEDULE_STEPS = 1000  # a learning rate's schedule needs a length; the speed does not depend on it

NOTE = (
    f"`{AS_PUBLISHED}` is not the same net on both sides: stock Keras trains his net with Adam, "
    "the engine trains `plain`, which drops whole feature maps, has no biases in its convolutions "
    "and normalises before ReLU. In all other rows both train the same net with the same settings. "
    "Stock Keras has its defaults: no oneDNN on processors without AVX-512 for neural nets, where "
    "the engine turns it on."
)

# Trains an epoch of `STEPS` and returns its `step_ends`.
Contender = Callable[[], np.ndarray]


@dataclass(frozen=True)
class Net:
    """A net of the comparison: as the engine trains it, and as stock Keras does."""

    name: str
    engine: Variant
    stock: Variant


def benchmark(run: Run) -> str:
    """Measures all but the race, keeps each part when it is done, returns them as text."""
    start_keras(core_count())
    speeds = measure_speeds(run)
    keep(run, "throughput", speeds.to_dict(orient="records"))
    name, speedups = measure_two_workers(run)
    keep(run, "two_workers", {"variant": name, "speedups": speedups})
    in_hardware = best_precision() == "bfloat16"
    left_out = "" if in_hardware else " No bfloat16 in stock Keras: not in hardware here."
    table = Table("speed", "Training speed", speed_table(speeds), note=NOTE)
    return (
        f"{machine_name()}, {core_count()} threads. Medians, lowest and highest in brackets."
        f"{left_out}\n\n{text_of(table)}\n\n"
        f"Two workers train `{name}` {spread(speedups, '.2f')} times as fast as one with all the "
        "threads."
    )


def measure_speeds(run: Run) -> "DataFrame":
    """Trains each net by all contenders; returns `net` and the columns of `measure_net`."""
    import pandas

    compared, speeds = nets(run.config), {}
    with interruptible():  # built first, so that a net that cannot be built shows at once
        models = {net.name: engine_model(net.engine) for net in compared}
    start = partial(start_stock_keras, core_count())
    with workers_may_end(MORE_MEMORY):
        for net in with_progress("measuring", compared):
            rows = first_rows(run.data_set.train, STEPS * net.engine.batch_size)
            # A process per net: loky would replace a growing one in the middle of a measurement.
            with fresh_workers(1, start) as stock:
                contenders = contenders_of(net, models[net.name], stock, rows)
                speeds[net.name] = measure_net(contenders, net.engine.batch_size)
    return pandas.concat(speeds, names=["net", "row"]).reset_index("net").reset_index(drop=True)


def nets(config: Config) -> list[Net]:
    """Returns Deotte's net without and with its dropout and as its users run it, and each variant.

    Both sides have the same batch size: for Deotte's net, that of the configuration's defaults.
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
    """Returns Deotte's net, optimiser and schedule; AdamW without weight decay is Adam."""
    return load_config(PUBLISHED_RECIPE).variants["deotte"]


def engine_model(variant: Variant):
    """Returns a variant's compiled model, as its jobs train it."""
    use_precision(variant.precision)
    return compiled_model(variant, SCHEDULE_STEPS)


def stock_model(variant: Variant, precision: str, steps: int = SCHEDULE_STEPS):
    """Returns a variant's model in Keras's own layers, compiled for a training of `steps`."""
    use_precision(precision)
    model = stock_copy(variant.architecture.build())
    compile_for(variant, model, steps)
    return model


def stock_copy(model):
    """Returns a functional Keras model with our layers replaced by Keras's, from which they derive.

    Its weights are new, with the same shapes in the same order.
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
    """Returns the contenders of stock Keras, in its own process, and of the engine, in this one.

    Stock Keras also trains in bfloat16 if the hardware multiplies it; otherwise that takes many
    times as long, and nobody would use it.
    """

    def in_stock(precision: str) -> np.ndarray:
        return stock.submit(stock_step_ends, net, precision, *rows).result()

    def in_engine() -> np.ndarray:
        return step_ends(model, batches(net.engine.batch_size, *rows), shuffle=False)

    precisions = dict.fromkeys(["float32", best_precision()])
    contenders: dict[str, Contender] = {f"stock {p}": partial(in_stock, p) for p in precisions}
    return contenders | {f"{ENGINE} {model.dtype_policy.compute_dtype}": in_engine}


# Filled in the process of stock Keras: its models, by net and precision.
_stock_models: dict[tuple[str, str], Any] = {}


def stock_step_ends(net: Net, precision: str, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Trains a net in the process of stock Keras, on arrays, as its users do."""
    key = net.name, precision
    if key not in _stock_models:
        _stock_models[key] = stock_model(net.stock, precision)
    return step_ends(_stock_models[key], images, labels, batch_size=net.stock.batch_size)


def step_ends(model, *data: Any, **settings: Any) -> np.ndarray:
    """Trains a compiled model for an epoch; returns when each step ended, float64 `[steps]`, in
    seconds of a clock that all processes share.
    """
    import keras

    ends: list[float] = []
    clock = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: ends.append(time.monotonic())
    )
    model.fit(*data, verbose=0, callbacks=[clock], **settings)
    return np.array(ends)


def measure_net(contenders: dict[str, Contender], batch_size: int) -> "DataFrame":
    """Trains the contenders in turns, so that a slow minute of the machine affects all of them.

    Returns one row per contender and round: `trained_by`, `round`, `images_per_second`, and
    `ratio`, to stock Keras in float32 in the same round.
    """
    import pandas

    names, found = list(contenders), []
    for number in range(1 + ROUNDS):
        # Each round begins with another contender, so that none always has the cooler machine.
        turn = [*names[number % len(names) :], *names[: number % len(names)]]
        speeds = {}
        for name in turn:
            with interruptible():
                speeds[name] = batch_size * steps_per_second([contenders[name]()])
        if number:  # in round 0 TensorFlow traces and tunes
            found += [(name, number, speeds[name], speeds[name] / speeds[STOCK]) for name in names]
    return pandas.DataFrame(found, columns=["trained_by", "round", "images_per_second", "ratio"])


def measure_two_workers(run: Run) -> tuple[str, list[float]]:
    """Returns the first variant's name, and per round the speed of two workers, which share the
    cores, divided by that of one, which has all.
    """
    name = next(iter(run.config.variants))
    speedups = []
    with workers_may_end(MORE_MEMORY):
        for _ in with_progress("measuring two workers", range(WORKER_ROUNDS)):
            one, two = (workers_speed(run.config, name, workers) for workers in (1, 2))
            speedups.append(two / one)
    return name, speedups


def workers_speed(config: Config, name: str, workers: int) -> float:
    """Returns the steps per second of workers that train a variant side by side, together."""
    threads = max(1, core_count() // workers)
    with (
        tempfile.TemporaryDirectory(prefix="meeting-") as meeting,
        fresh_workers(workers, partial(start_keras, threads)) as processes,
    ):
        training = partial(step_ends_in_worker, config, name, Path(meeting), workers)
        futures = [processes.submit(training) for _ in range(workers)]
        # In the order of completion: if one fails, the others wait in vain, so its error is first.
        return steps_per_second([future.result() for future in as_completed(futures)])


def step_ends_in_worker(config: Config, name: str, meeting: Path, workers: int) -> np.ndarray:
    """Trains a variant in a worker process, once all workers are ready."""
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
        trainings: the `step_ends` of each.

    Raises:
        UserError: when they did not overlap by enough steps of each.
    """
    begin = max(ends[SKIPPED_STEPS] for ends in trainings)
    end = min(ends[-1] for ends in trainings)
    # Steps at the borders count in part.
    steps = [np.diff(np.interp([begin, end], ends, np.arange(len(ends))))[0] for ends in trainings]
    if min(steps) < LEAST_STEPS:  # negative if one began after another had ended
        raise UserError(
            f"{len(trainings)} workers did not train at the same time, because something else kept "
            "the processor busy; measure again when nothing else runs"
        )
    return float(sum(steps) / (end - begin))


def first_rows(digits: Digits, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns images, uint8 `[count, 28, 28, 1]`, and labels, float32 `[count, 10]`."""
    rows = np.resize(np.arange(len(digits)), count)
    return digits.images[rows][..., None], one_hot(digits.labels[rows])


@contextmanager
def fresh_workers(count: int, start: Callable[[], None]) -> Iterator[Executor]:
    """Yields fresh worker processes, which call `start` first and end with the block.

    joblib's would be reused, with the threads and models that they started with.
    """
    workers = ProcessPoolExecutor(count, initializer=_begin, initargs=(os.getpid(), start))
    try:
        yield workers
    finally:
        workers.shutdown(kill_workers=True)  # they may wait for one that failed


def _begin(command_pid: int, start: Callable[[], None]) -> None:
    end_with(command_pid)
    start()


def speed_table(speeds: "DataFrame") -> "DataFrame":
    """Returns one row per net and contender, as text."""
    shown = speeds.groupby(["net", "trained_by"], sort=False).agg(
        images=("images_per_second", partial(spread, form=".0f")),
        ratio=("ratio", partial(spread, form=".2f")),
    )
    shown.columns = ["images/s", "x stock float32"]
    return shown.rename_axis(["net", "trained by"]).reset_index()


def spread(runs: Collection[float], form: str) -> str:
    """Returns median, lowest and highest as text, such as `"3.1 (2.9 – 3.4)"`."""
    middle, low, high = (format(figure, form) for figure in (median(runs), min(runs), max(runs)))
    return f"{middle} ({low} – {high})"


def keep(run: Run, part: str, found: Any) -> None:
    """Writes a part, JSON values, to `output/<config>/bench.json`; its other parts stay."""
    path = paths.OutputPaths(run.config.name).bench
    try:
        kept = dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):  # not there, or not written by us
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
