"""Each class against the others: confusions, precision, recall, F1, ROC and PR curves."""

from dataclasses import dataclass

import numpy as np

from competition.digits import CLASSES

# A drawn curve keeps at most two points per step; areas are computed from all points.
CURVE_STEPS = 400


def confusion_counts(labels: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """Counts rows, int `[10, 10]`, by label (first) and prediction."""
    from sklearn.metrics import confusion_matrix

    return confusion_matrix(labels, predictions, labels=range(CLASSES))


@dataclass(frozen=True)
class ClassFigures:
    """A classification report, `[10]` each: float64, NaN where nothing is counted; support int."""

    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    support: np.ndarray

    def means(self) -> tuple[float, float, float]:
        """Returns the means of precision, recall and F1 over the classes that have them."""
        precision, recall, f1 = np.nanmean([self.precision, self.recall, self.f1], axis=1).tolist()
        return precision, recall, f1


def class_figures(labels: np.ndarray, predictions: np.ndarray) -> ClassFigures:
    """Returns precision, recall, F1 and support of each class."""
    from sklearn.metrics import precision_recall_fscore_support

    return ClassFigures(
        *precision_recall_fscore_support(
            labels, predictions, labels=range(CLASSES), zero_division=np.nan
        )
    )


@dataclass(frozen=True)
class Confused:
    """Rows of one label that were predicted as another class; `share` is of the label's rows."""

    label: int
    predicted: int
    count: int
    share: float


def most_confused(confusion: np.ndarray, count: int) -> list[Confused]:
    """Returns the `count` most frequent confusions; ties stand in the order of the classes."""
    support = confusion.sum(axis=1)
    mistakes = confusion - np.diag(confusion.diagonal())
    order = np.argsort(-mistakes, axis=None, kind="stable")[:count]
    pairs = [divmod(int(cell), CLASSES) for cell in order]
    return [
        Confused(one, other, int(mistakes[one, other]), float(mistakes[one, other] / support[one]))
        for one, other in pairs
        if mistakes[one, other]
    ]


@dataclass(frozen=True)
class ClassCurves:
    """One class against all others, over every threshold of its probability.

    Attributes:
        false_positive_rate, true_positive_rate: float `[p]` each, rising.
        roc_area: area under the curve of these two.
        recall, precision: float `[r]` each; recall falls.
        average_precision: area under the curve of these two, without interpolation.
    """

    label: int
    false_positive_rate: np.ndarray
    true_positive_rate: np.ndarray
    roc_area: float
    recall: np.ndarray
    precision: np.ndarray
    average_precision: float


def class_curves(values: np.ndarray, labels: np.ndarray) -> list[ClassCurves]:
    """Returns each class's curves, from probabilities `[n, 10]` and labels `[n]`.

    A class without rows, or with all of them, has no curve.
    """
    from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_curve

    supports = np.bincount(labels, minlength=CLASSES)
    curves = []
    for label in np.flatnonzero((supports > 0) & (supports < len(labels))).tolist():
        is_label, scores = labels == label, values[:, label]
        false_positive, true_positive, _ = roc_curve(is_label, scores)
        precision, recall, _ = precision_recall_curve(is_label, scores, drop_intermediate=True)
        curves.append(
            ClassCurves(
                label,
                *_thinned(false_positive, true_positive),
                float(auc(false_positive, true_positive)),
                *_thinned(recall, precision),
                float(average_precision_score(is_label, scores)),
            )
        )
    return curves


def _thinned(xs: np.ndarray, ys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns a curve with fewer points that looks the same."""
    # Points inside a horizontal or vertical piece are not needed.
    level = [(each[:-2] == each[1:-1]) & (each[1:-1] == each[2:]) for each in (xs, ys)]
    is_corner = np.pad(~(level[0] | level[1]), 1, constant_values=True)
    xs, ys = xs[is_corner], ys[is_corner]
    # Steps are equal in length plus number of corners, and both ends of the piece at each step are
    # kept: so no long piece moves, and no corner is lost where there are few.
    length = np.hypot(np.diff(xs, prepend=xs[0]), np.diff(ys, prepend=ys[0])).cumsum()
    walked = length / length[-1] + np.arange(len(xs)) / len(xs)
    after = np.searchsorted(walked, np.linspace(0, walked[-1], CURVE_STEPS))
    kept = np.unique(np.concatenate([after, (after - 1).clip(0)]))
    return xs[kept], ys[kept]
