"""How Keras starts on this machine: quiet, with so many threads, in the best precision it has."""

import logging
import math
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from joblib import Parallel

from competition.system import Machine, multiplies_bfloat16, side_by_side, this_machine

# NVIDIA's Ampere, the first of its GPUs with bfloat16 (CUDA C++ Programming Guide, section on
# compute capabilities).
BFLOAT16_CAPABILITY = (8, 0)


def start_keras(threads: int) -> None:
    """Starts Keras with oneDNN's kernels, unless the user's environment says otherwise.

    By itself TensorFlow leaves them out where a processor has no AVX-512 for neural nets, but a
    training takes two thirds of the time with them there, too (EXPERIMENTS.md).

    Args:
        threads: see `start_stock_keras`.
    """
    with _variable("TF_ENABLE_ONEDNN_OPTS", "1"):
        start_stock_keras(threads)


def start_stock_keras(threads: int) -> None:
    """Imports Keras without its start-up messages, and limits TensorFlow's threads.

    Threads can only be set before TensorFlow's first operation, so this comes first thing in a
    process; a later call with the same number does nothing.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # TensorFlow warns of every function traced again, as each job's new model rightly is.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    with _silent_standard_error():
        import keras  # noqa: F401
        import tensorflow

    tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
    tensorflow.config.threading.set_inter_op_parallelism_threads(threads)
    for device in tensorflow.config.list_physical_devices("GPU"):
        # Otherwise the first process takes all of the memory, and the second finds none.
        tensorflow.config.experimental.set_memory_growth(device, True)


def started_threads() -> int | None:
    """Returns the threads that TensorFlow was started with here, None where it was not."""
    if "tensorflow" not in sys.modules:
        return None
    return sys.modules["tensorflow"].config.threading.get_intra_op_parallelism_threads() or None


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
def _silent_standard_error() -> Iterator[None]:
    """Drops what native code writes while it is loaded; TensorFlow has no setting for that."""
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
    """Frees what Keras keeps of the models that this process made before."""
    import keras

    keras.utils.clear_session()


def use_precision(setting: str) -> str:
    """Sets the precision of all layers that are made from now on.

    Args:
        setting: `float32`, `bfloat16` (computes in bfloat16, keeps weights in float32) or `auto`.

    Returns:
        The one that is used, `float32` or `bfloat16`.
    """
    import keras

    chosen = best_precision() if setting == "auto" else setting
    keras.config.set_dtype_policy("mixed_bfloat16" if chosen == "bfloat16" else "float32")
    return chosen


def best_precision() -> str:
    """Returns `bfloat16` where what trains multiplies it in hardware, else `float32`.

    That is all graphics processors that TensorFlow sees, or the processor where it sees none.
    """
    import tensorflow

    gpus = tensorflow.config.list_physical_devices("GPU")
    in_hardware = all(map(_gpu_multiplies_bfloat16, gpus)) if gpus else multiplies_bfloat16()
    return "bfloat16" if in_hardware else "float32"


def _gpu_multiplies_bfloat16(gpu) -> bool:
    import tensorflow

    details = tensorflow.config.experimental.get_device_details(gpu)
    return details.get("compute_capability", (0, 0)) >= BFLOAT16_CAPABILITY


# Measured: a process that trains and predicts peaks at 0.9 to 1.5 GB, nets of width 16 to 64.
TRAINING_WORKER_BYTES = 1_500_000_000

# t threads train t ** 0.7 times as fast as one. Measured: two processes of one thread do 1.22
# times the work of one process of two (EXPERIMENTS.md), so two threads are 2 / 1.22 = 2 ** 0.71.
THREAD_SCALING = 0.7


@dataclass(frozen=True)
class Plan:
    """How many jobs run side by side, and how many threads each may use."""

    workers: int
    threads: int

    def __str__(self) -> str:
        jobs = f"{self.workers} jobs side by side" if self.workers > 1 else "one job at a time"
        return f"{jobs}, {self.threads} thread{'s' if self.threads > 1 else ''} each"

    def parallel(self) -> Parallel:
        """Returns what runs calls so: a single worker is this process, if its threads allow it.

        TensorFlow keeps those that it has started with, perhaps by the plan of an earlier stage.
        """
        fitting = (None, self.threads)
        return side_by_side(self.workers, self.threads, started_threads() in fitting)


def chosen_plan(jobs: int, jobs_left: int, workers: int | None) -> Plan:
    """Returns the plan: with the user's number of workers or, without one, what suits this machine.

    Args:
        jobs: of the whole run.
        jobs_left: those that are still to do.
        workers: how many run side by side.
    """
    machine = this_machine()
    if workers is None:
        return automatic_plan(machine, jobs, jobs_left)
    return given_plan(machine, jobs_left, workers)


def given_plan(machine: Machine, jobs_left: int, workers: int) -> Plan:
    """Divides the cores among the workers asked for, of which no more start than there are jobs."""
    return Plan(max(1, min(workers, jobs_left)), max(1, machine.cores // workers))


def automatic_plan(machine: Machine, jobs: int, jobs_left: int) -> Plan:
    """Returns the split that ends the whole run first.

    The threads follow from the machine and the whole run alone, not from what is left of it or
    from the memory that happens to be free: their number moves a result's last digits, which an
    interruption must not. A graphics processor is fed by one process.

    Args:
        machine: cores, memory and graphics processors.
        jobs: of the whole run.
        jobs_left: those that are still to do.
    """
    if machine.gpus:
        return Plan(1, machine.cores)
    most = max(1, min(machine.cores, jobs, machine.memory // TRAINING_WORKER_BYTES))
    planned = min(range(1, most + 1), key=lambda workers: _duration(machine.cores, jobs, workers))
    fitting = max(1, machine.available_memory // TRAINING_WORKER_BYTES)
    return Plan(min(planned, jobs_left, fitting), machine.cores // planned)


def _duration(cores: int, jobs: int, workers: int) -> float:
    """Returns the time of equal jobs on so many workers, one job on one thread taking 1."""
    return math.ceil(jobs / workers) / (cores // workers) ** THREAD_SCALING
