"""Honest figures of what is fitted: fitted on the other folds' rows, used on this fold's."""

from collections.abc import Callable

import numpy as np

from competition.ensemble.fitted import Fitted


def nested(
    method: Callable[[np.ndarray, np.ndarray], Fitted],
    members: np.ndarray,
    labels: np.ndarray,
    folds: np.ndarray,
) -> np.ndarray:
    """Combines every row with what the method fitted without the rows of its fold.

    The members' probabilities are out of fold already. Those of the other folds come from nets
    that have seen this fold's rows, as in all stacking; the few values that a method fits to them
    hardly carry that over, but they cannot be said to know nothing of it.

    Args:
        method: see `fitted.py`.
        members: float64 `[m, n, 10]`, out-of-fold probabilities.
        labels: uint8 `[n]`.
        folds: int `[n]`, the fold in which each row is held out; at least two of them.

    Returns:
        float64 `[n, 10]`.
    """
    combined = np.empty(members.shape[1:])
    for fold in np.unique(folds):
        held_out = folds == fold
        fitted = method(members[:, ~held_out], labels[~held_out])
        combined[held_out] = fitted.combine(members[:, held_out])
    return combined
