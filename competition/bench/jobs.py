"""Whole jobs: how much of one is not its training steps."""

import os
import shutil
import time
from dataclasses import dataclass, field

import numpy as np

from competition import paths
from competition.bench.nets import engine
from competition.config.loading import Config
from competition.config.schema import Variant
from competition.data.augmented_epochs import pools_at_hand
from competition.data.run import Run, load_run
from competition.errors import UserError
from competition.results import Job
from competition.storage import PARTIAL
from competition.system import core_count, interruptible
from competition.training.resources import Plan
from competition.training.train import evaluate, is_validated
from competition.training.training_data import Fold, fold_of, pools_needed, resampled
from competition.training.worker import WorkerContext, run_job

EPOCHS = 2


@dataclass(frozen=True)
class JobTimes:
    """What a job of two epochs took.

    Attributes:
        whole: seconds from reading the data to the result.
        steps: seconds that the training steps of one epoch took.
        between: seconds between the last step of the first epoch and the first of the second,
            which is ready to begin when its images are; nothing was validated there.
        validation: seconds of one more validation than that after the last epoch.
        after: seconds from the last step to the result: the last validation, the predictions of
            all views, and what is written.
    """

    whole: float
    steps: float
    between: float
    validation: float
    after: float

    def share_outside(self, variant: Variant) -> float:
        """Returns the share of a variant's whole job that is not spent in training steps.

        What Keras does between two steps of an epoch counts as theirs.
        """
        return 1 - variant.epochs * self.steps / self._seconds(variant)

    def share_after(self, variant: Variant) -> float:
        """Returns the share of a variant's whole job that comes after its last step."""
        return self.after / self._seconds(variant)

    def _seconds(self, variant: Variant) -> float:
        epochs = variant.epochs
        validations = sum(is_validated(variant, epoch) for epoch in range(epochs - 1))
        longer = (epochs - EPOCHS) * (self.steps + self.between) + validations * self.validation
        return self.whole + longer


@dataclass(frozen=True)
class StepClock:
    """A progress board that notes when a job tells of its progress, first after each step."""

    ends: list[float] = field(default_factory=list)

    def shares(self) -> "StepClock":
        """Returns what is assigned to after each step, and then after each view predicted."""
        return self

    def steps(self, count: int) -> np.ndarray:
        """Returns when each of a training's steps ended, float64 `[count]`."""
        return np.array(self.ends[:count])

    def __setitem__(self, number: int, share: float) -> None:
        self.ends.append(time.monotonic())


def require_steps(run: Run, job: Job) -> None:
    """Raises UserError when an epoch of a job has one step, between whose ends nothing is seen."""
    variant = run.config.variants[job.variant]
    if _fold(run, job).steps(variant) < 2:
        raise UserError(
            f"an epoch of {job.variant} has a single step of {variant.batch_size} digits, too few "
            f'to measure; give it a smaller one, with SET="variants.{job.variant}.batch_size=…"'
        )


def job_times(run: Run, name: str) -> JobTimes:
    """Runs a small job of a variant on the first split, in this process, and keeps no result.

    Callbacks, which might end it, are left out; they take no time to speak of.
    """
    few = {"epochs": EPOCHS, "validate_every": EPOCHS, "callbacks": []}
    short = run.config.variants[name].model_copy(update=few)
    # No configuration can bear a name that begins with a dot; one that ends so is cleaned away.
    update = {"name": f".bench-{run.config.name}{PARTIAL}measured", "variants": {name: short}}
    config = run.config.model_copy(update=update)
    try:
        return _times(load_run(config))
    finally:
        shutil.rmtree(paths.output_folder(config.name), ignore_errors=True)


def _times(run: Run) -> JobTimes:
    job, clock = next(iter(run.identities)), StepClock()
    variant = run.config.variants[job.variant]
    with pools_at_hand(pools_needed(run, [job]), run.data_set):
        began = time.monotonic()
        _run(run.config, job, clock)
        ended = time.monotonic()
    fold = _fold(run, job)
    steps = clock.steps(EPOCHS * fold.steps(variant))
    return times_of(began, steps, ended, _validation_seconds(variant, fold))


def _fold(run: Run, job: Job) -> Fold:
    return resampled(fold_of(run, job), run.config.variants[job.variant].resampling, job.seed)


def _run(config: Config, job: Job, clock: StepClock) -> None:
    context = WorkerContext(Plan(1, core_count()), os.getpid(), clock)
    _, failure = run_job(config, job, 0, context)
    if failure:
        raise UserError(f"{failure.job}: {failure.message}")


def _validation_seconds(variant: Variant, fold: Fold) -> float:
    """Returns the time of a validation by a model that was traced before."""
    with interruptible():
        model = engine(variant).model
        for _ in range(2):
            began = time.monotonic()
            evaluate(model, fold)
    return time.monotonic() - began


def times_of(began: float, ends: np.ndarray, ended: float, validation: float) -> JobTimes:
    """Returns a job's times from the ends of the steps of its two epochs.

    Args:
        began, ended: when the job did, in seconds of the same clock as the steps.
        ends: float64 `[steps]`. How long the first step of an epoch took is not seen, as it
            begins unheard; it is taken to be as long as the others.
        validation: seconds of a validation.
    """
    by_epoch = ends.reshape(EPOCHS, -1)
    a_step = float(np.diff(by_epoch).mean())
    between = float(by_epoch[1, 0] - by_epoch[0, -1]) - a_step
    steps, after = a_step * by_epoch.shape[1], ended - float(ends[-1])
    return JobTimes(ended - began, steps, between, validation, after)
