"""How long a training will take on this machine, from its first steps."""

import heapq
import time
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from competition.data.pool import augment
from competition.settings.components import Augmentation
from competition.settings.variant import Variant
from competition.training.batches import batches
from competition.training.fold import Fold, one_hot
from competition.training.one_fold import (
    callback_list,
    compiled_model,
    is_validated,
    step_watcher,
)
from competition.training.prediction import PREDICTION_BATCH_SIZE, predict
from competition.training.runtime import use_precision
from competition.training.views import view_count

TIMED_STEPS = 12
TIMED_IMAGES = 200


@dataclass(frozen=True)
class Estimate:
    """What a training will take.

    Attributes:
        training: seconds of a whole training, with building the model and predicting.
        augmenting: seconds of one core for one image, by the policy that varies it.
    """

    training: float
    augmenting: dict[Augmentation, float]


def estimate(variant: Variant, fold: Fold, test_rows: int) -> Estimate:
    """Measures what a training of a variant takes; whatever it cannot do is raised here already.

    Args:
        variant: what is to be trained.
        fold: the rows of one training.
        test_rows: how many unlabelled rows are predicted afterwards.
    """
    drawn = {variant.test_time_augmentation} if variant.test_time_draws else set()
    policies = {variant.augmentation} | drawn
    augmenting = {policy: seconds_an_image(policy, fold.digits.images) for policy in policies}
    return Estimate(estimate_seconds(variant, fold, test_rows), augmenting)


def seconds_an_image(augmentation: Augmentation, images: np.ndarray) -> float:
    """Augments some of the images, uint8 `[n, 28, 28]`, and returns the seconds that each took."""
    augment(images[:1], augmentation, seed=0, epoch=0)  # the first one imports the library
    sample = images[:TIMED_IMAGES]
    began = time.perf_counter()
    augment(sample, augmentation, seed=0, epoch=0)
    return (time.perf_counter() - began) / len(sample)


def makespan(seconds: Iterable[float], workers: int) -> float:
    """Returns when the last of some jobs ends, if each begins as soon as a worker is free."""
    free_at = [0.0] * workers
    for of_job in seconds:
        heapq.heapreplace(free_at, free_at[0] + of_job)
    return max(free_at)


def estimate_seconds(variant: Variant, fold: Fold, test_rows: int) -> float:
    """Trains and predicts a few batches on a throw-away model.

    Args:
        variant: what is to be trained.
        fold: the rows of one training.
        test_rows: how many unlabelled rows are predicted afterwards.

    Returns:
        Seconds for one whole training that no callback ends early, with building the model and
        predicting.
    """
    use_precision(variant.precision)
    began = time.perf_counter()
    model = compiled_model(variant, TIMED_STEPS)
    callback_list(variant, model)  # what cannot be built is refused now
    step = _seconds_a_step(model, variant, fold)
    predict(model, fold.digits.images[:PREDICTION_BATCH_SIZE])
    start_up = time.perf_counter() - began - TIMED_STEPS * step
    a_row = _seconds_a_row(model, fold.digits.images)
    views = view_count(variant)
    validations = views + sum(is_validated(variant, epoch) for epoch in range(variant.epochs))
    predicted_rows = validations * len(fold.validation_rows) + views * test_rows
    return start_up + variant.epochs * fold.steps(variant) * step + predicted_rows * a_row


def _seconds_a_step(model, variant: Variant, fold: Fold) -> float:
    """Returns the median time between the ends of steps, which no slow first one changes."""
    rows = np.resize(fold.training_rows, TIMED_STEPS * variant.batch_size)
    images, labels = fold.digits.images[rows][..., None], one_hot(fold.digits.labels[rows])
    ends: list[float] = []
    model.fit(
        batches(variant.batch_size, images, labels),
        shuffle=False,
        verbose=0,
        callbacks=[step_watcher(lambda step: ends.append(time.perf_counter()))],
    )
    return float(np.median(np.diff(ends)))


def _seconds_a_row(model, images: np.ndarray) -> float:
    """Returns the mean time of a prediction by a model that has predicted before."""
    sample = images[: 4 * PREDICTION_BATCH_SIZE]
    began = time.perf_counter()
    predict(model, sample)
    return (time.perf_counter() - began) / len(sample)
