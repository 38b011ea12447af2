"""Whether a classifier can tell labelled from test rows."""

from dataclasses import dataclass

import numpy as np

from competition.metrics import wilson_interval

FOLDS = 5
# An accuracy of 51 % is then told from chance in about nine cases out of ten.
ROWS_PER_SIDE = 10_000
# With fewer rows per side, the trees have nothing to split.
FEWEST_ROWS = 40


@dataclass(frozen=True)
class ShiftTest:
    """The out-of-fold answers of a classifier to the question whether a row is a test row.

    Attributes:
        train_values, test_values: float64 `[n]` each, its probability that a row is a test row.
    """

    train_values: np.ndarray
    test_values: np.ndarray

    @property
    def rows(self) -> int:
        """How many rows it was asked about."""
        return len(self.train_values) + len(self.test_values)

    @property
    def right(self) -> int:
        """How many rows it told right."""
        return int((self.train_values < 0.5).sum() + (self.test_values >= 0.5).sum())

    @property
    def accuracy(self) -> float:
        """The share of rows that it told right, from 0 to 1."""
        return self.right / self.rows

    def interval(self) -> tuple[float, float]:
        """Returns the 95 % confidence interval of the accuracy."""
        return wilson_interval(self.right, self.rows)

    @property
    def p_value(self) -> float:
        """How likely it is to get as many rows right, or more, by tossing a coin."""
        from scipy.stats import binomtest

        return float(binomtest(self.right, self.rows, 0.5, alternative="greater").pvalue)


def shift_test(train: np.ndarray, test: np.ndarray, seed: int) -> ShiftTest | None:
    """Runs a classifier two-sample test (D. Lopez-Paz, M. Oquab, ICLR 2017).

    Gradient-boosted trees learn from as many labelled as test rows which are which, over folds;
    an accuracy above chance shows that the two differ. The paper splits once; with folds every
    row counts, at the price that the answers are not wholly independent.

    Args:
        train, test: float32 `[n, c]` each, features of all rows.
        seed: draws the rows, the folds and the trees.

    Returns:
        None if there are too few rows to learn from.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    count = min(len(train), len(test), ROWS_PER_SIDE)
    if count < FEWEST_ROWS:
        return None
    random = np.random.default_rng(seed)
    sides = [side[random.choice(len(side), count, replace=False)] for side in (train, test)]
    values = cross_val_predict(
        HistGradientBoostingClassifier(
            max_iter=60, max_leaf_nodes=15, early_stopping=False, random_state=seed
        ),
        np.concatenate(sides),
        np.repeat([0, 1], count),
        cv=StratifiedKFold(FOLDS, shuffle=True, random_state=seed),
        method="predict_proba",
    )[:, 1]
    return ShiftTest(values[:count], values[count:])
