"""One trial, in a worker process: the study gives the values, and is told what they reach."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import optuna
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from competition.config.schema import Variant
from competition.data.augmented_epochs import AugmentedEpochs, make_pool
from competition.data.run import Run, load_run
from competition.metrics import Score, score
from competition.system import interruptible
from competition.training.predict import predict, predict_tta, tta_views
from competition.training.resources import forget_models, start_keras
from competition.training.train import train_one_fold
from competition.training.training_data import TrainingData, training_data
from competition.training.worker import WorkerContext, explain
from competition.tuning.storage import (
    explain_database_errors,
    finished_trials,
    quiet_optuna,
    requeue_failed,
)
from competition.tuning.study import Search, open_study

# What a trial keeps of itself besides its value.
FAILURE, SCORE = "failure", "score"


def run_trial(
    search: Search, number: int, context: WorkerContext, deadline: float
) -> FrozenTrial | None:
    """Asks the study for values, trains with them, and tells it what they reach.

    Args:
        number: the trial's place on the progress board.
        deadline: seconds since 1970 after which no trial begins.

    Returns:
        The trial, whatever its state: a failure is recorded. None if the study has enough.

    Raises:
        UserError: when the storage cannot be used.
    """
    context.command.join()
    quiet_optuna()
    trial = None
    with explain_database_errors(search.settings.storage):
        study = open_study(search)
        optuna.storages.fail_stale_trials(study)  # of other machines; a journal knows of none
        running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        begun = len(finished_trials(study)) + len(running)
        if time.time() < deadline and begun < search.wanted_trials:
            start_keras(context.plan.threads)
            trial = _run_next(study, lambda trial: _recorded(search, trial, number, context))
    context.board.shares()[number] = 1
    return trial


def _run_next(study: Study, evaluate: Callable[[Trial], float]) -> FrozenTrial:
    """Runs the study's next trial; after Ctrl-C, its values are queued again."""
    begun: list[Trial] = []
    ended: list[FrozenTrial] = []

    def noted(trial: Trial) -> float:
        begun.append(trial)
        return evaluate(trial)

    try:
        with interruptible():
            note = [lambda _, trial: ended.append(trial)]
            study.optimize(noted, n_trials=1, catch=(Exception,), callbacks=note)
    except KeyboardInterrupt:
        for trial in begun:
            requeue_failed(study, trial.number)
        raise
    return ended[0]


def _recorded(search: Search, trial: Trial, number: int, context: WorkerContext) -> float:
    """Returns the trial's value, and keeps its score, or why it failed."""
    shares = context.board.shares()
    try:
        reached = objective(search, trial, lambda share: shares.__setitem__(number, share))
    except optuna.TrialPruned:
        raise
    except Exception as error:
        trial.set_user_attr(FAILURE, explain(error, context.plan))
        raise
    trial.set_user_attr(SCORE, [reached.rows, reached.errors, reached.log_loss])
    return getattr(reached, search.settings.objective)


def objective(search: Search, trial: Trial, on_progress: Callable[[float], None]) -> Score:
    """Trains the variant with the trial's values on each of the study's folds.

    Args:
        trial: gives the values, and is told how far it got.
        on_progress: is called after each step with the share that is done.

    Returns:
        The score of the held-out rows of all these folds together, just as their jobs have it.

    Raises:
        TrialPruned: when the pruner has seen enough.
        UserError: when the variant cannot be trained with these values.
    """
    variant = search.variant.with_values(suggested(search, trial))
    tried = search.config.model_copy(update={"variants": {search.name: variant}})
    run = load_run(tried)
    predicted, labels = [], []
    with trial_epochs(search, variant, run, trial.number) as epochs:
        for position, split in enumerate(search.splits):
            fold = replace(training_data(run, search.job(split)), augmented=epochs)
            training = FoldTraining(search, trial, variant, fold, position, on_progress)
            predicted.append(training.predictions())
            labels.append(training.labels)
    return score(np.concatenate(predicted), np.concatenate(labels))


def suggested(search: Search, trial: Trial) -> dict[str, Any]:
    """Returns the values that a trial is to have, by the names of the search space."""
    values: dict[str, Any] = {}
    for name, parameter in search.space.items():
        low, high, step = parameter.low, parameter.high, parameter.step
        if parameter.choices is not None:
            values[name] = trial.suggest_categorical(name, parameter.choices)
        elif isinstance(low, int) and isinstance(high, int):
            whole = 1 if step is None else int(step)
            values[name] = trial.suggest_int(name, low, high, step=whole, log=parameter.log)
        elif low is not None and high is not None:  # as the configuration has checked
            values[name] = trial.suggest_float(name, low, high, step=step, log=parameter.log)
    return values


@contextmanager
def trial_epochs(
    search: Search, variant: Variant, run: Run, trial: int
) -> Iterator[AugmentedEpochs]:
    """Yields the images that a trial learns; those of a policy of its own are removed afterwards.

    Nobody else is likely to need them: hardly ever do two trials draw the same policy.
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
    """A trial's training on one of the study's folds, which the pruner may end.

    Attributes:
        position: of the fold among those of the study.
        on_progress: is called after each step with the share of the whole trial that is done.
    """

    search: Search
    trial: Trial
    variant: Variant
    fold: TrainingData
    position: int
    on_progress: Callable[[float], None]

    @property
    def labels(self) -> np.ndarray:
        """The labels of the held-out rows."""
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
            is_last = self.position + 1 == len(search.splits)
            self._report(predicted, self.position, is_last)
        return predicted

    def _after_step(self, step: int) -> None:
        share = step / (self.fold.steps_per_epoch(self.variant) * self.variant.epochs)
        self.on_progress((self.position + share) / len(self.search.splits))

    def _after_epoch(self, epoch: int, model: Any) -> None:
        if self.search.settings.pruned_by != "epochs" or self.position > 0:
            return
        # The learning rate falls to its end in each training, so one of three epochs is as far
        # after its first epoch as one of six after its second: what is compared are shares of the
        # training, counted in epochs of the longest one.
        share = epoch / self.variant.epochs
        predicted = predict(model, self.fold.digits.images[self.fold.validation_rows])
        self._report(predicted, round(share * self.search.longest_epochs), is_last=share == 1)

    def _report(self, predicted: np.ndarray, step: int, is_last: bool) -> None:
        """Tells the pruner of a step; after the last one, ending the trial would save nothing."""
        reached = score(predicted, self.labels)
        self.trial.report(getattr(reached, self.search.settings.objective), step)
        if not is_last and self.trial.should_prune():
            raise optuna.TrialPruned
