"""What one training sees: its rows, their augmented epochs, and the balance of classes."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from competition.config.registry import Resampling
from competition.config.schema import Variant
from competition.data.augmented_epochs import AugmentedEpochs, Part
from competition.data.folds import split_number
from competition.data.label_marks import without_label_errors
from competition.data.run import Run
from competition.digits import CLASSES, SIDE, Digits
from competition.results import Job

NO_IMAGES = np.empty((0, SIDE, SIDE), np.uint8)
NO_LABELS = np.empty(0, np.uint8)


class Epochs(Protocol):
    """Augmented epochs of some digits, as of `AugmentedEpochs`."""

    @property
    def data_fingerprint(self) -> str: ...

    def epoch(self, number: int, digits: Digits) -> np.ndarray: ...


@dataclass(frozen=True)
class TrainingData:
    """The rows of one fold as a training takes them.

    Attributes:
        digits: all labelled digits, then synthetic ones or, for a student, unlabelled ones.
        training_rows: int `[n]`, positions to train on; repeated ones count several times.
        validation_rows: int `[m]`, positions held out; none when training on all rows.
        number: of the split; part of the random seed.
        class_weights: float32 `[10]`, the weight of a row of each class; None: all equal.
        targets: float32 `[len(digits), 10]`, probabilities to learn; None: the labels.
    """

    digits: Digits
    training_rows: np.ndarray
    validation_rows: np.ndarray
    augmented: Epochs
    number: int
    class_weights: np.ndarray | None = None
    targets: np.ndarray | None = None

    def steps_per_epoch(self, variant: Variant) -> int:
        """Returns the full batches per epoch; the rows left over differ from epoch to epoch."""
        return max(1, len(self.training_rows) // variant.batch_size)

    def random_seed(self, seed: int) -> int:
        """Returns the random seed of one member on this fold."""
        return int(np.random.SeedSequence([seed, self.number]).generate_state(1)[0])

    def shuffled_rows(self, variant: Variant, seed: int, epoch: int) -> np.ndarray:
        """Returns the training rows in this epoch's order, as many as fill full batches."""
        order = np.random.default_rng([seed, self.number, epoch]).permutation(self.training_rows)
        return order[: self.steps_per_epoch(variant) * variant.batch_size]

    def arrays(self, epoch: int, rows: np.ndarray) -> tuple[np.ndarray, ...]:
        """Returns images, uint8 `[n, 28, 28, 1]`, one-hot labels or targets, float32 `[n, 10]`,
        and, where classes are weighted, the rows' weights, float32 `[n]`.
        """
        labels = self.digits.labels[rows]
        targets = one_hot(labels) if self.targets is None else self.targets[rows]
        weights = [] if self.class_weights is None else [self.class_weights[labels]]
        images = self.augmented.epoch(epoch, self.digits)[rows]
        return images[..., None], targets, *weights

    def class_counts(self) -> list[float]:
        """Returns the number of training rows per class, multiplied by its weight."""
        counts = np.bincount(self.digits.labels[self.training_rows], minlength=CLASSES)
        weights = 1 if self.class_weights is None else self.class_weights.astype(float)
        return np.round(counts * weights, 3).tolist()


def one_hot(labels: np.ndarray) -> np.ndarray:
    """Returns labels `[n]` as float32 `[n, 10]`."""
    return np.eye(CLASSES, dtype=np.float32)[labels]


def training_data(run: Run, job: Job) -> TrainingData:
    """Returns what a job trains on, resampled as its variant says."""
    resampling = run.config.variants[job.variant].resampling
    return balanced(unbalanced_data(run, job), resampling, job.seed)


def unbalanced_data(run: Run, job: Job) -> TrainingData:
    """Returns what a job would train on without resampling."""
    rows, validation_rows = run.folds.split(job.split)
    digits, rows = without_label_errors(run.data_set.train, rows, run.label_errors)
    augmented, number = training_epochs(run, job), split_number(job.split)
    return TrainingData(digits, rows, validation_rows, augmented, number)


