"""Whether a classifier can tell labelled from test rows; draws nothing."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from competition.metrics import wilson_interval

FOLDS = 5
# An accuracy of 51 % is then told from chance in about nine cases out of ten.
ROWS_PER_SIDE = 10_000
# With fewer rows a side, the trees have nothing to split.
FEWEST_ROWS = 40


@dataclass(frozen=True)
class ShiftTest:
    """The answers of a classifier that was told neither side of the rows it is asked about.

    Attributes:
        train_values, test_values: float64 `[n]` each, the probability that a row is a test row.
    """

    train_values: np.ndarray
    test_values: np.ndarray

    @property
    def rows(self) -> int:
        """Rows that were asked about."""
        return len(self.train_values) + len(self.test_values)

    @property
    def right(self) -> int:
        """Rows that were told right."""
        return int((self.train_values < 0.5).sum() + (self.test_values >= 0.5).sum())

    @property
    def accuracy(self) -> float:
        """The share of rows that were told right, from 0 to 1."""
        return self.right / self.rows

    def interval(self) -> tuple[float, float]:
        """Returns the 95 % confidence interval of the accuracy."""
        return wilson_interval(self.right, self.rows)

    @property
    def p_value(self) -> float:
        """How likely as many rows or more are right by tossing a coin."""
        from scipy.stats import binomtest

        return float(binomtest(self.right, self.rows, 0.5, alternative="greater").pvalue)


def shift_test(
    train: np.ndarray, test: np.ndarray, seed: int, on_progress: Callable[[float], None]
) -> ShiftTest | None:
    """Runs a classifier two-sample test (D. Lopez-Paz, M. Oquab, ICLR 2017).

    Gradient-boosted trees learn from as many labelled as test rows which are which, over folds;
    an accuracy above chance shows that the two differ. The paper splits once; with folds every
    row counts, at the price that the answers are not wholly independent.

    Args:
        train, test: float32 `[n, c]` each, features of all rows.
        seed: draws the rows, the folds and the trees.
        on_progress: is called from time to time with the share of the work that is done.

    Returns:
        None if there are too few rows to learn from.
    """
    count = min(len(train), len(test), ROWS_PER_SIDE)
    if count < FEWEST_ROWS:
        return None
    random = np.random.default_rng(seed)
    sides = [side[random.choice(len(side), count, replace=False)] for side in (train, test)]
    answers = _answers(np.concatenate(sides), np.repeat([0, 1], count), seed, on_progress)
    return ShiftTest(answers[:count], answers[count:])


def _answers(
    features: np.ndarray, sides: np.ndarray, seed: int, on_progress: Callable[[float], None]
) -> np.ndarray:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.model_selection import StratifiedKFold

    answers = np.empty(len(sides))
    splits = StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(features, sides)
    for done, (others, held_out) in enumerate(splits, start=1):
        model = HistGradientBoostingClassifier(
            max_iter=60, max_leaf_nodes=15, early_stopping=False, random_state=seed
        )
        model.fit(features[others], sides[others])
        answers[held_out] = model.predict_proba(features[held_out])[:, 1]
        on_progress(done / FOLDS)
    return answers
