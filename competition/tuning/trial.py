"""One trial in a worker process: ask the study for values, train, tell it the score."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import optuna
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from competition.config.schema import Variant
from competition.data.augmented_epochs import AugmentedEpochs, make_pool
from competition.data.run import Run
from competition.metrics import Score, score
from competition.system import interruptible
from competition.training.predict import predict, predict_tta, tta_views
from competition.training.resources import forget_models, start_keras
from competition.training.train import train_one_fold
from competition.training.training_data import TrainingData, training_data
from competition.training.worker import Report, Task, WorkerContext, explain
from competition.tuning.storage import (
    explain_database_errors,
    finished_trials,
    quiet_optuna,
    requeue_failed,
)
from competition.tuning.study import Search, open_study

# User attributes of a trial.
FAILURE, SCORE = "failure", "score"


def run_trial(
    search: Search, run: Run, number: int, context: WorkerContext, deadline: float
) -> FrozenTrial | None:
    """Runs the study's next trial; a failure is recorded in the trial that is returned.

    Args:
        run: the search's configuration with data and folds.
        number: the trial's place on the progress board.
        deadline: seconds since 1970; no trial starts later.

    Returns None after the deadline, or if the study has enough trials.
    """
    context.command.join()
    quiet_optuna()
    trial, report = None, context.board.reporter(number)
    with explain_database_errors(search.settings.storage):
        study = open_study(search)
        optuna.storages.fail_stale_trials(study)  # of other machines; does nothing in a journal
        running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        started = len(finished_trials(study)) + len(running)
        if time.time() < deadline and started < search.wanted_trials:
            trial = _run_next(
                study, lambda trial, report: _evaluate(search, run, trial, report, context), report
            )
    report(1)
    return trial


def _run_next(
    study: Study, evaluate: Callable[[Trial, Report], float], report: Report
) -> FrozenTrial:
    """Runs the study's next trial; after Ctrl-C, re-queues its values."""
    started: list[Trial] = []
    ended: list[FrozenTrial] = []

    def remember_and_evaluate(trial: Trial) -> float:
        started.append(trial)
        return evaluate(trial, report_or_end)

    try:
        with interruptible(report) as report_or_end:
            callbacks = [lambda _, trial: ended.append(trial)]
            study.optimize(
                remember_and_evaluate, n_trials=1, catch=(Exception,), callbacks=callbacks
            )
    except KeyboardInterrupt:
        for trial in started:
            requeue_failed(study, trial.number)
        raise
    return ended[0]


def _evaluate(
    search: Search, run: Run, trial: Trial, report: Report, context: WorkerContext
) -> float:
    """Returns the trial's value, and records its score, or why it failed."""

    def tell(event: float | Intermediate) -> None:
        if isinstance(event, int | float):
            report(event)
            return
        value, step, is_last = event
        trial.report(value, step)
        if not is_last and trial.should_prune():
            raise optuna.TrialPruned

    try:
        variant = search.variant.with_values(suggested(search, trial))
        task = TrialTask(run, context.plan, search.without_storage(), variant, trial.number)
        reached = context.plan.call(train_trial, task, tell)
    except optuna.TrialPruned:
        raise
    except Exception as error:
        trial.set_user_attr(FAILURE, explain(error, context.plan))
        raise
    trial.set_user_attr(SCORE, [reached.rows, reached.errors, reached.log_loss])
    return getattr(reached, search.settings.objective)


@dataclass(frozen=True)
class TrialTask(Task):
    """The trainings of one trial, with its values in `variant`."""

    search: Search
    variant: Variant
    number: int

    def epochs(self) -> dict[AugmentedEpochs, int]:
        return dict(self.search.shared_epochs(self.run.fingerprint))


class Intermediate(NamedTuple):
    """A score on the way, as the pruner compares it."""

    value: float
    step: int
    is_last: bool


Tell = Callable[[float | Intermediate], None]


