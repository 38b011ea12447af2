"""What happens in a worker process: one trial, asked of the study and told to it."""

import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import optuna
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from competition import paths
from competition.config.registry import Augmentation
from competition.config.schema import Variant
from competition.config.search_space import Parameter, Value
from competition.data.augmented_epochs import (
    UNCHANGED,
    AugmentedEpochs,
    make_pool,
    pools_at_hand,
    require_room,
)
from competition.data.run import Run, load_run
from competition.errors import UserError
from competition.metrics import Score, score
from competition.system import end_with, interruptible
from competition.training.predict import predict, predict_tta, tta_views
from competition.training.resources import Plan, forget_models, start_keras
from competition.training.train import train_one_fold
from competition.training.training_data import TrainingData, fold_of, resampled
from competition.training.worker import WorkerContext, explain
from competition.tuning.storage import database_trouble, ended, queue_again, quiet_optuna
from competition.tuning.study import Search, open_study


def judged(
    search: Search,
    trial: Trial,
    variant: Variant,
    run: Run,
    pool: AugmentedEpochs,
    on_progress: Callable[[float], None],
) -> Score:
    """Trains a variant on each of the study's folds.

    Args:
        search: which folds, and what the pruner compares.
        trial: is told how far it got.
        variant: with the trial's values.
        run: data and folds.
        pool: of augmented images, with as many epochs as the variant has.
        on_progress: is called after each step with the share that is done.

    Returns:
        The score of the held-out rows of all these folds together, just as their jobs would have.

    Raises:
        TrialPruned: when the pruner has seen enough.
        UserError: when the loss or the predictions are no longer numbers.
    """
    originals = [replace(fold_of(run, search.job(split)), pool=pool) for split in search.splits]
    folds = [resampled(fold, variant.resampling, search.seed) for fold in originals]
    trainings = [
        _Training(search, trial, variant, folds, at, on_progress) for at in range(len(folds))
    ]
    predicted = [training.predictions() for training in trainings]
    return score(np.concatenate(predicted), np.concatenate([_labels(fold) for fold in folds]))


@dataclass(frozen=True)
class _Training:
    """One of a trial's trainings.

    Attributes:
        search, trial, variant, folds, on_progress: as `judged` has them.
        position: among the folds, of the one that is held out.
    """

    search: Search
    trial: Trial
    variant: Variant
    folds: list[TrainingData]
    position: int
    on_progress: Callable[[float], None]

    def predictions(self) -> np.ndarray:
        """Trains, and returns the probabilities of the held-out rows, float32 `[n, 10]`."""
        forget_models()
        fold = self.folds[self.position]
        by_epochs = self.search.settings.pruned_by == "epochs" and self.position == 0
        model, _ = train_one_fold(
            self.variant,
            fold,
            self.search.seed,
            self._after_step,
            self._after_epoch if by_epochs else lambda epoch, model: None,
        )
        pool = self.search.tta_epochs(fold.pool.data_fingerprint)
        seen = tta_views(self.variant, fold.digits, fold.validation_rows, pool)
        predicted = predict_tta(model, seen)
        if self.search.settings.pruned_by == "folds":
            is_last = self.position + 1 == len(self.folds)
            self._report(predicted, self.position, is_last)
        return predicted

    def _after_step(self, step: int) -> None:
        steps = self.folds[self.position].steps(self.variant) * self.variant.epochs
        self.on_progress((self.position + step / steps) / len(self.folds))

    def _after_epoch(self, epoch: int, model) -> None:
        """Reports a point of the first fold's curve.

        The learning rate falls to its end in each training, so one of three epochs is as far
        after its first epoch as one of six after its second: what is compared are shares of the
        training, counted in epochs of the longest one.
        """
        fold = self.folds[self.position]
        predicted = predict(model, fold.digits.images[fold.validation_rows])
        share = epoch / self.variant.epochs
        self._report(predicted, round(share * self.search.longest_epochs), is_last=share == 1)

    def _report(self, predicted: np.ndarray, step: int, is_last: bool) -> None:
        """Tells the pruner of a step; after the last one there is nothing to be saved."""
        reached = score(predicted, _labels(self.folds[self.position]))
        self.trial.report(getattr(reached, self.search.settings.objective), step)
        if not is_last and self.trial.should_prune():
            raise optuna.TrialPruned


def _labels(fold: TrainingData) -> np.ndarray:
    return fold.digits.labels[fold.validation_rows]


TAKING_ROOM = Augmentation(name="warp")


@contextmanager
def room_for_trials(search: Search, run: Run, plan: Plan) -> Iterator[None]:
    """Makes the pool that all trials share, or room for those of as many trials as run at a time.

    Raises:
        UserError: when there is too little room; nothing was made.
    """
    shared = search.shared_pool(run.fingerprint)
    tta_views = {search.tta_epochs(run.fingerprint): search.variant.test_time_draws}
    if search.augments_alike():
        # Views may be of the very policy that is trained with: then the larger number counts.
        needed = Counter(tta_views) | Counter({shared: search.longest_epochs})
        with pools_at_hand(needed, run.data_set, plan.threads):
            yield
        return
    # All policies take as much room, but for none.
    policy = TAKING_ROOM if shared.augmentation == UNCHANGED else shared.augmentation
    own = [
        replace(shared, augmentation=policy, owner=search.owner(f"room{number}"))
        for number in range(plan.workers)
    ]
    require_room(tta_views | dict.fromkeys(own, search.longest_epochs), run.data_set)
    with pools_at_hand(tta_views, run.data_set, plan.threads):
        yield


