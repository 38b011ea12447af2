"""Whole jobs: how much of one is not its training steps, and what a second worker brings."""

import os
import shutil
import time
from dataclasses import dataclass

import numpy as np
from joblib import delayed

from competition import locks, paths
from competition.bench.nets import engine
from competition.bench.pace import Pace, joint_steps_a_second, paced_fit
from competition.config import Config, Variant
from competition.data.pool import make_pools
from competition.data.pool_space import make_room
from competition.data.run import Run, load_run
from competition.digits import Digits
from competition.errors import UserError
from competition.machine import core_count
from competition.processes import end_with, side_by_side
from competition.training.batches import batches
from competition.training.one_fold import one_hot
from competition.training.plan import Plan
from competition.training.progress_board import ProgressBoard
from competition.training.runtime import start_keras
from competition.training.worker import Place, pool_of, run_job
from competition.version import code_version

STEPS_A_RUN = 40
STEPS_SIDE_BY_SIDE = 100


@dataclass(frozen=True)
class JobTimes:
    """What jobs of one variant took that differ in their epochs alone.

    Attributes:
        steps: of one epoch.
        step: seconds of one training step by itself, with its batch at hand.
        one_epoch, two_epochs: seconds of whole jobs, from reading the data to the result.
    """

    steps: int
    step: float
    one_epoch: float
    two_epochs: float

    def share_outside(self, epochs: int) -> float:
        """Returns the share of a job's time that is not training steps, by a straight line."""
        an_epoch = self.two_epochs - self.one_epoch
        job = self.one_epoch + (epochs - 1) * an_epoch
        return 1 - epochs * self.steps * self.step / job


def job_times(run: Run, name: str) -> JobTimes:
    """Runs small jobs of a variant on the first fold, in this process, and keeps no result."""
    variant = run.config.variants[name]
    training, _ = run.folds.split("fold0")
    return JobTimes(
        max(1, len(training) // variant.batch_size),
        step_seconds(variant, run.data_set.train),
        _job_seconds(run, name, 1),
        _job_seconds(run, name, 2),
    )


def step_seconds(variant: Variant, digits: Digits) -> float:
    """Returns the seconds of one training step on a batch that is there already."""
    rows = np.resize(np.arange(len(digits)), variant.batch_size)
    batch = batches(
        variant.batch_size, digits.images[rows][..., None], one_hot(digits.labels[rows])
    )
    feed = {"x": batch.cache().repeat(STEPS_A_RUN), "shuffle": False}
    return paced_fit(engine(variant).model, feed).seconds_a_step()


def _job_seconds(run: Run, name: str, epochs: int) -> float:
    short = run.config.variants[name].model_copy(update={"epochs": epochs})
    # No configuration can bear a name that begins with a dot.
    update = {"name": f".bench-{run.config.name}", "variants": {name: short}}
    config = run.config.model_copy(update=update)
    job = next(iter(load_run(config).identities))
    pools = {pool_of(run, job): epochs}
    make_room(pools, run.data_set)
    with locks.shared(paths.pools_lock_file()), ProgressBoard.on_disk(1) as board:
        make_pools(pools, run.data_set, core_count())
        place = Place(Plan(1, core_count()), os.getpid(), board, code_version())
        began = time.monotonic()
        try:
            _, failure = run_job(config, job, 0, place)
            seconds = time.monotonic() - began
        finally:
            shutil.rmtree(paths.output_folder(config.name), ignore_errors=True)
    if failure:
        raise UserError(f"{failure.job}: {failure.message}")
    return seconds


def two_workers_speedup(config: Config, name: str) -> float:
    """Returns the training speed of two workers, which share the cores, over that of one."""
    one = _steps_a_second(config, name, Plan(1, core_count()))
    return _steps_a_second(config, name, Plan(2, max(1, core_count() // 2))) / one


def _steps_a_second(config: Config, name: str, plan: Plan) -> float:
    calls = [delayed(_pace_in_worker)(config, name, plan, os.getpid())] * plan.workers
    return joint_steps_a_second(list(side_by_side(plan.workers)(calls)))


def _pace_in_worker(config: Config, name: str, plan: Plan, command: int) -> Pace:
    end_with(command)
    start_keras(plan.threads)
    variant, digits = config.variants[name], load_run(config).data_set.train
    rows = np.resize(np.arange(len(digits)), STEPS_SIDE_BY_SIDE * variant.batch_size)
    contender = engine(variant)
    feed = contender.feed(digits.images[rows], one_hot(digits.labels[rows]))
    return paced_fit(contender.model, feed)
