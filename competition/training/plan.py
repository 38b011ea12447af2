"""How a machine is split among jobs: so many processes side by side, with so many threads each."""

import math
from dataclasses import dataclass

from joblib import Parallel

from competition.machine import Machine, this_machine
from competition.processes import side_by_side
from competition.training.runtime import started_threads

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
