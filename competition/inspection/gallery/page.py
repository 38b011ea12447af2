"""The gallery as one page: findings as compact data for the template; computes nothing."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from competition import paths
from competition.data import marks
from competition.inspection.evaluation.cases import Cases
from competition.inspection.evaluation.findings import Findings
from competition.inspection.presentation.colours import shades
from competition.inspection.presentation.html import render
from competition.inspection.presentation.sprites import (
    DIGITS_PER_SPRITE,
    SPRITE_COLUMNS,
    sprites,
)


@dataclass(frozen=True)
class View:
    """A choice of the page's rows.

    Attributes:
        key: its name in the page's address.
        title: what it is called.
        sort: the order that suits it: `loss`, `margin`, `disagreement`, `rank` or `id`.
        note: what it holds, in a sentence.
    """

    key: str
    title: str
    sort: str
    note: str


VIEWS = (
    View(
        "mistakes",
        "Mistakes",
        "loss",
        "Out-of-fold digits that the ensemble takes for another class than their label.",
    ),
    View(
        "label-errors",
        "Likely label errors",
        "rank",
        "Labels that all members contradict, ranked by how much; confident learning names those "
        "with a star.",
    ),
    View(
        "uncertain",
        "Least certain",
        "margin",
        "Out-of-fold digits, right or wrong, with the smallest margin between two classes.",
    ),
    View(
        "test",
        "Test rows",
        "margin",
        "The test digits with the smallest margin; nobody knows their labels.",
    ),
    View(
        "all",
        "All",
        "loss",
        "Every digit of this page; make gallery ALL=1 puts all labelled ones into it.",
    ),
)


def write_page(
    path: Path, findings: Findings, all_rows: bool, explained: Collection[int] = ()
) -> None:
    """Writes the page.

    Args:
        path: the file.
        findings: what is shown.
        all_rows: whether every labelled row is in the page, or just those worth a look.
        explained: ids of the labelled rows that `make why` has explained, which are linked.
    """
    rows = _labelled_rows(findings, all_rows, explained)
    labelled, test = findings.labelled.take(rows), findings.test.take(findings.uncertain_test)
    confusion = findings.labelled.confusion()
    text = render(
        "gallery.html",
        findings=findings,
        views=VIEWS,
        marks=marks.MARKS,
        confusion=confusion,
        shades=shades(confusion),
        why=f"../{paths.why_folder(findings.name).name}/{paths.PAGE}" if explained else None,
        data=_data(findings, rows, labelled, test) | {"explained": sorted(explained)},
    )
    path.write_text(text, encoding="utf-8")


def _labelled_rows(findings: Findings, all_rows: bool, explained: Collection[int]) -> np.ndarray:
    """Returns positions among the labelled rows, the highest loss first."""
    labelled = findings.labelled
    linked = np.flatnonzero(np.isin(labelled.digits.ids, [*explained]))
    worth_a_look = findings.mistakes, findings.uncertain, findings.label_errors.rows, linked
    rows = np.arange(len(labelled)) if all_rows else np.unique(np.concatenate(worth_a_look))
    return rows[np.argsort(-labelled.losses[rows], kind="stable")]


def _view_rows(findings: Findings, rows: np.ndarray, tests: int) -> dict[str, np.ndarray]:
    """Returns positions by view, among `rows` and the test rows that follow them."""
    place = np.full(len(findings.labelled), -1)
    place[rows] = np.arange(len(rows))
    return {
        "mistakes": place[findings.mistakes],
        "label-errors": place[findings.label_errors.rows],
        "uncertain": place[findings.uncertain],
        "test": np.arange(len(rows), len(rows) + tests),
        "all": np.arange(len(rows) + tests),
    }


def _data(findings: Findings, rows: np.ndarray, labelled: Cases, test: Cases) -> dict:
    """Returns what the page's scripts read, as JSON values: a list a column, test rows last."""
    view_rows = _view_rows(findings, rows, len(test))
    rank, confident = _ranks(findings, rows)
    return {
        "name": findings.name,
        "fingerprint": findings.fingerprint[:16],
        "members": findings.members,
        "markColumns": marks.COLUMNS,
        "marks": marks.MARKS,
        "views": {view.key: view_rows[view.key].tolist() for view in VIEWS},
        "sorts": {view.key: view.sort for view in VIEWS},
        "labelled": len(labelled),
        "id": _joined(labelled.digits.ids, test.digits.ids),
        "label": labelled.digits.labels.tolist(),
        "fold": labelled.folds.tolist(),
        "prediction": _joined(labelled.predictions, test.predictions),
        "votes": _joined(labelled.votes.T, test.votes.T),
        "ensemble": _joined(_per_mille(labelled.ensemble), _per_mille(test.ensemble)),
        "memberValues": _joined(*(_per_mille(c.members.swapaxes(0, 1)) for c in (labelled, test))),
        "loss": labelled.losses.round(4).tolist(),
        "margin": _joined(*(c.margins.astype(float).round(4) for c in (labelled, test))),
        "disagreement": _joined(labelled.disagreements.round(4), test.disagreements.round(4)),
        "rank": rank,
        "confident": confident,
        "spriteColumns": SPRITE_COLUMNS,
        "digitsPerSprite": DIGITS_PER_SPRITE,
        "sprites": sprites(np.concatenate([labelled.digits.images, test.digits.images])),
    }


def _joined(labelled: np.ndarray, test: np.ndarray) -> list:
    """Returns one flat list, row after row."""
    return np.concatenate([labelled.reshape(-1), test.reshape(-1)]).tolist()


def _per_mille(values: np.ndarray) -> np.ndarray:
    return np.rint(values * 1000).astype(int)


def _ranks(findings: Findings, rows: np.ndarray) -> tuple[list[int], list[int]]:
    """Returns each row's rank among the likely label errors, 0 for none, and 1 for starred ones."""
    rank, confident = np.zeros((2, len(findings.labelled)), int)
    rank[findings.label_errors.rows] = np.arange(1, len(findings.label_errors) + 1)
    confident[findings.label_errors.rows] = findings.label_errors.confident
    return rank[rows].tolist(), confident[rows].tolist()
