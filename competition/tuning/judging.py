"""How good a trial's settings are: a training on each of the study's folds, watched by a pruner."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import optuna
from optuna.trial import Trial

from competition.data.pool import Pool
from competition.data.run import Run
from competition.scores import Score, score
from competition.settings.variant import Variant
from competition.training.fold import Fold
from competition.training.job_data import fold_of
from competition.training.one_fold import train_one_fold
from competition.training.prediction import predict, predict_views
from competition.training.resampling import resampled
from competition.training.runtime import forget_models
from competition.training.views import views
from competition.tuning.search import Search


def judged(
    search: Search,
    trial: Trial,
    variant: Variant,
    run: Run,
    pool: Pool,
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
    folds: list[Fold]
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
        pool = self.search.view_pool(fold.pool.data_fingerprint)
        seen = views(self.variant, fold.digits, fold.validation_rows, pool)
        predicted = predict_views(model, seen)
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


def _labels(fold: Fold) -> np.ndarray:
    return fold.digits.labels[fold.validation_rows]
