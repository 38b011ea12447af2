"""The figures of every stage: scores, intervals, calibration, tests of differences."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from competition.console import count_of

# The smallest positive float16, in which probabilities are stored: a label with probability 0 then
# costs 16.6 nats instead of infinitely many.
SMALLEST_PROBABILITY = 2.0**-24
# Bins of confidence, as in C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017.
BINS = 15


@dataclass(frozen=True)
class Score:
    """How well some rows were predicted; `log_loss` is the mean in nats per row."""

    rows: int
    errors: int
    log_loss: float

    @property
    def accuracy(self) -> float:
        """The share of the rows that were predicted correctly, from 0 to 1."""
        return 1 - self.errors / self.rows

    def interval(self) -> tuple[float, float]:
        """Returns the 95% confidence interval of the accuracy."""
        return wilson_interval(self.rows - self.errors, self.rows)

    def errors_interval(self) -> tuple[float, float]:
        """Returns the 95% confidence interval of the errors in as many rows."""
        low, high = self.interval()
        return self.rows * (1 - high), self.rows * (1 - low)

    def in_words(self) -> str:
        """Returns the score in one line, as every command prints it."""
        low, high = self.errors_interval()
        return (
            f"{count_of(self.errors, 'error')} in {self.rows:,} digits out of fold (95% interval "
            f"{low:.0f} – {high:.0f}), accuracy {self.accuracy:.5f}, log-loss {self.log_loss:.5f}"
        )


def score(values: np.ndarray, labels: np.ndarray) -> Score:
    """Scores probabilities `[n, 10]` against labels `[n]`."""
    errors = np.count_nonzero(values.argmax(axis=1) != labels)
    return Score(len(labels), int(errors), float(log_losses(values, labels).mean()))


def log_losses(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns each row's log-loss in nats, float64 `[n]`."""
    return -np.log(truth_probabilities(values, labels))


def truth_probabilities(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns the labels' probabilities, float64 `[..., n]` out of `[..., n, 10]`, never 0."""
    truth_values = values[..., np.arange(len(labels)), labels]
    return truth_values.astype(np.float64).clip(SMALLEST_PROBABILITY)


def log_probabilities(values: np.ndarray) -> np.ndarray:
    """Returns logarithms that are finite: smaller probabilities count as SMALLEST_PROBABILITY."""
    return np.log(values.astype(np.float64).clip(SMALLEST_PROBABILITY))


def entropies(values: np.ndarray) -> np.ndarray:
    """Returns the entropies of probabilities `[..., 10]` in nats, from 0 to log 10."""
    return -(values * log_probabilities(values)).sum(axis=-1)


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """Returns Wilson's 95% score interval of a proportion (E. B. Wilson, JASA 22, 1927).

    Unlike the normal approximation it stays within 0 and 1 where nearly all trials succeed.
    """
    from scipy.stats import binomtest  # takes a second to import

    if not trials:
        return 0.0, 1.0
    low, high = binomtest(int(successes), int(trials)).proportion_ci(method="wilson")
    return float(low), float(high)


def expected_calibration_error(values: np.ndarray, labels: np.ndarray) -> float:
    """Returns the mean gap between confidence and accuracy over the rows, from 0 to 1."""
    bins = reliability(values, labels)
    return float(np.abs(bins.right - bins.confidence_sums).sum() / len(labels))


@dataclass(frozen=True)
class Reliability:
    """Per confidence bin, each `[15]`: rows, rows predicted correctly, summed confidences."""

    rows: np.ndarray
    right: np.ndarray
    confidence_sums: np.ndarray


def reliability(values: np.ndarray, labels: np.ndarray) -> Reliability:
    """Sorts the rows of probabilities `[n, 10]` into 15 bins of equal width by confidence."""
    confidence = values.max(axis=1)
    is_right = values.argmax(axis=1) == labels
    # A bin includes its upper end; rounding may put a confidence just above 1.
    bins = (np.ceil(confidence * BINS).astype(int) - 1).clip(0, BINS - 1)
    counts = (np.bincount(bins, weights, BINS) for weights in (None, is_right, confidence))
    return Reliability(*counts)


# Monte-Carlo noise of an interval's end: about 1/30 of its half-width.
RESAMPLES = 2000


@dataclass(frozen=True)
class McNemar:
    """Rows that only the first of two predictions gets right, and that only the second does."""

    gained: int
    lost: int

    @property
    def p_value(self) -> float:
        """The probability of counts at least this uneven if both are equally good.

        McNemar's test (Q. McNemar, Psychometrika 12, 1947) in its exact form, two-sided.
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
    """Returns 95% percentile-bootstrap intervals, float `[k, 2]`, of k means over n rows `[k, n]`.

    Rows are drawn with replacement (B. Efron, 1979), the same ones for every mean, with a fixed
    seed. The intervals reflect the choice of rows, not the spread between seeds. Own code, because
    `scipy.stats.bootstrap` takes 12.7 s instead of 2.3 s for 7 means of 42,000 rows.
    """
    generator = np.random.default_rng(0)
    rows = differences.shape[1]
    means = np.empty((RESAMPLES, len(differences)))
    for resample in means:  # one at a time: the counts of all would fill the memory
        counts = np.bincount(generator.integers(rows, size=rows), minlength=rows)
        resample[:] = differences @ counts.astype(float) / rows
    return np.percentile(means, [2.5, 97.5], axis=0).T


class LossGap(NamedTuple):
    """How far a log-loss is above another one, in nats, with its 95% interval."""

    mean: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """What the interval shows: it lies below 0, above it, or has it inside."""
        return "better" if self.high < 0 else "worse" if self.low > 0 else "not proven"


def loss_gap(values: np.ndarray, others: np.ndarray, labels: np.ndarray) -> LossGap:
    """Compares two predictions of the same rows, probabilities `[n, 10]` each, row by row."""
    gaps = log_losses(values, labels) - log_losses(others, labels)
    ((low, high),) = bootstrap_intervals(gaps[None]).tolist()
    return LossGap(float(gaps.mean()), low, high)


SELECTED = "selected"

SELECTED_NOTE = (
    "Selected: callbacks looked at the held-out rows after every epoch and, by what they saw "
    "there, ended the training, chose the epoch or lowered the learning rate; on these rows, such "
    "figures are optimistic."
)


def marked(name: str, is_selected: bool) -> str:
    """Returns a name, with a mark if its out-of-fold figures were selected."""
    return f"{name} ({SELECTED})" if is_selected else name