@contextmanager
def pool_for(search: Search, variant: Variant, run: Run, trial: int) -> Iterator[AugmentedEpochs]:
    """Yields the pool of a trial, with all of its epochs; the trial's own goes away afterwards."""
    shared = search.shared_pool(run.fingerprint)
    if search.augments_alike():
        yield shared
        return
    own = replace(shared, augmentation=variant.augmentation, owner=search.owner(trial))
    try:
        make_pool(own, variant.epochs, run.data_set)
        yield own
    finally:
        shutil.rmtree(own.folder(), ignore_errors=True)


def remove_left_over(search: Search) -> None:
    """Removes the images of trials whose process was killed; none must be running."""
    for folder in paths.owned_pool_folders(search.owner("*")):
        shutil.rmtree(folder, ignore_errors=True)


# What a trial tells of itself besides its value.
FAILURE, SCORE = "failure", "score"


@dataclass(frozen=True)
class Limits:
    """When a study has enough.

    Attributes:
        trials: of the whole study, those that run counted in.
        deadline: seconds since 1970 after which no trial begins.
    """

    trials: int
    deadline: float


def run_trial(
    search: Search, number: int, context: WorkerContext, limits: Limits
) -> FrozenTrial | None:
    """Asks the study for values, trains with them, and tells it what came of it.

    Args:
        search: what is searched.
        number: the trial's place on the progress board.
        context: plan and progress board.
        limits: whether there is to be another trial at all.

    Returns:
        The trial, whatever its state: a failure is recorded. None if the study has enough.

    Raises:
        UserError: when the storage cannot be used.
    """
    end_with(context.command_pid)
    quiet_optuna()
    trial = None
    with database_trouble(search.settings.storage):
        study = open_study(search)
        optuna.storages.fail_stale_trials(study)  # of other machines; a journal knows of none
        running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        if time.time() < limits.deadline and len(ended(study)) + len(running) < limits.trials:
            start_keras(context.plan.threads)
            trial = _run_one(study, _objective(search, number, context))
    context.board.shares()[number] = 1
    return trial


def _run_one(study: Study, objective: Callable[[Trial], float]) -> FrozenTrial:
    """Runs the next trial; Optuna records one that Ctrl-C ends as failed, so it is queued again."""
    begun: list[int] = []
    ended_so: list[FrozenTrial] = []

    def noted(trial: Trial) -> float:
        begun.append(trial.number)
        return objective(trial)

    try:
        with interruptible():
            note = [lambda _, trial: ended_so.append(trial)]
            study.optimize(noted, n_trials=1, catch=(Exception,), callbacks=note)
    except KeyboardInterrupt:
        queue_again(study, begun)
        raise
    return ended_so[0]


@interruptible()
def unbuildable(search: Search, context: WorkerContext) -> list[str]:
    """Returns which ends of the space and which choices the variant cannot be built with.

    Whether rows can be resampled depends on them, so that such a trial fails by itself.
    """
    end_with(context.command_pid)
    start_keras(context.plan.threads)
    found = []
    for path, parameter in search.space.items():
        for end, value in parameter.edges().items():
            variant, section = search.variant.with_values({path: value}), path.partition(".")[0]
            try:
                if section in ("architecture", "augmentation"):
                    getattr(variant, section).build()
                elif section == "schedule":
                    variant.schedule.build(variant, variant.epochs)
            except UserError as error:
                found.append(f"variants.{search.name}.search_space.{path}.{end}: {error}")
    return found


def _objective(search: Search, number: int, context: WorkerContext) -> Callable[[Trial], float]:
    """Returns what is to be small; it notes why it fails, and then fails."""
    shares = context.board.shares()

    def objective(trial: Trial) -> float:
        try:
            return _value(search, trial, lambda share: shares.__setitem__(number, share))
        except optuna.TrialPruned:
            raise
        except Exception as error:
            trial.set_user_attr(FAILURE, explain(error, context.plan))
            raise

    return objective


def _value(search: Search, trial: Trial, on_progress: Callable[[float], None]) -> float:
    variant = search.variant.with_values(suggested(search, trial))
    run = load_run(search.config)
    with pool_for(search, variant, run, trial.number) as pool:
        reached = judged(search, trial, variant, run, pool, on_progress)
    trial.set_user_attr(SCORE, [reached.rows, reached.errors, reached.log_loss])
    return getattr(reached, search.settings.objective)


def suggested(search: Search, trial: Trial) -> dict[str, Value]:
    """Returns the values that a trial is to have, by the names of the search space."""
    return {
        name: trial.suggest_categorical(name, parameter.choices)
        if parameter.choices is not None
        else _number(trial, name, parameter)
        for name, parameter in search.space.items()
    }


def _number(trial: Trial, name: str, parameter: Parameter) -> int | float:
    suggest = trial.suggest_int if isinstance(parameter.low, int) else trial.suggest_float
    step = {} if parameter.step is None else {"step": parameter.step}
    return suggest(name, parameter.low, parameter.high, log=parameter.log, **step)
