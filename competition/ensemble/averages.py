"""Ensemble methods that average or vote, with nothing to fit; see `fitted.py` for the arguments."""

import numpy as np
from scipy.special import softmax

from competition.digits import CLASSES
from competition.ensemble.fitted import Fitted
from competition.scores import log_probabilities


def mean(members: np.ndarray, labels: np.ndarray) -> Fitted:
    """The arithmetic mean of the members' probabilities."""
    return Fitted(lambda rows: rows.mean(axis=0))


def geometric_mean(members: np.ndarray, labels: np.ndarray) -> Fitted:
    """The mean of the members' log-probabilities, made to sum to 1: each has a sort of veto."""
    return Fitted(lambda rows: softmax(log_probabilities(rows).mean(axis=0), axis=-1))


def majority_vote(members: np.ndarray, labels: np.ndarray) -> Fitted:
    """The class that most members predict; the mean of their probabilities breaks ties.

    The probabilities are the shares of votes, where the mean is one voter more that may split
    its vote. No class can overtake another by it that has a whole vote more.
    """
    return Fitted(_votes)


def _votes(rows: np.ndarray) -> np.ndarray:
    votes = np.eye(CLASSES)[rows.argmax(axis=-1)].sum(axis=0)
    return (votes + rows.mean(axis=0)) / (len(rows) + 1)
