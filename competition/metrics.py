"""The few figures that every stage quotes, as exact functions of probabilities and labels."""

from dataclasses import dataclass
from math import sqrt

import numpy as np

# float16, in which probabilities are kept, has no smaller positive number; a row that is given
# probability 0 then costs 16.6 nats and not infinitely many.
SMALLEST_PROBABILITY = 2.0**-24
# The normal distribution has 95 % within so many standard deviations of its mean.
NORMAL_QUANTILE = 1.959964
# Bins of confidence, as in C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017.
BINS = 15


@dataclass(frozen=True)
class Score:
    """How well some rows were predicted: counts, and the mean log-loss in nats."""

    rows: int
    errors: int
    log_loss: float

    @property
    def accuracy(self) -> float:
        """The share of the rows that were predicted rightly, from 0 to 1."""
        return 1 - self.errors / self.rows

    def interval(self) -> tuple[float, float]:
        """Returns the 95 % confidence interval of the accuracy."""
        return wilson_interval(self.rows - self.errors, self.rows)


def score(values: np.ndarray, labels: np.ndarray) -> Score:
    """Scores probabilities `[n, 10]` against labels `[n]`."""
    errors = np.count_nonzero(values.argmax(axis=1) != labels)
    return Score(len(labels), int(errors), float(log_losses(values, labels).mean()))


def log_losses(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns each row's log-loss in nats, float64 `[n]`."""
    return -np.log(truth_probabilities(values, labels))


def truth_probabilities(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns the probabilities of the labels, float64 `[..., n]`, out of `[..., n, 10]`.

    None is below SMALLEST_PROBABILITY.
    """
    truth_values = values[..., np.arange(len(labels)), labels]
    return truth_values.astype(np.float64).clip(SMALLEST_PROBABILITY)


def log_probabilities(values: np.ndarray) -> np.ndarray:
    """Returns logarithms that are finite: of probabilities from SMALLEST_PROBABILITY on."""
    return np.log(values.astype(np.float64).clip(SMALLEST_PROBABILITY))


def entropies(values: np.ndarray) -> np.ndarray:
    """Returns the entropies of probabilities `[..., 10]` in nats, from 0 to log 10."""
    return -(values * log_probabilities(values)).sum(axis=-1)


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """Returns Wilson's 95 % score interval of a proportion (E. B. Wilson, JASA 22, 1927).

    Unlike the normal approximation it stays within 0 and 1 where nearly all trials succeed.

    Args:
        successes: how many trials succeeded.
        trials: how many there were, at least 1.
    """
    z = NORMAL_QUANTILE
    share = successes / trials
    centre = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    spread = z / (1 + z * z / trials)
    spread *= sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    return max(0.0, centre - spread), min(1.0, centre + spread)


def expected_calibration_error(values: np.ndarray, labels: np.ndarray) -> float:
    """Returns by how much confidence and accuracy differ, on average over the rows.

    Rows are put into 15 bins of equal width by their confidence, the probability of the predicted
    class; each bin has its mean confidence and its accuracy.

    Args:
        values: probabilities `[n, 10]`.
        labels: the classes `[n]`.

    Returns:
        From 0, where every bin is as right as it is sure, to 1.
    """
    bins = reliability(values, labels)
    return float(np.abs(bins.right - bins.confidence_sums).sum() / len(labels))


@dataclass(frozen=True)
class Reliability:
    """Rows in 15 bins of equal width by their confidence, from 0 to 1.

    Attributes:
        rows: int `[15]`, how many there are.
        right: float `[15]`, how many of them are predicted rightly.
        confidence_sums: float `[15]`, the sum of their confidences.
    """

    rows: np.ndarray
    right: np.ndarray
    confidence_sums: np.ndarray


def reliability(values: np.ndarray, labels: np.ndarray) -> Reliability:
    """Bins probabilities `[n, 10]` of the classes `[n]` by that of the predicted class."""
    confidence = values.max(axis=1)
    is_right = values.argmax(axis=1) == labels
    # A bin's upper end belongs to it; none is sure of nothing, or surer than sure.
    bins = (np.ceil(confidence * BINS).astype(int) - 1).clip(0, BINS - 1)
    counts = (np.bincount(bins, weights, BINS) for weights in (None, is_right, confidence))
    return Reliability(*counts)


# Of an end of an interval, chance then moves a thirtieth of the interval's half width.
RESAMPLES = 2000


@dataclass(frozen=True)
class McNemar:
    """The rows that only one of two predictions gets right.

    Attributes:
        gained: how many only the first gets right.
        lost: how many only the second gets right.
    """

    gained: int
    lost: int

    @property
    def p_value(self) -> float:
        """How probable so uneven counts, or more uneven ones, are if both err alike.

        McNemar's test (Q. McNemar, Psychometrika 12, 1947) in its exact form, two-sided: each row
        went to one of them as by the toss of a coin.
        """
        from scipy.stats import binomtest  # takes a second to import

        rows = self.gained + self.lost
        return float(binomtest(self.gained, rows).pvalue) if rows else 1.0


def mcnemar(values: np.ndarray, others: np.ndarray, labels: np.ndarray) -> McNemar:
    """Compares two predictions of the same rows, probabilities `[n, 10]` each."""
    is_right, other_is_right = (each.argmax(axis=1) == labels for each in (values, others))
    gained = np.count_nonzero(is_right & ~other_is_right)
    return McNemar(int(gained), int(np.count_nonzero(~is_right & other_is_right)))


def bootstrap_intervals(differences: np.ndarray) -> np.ndarray:
    """Returns the 95 % intervals of means over rows, by the percentiles of a bootstrap.

    Rows are drawn with replacement (B. Efron, 1979), the same ones for every mean, with a fixed
    seed. The intervals know of the choice of rows, and nothing of the spread between seeds.

    Args:
        differences: float `[k, n]`, for each of k means the rows' values.

    Returns:
        float `[k, 2]`, the lower and the upper ends.
    """
    generator = np.random.default_rng(0)
    rows = differences.shape[1]
    means = np.empty((RESAMPLES, len(differences)))
    for resample in means:  # one at a time, as the counts of all of them would fill the memory
        counts = np.bincount(generator.integers(rows, size=rows), minlength=rows)
        resample[:] = differences @ counts.astype(float) / rows
    return np.percentile(means, [2.5, 97.5], axis=0).T


SELECTED = "selected"

SELECTED_NOTE = (
    "Selected: callbacks looked at the held-out rows after every epoch and, by what they saw "
    "there, ended the training, chose the epoch or lowered the learning rate; on these rows, such "
    "figures are optimistic."
)


def marked(name: str, is_selected: bool) -> str:
    """Returns a name, with the mark if its figures out of fold were selected."""
    return f"{name} ({SELECTED})" if is_selected else name
