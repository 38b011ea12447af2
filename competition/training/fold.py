"""What one training learns from: labelled rows and, where it has a teacher, other ones."""

from dataclasses import dataclass

import numpy as np

from competition.data.pool import Pool
from competition.digits import CLASSES, Digits
from competition.settings.variant import Variant


@dataclass(frozen=True)
class Taught:
    """Rows of which a teacher's answers are learnt, as they are, however sure it is of them.

    Held-out rows are among them just as unlabelled ones are, and never with their labels: only so
    does what is reached on them say what the unlabelled rows get (EXPERIMENTS.md). Learning
    probabilities follows G. Hinton et al., "Distilling the Knowledge in a Neural Network", 2015;
    D.-H. Lee, "Pseudo-Label", 2013, takes the likeliest class in their place.

    Attributes:
        digits: the unlabelled digits.
        pool: the augmented epochs of these digits.
        rows: int `[k]`, positions of those unlabelled digits that are learnt.
        answers: float32 `[n, 10]`, what is learnt of the unlabelled digits.
        held_out_rows: int `[h]`, positions of the held-out digits that are learnt.
        held_out_answers: float32 `[h, 10]`, what is learnt of these.
    """

    digits: Digits
    pool: Pool
    rows: np.ndarray
    answers: np.ndarray
    held_out_rows: np.ndarray
    held_out_answers: np.ndarray


@dataclass(frozen=True)
class Fold:
    """What one training learns from, and what it is watched on.

    Attributes:
        digits: all labelled digits.
        training_rows: int `[n]`, positions to learn from.
        validation_rows: int `[m]`, positions held out; none where all rows are learnt from.
        pool: the augmented epochs of these digits.
        number: of the split; part of the random seed.
        class_weights: float32 `[10]`, how much a row of each class counts; None for all alike.
        taught: rows to learn from, too, but not with their labels; None for none.
    """

    digits: Digits
    training_rows: np.ndarray
    validation_rows: np.ndarray
    pool: Pool
    number: int
    class_weights: np.ndarray | None = None
    taught: Taught | None = None

    def learnt_rows(self) -> np.ndarray:
        """Returns positions of rows to learn from; unlabelled ones stand behind the digits."""
        if self.taught is None:
            return self.training_rows
        behind = len(self.digits) + self.taught.rows
        return np.concatenate([self.training_rows, self.taught.held_out_rows, behind])

    def steps(self, variant: Variant) -> int:
        """Returns the steps of one epoch; rows that fill no batch wait for another epoch."""
        return max(1, len(self.learnt_rows()) // variant.batch_size)

    def random_seed(self, seed: int) -> int:
        """Returns the seed of what is drawn for a member, who has one seed, on this fold."""
        return int(np.random.SeedSequence([seed, self.number]).generate_state(1)[0])

    def shuffled_rows(self, variant: Variant, seed: int, epoch: int) -> np.ndarray:
        """Returns the rows to learn from in this epoch's order, as many as fill whole batches."""
        order = np.random.default_rng([seed, self.number, epoch]).permutation(self.learnt_rows())
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
            rows: int `[n]`, of `learnt_rows`.

        Returns:
            Images, uint8 `[n, 28, 28, 1]`, shares of the classes, float32 `[n, 10]`, and, where
            classes are weighted, weights, float32 `[n]`.
        """
        if self.taught is not None:
            return self._learnt_with_taught(epoch, rows, self.taught)
        labels = self.digits.labels[rows]
        weights = [] if self.class_weights is None else [self.class_weights[labels]]
        images = self.pool.epoch(epoch, self.digits)[rows]
        return images[..., None], one_hot(labels), *weights

    def _learnt_with_taught(
        self, epoch: int, rows: np.ndarray, taught: Taught
    ) -> tuple[np.ndarray, np.ndarray]:
        own, others = self.pool.epoch(epoch, self.digits), taught.pool.epoch(epoch, taught.digits)
        images = _rows_of_both(own, others, rows)
        known = one_hot(self.digits.labels)
        known[taught.held_out_rows] = taught.held_out_answers
        return images[..., None], _rows_of_both(known, taught.answers, rows)


def one_hot(labels: np.ndarray) -> np.ndarray:
    """Returns labels `[n]` as float32 `[n, 10]`."""
    return np.eye(CLASSES, dtype=np.float32)[labels]


def _rows_of_both(first: np.ndarray, second: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Returns rows of two arrays as if the second stood behind the first, which are not joined."""
    picked = np.empty((len(rows), *first.shape[1:]), first.dtype)
    of_first = rows < len(first)
    picked[of_first] = first[rows[of_first]]
    picked[~of_first] = second[rows[~of_first] - len(first)]
    return picked
