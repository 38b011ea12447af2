"""Starting Keras on this machine: its messages, threads and precision, and jobs side by side."""

import logging
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from competition.data.augmented_epochs import AugmentedEpochs, pools_at_hand
from competition.digits import DataSet
from competition.errors import UserError
from competition.system import (
    Machine,
    multiplies_bfloat16,
    no_workers,
    side_by_side,
    this_machine,
)

# NVIDIA's Ampere, the first of its GPUs with bfloat16 (CUDA C++ Programming Guide, section on
# compute capabilities).
BFLOAT16_CAPABILITY = (8, 0)


BACKEND = "tensorflow"


def start_keras(threads: int) -> None:
    """Starts Keras with oneDNN's kernels, unless the user's environment says otherwise.

    TensorFlow's default leaves them out on processors without AVX-512 for neural nets, but there,
    too, a training takes two thirds of the time with them (EXPERIMENTS.md).
    """
    with _variable("TF_ENABLE_ONEDNN_OPTS", "1"):
        start_stock_keras(threads)


def start_stock_keras(threads: int) -> None:
    """Imports Keras without its start-up messages, and limits TensorFlow's threads.

    Threads can only be set before TensorFlow's first operation, so this comes first in a process;
    a later call with the same number does nothing.
    """
    require_backend()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # TensorFlow warns of every function traced again, which each job's new model has to be.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    with silent_standard_error():
        import keras  # noqa: F401
        import tensorflow

    tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
    tensorflow.config.threading.set_inter_op_parallelism_threads(threads)
    for device in tensorflow.config.list_physical_devices("GPU"):
        # Otherwise the first process takes all GPU memory, and the second finds none.
        tensorflow.config.experimental.set_memory_growth(device, True)


def require_backend() -> None:
    """Refuses another backend of Keras than TensorFlow."""
    if "keras" in sys.modules:
        backend = sys.modules["keras"].config.backend()
    else:
        backend = os.environ.get("KERAS_BACKEND") or BACKEND
    if backend != BACKEND:
        raise UserError(
            f"Keras would compute with '{backend}', but this program needs its backend "
            f"'{BACKEND}'; unset KERAS_BACKEND"
        )


def started_threads() -> int | None:
    """Returns TensorFlow's threads in this process; None: not started, 0: its own choice."""
    if "tensorflow" not in sys.modules:
        return None
    return sys.modules["tensorflow"].config.threading.get_intra_op_parallelism_threads()


@contextmanager
def _variable(name: str, value: str) -> Iterator[None]:
    """Sets an environment variable that is not set; processes started later do not inherit it."""
    is_given = name in os.environ
    os.environ.setdefault(name, value)
    try:
        yield
    finally:
        if not is_given:
            del os.environ[name]


