"""Balancing the classes, by the names of the catalogue: from a fold's training rows alone.

Each function takes those rows and a random seed, then what YAML may give.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from competition.digits import CLASSES, SIDE, Digits
from competition.settings.components import Resampling
from competition.training.fold import Fold

NO_IMAGES = np.empty((0, SIDE, SIDE), np.uint8)
NO_LABELS = np.empty(0, np.uint8)


@dataclass(frozen=True)
class Resampled:
    """What a resampling makes of some rows.

    Attributes:
        rows: int `[m]`, positions of those that are kept; one may come again.
        images: uint8 `[k, 28, 28]`, of rows that were made besides.
        labels: uint8 `[k]`.
        class_weights: float32 `[10]`, how much a row of each class counts; None for all alike.
    """

    rows: np.ndarray
    images: np.ndarray = field(default_factory=lambda: NO_IMAGES)
    labels: np.ndarray = field(default_factory=lambda: NO_LABELS)
    class_weights: np.ndarray | None = None


def resampled(fold: Fold, resampling: Resampling, seed: int) -> Fold:
    """Returns a fold whose training rows are resampled; the held-out rows stay what they are.

    Args:
        fold: as the data have it.
        resampling: of the catalogue.
        seed: the member's; with the fold's number it fixes what is drawn.

    Raises:
        UserError: when the rows cannot be resampled so.
    """
    learnt = fold.digits.take(fold.training_rows)
    made = resampling.build(learnt, fold.random_seed(seed))
    count = len(fold.digits)
    rows = [fold.training_rows[made.rows], count + np.arange(len(made.images))]
    return replace(
        fold,
        digits=_with_more(fold.digits, made) if len(made.images) else fold.digits,
        training_rows=np.concatenate(rows),
        class_weights=made.class_weights,
    )


def none(digits: Digits, seed: int) -> Resampled:
    """Every row as it is."""
    return Resampled(np.arange(len(digits)))


def random_over(digits: Digits, seed: int) -> Resampled:
    """Repeats rows drawn at random until each class has as many as the largest one."""
    from imblearn.over_sampling import RandomOverSampler

    sampler = RandomOverSampler(random_state=seed)
    sampler.fit_resample(_flat(digits.images), digits.labels)
    return Resampled(sampler.sample_indices_)


def smote(digits: Digits, seed: int, neighbours: int = 5) -> Resampled:
    """Makes rows between neighbours of a class until each class has as many as the largest one.

    (N. V. Chawla et al., "SMOTE: Synthetic Minority Over-sampling Technique", JAIR 16, 2002.)

    Args:
        neighbours: of which one is drawn for each row that is made.

    Raises:
        ValueError: when the rarest class has too few rows for so many neighbours.
    """
    from imblearn.over_sampling import SMOTE

    smallest = np.bincount(digits.labels)[np.unique(digits.labels)].min()
    if not 1 <= neighbours < smallest:
        raise ValueError(
            f"neighbours is {neighbours}, expected a number from 1 to {smallest - 1}, as the "
            f"rarest class has {smallest} rows to learn from"
        )
    sampler = SMOTE(k_neighbors=neighbours, random_state=seed)
    # Bytes would overflow where one pixel is taken from another.
    images, labels = sampler.fit_resample(_flat(digits.images).astype(np.float32), digits.labels)
    made = images[len(digits) :].round().astype(np.uint8).reshape(-1, SIDE, SIDE)
    return Resampled(np.arange(len(digits)), made, labels[len(digits) :])


def class_weights(digits: Digits, seed: int) -> Resampled:
    """Has each row count so much that all classes together count alike; the mean weight is 1."""
    counts = np.bincount(digits.labels, minlength=CLASSES)
    present = np.count_nonzero(counts)
    weights = len(digits) / (present * counts.clip(1))
    return Resampled(np.arange(len(digits)), class_weights=weights.astype(np.float32))


def _flat(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1)


def _with_more(digits: Digits, made: Resampled) -> Digits:
    """Returns the digits with those that were made behind them, under ids of their own."""
    ids = digits.ids.max() + 1 + np.arange(len(made.images), dtype=digits.ids.dtype)
    return Digits(
        np.concatenate([digits.ids, ids]),
        np.concatenate([digits.images, made.images]),
        np.concatenate([digits.labels, made.labels]),
    )
