"""Each class against the others: confusions, precision, recall, F1, ROC and PR curves."""

from dataclasses import dataclass

import numpy as np

from competition.digits import CLASSES

# A curve keeps at most two points per step; the areas are those of the whole curve.
CURVE_STEPS = 400


def confusion_counts(labels: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """Counts rows, int `[10, 10]`, by label (first) and prediction."""
    from sklearn.metrics import confusion_matrix

    return confusion_matrix(labels, predictions, labels=range(CLASSES))


@dataclass(frozen=True)
class ClassFigures:
    """The figures of a classification report, float64 `[10]` each; NaN where nothing is counted.

    Attributes:
        precision: the share of the rows predicted as a class that are of it.
        recall: the share of the rows of a class that are predicted as it.
        f1: the harmonic mean of both.
        support: the rows of the class, int.
    """

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
    """Returns the most frequent confusions, at most `count`; level ones in the classes' order."""
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
        label: the class.
        false_positive_rate: float `[p]`, rising; the share of the other classes' rows taken.
        true_positive_rate: float `[p]`, the share of the class's rows taken.
        roc_area: under the curve of these two: how often a row of the class has a higher
            probability of it than a row of another.
        recall: float `[r]`, falling.
        precision: float `[r]`.
        average_precision: the area under these two, without interpolation.
    """

    label: int
    false_positive_rate: np.ndarray
    true_positive_rate: np.ndarray
    roc_area: float
    recall: np.ndarray
    precision: np.ndarray
    average_precision: float


def class_curves(values: np.ndarray, labels: np.ndarray) -> list[ClassCurves]:
    """Returns the curves of each class that has rows, if other classes have rows too.

    Args:
        values: probabilities `[n, 10]`.
        labels: the classes `[n]`.
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
    """Returns a curve with fewer points that looks the same, also where few corners are crowded."""
    # Points amid a horizontal or a vertical piece are no corners.
    amid = [(each[:-2] == each[1:-1]) & (each[1:-1] == each[2:]) for each in (xs, ys)]
    is_corner = np.pad(~(amid[0] | amid[1]), 1, constant_values=True)
    xs, ys = xs[is_corner], ys[is_corner]
    # The steps are equal in length and corners together, and both ends of the piece at each step
    # stay: so no long piece moves, and where corners are few, none is lost.
    length = np.hypot(np.diff(xs, prepend=xs[0]), np.diff(ys, prepend=ys[0])).cumsum()
    walked = length / length[-1] + np.arange(len(xs)) / len(xs)
    after = np.searchsorted(walked, np.linspace(0, walked[-1], CURVE_STEPS))
    kept = np.unique(np.concatenate([after, (after - 1).clip(0)]))
    return xs[kept], ys[kept]
