"""Ensemble methods that average, with nothing to fit: pure functions of arrays."""

import numpy as np


def mean(members: np.ndarray) -> np.ndarray:
    """Returns the arithmetic mean of the members' probabilities.

    Args:
        members: float `[m, n, 10]`.

    Returns:
        float `[n, 10]`.
    """
    return members.mean(axis=0)
