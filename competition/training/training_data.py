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

NO_IMAGES = np.empty((0, SIDE, SIDE), np.uint8)
NO_LABELS = np.empty(0, np.uint8)


@dataclass(frozen=True)
class TrainingData:
    """The rows of one fold as a training takes them.

    Attributes:
        digits: all labelled digits, made ones at their end.
        training_rows: int `[n]`, positions to learn from; one may come again.
        validation_rows: int `[m]`, positions held out; none where all rows are learnt from.
        augmented: the augmented epochs of these digits.
        number: of the split; part of the random seed.
        class_weights: float32 `[10]`, how much a row of each class counts; None for all alike.
    """

    digits: Digits
    training_rows: np.ndarray
    validation_rows: np.ndarray
    augmented: AugmentedEpochs
    number: int
    class_weights: np.ndarray | None = None

    def steps_per_epoch(self, variant: Variant) -> int:
        """Rows that fill no batch wait for another epoch."""
        return max(1, len(self.training_rows) // variant.batch_size)

    def random_seed(self, seed: int) -> int:
        """Returns the random seed of one member on this fold."""
        return int(np.random.SeedSequence([seed, self.number]).generate_state(1)[0])

    def shuffled_rows(self, variant: Variant, seed: int, epoch: int) -> np.ndarray:
        """Returns the training rows in this epoch's order, as many as fill whole batches."""
        order = np.random.default_rng([seed, self.number, epoch]).permutation(self.training_rows)
        return order[: self.steps_per_epoch(variant) * variant.batch_size]

    def arrays(self, epoch: int, rows: np.ndarray) -> tuple[np.ndarray, ...]:
        """Returns an epoch's rows as a step takes them.

        Returns:
            Images, uint8 `[n, 28, 28, 1]`, one-hot labels, float32 `[n, 10]`, and, where classes
            are weighted, weights, float32 `[n]`.
        """
        labels = self.digits.labels[rows]
        weights = [] if self.class_weights is None else [self.class_weights[labels]]
        images = self.augmented.epoch(epoch, self.digits)[rows]
        return images[..., None], one_hot(labels), *weights

    def class_counts(self) -> list[float]:
        """Returns how many training rows each class has, counted by their weights."""
        counts = np.bincount(self.digits.labels[self.training_rows], minlength=CLASSES)
        weights = 1 if self.class_weights is None else self.class_weights.astype(float)
        return np.round(counts * weights, 3).tolist()


def one_hot(labels: np.ndarray) -> np.ndarray:
    """Returns labels `[n]` as float32 `[n, 10]`."""
    return np.eye(CLASSES, dtype=np.float32)[labels]


def training_data(run: Run, job: Job) -> TrainingData:
    """Returns what a job learns from, resampled as its variant says.

    Raises:
        UserError: when the rows cannot be resampled so.
    """
    resampling = run.config.variants[job.variant].resampling
    return balanced(unbalanced_data(run, job), resampling, job.seed)


def unbalanced_data(run: Run, job: Job) -> TrainingData:
    """Returns what a job would learn from without resampling."""
    training_rows, validation_rows = run.folds.split(job.split)
    digits, training_rows = without_label_errors(
        run.data_set.train, training_rows, run.label_errors
    )
    augmented = training_epochs(run, job)
    number = split_number(job.split)
    return TrainingData(digits, training_rows, validation_rows, augmented, number)


def training_epochs(run: Run, job: Job) -> AugmentedEpochs:
    """Returns the augmented epochs that a job learns from: one policy and seed, on every fold."""
    return AugmentedEpochs(run.config.variants[job.variant].augmentation, job.seed, run.fingerprint)


def epochs_needed(run: Run, jobs: Iterable[Job]) -> dict[AugmentedEpochs, int]:
    """Returns how many epochs some jobs need of everything augmented that they read."""
    needed: Counter[AugmentedEpochs] = Counter()
    parts: tuple[Part, ...] = ("train", "test")
    for job in jobs:
        variant = run.config.variants[job.variant]
        needed |= {training_epochs(run, job): variant.epochs}
        for part in parts:
            drawn = tta_epochs(variant, job.seed, run.fingerprint, part)
            needed |= {drawn: variant.test_time_draws}
    return dict(needed)


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


def balanced(data: TrainingData, resampling: Resampling, seed: int) -> TrainingData:
    """Returns the data with resampled training rows; held-out rows stay what they are.

    Args:
        data: as the fold has it.
        resampling: of the registry.
        seed: the member's; with the fold's number it fixes what is drawn.

    Raises:
        UserError: when the rows cannot be resampled so.
    """
    digits = data.digits
    made: Resampled = resampling.build(digits.take(data.training_rows), data.random_seed(seed))
    count = len(made.images)
    if count:
        ids = digits.ids.max() + 1 + np.arange(count, dtype=digits.ids.dtype)
        digits = Digits(
            np.concatenate([digits.ids, ids]),
            np.concatenate([digits.images, made.images]),
            np.concatenate([digits.labels, made.labels]),
        )
    rows = np.concatenate([data.training_rows[made.rows], len(data.digits) + np.arange(count)])
    return replace(data, digits=digits, training_rows=rows, class_weights=made.class_weights)


# The resamplings by the names of the registry: each takes a fold's training rows and a random
# seed, then what YAML may give.


def none(digits: Digits, seed: int) -> Resampled:
    """Every row as it is."""
    return Resampled(np.arange(len(digits)))


def random_over(digits: Digits, seed: int) -> Resampled:
    """Repeats rows drawn at random until each class has as many as the largest one."""
    from imblearn.over_sampling import RandomOverSampler

    sampler = RandomOverSampler(random_state=seed)
    sampler.fit_resample(digits.images.reshape(len(digits), -1), digits.labels)
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
    pixels = digits.images.reshape(len(digits), -1).astype(np.float32)
    images, labels = sampler.fit_resample(pixels, digits.labels)
    made = images[len(digits) :].round().astype(np.uint8).reshape(-1, SIDE, SIDE)
    return Resampled(np.arange(len(digits)), made, labels[len(digits) :])


def class_weights(digits: Digits, seed: int) -> Resampled:
    """Has each row count so much that all classes together count alike; the mean weight is 1."""
    counts = np.bincount(digits.labels, minlength=CLASSES)
    present = np.count_nonzero(counts)
    weights = len(digits) / (present * counts.clip(1))
    return Resampled(np.arange(len(digits)), class_weights=weights.astype(np.float32))