def train_trial(task: TrialTask, tell: Tell) -> Score:
    """Trains the variant with the trial's values, and scores the held-out rows of all folds.

    The score is the one that jobs with these settings would reach.

    Args:
        tell: is told the share of the trial that is done after each step, and each intermediate
            score; what it raises ends the trial.
    """
    search, variant = task.search, task.variant
    start_keras(task.plan.threads)
    run = task.run.with_data()
    run = replace(run, config=run.config.model_copy(update={"variants": {search.name: variant}}))
    predicted, labels = [], []
    with trial_epochs(search, variant, run, task.number) as epochs:
        for position, split in enumerate(search.splits):
            fold = replace(training_data(run, search.job(split)), augmented=epochs)
            training = FoldTraining(search, variant, fold, position, tell)
            predicted.append(training.predictions())
            labels.append(training.labels)
    return score(np.concatenate(predicted), np.concatenate(labels))


def suggested(search: Search, trial: Trial) -> dict[str, Any]:
    """Returns the trial's values, by the names of the search space."""
    values: dict[str, Any] = {}
    for name, parameter in search.space.items():
        low, high, step = parameter.low, parameter.high, parameter.step
        if parameter.choices is not None:
            values[name] = trial.suggest_categorical(name, parameter.choices)
        elif isinstance(low, int) and isinstance(high, int):
            whole = 1 if step is None else int(step)
            values[name] = trial.suggest_int(name, low, high, step=whole, log=parameter.log)
        elif low is not None and high is not None:  # always so here; tells mypy
            values[name] = trial.suggest_float(name, low, high, step=step, log=parameter.log)
    return values


@contextmanager
def trial_epochs(
    search: Search, variant: Variant, run: Run, trial: int
) -> Iterator[AugmentedEpochs]:
    """Yields a trial's training images; if it has its own policy, removes them afterwards, as
    two trials hardly ever draw the same one.
    """
    shared = search.training_epochs(run.fingerprint)
    if search.has_one_policy():
        yield shared
        return
    own = replace(shared, augmentation=variant.augmentation, owner=search.owner(trial))
    try:
        make_pool(own, variant.epochs, run.data_set)
        yield own
    finally:
        shutil.rmtree(own.folder(), ignore_errors=True)


@dataclass(frozen=True)
class FoldTraining:
    """A trial's training on one of the study's folds, the one at `position`; pruning may end it."""

    search: Search
    variant: Variant
    fold: TrainingData
    position: int
    tell: Tell

    @property
    def labels(self) -> np.ndarray:
        """The labels of the held-out rows, uint8 `[n]`."""
        return self.fold.digits.labels[self.fold.validation_rows]

    def predictions(self) -> np.ndarray:
        """Trains, and returns the probabilities of the held-out rows, float32 `[n, 10]`."""
        forget_models()
        variant, fold, search = self.variant, self.fold, self.search
        model, _ = train_one_fold(variant, fold, search.seed, self._after_step, self._after_epoch)
        drawn = search.tta_epochs(fold.augmented.data_fingerprint)
        views = tta_views(variant, fold.digits, fold.validation_rows, drawn)
        predicted = predict_tta(model, views)
        if search.settings.pruned_by == "folds":
            self._report(predicted, self.position, self.position + 1 == len(search.splits))
        return predicted

    def _after_step(self, step: int) -> None:
        share = step / (self.fold.steps_per_epoch(self.variant) * self.variant.epochs)
        self.tell((self.position + share) / len(self.search.splits))

    def _after_epoch(self, epoch: int, model: Any) -> None:
        if self.search.settings.pruned_by != "epochs" or self.position > 0:
            return
        # Each training's learning rate falls to its end, so a training of three epochs is after
        # its first one as far as a training of six after its second. The pruner therefore compares
        # equal shares of a training, counted in epochs of the longest one.
        share = epoch / self.variant.epochs
        predicted = predict(model, self.fold.digits.images[self.fold.validation_rows])
        self._report(predicted, round(share * self.search.longest_epochs), is_last=share == 1)

    def _report(self, predicted: np.ndarray, step: int, is_last: bool) -> None:
        """Reports a score to the pruner, which may end the trial unless it is the last one."""
        reached = score(predicted, self.labels)
        value = getattr(reached, self.search.settings.objective)
        self.tell(Intermediate(value, step, is_last))
