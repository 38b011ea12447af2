"""Which rows of a run are worth a look; draws nothing."""

from dataclasses import dataclass

import numpy as np

from competition.data.run import Run
from competition.ensemble.blend import Blend
from competition.inspection.evaluation.cases import Cases, out_of_fold_cases, test_cases
from competition.inspection.evaluation.label_errors import LabelErrors, likely_label_errors
from competition.scores import Score, score

# As many uncertain rows, labelled and not, as somebody may want to look through.
LEAST_CERTAIN = 100


@dataclass(frozen=True)
class Findings:
    """What a gallery shows.

    Attributes:
        name: of the configuration.
        fingerprint: of the data set.
        members: their names.
        score: of the ensemble, out of fold.
        labelled: every labelled row, with out-of-fold probabilities.
        test: every test row.
        mistakes: int `[k]`, positions among the labelled rows, the most confident first.
        uncertain: int, positions among the labelled rows, the smallest margin first.
        uncertain_test: int, positions among the test rows, the smallest margin first.
        label_errors: labels that are likely wrong, the likeliest first.
    """

    name: str
    fingerprint: str
    members: list[str]
    score: Score
    labelled: Cases
    test: Cases
    mistakes: np.ndarray
    uncertain: np.ndarray
    uncertain_test: np.ndarray
    label_errors: LabelErrors


def find(run: Run, blend: Blend) -> Findings:
    """Looks through every row of a run and its ensemble."""
    members = [str(member) for member in blend.panel.members]
    labelled, test = out_of_fold_cases(run, blend), test_cases(run, blend)
    return look_through(run.config.name, run.fingerprint, members, labelled, test)


def look_through(
    name: str, fingerprint: str, members: list[str], labelled: Cases, test: Cases
) -> Findings:
    """Returns what is worth a look among these rows; `Findings` explains the arguments."""
    return Findings(
        name=name,
        fingerprint=fingerprint,
        members=members,
        score=score(labelled.ensemble, labelled.digits.labels),
        labelled=labelled,
        test=test,
        mistakes=mistakes(labelled),
        uncertain=least_certain(labelled, LEAST_CERTAIN),
        uncertain_test=least_certain(test, LEAST_CERTAIN),
        label_errors=likely_label_errors(labelled),
    )


def mistakes(cases: Cases) -> np.ndarray:
    """Returns the positions that were predicted wrongly, the most confident ones first."""
    wrong = np.flatnonzero(cases.wrong)
    confidence = cases.of_class(cases.predictions)[wrong]
    return wrong[np.argsort(-confidence, kind="stable")]


def least_certain(cases: Cases, count: int) -> np.ndarray:
    """Returns at most `count` positions, the smallest margin first."""
    return np.argsort(cases.margins, kind="stable")[:count]


def confused_pairs(cases: Cases, rows: np.ndarray) -> dict[tuple[int, int], np.ndarray]:
    """Groups mistakes by the two classes that were confused, either way; most frequent first."""
    pairs: dict[tuple[int, int], list[int]] = {}
    for row in rows:
        pair = sorted((int(cases.digits.labels[row]), int(cases.predictions[row])))
        pairs.setdefault(tuple(pair), []).append(row)
    ordered = sorted(pairs.items(), key=lambda item: (-len(item[1]), item[0]))
    return {pair: np.array(of_pair) for pair, of_pair in ordered}
