"""How far the members agree with each other, and with the labels."""

from dataclasses import dataclass

import numpy as np

from competition.ensemble.contributions import count_pairs
from competition.inspection.evaluation.cases import Cases


@dataclass(frozen=True)
class Agreement:
    """The members of an ensemble, m of them, on its labelled rows.

    Attributes:
        rows: int `[m + 1]`, how many rows so many members get right, from none to all.
        rescued: int `[m + 1]`, how many of these rows the ensemble gets right.
        disagreement: int `[m, m]`, for how many rows two members predict different classes.
        both_wrong: int `[m, m]`, how many rows two members both get wrong; on the diagonal, how
            many each does.
        unanimous: rows for which all members predict the same class.
    """

    rows: np.ndarray
    rescued: np.ndarray
    disagreement: np.ndarray
    both_wrong: np.ndarray
    unanimous: int


def agreement(cases: Cases) -> Agreement:
    """Compares the members' predictions of labelled rows."""
    votes, labels = cases.votes, cases.digits.labels
    right = (votes == labels).sum(axis=0)
    steps = len(votes) + 1
    return Agreement(
        np.bincount(right, minlength=steps),
        np.bincount(right[~cases.wrong], minlength=steps),
        count_pairs(votes, np.not_equal),
        count_pairs(votes != labels, np.logical_and),
        int((votes == votes[0]).all(axis=0).sum()),
    )
