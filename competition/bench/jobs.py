"""Whole jobs: how much of one is not its training steps, and what a second worker brings."""

import os
import shutil
import time
from dataclasses import dataclass, field

import numpy as np
from joblib import delayed

from competition import paths
from competition.bench.nets import engine
from competition.bench.pace import Pace, joint_steps_a_second, paced_fit
from competition.config import Config
from competition.data.pool_space import pools_at_hand
from competition.data.run import Run, load_run
from competition.errors import UserError
from competition.machine import core_count
from competition.processes import end_with, side_by_side
from competition.results import Job
from competition.training.fold import one_hot
from competition.training.plan import Plan
from competition.training.runtime import start_keras
from competition.training.worker import WorkerContext, pools_needed, run_job
from competition.version import code_version

EPOCHS = 2
STEPS_SIDE_BY_SIDE = 100


@dataclass(frozen=True)
class JobTimes:
    """What a job of two epochs took.

    Attributes:
        whole: seconds from reading the data to the result.
        steps: seconds that the training steps of one epoch took.
        between: seconds between the last step of the first epoch and the first of the second,
            which is ready to begin when its images are.
    """

    whole: float
    steps: float
    between: float

    def share_outside(self, epochs: int) -> float:
        """Returns the share of a longer job's time that is not spent in training steps."""
        whole = self.whole + (epochs - EPOCHS) * (self.steps + self.between)
        return 1 - epochs * self.steps / whole


@dataclass(frozen=True)
class StepClock:
    """A progress board that notes when each step of a job ends, as the job tells it."""

    ends: list[float] = field(default_factory=list)

    def shares(self) -> "StepClock":
        """Returns what is assigned to after each step."""
        return self

    def __setitem__(self, number: int, share: float) -> None:
        self.ends.append(time.monotonic())


def job_times(run: Run, name: str) -> JobTimes:
    """Runs a small job of a variant on the first fold, in this process, and keeps no result."""
    short = run.config.variants[name].model_copy(update={"epochs": EPOCHS})
    # No configuration can bear a name that begins with a dot.
    update = {"name": f".bench-{run.config.name}", "variants": {name: short}}
    config = run.config.model_copy(update=update)
    clock = StepClock()
    try:
        job = next(iter(load_run(config).identities))
        with pools_at_hand(pools_needed(load_run(config), [job]), run.data_set):
            whole = _job_seconds(config, job, clock)
    finally:
        shutil.rmtree(paths.output_folder(config.name), ignore_errors=True)
    return times_of(whole, np.array(clock.ends))


def _job_seconds(config: Config, job: Job, clock: StepClock) -> float:
    context = WorkerContext(Plan(1, core_count()), os.getpid(), clock, code_version())
    began = time.monotonic()
    _, failure = run_job(config, job, 0, context)
    if failure:
        raise UserError(f"{failure.job}: {failure.message}")
    return time.monotonic() - began


def times_of(whole: float, ends: np.ndarray) -> JobTimes:
    """Returns a job's times from the ends of the steps of its two epochs.

    Args:
        whole: seconds of the job.
        ends: float64 `[steps]`. How long the first step of an epoch took is not seen, as it
            begins unheard; it is taken to be as long as the others.
    """
    by_epoch = ends.reshape(EPOCHS, -1)
    a_step = float(np.diff(by_epoch).mean())
    between = float(by_epoch[1, 0] - by_epoch[0, -1]) - a_step
    return JobTimes(whole, a_step * by_epoch.shape[1], between)


def two_workers_speedup(config: Config, name: str) -> float:
    """Returns the training speed of two workers, which share the cores, over that of one."""
    one = _steps_a_second(config, name, Plan(1, core_count()))
    return _steps_a_second(config, name, Plan(2, max(1, core_count() // 2))) / one


def _steps_a_second(config: Config, name: str, plan: Plan) -> float:
    calls = [delayed(_pace_in_worker)(config, name, plan, os.getpid())] * plan.workers
    return joint_steps_a_second(list(side_by_side(plan.workers, plan.threads)(calls)))


def _pace_in_worker(config: Config, name: str, plan: Plan, command: int) -> Pace:
    end_with(command)
    start_keras(plan.threads)
    variant, digits = config.variants[name], load_run(config).data_set.train
    rows = np.resize(np.arange(len(digits)), STEPS_SIDE_BY_SIDE * variant.batch_size)
    contender = engine(variant)
    feed = contender.feed(digits.images[rows], one_hot(digits.labels[rows]))
    return paced_fit(contender.model, feed)
