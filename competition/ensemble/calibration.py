"""Whether probabilities are as sure as they are right, and making them so.

After C. Guo, G. Pleiss, Y. Sun and K. Q. Weinberger, "On Calibration of Modern Neural Networks",
ICML 2017.
"""

import numpy as np
from scipy.optimize import minimize
from scipy.special import softmax

from competition.ensemble.fitted import Fitted
from competition.scores import log_probabilities

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
