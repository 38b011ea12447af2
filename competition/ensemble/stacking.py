"""A model of the members' answers: stacked multinomial logistic regression."""

import numpy as np
from scipy.optimize import minimize
from scipy.special import softmax

from competition.digits import CLASSES
from competition.ensemble.fitted import Fitted
from competition.errors import UserError
from competition.scores import log_probabilities


def stacking(members: np.ndarray, labels: np.ndarray, penalty: float = 1000.0) -> Fitted:
    """Multinomial logistic regression on the members' log-probabilities, all classes of all of them
    (D. H. Wolpert, "Stacked Generalization", 1992; K. M. Ting and I. H. Witten, "Issues in Stacked
    Generalization", 1999).

    Weights are drawn towards those of the geometric mean, which is where it starts, and not
    towards 0, which would be a uniform answer: without evidence nothing is learned, and nothing
    is lost.

    Args:
        members, labels: as everywhere, see `fitted.py`.
        penalty: of the squared distance from the start, in nats over all rows. 1000 means that
            weights 0.03 away from it were expected beforehand: over the 16.6 nats that a
            log-probability may span, half a nat each.

    Raises:
        UserError: when the penalty is not above 0.
    """
    if penalty <= 0:
        raise UserError(f"stacking needs a penalty above 0, not {penalty}")
    features = _features(members)
    start = np.vstack([*[np.eye(CLASSES) / len(members)] * len(members), np.zeros(CLASSES)])
    scale = _scale(features, start, penalty)
    fitted = minimize(
        _loss_and_gradient,
        np.zeros(start.size),
        (features, labels, start, scale, penalty),
        jac=True,
        method="L-BFGS-B",
        options={"ftol": 1e-8},
    )
    weights = start + scale @ fitted.x.reshape(start.shape)
    return Fitted(
        lambda rows: softmax((weights.T @ _features(rows)).T, axis=-1),
        {"weights": weights[:-1].round(6).tolist(), "bias": weights[-1].round(6).tolist()},
    )


def _features(members: np.ndarray) -> np.ndarray:
    """Returns the log-probabilities of each row and a constant, float64 `[10 m + 1, n]`."""
    count, rows, classes = members.shape
    by_class = log_probabilities(members).transpose(0, 2, 1).reshape(count * classes, rows)
    return np.vstack([by_class, np.ones(rows)])


def _scale(features: np.ndarray, start: np.ndarray, penalty: float) -> np.ndarray:
    """Returns the scale of a step in which the objective bends about equally in all directions.

    Members agree nearly always, so their weights are hard to tell apart, and a search in the
    weights themselves takes ten times as long.

    Returns:
        float64 `[10 m + 1, 10 m + 1]`: the inverse square root of the objective's second
        derivative at the start, a mean over the classes.
    """
    at_start = softmax((start.T @ features).T, axis=-1)
    uncertainty = (at_start * (1 - at_start)).mean(axis=1)
    weighted = features * np.sqrt(uncertainty)
    curvature = weighted @ weighted.T + penalty * np.eye(len(features))
    values, vectors = np.linalg.eigh(curvature / features.shape[1])
    return vectors / np.sqrt(values)


def _loss_and_gradient(
    steps: np.ndarray,
    features: np.ndarray,
    labels: np.ndarray,
    start: np.ndarray,
    scale: np.ndarray,
    penalty: float,
) -> tuple[float, np.ndarray]:
    """Returns the penalised log-loss, in nats a row, and its gradient by the scaled steps."""
    away = scale @ steps.reshape(start.shape)
    logits = (start + away).T @ features
    logits -= logits.max(axis=0)
    powers = np.exp(logits)
    totals = powers.sum(axis=0)
    rows = np.arange(len(labels))
    losses = np.log(totals) - logits[labels, rows]
    errors = powers / totals
    errors[labels, rows] -= 1
    gradient = scale.T @ (features @ errors.T + penalty * away)
    objective = losses.sum() + penalty / 2 * (away**2).sum()
    return objective / len(labels), gradient.ravel() / len(labels)
