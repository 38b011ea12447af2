"""What one training learns from: its rows, their augmented epochs, and the balance of classes."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from competition.config.registry import Resampling
from competition.config.schema import Variant
from competition.data.augmented_epochs import AugmentedEpochs, Part
from competition.data.folds import split_number
from competition.data.label_marks import without_label_errors
from competition.data.run import Run
from competition.digits import CLASSES, SIDE, Digits
from competition.results import Job
from competition.training.predict import tta_epochs


@dataclass(frozen=True)
class TrainingData:
    """What one training learns from, and what it is watched on.

    Attributes:
        digits: all labelled digits.
        training_rows: int `[n]`, positions to learn from.
        validation_rows: int `[m]`, positions held out; none where all rows are learnt from.
        pool: the augmented epochs of these digits.
        number: of the split; part of the random seed.
        class_weights: float32 `[10]`, how much a row of each class counts; None for all alike.
    """

    digits: Digits
    training_rows: np.ndarray
    validation_rows: np.ndarray
    pool: AugmentedEpochs
    number: int
    class_weights: np.ndarray | None = None

    def steps(self, variant: Variant) -> int:
        """Returns the steps of one epoch; rows that fill no batch wait for another epoch."""
        return max(1, len(self.training_rows) // variant.batch_size)

    def random_seed(self, seed: int) -> int:
        """Returns the seed of what is drawn for a member, who has one seed, on this fold."""
        return int(np.random.SeedSequence([seed, self.number]).generate_state(1)[0])

    def shuffled_rows(self, variant: Variant, seed: int, epoch: int) -> np.ndarray:
        """Returns the rows to learn from in this epoch's order, as many as fill whole batches."""
        order = np.random.default_rng([seed, self.number, epoch]).permutation(self.training_rows)
        return order[: self.steps(variant) * variant.batch_size]

    def class_counts(self) -> list[float]:
        """Returns how many training rows each class has, counted by their weights."""
        counts = np.bincount(self.digits.labels[self.training_rows], minlength=CLASSES)
        weights = 1 if self.class_weights is None else self.class_weights.astype(float)
        return np.round(counts * weights, 3).tolist()

    def learnt(self, epoch: int, rows: np.ndarray) -> tuple[np.ndarray, ...]:
        """Returns an epoch's rows as a step takes them.

        Args:
            epoch: number of the epoch, from 0.
            rows: int `[n]`, of `training_rows`.

        Returns:
            Images, uint8 `[n, 28, 28, 1]`, shares of the classes, float32 `[n, 10]`, and, where
            classes are weighted, weights, float32 `[n]`.
        """
        labels = self.digits.labels[rows]
        weights = [] if self.class_weights is None else [self.class_weights[labels]]
        images = self.pool.epoch(epoch, self.digits)[rows]
        return images[..., None], one_hot(labels), *weights


def one_hot(labels: np.ndarray) -> np.ndarray:
    """Returns labels `[n]` as float32 `[n, 10]`."""
    return np.eye(CLASSES, dtype=np.float32)[labels]


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


def resampled(fold: TrainingData, resampling: Resampling, seed: int) -> TrainingData:
    """Returns a fold whose training rows are resampled; the held-out rows stay what they are.

    Args:
        fold: as the data have it.
        resampling: of the registry.
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


def _pool_of(run: Run, job: Job) -> AugmentedEpochs:
    """Returns the pool of augmented epochs that a job draws from."""
    return AugmentedEpochs(run.config.variants[job.variant].augmentation, job.seed, run.fingerprint)


def tta_epochs_of(run: Run, job: Job) -> dict[Part, AugmentedEpochs]:
    """Returns the pools of drawn views, by the part of the data that a job predicts."""
    variant = run.config.variants[job.variant]
    parts: tuple[Part, ...] = ("train", "test")
    return {part: tta_epochs(variant, job.seed, run.fingerprint, part) for part in parts}


def pools_needed(run: Run, jobs: Iterable[Job]) -> dict[AugmentedEpochs, int]:
    """Returns how many epochs some jobs need of each pool that they read."""
    needed: Counter[AugmentedEpochs] = Counter()
    for job in jobs:
        variant = run.config.variants[job.variant]
        needed |= {_pool_of(run, job): variant.epochs}
        needed |= dict.fromkeys(tta_epochs_of(run, job).values(), variant.test_time_draws)
    return dict(needed)


def fold_of(run: Run, job: Job) -> TrainingData:
    """Returns the rows of a job, with the pool that it draws from."""
    training, validation = run.folds.split(job.split)
    digits, training = without_label_errors(run.data_set.train, training, run.label_errors)
    pool = _pool_of(run, job)
    return TrainingData(
        digits,
        training,
        validation,
        pool,
        split_number(job.split),
    )
