"""The ensemble methods of the registry, the simplest first.

A method is a function `method(members, labels, is_net, **parameters) -> Fitted`:

- members: float64 `[m, n, 10]`, the members' probabilities of labelled rows;
- labels: uint8 `[n]`, ignored by a method that fits nothing;
- is_net: bool `[m]`, which members are nets; other learners' probabilities are less sharp;
- parameters: what the configuration may set, each with a default.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from competition.digits import CLASSES
from competition.errors import UserError
from competition.metrics import log_probabilities, truth_probabilities


@dataclass(frozen=True)
class Fitted:
    """A method fitted to some rows, ready to combine others.

    Attributes:
        combine: from the members' probabilities of any rows, float `[m, k, 10]`, to the
            ensemble's, float64 `[k, 10]`.
        settings: what was fitted, as JSON values; empty if nothing was.
    """

    combine: Callable[[np.ndarray], np.ndarray]
    settings: dict[str, Any] = field(default_factory=dict)


def mean(members: np.ndarray, labels: np.ndarray, is_net: np.ndarray) -> Fitted:
    """The arithmetic mean of the nets' probabilities; of all members', where none is a net."""
    taken = is_net if is_net.any() else ~is_net
    return Fitted(lambda rows: rows[taken].mean(axis=0))


def geometric_mean(members: np.ndarray, labels: np.ndarray, is_net: np.ndarray) -> Fitted:
    """The normalised geometric mean: a member's near-zero probability works as a veto."""
    return Fitted(lambda rows: softmax(log_probabilities(rows).mean(axis=0), axis=-1))


def majority_vote(members: np.ndarray, labels: np.ndarray, is_net: np.ndarray) -> Fitted:
    """The class that most members predict; the mean of their probabilities breaks ties.

    The probabilities are shares of the votes. The mean is one more voter that splits its vote, so
    it never lets a class overtake another one with a whole vote more.
    """

    def combine(rows: np.ndarray) -> np.ndarray:
        votes = np.eye(CLASSES)[rows.argmax(axis=-1)].sum(axis=0)
        return (votes + rows.mean(axis=0)) / (len(rows) + 1)

    return Fitted(combine)


def weighted_mean(members: np.ndarray, labels: np.ndarray, is_net: np.ndarray) -> Fitted:
    """The weighted mean of least log-loss; weights are at least 0 and sum to 1.

    The log-loss is convex in the weights, so sequential least squares (SLSQP, D. Kraft, 1988) finds
    its minimum. The winners of the National Data Science Bowl (S. Dieleman et al., 2015) weighted
    their nets like this.
    """
    truth = truth_probabilities(members, labels)
    count = len(members)

    def loss_and_gradient(weights: np.ndarray) -> tuple[float, np.ndarray]:
        mixed = weights @ truth
        return -np.log(mixed).mean(), -(truth / mixed).mean(axis=1)

    fitted = minimize(
        loss_and_gradient,
        np.full(count, 1 / count),
        jac=True,
        method="SLSQP",
        bounds=[(0, 1)] * count,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": np.ones_like},
        options={"ftol": 1e-10, "maxiter": 200},
    )
    weights = fitted.x.clip(0)
    return _weighted(weights / weights.sum())


def hill_climbing(
    members: np.ndarray, labels: np.ndarray, is_net: np.ndarray, rounds: int = 50
) -> Fitted:
    """Forward selection with replacement (R. Caruana et al., "Ensemble Selection from Libraries of
    Models", ICML 2004): each round adds the member that lowers the mean's log-loss most.

    The best round counts. As the first one takes the best member, the result is never worse than
    that on these rows. A member's weight is its share of the additions.

    Args:
        rounds: how many members are added at most; the same one may be added again.
    """
    if rounds < 1:
        raise UserError(f"hill_climbing needs rounds of at least 1, not {rounds}")
    truth = truth_probabilities(members, labels)
    added, losses = [], []
    total = np.zeros(len(labels))
    for size in range(1, rounds + 1):
        candidates = -np.log((total + truth) / size).mean(axis=1)
        best = int(candidates.argmin())
        total += truth[best]
        added.append(best)
        losses.append(candidates[best])
    taken = added[: np.argmin(losses) + 1]
    return _weighted(np.bincount(taken, minlength=len(members)) / len(taken))


def _weighted(weights: np.ndarray) -> Fitted:
    return Fitted(
        lambda rows: np.tensordot(weights, rows, axes=1),
        {"weights": [round(float(weight), 6) for weight in weights]},
    )


def logarithmic_pool(
    members: np.ndarray, labels: np.ndarray, is_net: np.ndarray, below: float = 1.0
) -> Fitted:
    """The normalised product of the members' probabilities, each to a power of its own (C. Genest
    and J. V. Zidek, "Combining Probability Distributions", Statistical Science 1, 1986).

    The powers have the least log-loss. As they need not sum to 1, they also calibrate, and members
    may differ in sharpness. The search begins at the geometric mean of the nets, towards which half
    the squared distance is added to the summed loss: where no row is wrong, it still ends.

    Args:
        below: a row in which the mean of the nets is at least so sure keeps that mean.
    """
    committee = mean(members, labels, is_net).combine
    start = is_net / is_net.sum() if is_net.any() else np.full(len(members), 1 / len(members))

    def is_open(rows: np.ndarray) -> np.ndarray:
        return committee(rows).max(axis=1) < below

    taken = is_open(members)
    logits, truth = log_probabilities(members[:, taken]), labels[taken]
    each = np.arange(len(truth))

    def loss_and_gradient(weights: np.ndarray) -> tuple[float, np.ndarray]:
        mixed = log_softmax(np.tensordot(weights, logits, axes=1), axis=1)
        away = weights - start
        expected = np.einsum("mnc,nc->m", logits, np.exp(mixed))
        gradient = expected - logits[:, each, truth].sum(axis=1) + away
        return (away**2).sum() / 2 - mixed[each, truth].sum(), gradient

    weights = minimize(loss_and_gradient, start, jac=True, method="L-BFGS-B").x

    def combine(rows: np.ndarray) -> np.ndarray:
        pooled = softmax(np.tensordot(weights, log_probabilities(rows), axes=1), axis=1)
        return np.where(is_open(rows)[:, None], pooled, committee(rows))

    return Fitted(combine, {"weights": [round(float(weight), 6) for weight in weights]})