@contextmanager
def silent_standard_error() -> Iterator[None]:
    """Drops what native code writes while it is loaded; TensorFlow has no setting for this."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def forget_models() -> None:
    """Frees the memory of models that this process made before."""
    import keras

    keras.utils.clear_session()


def use_precision(setting: str) -> str:
    """Sets and returns the precision of all layers made from now on, `float32` or `bfloat16`.

    Args:
        setting: `float32`, `bfloat16` (computes in bfloat16, keeps weights in float32) or `auto`.
    """
    import keras

    chosen = best_precision() if setting == "auto" else setting
    keras.config.set_dtype_policy("mixed_bfloat16" if chosen == "bfloat16" else "float32")
    return chosen


def best_precision() -> str:
    """Returns `bfloat16` if all GPUs, or without GPUs the processor, multiply it in hardware;
    otherwise `float32`.
    """
    from tensorflow import config

    gpus = map(config.experimental.get_device_details, config.list_physical_devices("GPU"))
    capabilities = [gpu.get("compute_capability", (0, 0)) for gpu in gpus]
    if capabilities:
        in_hardware = min(capabilities) >= BFLOAT16_CAPABILITY
    else:
        in_hardware = multiplies_bfloat16()
    return "bfloat16" if in_hardware else "float32"


# Measured: a process that trains and predicts peaks at 0.9 to 1.5 GB, nets of width 16 to 64.
TRAINING_WORKER_BYTES = 1_500_000_000

# t threads train t ** 0.7 times as fast as one. Measured: two processes of one thread do 1.22
# times the work of one process of two (EXPERIMENTS.md), so two threads are 2 / 1.22 = 2 ** 0.71.
THREAD_SCALING = 0.7


# Yields the results of joblib's delayed calls as they finish.
Runner = Callable[[Iterable[Any]], Iterator[Any]]


@dataclass(frozen=True)
class Plan:
    """How many jobs run side by side, and how many threads each may use."""

    workers: int
    threads: int

    # In messages: where the jobs run.
    place: ClassVar[str] = "this machine"

    def __str__(self) -> str:
        jobs = f"{self.workers} jobs side by side" if self.workers > 1 else "one job at a time"
        return f"{jobs}, {self.threads} thread{'s' if self.threads > 1 else ''} each"

    def parallel(self) -> Runner:
        """Returns joblib's runner; a single worker is this process, if its threads fit the plan.

        They may not: TensorFlow keeps the threads of its start, perhaps from an earlier stage.
        """
        in_this_process = started_threads() in (None, self.threads)
        return side_by_side(self.workers, self.threads, in_this_process)

    def call(self, function: Callable[[Any, Any], Any], task: Any, tell: Callable) -> Any:
        """Returns `function(task, tell)`, computed where this plan's jobs compute."""
        return function(task, tell)

    def epochs_at_hand(
        self, epochs: dict[AugmentedEpochs, int], data_set: DataSet
    ) -> AbstractContextManager[None]:
        """Makes the augmented epochs that the jobs need, as `pools_at_hand`."""
        return pools_at_hand(epochs, data_set, self.threads)

    def fewer(self) -> str:
        """Returns what leaves more memory for each job."""
        return f"JOBS={self.workers // 2}"


class Elsewhere(Protocol):
    """Other machines than this one, which say themselves how they run jobs."""

    def plan(self) -> Plan: ...


# How many jobs run side by side here, None: as many as suit the machine; or where else they run.
Workers = int | Elsewhere | None


def chosen_plan(jobs: int, jobs_left: int, workers: Workers) -> Plan:
    """Returns the plan: with the user's number of workers or, if None, what suits this machine.

    Args:
        jobs: of the whole run, finished ones included.

    Raises:
        UserError: when Keras has another backend.
    """
    if workers is not None and not isinstance(workers, int):
        return workers.plan()
    require_backend()
    machine = this_machine()
    if workers is None and no_workers():
        workers = 1
    if workers is None:
        return automatic_plan(machine, jobs, jobs_left)
    return given_plan(machine, jobs_left, workers)


def given_plan(machine: Machine, jobs_left: int, workers: int) -> Plan:
    """Divides the cores among the workers asked for; no more start than there are jobs left."""
    return Plan(max(1, min(workers, jobs_left)), max(1, machine.cores // workers))


def automatic_plan(machine: Machine, jobs: int, jobs_left: int) -> Plan:
    """Returns the plan that finishes the whole run first.

    The number of threads changes a result's last digits. So it depends on the machine and the whole
    run only, not on the jobs left after an interruption or on the memory that happens to be free.
    """

    def duration(workers: int) -> float:  # in units of one job on one thread
        return math.ceil(jobs / workers) / (machine.cores // workers) ** THREAD_SCALING

    if machine.gpus:  # one process keeps a GPU busy
        return Plan(1, machine.cores)
    most = max(1, min(machine.cores, jobs, machine.memory // TRAINING_WORKER_BYTES))
    planned = min(range(1, most + 1), key=duration)
    fitting = max(1, machine.available_memory // TRAINING_WORKER_BYTES)
    return Plan(min(planned, jobs_left, fitting), machine.cores // planned)
