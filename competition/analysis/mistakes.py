"""Rows worth a look: mistakes, uncertain digits, and labels that are likely wrong."""

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

# As many uncertain rows, labelled and not, as somebody may want to look through.
LEAST_CERTAIN = 100


@dataclass(frozen=True)
class LabelErrors:
    """Likely label errors, the likeliest first.

    Attributes:
        rows: int `[k]`, positions among the labelled rows.
        suggested: int `[k]`, the likeliest class besides the label.
        margins: float `[k]`, probability of the label less that of the suggested class.
        confident: bool `[k]`, whether confident learning counts the row as an error too.
    """

    rows: np.ndarray
    suggested: np.ndarray
    margins: np.ndarray
    confident: np.ndarray

    def __len__(self):
        return len(self.rows)


@dataclass(frozen=True)
class Findings:
    """What a gallery shows.

    Attributes:
        name: of the configuration.
        fingerprint: of the data set.
        members: their names.
        labelled: every labelled row, with out-of-fold probabilities.
        test: every test row.
    """

    name: str
    fingerprint: str
    members: list[str]
    labelled: PredictedDigits
    test: PredictedDigits

    @cached_property
    def score(self) -> Score:
        """The ensemble's, out of fold."""
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
        """Labels that are likely wrong, the likeliest first."""
        return likely_label_errors(self.labelled)


def find(run: Run, ensemble_result: EnsembleResult) -> Findings:
    """Looks through every row of a run and its ensemble."""
    return Findings(
        run.config.name,
        run.fingerprint,
        [str(member) for member in ensemble_result.member_predictions.members],
        out_of_fold_predictions(run, ensemble_result),
        test_predictions(run, ensemble_result),
    )


def mistakes(predicted: PredictedDigits) -> np.ndarray:
    """Returns the positions that were predicted wrongly, the most confident ones first."""
    wrong = np.flatnonzero(predicted.wrong)
    confidence = predicted.class_probabilities(predicted.predictions)[wrong]
    return wrong[np.argsort(-confidence, kind="stable")]


def least_certain(predicted: PredictedDigits, count: int) -> np.ndarray:
    """Returns at most `count` positions, the smallest margin first."""
    return np.argsort(predicted.margins, kind="stable")[:count]


def confused_pairs(
    predicted: PredictedDigits, rows: np.ndarray
) -> dict[tuple[int, int], np.ndarray]:
    """Groups mistakes by the two classes that were confused, either way; most frequent first."""
    labels, predictions = predicted.digits.labels[rows], predicted.predictions[rows]
    smaller, larger = np.minimum(labels, predictions), np.maximum(labels, predictions)
    groups: dict[tuple[int, int], np.ndarray] = {}
    for one, other in sorted(set(zip(smaller.tolist(), larger.tolist(), strict=True))):
        groups[one, other] = rows[(smaller == one) & (larger == other)]
    return dict(sorted(groups.items(), key=lambda group: -len(group[1])))


def likely_label_errors(predicted: PredictedDigits) -> LabelErrors:
    """Ranks the labels against which all members vote for one other class.

    The order is that of the normalised margin. `confident` are the rows off the diagonal of the
    confident joint (C. Northcutt, L. Jiang, I. Chuang, "Confident Learning", JAIR 70, 2021): of the
    classes whose threshold they reach, the likeliest is not the label. That rule alone names too
    few where nets are nearly always sure: its thresholds are then about 0.99.

    Args:
        predicted: labelled rows with out-of-fold probabilities.
    """
    labels, values = predicted.digits.labels, predicted.ensemble
    suggested = predicted.best_other_than(labels)
    margins = predicted.class_probabilities(labels) - predicted.class_probabilities(suggested)
    reached = np.where(values >= _thresholds(values, labels), values, 0)
    confident = (reached.max(axis=1) > 0) & (reached.argmax(axis=1) != labels)
    candidates = np.flatnonzero(predicted.unanimous_against_label)
    rows = candidates[np.argsort(margins[candidates], kind="stable")]
    return LabelErrors(rows, suggested[rows], margins[rows], confident[rows])


def _thresholds(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns each class's mean probability over the rows that are labelled so, float `[10]`."""
    own = [values[labels == label, label] for label in range(CLASSES)]
    # A class that no row is labelled as cannot be reached.
    return np.array([each.mean() if len(each) else np.inf for each in own])


def write_label_errors(path: Path, errors: LabelErrors, predicted: PredictedDigits) -> None:
    """Writes a line per likely error, the likeliest first; `confident` is yes or no."""
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
