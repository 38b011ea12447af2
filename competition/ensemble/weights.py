"""Ensemble methods that weigh members, fitted on log-loss; see `fitted.py` for the arguments."""

import numpy as np
from scipy.optimize import minimize

from competition.ensemble.fitted import Fitted
from competition.errors import UserError
from competition.scores import truth_probabilities


def weighted_mean(members: np.ndarray, labels: np.ndarray) -> Fitted:
    """The weighted mean of least log-loss; weights are at least 0 and sum to 1.

    The log-loss is convex in the weights, so the one minimum is found, by sequential least
    squares (SLSQP, D. Kraft, 1988) from equal weights on. The winners of the National Data Science
    Bowl (S. Dieleman et al., 2015) weighted their nets like this.
    """
    of_truth = truth_probabilities(members, labels)
    count = len(members)
    fitted = minimize(
        lambda weights: _loss_and_gradient(weights, of_truth),
        np.full(count, 1 / count),
        jac=True,
        method="SLSQP",
        bounds=[(0, 1)] * count,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": np.ones_like},
        options={"ftol": 1e-10, "maxiter": 200},
    )
    weights = fitted.x.clip(0)
    return _weighted(weights / weights.sum())


def _loss_and_gradient(weights: np.ndarray, of_truth: np.ndarray) -> tuple[float, np.ndarray]:
    mixed = weights @ of_truth
    return -np.log(mixed).mean(), -(of_truth / mixed).mean(axis=1)


def hill_climbing(members: np.ndarray, labels: np.ndarray, rounds: int = 50) -> Fitted:
    """Forward selection with replacement (R. Caruana et al., "Ensemble Selection from Libraries of
    Models", ICML 2004): each round adds the member that serves the mean's log-loss best.

    The best of all rounds counts, so it is never worse on these rows than the best member, which
    is the first one taken. A member's weight is the share of rounds in which it was added.

    Args:
        members, labels: as everywhere.
        rounds: how many members are added at most, one of them several times perhaps.

    Raises:
        UserError: when there is no round.
    """
    if rounds < 1:
        raise UserError(f"hill_climbing needs rounds of at least 1, not {rounds}")
    added, losses = _climb(truth_probabilities(members, labels), rounds)
    best = added[: np.argmin(losses) + 1]
    return _weighted(np.bincount(best, minlength=len(members)) / len(best))


def _climb(of_truth: np.ndarray, rounds: int) -> tuple[list[int], list[float]]:
    """Returns which member each round adds, and the log-loss after it."""
    added, losses = [], []
    total = np.zeros(of_truth.shape[1])
    for size in range(1, rounds + 1):
        candidates = -np.log((total + of_truth) / size).mean(axis=1)
        best = int(candidates.argmin())
        total += of_truth[best]
        added.append(best)
        losses.append(candidates[best])
    return added, losses


def _weighted(weights: np.ndarray) -> Fitted:
    return Fitted(
        lambda rows: np.tensordot(weights, rows, axes=1),
        {"weights": [round(float(weight), 6) for weight in weights]},
    )