# Wide enough for all trained nets; it keeps the search finite on untrained ones.
INVERSE_TEMPERATURES = (0.05, 20.0)


def temperature(members: np.ndarray, labels: np.ndarray, is_net: np.ndarray) -> Fitted:
    """The mean of the members, each at its own temperature, with a temperature for the result.

    A temperature above 1 makes probabilities less sure, one below 1 surer (C. Guo et al., "On
    Calibration of Modern Neural Networks", ICML 2017). Each minimises the log-loss; the result's
    is fitted last.
    """
    logits = log_probabilities(members)
    inverse = np.array([_fit_inverse_temperature(each, labels) for each in logits])

    def log_of_mean(logits: np.ndarray) -> np.ndarray:
        scaled = softmax(logits * inverse[:, None, None], axis=-1)
        return log_probabilities(scaled.mean(axis=0))

    factor = _fit_inverse_temperature(log_of_mean(logits), labels)
    return Fitted(
        lambda rows: softmax(log_of_mean(log_probabilities(rows)) * factor, axis=-1),
        {
            "member_temperatures": [round(float(1 / each), 6) for each in inverse],
            "temperature": round(1 / factor, 6),
        },
    )


def _fit_inverse_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Returns the factor of the logits `[n, 10]` with the least log-loss, which is convex in it."""
    truth = logits[np.arange(len(labels)), labels].mean()
    by_class = np.ascontiguousarray(logits.T)  # for faster sums over classes

    def loss_and_derivative(factor: np.ndarray) -> tuple[float, float]:
        powers = np.exp(by_class * factor)  # of log-probabilities: no overflow, and one is near 0
        totals = powers.sum(axis=0)
        expected = (np.einsum("cn,cn->n", powers, by_class) / totals).mean()
        return np.log(totals).mean() - factor[0] * truth, expected - truth

    fitted = minimize(
        loss_and_derivative, [1.0], jac=True, method="L-BFGS-B", bounds=[INVERSE_TEMPERATURES]
    )
    return float(fitted.x[0])


def stacking(
    members: np.ndarray, labels: np.ndarray, is_net: np.ndarray, penalty: float = 1000.0
) -> Fitted:
    """Multinomial logistic regression on all log-probabilities of all members (D. H. Wolpert,
    "Stacked Generalization", 1992; K. M. Ting and I. H. Witten, "Issues in Stacked
    Generalization", 1999).

    The penalty pulls the weights towards the geometric mean's, where the search starts, not towards
    0 as in scikit-learn: with little evidence, the result is the geometric mean, not a uniform
    prediction.

    Args:
        penalty: on half the squared distance from the start, in nats over all rows. 1000 is a prior
            with a standard deviation of 0.03 per weight: half a nat over the 16.6 nats that a
            log-probability may span.
    """
    if penalty <= 0:
        raise UserError(f"stacking needs a penalty above 0, not {penalty}")
    features = _features(members)
    truth = labels, np.arange(len(labels))
    start = np.vstack([*[np.eye(CLASSES) / len(members)] * len(members), np.zeros(CLASSES)])
    scale = _scale(features, start, penalty)

    def loss_and_gradient(steps: np.ndarray) -> tuple[float, np.ndarray]:
        """Returns the penalised log-loss in nats per row, and its gradient by the scaled steps."""
        away = scale @ steps.reshape(start.shape)
        logits = (start + away).T @ features
        logits -= logits.max(axis=0)
        powers = np.exp(logits)
        totals = powers.sum(axis=0)
        losses = np.log(totals) - logits[truth]
        errors = powers / totals
        errors[truth] -= 1
        gradient = scale.T @ (features @ errors.T + penalty * away)
        objective = losses.sum() + penalty / 2 * (away**2).sum()
        return objective / len(labels), gradient.ravel() / len(labels)

    fitted = minimize(
        loss_and_gradient,
        np.zeros(start.size),
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
    """Returns each row's log-probabilities and a constant, float64 `[10 m + 1, n]`."""
    count, rows, classes = members.shape
    by_class = log_probabilities(members).transpose(0, 2, 1).reshape(count * classes, rows)
    return np.vstack([by_class, np.ones(rows)])


def _scale(features: np.ndarray, start: np.ndarray, penalty: float) -> np.ndarray:
    """Returns a preconditioner, float64 `[10 m + 1, 10 m + 1]`: the inverse square root of the
    objective's second derivative at the start, as a mean over the classes.

    Members nearly always agree, so without it the search takes ten times as long.
    """
    at_start = softmax((start.T @ features).T, axis=-1)
    uncertainty = (at_start * (1 - at_start)).mean(axis=1)
    weighted = features * np.sqrt(uncertainty)
    curvature = weighted @ weighted.T + penalty * np.eye(len(features))
    values, vectors = np.linalg.eigh(curvature / features.shape[1])
    return vectors / np.sqrt(values)
