"""Whether probabilities are as sure as they are right, and making them so.

After C. Guo, G. Pleiss, Y. Sun and K. Q. Weinberger, "On Calibration of Modern Neural Networks",
ICML 2017.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import softmax

from competition.ensemble.fitted import Fitted
from competition.scores import log_probabilities

BINS = 15  # as in the paper
# Wide enough never to bind on nets that are trained; it keeps the search finite on the others.
INVERSE_TEMPERATURES = (0.05, 20.0)


def temperature(members: np.ndarray, labels: np.ndarray) -> Fitted:
    """The mean of the members, each at a temperature of its own, brought to a temperature again.

    See `fitted.py` for the arguments. A temperature above 1 makes probabilities less sure, one
    below 1 surer. Each is the one of least log-loss; that of the result is fitted last.
    """
    logits = log_probabilities(members)
    inverse = np.array([_fit_inverse_temperature(each, labels) for each in logits])
    of_mean = _fit_inverse_temperature(_log_of_mean(logits, inverse), labels)
    return Fitted(
        lambda rows: softmax(_log_of_mean(log_probabilities(rows), inverse) * of_mean, axis=-1),
        {
            "member_temperatures": [round(float(1 / each), 6) for each in inverse],
            "temperature": round(1 / of_mean, 6),
        },
    )


def _log_of_mean(logits: np.ndarray, inverse_temperatures: np.ndarray) -> np.ndarray:
    scaled = softmax(logits * inverse_temperatures[:, None, None], axis=-1)
    return log_probabilities(scaled.mean(axis=0))


def _fit_inverse_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Returns the factor of the logits `[n, 10]` that gives the least log-loss, which is convex."""
    of_truth = logits[np.arange(len(labels)), labels].mean()
    fitted = minimize(
        _loss_and_gradient,
        [1.0],
        (np.ascontiguousarray(logits.T), of_truth),  # sums over classes are faster like this
        jac=True,
        method="L-BFGS-B",
        bounds=[INVERSE_TEMPERATURES],
    )
    return float(fitted.x[0])


def _loss_and_gradient(
    factor: np.ndarray, logits: np.ndarray, of_truth: float
) -> tuple[float, float]:
    """Returns the mean log-loss of logits `[10, n]` times a factor, and its derivative."""
    powers = np.exp(logits * factor)  # log-probabilities: none overflows, and one is near 0
    totals = powers.sum(axis=0)
    expected = (np.einsum("cn,cn->n", powers, logits) / totals).mean()
    return np.log(totals).mean() - factor[0] * of_truth, expected - of_truth


def expected_calibration_error(values: np.ndarray, labels: np.ndarray) -> float:
    """Returns by how much confidence and accuracy differ, on average over the rows.

    Rows are put into 15 bins of equal width by their confidence, the probability of the predicted
    class; each bin has its mean confidence and its accuracy.

    Args:
        values: probabilities `[n, 10]`.
        labels: the classes `[n]`.

    Returns:
        From 0, where every bin is as right as it is sure, to 1.
    """
    bins = reliability(values, labels)
    return float(np.abs(bins.right - bins.confidence_sums).sum() / len(labels))


@dataclass(frozen=True)
class Reliability:
    """Rows in 15 bins of equal width by their confidence, from 0 to 1.

    Attributes:
        rows: int `[15]`, how many there are.
        right: float `[15]`, how many of them are predicted rightly.
        confidence_sums: float `[15]`, the sum of their confidences.
    """

    rows: np.ndarray
    right: np.ndarray
    confidence_sums: np.ndarray


def reliability(values: np.ndarray, labels: np.ndarray) -> Reliability:
    """Bins probabilities `[n, 10]` of the classes `[n]` by that of the predicted class."""
    confidence = values.max(axis=1)
    is_right = values.argmax(axis=1) == labels
    # A bin's upper end belongs to it; none is sure of nothing, or surer than sure.
    bins = (np.ceil(confidence * BINS).astype(int) - 1).clip(0, BINS - 1)
    counts = (np.bincount(bins, weights, BINS) for weights in (None, is_right, confidence))
    return Reliability(*counts)
