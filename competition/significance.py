"""Whether predictions of two kinds differ by more than luck: paired tests on the same rows."""

from dataclasses import dataclass

import numpy as np
from scipy.special import bdtr

# Of an end of an interval, chance then moves a thirtieth of the interval's half width.
RESAMPLES = 2000


@dataclass(frozen=True)
class Discordance:
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
        at_most = bdtr(min(self.gained, self.lost), self.gained + self.lost, 0.5)
        return min(1.0, 2 * float(at_most))


def discordance(values: np.ndarray, others: np.ndarray, labels: np.ndarray) -> Discordance:
    """Compares two predictions of the same rows, probabilities `[n, 10]` each."""
    is_right, other_is_right = (each.argmax(axis=1) == labels for each in (values, others))
    gained = np.count_nonzero(is_right & ~other_is_right)
    return Discordance(int(gained), int(np.count_nonzero(~is_right & other_is_right)))


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