def training_epochs(run: Run, job: Job) -> AugmentedEpochs:
    """Returns the augmented epochs that a job trains on: one policy and seed, on every fold."""
    return AugmentedEpochs(run.config.variants[job.variant].augmentation, job.seed, run.fingerprint)


def tta_epochs(variant: Variant, seed: int, fingerprint: str, part: Part) -> AugmentedEpochs:
    """Returns the views that the policy draws of one part, the same for every fold of a member."""
    return AugmentedEpochs(variant.test_time_augmentation, seed, fingerprint, part)


def epochs_needed(run: Run, jobs: Iterable[Job]) -> dict[AugmentedEpochs, int]:
    """Returns how many augmented epochs some jobs read, of training and test-time augmentation."""
    needed: Counter[AugmentedEpochs] = Counter()
    parts: tuple[Part, ...] = ("train", "test")
    nets = (job for job in jobs if run.config.variants[job.variant].is_net)
    for job in nets:
        variant = run.config.variants[job.variant]
        needed |= {training_epochs(run, job): variant.epochs}
        for part in parts:
            drawn = tta_epochs(variant, job.seed, run.fingerprint, part)
            needed |= {drawn: variant.test_time_draws}
    return dict(needed)


@dataclass(frozen=True)
class Resampled:
    """The result of resampling some rows.

    Attributes:
        rows: int `[m]`, positions of the rows kept; repeated ones count several times.
        images: uint8 `[k, 28, 28]`, synthetic digits.
        labels: uint8 `[k]`, of the synthetic digits.
        class_weights: float32 `[10]`, the weight of a row of each class; None: all equal.
    """

    rows: np.ndarray
    images: np.ndarray = field(default_factory=lambda: NO_IMAGES)
    labels: np.ndarray = field(default_factory=lambda: NO_LABELS)
    class_weights: np.ndarray | None = None


def balanced(data: TrainingData, resampling: Resampling, seed: int) -> TrainingData:
    """Returns the data with resampled training rows; held-out rows do not change.

    The member's seed and the fold's number fix what is drawn.
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
    """Every row once."""
    return Resampled(np.arange(len(digits)))


def random_over(digits: Digits, seed: int) -> Resampled:
    """Repeats rows drawn at random until each class has as many as the largest one."""
    from imblearn.over_sampling import RandomOverSampler

    sampler = RandomOverSampler(random_state=seed)
    sampler.fit_resample(digits.images.reshape(len(digits), -1), digits.labels)
    return Resampled(sampler.sample_indices_)


def smote(digits: Digits, seed: int, neighbours: int = 5) -> Resampled:
    """Adds synthetic rows between neighbours of a class until each is as large as the largest.

    (N. V. Chawla et al., "SMOTE: Synthetic Minority Over-sampling Technique", JAIR 16, 2002.)

    Args:
        neighbours: nearest rows of the class, one of which is drawn for each synthetic row.
    """
    from imblearn.over_sampling import SMOTE

    smallest = np.bincount(digits.labels)[np.unique(digits.labels)].min()
    if not 1 <= neighbours < smallest:
        raise ValueError(
            f"neighbours is {neighbours}, expected a number from 1 to {smallest - 1}, as the "
            f"rarest class has {smallest} training rows"
        )
    sampler = SMOTE(k_neighbors=neighbours, random_state=seed)
    # Differences of bytes would overflow.
    pixels = digits.images.reshape(len(digits), -1).astype(np.float32)
    images, labels = sampler.fit_resample(pixels, digits.labels)
    made = images[len(digits) :].round().astype(np.uint8).reshape(-1, SIDE, SIDE)
    return Resampled(np.arange(len(digits)), made, labels[len(digits) :])


def class_weights(digits: Digits, seed: int) -> Resampled:
    """Weights rows so that all classes have the same total weight; the mean weight is 1."""
    counts = np.bincount(digits.labels, minlength=CLASSES)
    present = np.count_nonzero(counts)
    weights = len(digits) / (present * counts.clip(1))
    return Resampled(np.arange(len(digits)), class_weights=weights.astype(np.float32))
