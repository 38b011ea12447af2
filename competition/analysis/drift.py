"""Whether a classifier can tell labelled from test rows."""

from dataclasses import dataclass

import numpy as np

from competition.metrics import wilson_interval

FOLDS = 5
# Enough to tell an accuracy of 51% from chance in about nine cases out of ten.
ROWS_PER_SIDE = 10_000
# With fewer rows per side, the trees cannot split.
FEWEST_ROWS = 40


@dataclass(frozen=True)
class ShiftTest:
    """Out-of-fold probabilities of being a test row, float64 `[n]`, of train and of test rows."""

    train_values: np.ndarray
    test_values: np.ndarray

    @property
    def rows(self) -> int:
        """Number of train and test rows."""
        return len(self.train_values) + len(self.test_values)

    @property
    def right(self) -> int:
        """Number of rows classified correctly."""
        return int((self.train_values < 0.5).sum() + (self.test_values >= 0.5).sum())

    @property
    def accuracy(self) -> float:
        """Share of rows classified correctly, from 0 to 1."""
        return self.right / self.rows

    def interval(self) -> tuple[float, float]:
        """Returns the 95% confidence interval of the accuracy."""
        return wilson_interval(self.right, self.rows)

    @property
    def p_value(self) -> float:
        """Probability of so many correct rows, or more, by tossing a coin."""
        from scipy.stats import binomtest

        return float(binomtest(self.right, self.rows, 0.5, alternative="greater").pvalue)


def shift_test(train: np.ndarray, test: np.ndarray, seed: int) -> ShiftTest | None:
    """Runs a classifier two-sample test (D. Lopez-Paz, M. Oquab, ICLR 2017); None for few rows.

    Gradient-boosted trees separate equally many labelled and test rows, features float32 `[n, c]`;
    an out-of-fold accuracy above chance shows that the two differ. The paper splits once; with
    folds every row counts, but the predictions are not wholly independent.
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
