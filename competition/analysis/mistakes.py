"""Rows worth a look: mistakes, uncertain digits, and likely label errors."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from competition.analysis.predictions import (
    PredictedDigits,
    out_of_fold_predictions,
    test_predictions,
)
from competition.data.run import Run
from competition.digits import CLASSES
from competition.ensemble.comparison import EnsembleResult
from competition.metrics import Score, score
from competition.tables import write_csv

LEAST_CERTAIN = 100  # rows that a person can still look through


@dataclass(frozen=True)
class LabelErrors:
    """Likely label errors, the likeliest first.

    Attributes:
        rows: int `[k]`, positions among the labelled rows.
        suggested: int `[k]`, the likeliest class other than the label.
        margins: float `[k]`, probability of the label minus that of the suggested class.
        confident: bool `[k]`, whether confident learning flags the row too.
    """

    rows: np.ndarray
    suggested: np.ndarray
    margins: np.ndarray
    confident: np.ndarray

    def __len__(self):
        return len(self.rows)


@dataclass(frozen=True)
class Findings:
    """The contents of a gallery; `name` is the configuration's, `fingerprint` the data set's."""

    name: str
    fingerprint: str
    members: list[str]
    labelled: PredictedDigits
    test: PredictedDigits

    @cached_property
    def score(self) -> Score:
        """The ensemble's out-of-fold score."""
        return score(self.labelled.ensemble, self.labelled.digits.labels)

    @cached_property
    def mistakes(self) -> np.ndarray:
        """Positions among the labelled rows, int `[k]`, the most confident first."""
        return mistakes(self.labelled)

    @cached_property
    def uncertain(self) -> np.ndarray:
        """Positions among the labelled rows, int, the smallest margin first."""
        return least_certain(self.labelled, LEAST_CERTAIN)

    @cached_property
    def uncertain_test(self) -> np.ndarray:
        """Positions among the test rows, int, the smallest margin first."""
        return least_certain(self.test, LEAST_CERTAIN)

    @cached_property
    def label_errors(self) -> LabelErrors:
        """Likely label errors, the likeliest first."""
        return likely_label_errors(self.labelled)

    @property
    def worth_a_look(self) -> np.ndarray:
        """Positions among the labelled rows, int `[k]`: the rows of the three above, sorted."""
        return np.unique(np.concatenate([self.mistakes, self.uncertain, self.label_errors.rows]))


def find(run: Run, ensemble_result: EnsembleResult) -> Findings:
    """Returns the findings of a run and its ensemble."""
    return Findings(
        run.config.name,
        run.fingerprint,
        [str(member) for member in ensemble_result.member_predictions.members],
        out_of_fold_predictions(run, ensemble_result),
        test_predictions(run, ensemble_result),
    )


def mistakes(predicted: PredictedDigits) -> np.ndarray:
    """Returns the positions of wrong predictions, the most confident first."""
    wrong = np.flatnonzero(predicted.wrong)
    confidence = predicted.class_probabilities(predicted.predictions)[wrong]
    return wrong[np.argsort(-confidence, kind="stable")]


def least_certain(predicted: PredictedDigits, count: int) -> np.ndarray:
    """Returns at most `count` positions, the smallest margin first."""
    return np.argsort(predicted.margins, kind="stable")[:count]


def confused_pairs(
    predicted: PredictedDigits, rows: np.ndarray
) -> dict[tuple[int, int], np.ndarray]:
    """Groups mistakes by pair of classes, in either direction; the most frequent pair first."""
    labels, predictions = predicted.digits.labels[rows], predicted.predictions[rows]
    smaller, larger = np.minimum(labels, predictions), np.maximum(labels, predictions)
    groups: dict[tuple[int, int], np.ndarray] = {}
    for one, other in sorted(set(zip(smaller.tolist(), larger.tolist(), strict=True))):
        groups[one, other] = rows[(smaller == one) & (larger == other)]
    return dict(sorted(groups.items(), key=lambda group: -len(group[1])))


def likely_label_errors(predicted: PredictedDigits) -> LabelErrors:
    """Ranks the rows for which all members vote for the same class, and not for the label.

    The order is that of the normalised margin. `confident` rows are off the diagonal of the
    confident joint (C. Northcutt, L. Jiang, I. Chuang, "Confident Learning", JAIR 70, 2021): of the
    classes that reach their threshold, the likeliest is not the label. That rule alone flags too
    few rows where nets are nearly always sure: its thresholds are then about 0.99.
    """
    labels, values = predicted.digits.labels, predicted.ensemble
    suggested = predicted.best_other_than(labels)
    margins = predicted.class_probabilities(labels) - predicted.class_probabilities(suggested)
    by_class = [values[labels == label, label] for label in range(CLASSES)]
    # A class without labelled rows is never reached.
    thresholds = [each.mean() if len(each) else np.inf for each in by_class]
    reached = np.where(values >= thresholds, values, 0)
    confident = (reached.max(axis=1) > 0) & (reached.argmax(axis=1) != labels)
    candidates = np.flatnonzero(predicted.unanimous_against_label)
    rows = candidates[np.argsort(margins[candidates], kind="stable")]
    return LabelErrors(rows, suggested[rows], margins[rows], confident[rows])


def write_label_errors(path: Path, errors: LabelErrors, predicted: PredictedDigits) -> None:
    """Writes one line per likely error, the likeliest first; `confident` is yes or no."""
    import pandas as pd

    rows = predicted.take(errors.rows)
    frame = pd.DataFrame(
        {
            "rank": range(1, len(errors) + 1),
            "id": rows.digits.ids,
            "label": rows.digits.labels,
            "suggested": errors.suggested,
            "label_probability": rows.class_probabilities(rows.digits.labels),
            "suggested_probability": rows.class_probabilities(errors.suggested),
            "margin": errors.margins,
            "confident": np.where(errors.confident, "yes", "no"),
        }
    )
    fractions = ["label_probability", "suggested_probability", "margin"]
    frame[fractions] = frame[fractions].map("{:.4f}".format)
    write_csv(path, frame)
