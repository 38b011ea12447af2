"""The gallery: a page of digits worth a look, PNG sheets of them, and the label errors as CSV."""

import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from competition import paths
from competition.analysis.explain import SimilarDigits
from competition.analysis.mistakes import Findings, confused_pairs, write_label_errors
from competition.analysis.predictions import PredictedDigits
from competition.console import count_of, with_progress
from competition.data import label_marks
from competition.digits import Digits
from competition.pages.contact_sheet import COLUMNS, QUIET_COLOUR, ContactSheet, ink_on_paper
from competition.pages.figures import shades
from competition.pages.html import DIGITS_PER_SPRITE, SPRITE_COLUMNS, render, sprites
from competition.pages.overview import refresh
from competition.storage import atomic_folder

ROWS = 8
DIGITS_PER_SHEET = COLUMNS * ROWS
# A bad run has thousands of mistakes: the page has all, the sheets only the first of each kind.
SHEETS_PER_KIND = 3
KEY = "Below each digit: {}; the two likeliest classes; #row id."


@dataclass(frozen=True)
class View:
    """A selection of the page's rows.

    Attributes:
        key: its name in the page's address.
        sort: its default order: `loss`, `margin`, `disagreement`, `rank` or `id`.
    """

    key: str
    title: str
    sort: str
    note: str


VIEWS = (
    View("mistakes", "Mistakes", "loss",
         "Out-of-fold digits for which the ensemble's prediction differs from the label."),
    View("label-errors", "Likely label errors", "rank",
         "Labels that all members contradict, most suspicious first; a star: also flagged by "
         "confident learning."),
    View("uncertain", "Least certain", "margin",
         "Out-of-fold digits, right or wrong, with the smallest margin between two classes."),
    View("test", "Test rows", "margin",
         "The test digits with the smallest margin; they have no labels."),
    View("all", "All", "loss", "Every digit on this page."),
)  # fmt: skip


@dataclass(frozen=True)
class Company:
    """What the page of a gallery shares with other pages of the run.

    Attributes:
        explained: ids of the labelled rows that `make why` explained; the page links them.
        explored: ids of the labelled and of the test rows in the plane of `make explore`, from
            where a selection comes.
        similar: the nearest digits of the rows worth a look.
    """

    explained: Collection[int] = ()
    explored: tuple[Collection[int], Collection[int]] = ((), ())
    similar: SimilarDigits | None = None


ALONE = Company()


def write_gallery(findings: Findings, all_rows: bool, company: Company = ALONE) -> Path:
    """Writes and returns `output/<config>/gallery/`; of the old one, only exported marks stay.

    Args:
        findings: the contents.
        all_rows: whether the page has all labelled rows, or only those worth a look.
        company: what it shares with other pages.
    """
    final = paths.OutputPaths(findings.name).gallery
    with atomic_folder(final) as folder:
        write_page(folder / paths.PAGE, findings, all_rows, company)
        write_sheets(folder, findings)
        write_label_errors(folder / paths.LABEL_ERRORS, findings.label_errors, findings.labelled)
        for marks in final.glob(paths.MARKS_PATTERN):
            shutil.copy2(marks, folder / marks.name)
    refresh(findings.name)
    return final


def write_page(path: Path, findings: Findings, all_rows: bool, company: Company = ALONE) -> None:
    """Writes the page; arguments as of `write_gallery`."""
    rows, tests = _labelled_rows(findings, all_rows, company), _test_rows(findings, company)
    labelled, test = findings.labelled.take(rows), findings.test.take(tests)
    confusion = findings.labelled.confusion()
    why = f"../{paths.OutputPaths(findings.name).why.name}/{paths.PAGE}"
    similar, more = _similar(findings, company.similar, rows, tests)
    text = render(
        "gallery.html",
        findings=findings,
        views=VIEWS,
        marks=label_marks.MARKS,
        confusion=confusion,
        shades=shades(confusion),
        why=why if company.explained else None,
        data=_data(findings, rows, labelled, test, more.images)
        | {"explained": sorted(company.explained)}
        | similar,
    )
    path.write_text(text, encoding="utf-8")


def _labelled_rows(findings: Findings, all_rows: bool, company: Company) -> np.ndarray:
    """Returns the positions of the page's labelled rows, the highest loss first."""
    labelled = findings.labelled
    linked = [*company.explained, *company.explored[0]]
    rows = np.union1d(findings.worth_a_look, np.flatnonzero(np.isin(labelled.digits.ids, linked)))
    rows = np.arange(len(labelled)) if all_rows else rows
    return rows[np.argsort(-labelled.losses[rows], kind="stable")]


def _test_rows(findings: Findings, company: Company) -> np.ndarray:
    """Returns the positions of the page's test rows: the least certain, then the linked ones."""
    linked = np.flatnonzero(np.isin(findings.test.digits.ids, [*company.explored[1]]))
    return np.concatenate([findings.uncertain_test, np.setdiff1d(linked, findings.uncertain_test)])


def _view_rows(findings: Findings, rows: np.ndarray, tests: int) -> dict[str, np.ndarray]:
    """Returns each view's positions in the page, which has `rows`, then the test rows."""
    place = np.full(len(findings.labelled), -1)
    place[rows] = np.arange(len(rows))
    return {
        "mistakes": place[findings.mistakes],
        "label-errors": place[findings.label_errors.rows],
        "uncertain": place[findings.uncertain],
        "test": len(rows) + np.arange(len(findings.uncertain_test)),
        "all": np.arange(len(rows) + tests),
    }


def _similar(
    findings: Findings, similar: SimilarDigits | None, rows: np.ndarray, tests: np.ndarray
) -> tuple[dict, Digits]:
    """Returns the similar digits of the page's rows as JSON values, and the digits themselves."""
    by, labelled, test = (similar.by, similar.labelled, similar.test) if similar else ("", {}, {})
    found = [*(labelled.get(row, []) for row in rows.tolist()),
             *(test.get(row, []) for row in tests.tolist())]  # fmt: skip
    shown = sorted({each for several in found for each in several})
    numbers = {each: number for number, each in enumerate(shown)}
    digits = findings.labelled.digits.take(np.array(shown, int))
    values = {
        "similarBy": by,
        "similar": [[numbers[each] for each in several] for several in found],
        "similarId": digits.ids.tolist(),
        "similarLabel": digits.labels.tolist(),
    }
    return values, digits


def _data(
    findings: Findings,
    rows: np.ndarray,
    labelled: PredictedDigits,
    test: PredictedDigits,
    more: np.ndarray,
) -> dict:
    """Returns the page's data as JSON values: one list per column, test rows last.

    The sprites have the digits of these rows, then `more`, uint8 `[s, 28, 28]`.
    """
    view_rows = _view_rows(findings, rows, len(test))
    errors = findings.label_errors
    # Of likely label errors: the rank, 0 for other rows, and whether there is a star.
    rank, confident = np.zeros((2, len(findings.labelled)), int)
    rank[errors.rows], confident[errors.rows] = np.arange(1, len(errors) + 1), errors.confident
    return {
        "name": findings.name,
        "fingerprint": findings.fingerprint[:16],
        "members": findings.members,
        "markColumns": [*label_marks.COLUMNS, *label_marks.AUTHOR_COLUMNS],
        "marks": label_marks.MARKS,
        "views": {view.key: view_rows[view.key].tolist() for view in VIEWS},
        "sorts": {view.key: view.sort for view in VIEWS},
        "labelled": len(labelled),
        "isWhole": len(labelled) == len(findings.labelled),
        "id": _joined(labelled.digits.ids, test.digits.ids),
        "label": labelled.digits.labels.tolist(),
        "fold": np.asarray(labelled.folds).tolist(),
        "prediction": _joined(labelled.predictions, test.predictions),
        "votes": _joined(labelled.votes.T, test.votes.T),
        "ensemble": _joined(_per_mille(labelled.ensemble), _per_mille(test.ensemble)),
        "memberValues": _joined(
            *(_per_mille(each.members.swapaxes(0, 1)) for each in (labelled, test))
        ),
        "loss": labelled.losses.round(4).tolist(),
        "margin": _joined(*(each.margins.astype(float).round(4) for each in (labelled, test))),
        "disagreement": _joined(labelled.disagreements.round(4), test.disagreements.round(4)),
        "rank": rank[rows].tolist(),
        "confident": confident[rows].tolist(),
        "spriteColumns": SPRITE_COLUMNS,
        "digitsPerSprite": DIGITS_PER_SPRITE,
        "sprites": sprites(np.concatenate([labelled.digits.images, test.digits.images, more])),
    }


def _joined(labelled: np.ndarray, test: np.ndarray) -> list:
    """Returns one flat list, row by row."""
    return np.concatenate([labelled.reshape(-1), test.reshape(-1)]).tolist()


def _per_mille(values: np.ndarray) -> np.ndarray:
    return np.rint(values * 1000).astype(int)


@dataclass(frozen=True)
class Series:
    """Digits of one kind, on as many sheets as they fill; `order` is a sentence on their order."""

    stem: str
    title: str
    order: str
    predicted: PredictedDigits


def write_sheets(folder: Path, findings: Findings) -> None:
    """Writes PNG sheets of mistakes, confused pairs, uncertain rows and likely label errors."""
    kinds = [*_kinds(findings), *_pairs(findings)]
    for series in with_progress(f"drawing sheets of {len(kinds)} kinds", kinds):
        _write_series(folder, series)


def _kinds(findings: Findings) -> list[Series]:
    name, labelled, test = findings.name, findings.labelled, findings.test
    errors = findings.label_errors
    return [
        Series(
            "mistakes",
            f"{count_of(len(findings.mistakes), 'mistake')} in {len(labelled):,} out-of-fold "
            f"digits of “{name}”",
            "Most confident first.",
            labelled.take(findings.mistakes),
        ),
        Series(
            "label-errors",
            f"{count_of(len(errors), 'likely label error')} in the digits of “{name}”",
            "All members contradict the label; likeliest first. Confident learning flags "
            f"{errors.confident.sum()} of them.",
            labelled.take(errors.rows),
        ),
        Series(
            "least-certain",
            f"The least certain out-of-fold digits of “{name}”",
            "Smallest margin first, right or wrong.",
            labelled.take(findings.uncertain[:DIGITS_PER_SHEET]),
        ),
        Series(
            "least-certain-test",
            f"The least certain test digits of “{name}”",
            "Smallest margin first; test rows have no label.",
            test.take(findings.uncertain_test[:DIGITS_PER_SHEET]),
        ),
    ]


def _pairs(findings: Findings) -> list[Series]:
    found = confused_pairs(findings.labelled, findings.mistakes)
    return [
        Series(
            f"pair-{one}-{other}",
            f"{one} and {other}: confused "
            f"{'once' if len(rows) == 1 else f'{len(rows):,} times'} by “{findings.name}”",
            "Most confident first.",
            findings.labelled.take(rows),
        )
        for (one, other), rows in found.items()
    ]


def _write_series(folder: Path, series: Series) -> None:
    """Writes numbered sheets, or a single one; an empty series gets an empty sheet."""
    shown = min(len(series.predicted), SHEETS_PER_KIND * DIGITS_PER_SHEET)
    pages = [
        np.arange(start, min(start + DIGITS_PER_SHEET, shown))
        for start in range(0, max(1, shown), DIGITS_PER_SHEET)
    ]
    order = series.order
    if shown < len(series.predicted):
        order = f"{order} These are the first {shown:,}; index.html has all."
    for number, page in enumerate(pages, start=1):
        single = len(pages) == 1
        name = series.stem if single else f"{series.stem}-{number:02d}"
        title = series.title if single else f"{series.title}  ({number} of {len(pages)})"
        _write_sheet(folder / f"{name}.png", title, order, series.predicted.take(page))


def _write_sheet(path: Path, title: str, order: str, predicted: PredictedDigits) -> None:
    key = KEY.format("prediction" if predicted.digits.labels is None else "label → prediction")
    sheet = ContactSheet(-(-len(predicted) // COLUMNS), title, f"{order} {key}")
    for position, image in enumerate(predicted.digits.images):
        below = sheet.draw(*divmod(position, COLUMNS), ink_on_paper(image))
        _write_caption(sheet, predicted, position, *below)
    sheet.save(path)


def _write_caption(
    sheet: ContactSheet, predicted: PredictedDigits, row: int, centre: float, top: float
) -> None:
    """Writes label → prediction, the two likeliest classes with probabilities, and the id."""
    label = None if predicted.digits.labels is None else predicted.digits.labels[row]
    sheet.write_classes(label, predicted.predictions[row], centre, top)
    two = (predicted.predictions[row], predicted.runners_up[row])
    shares = "   ".join(f"{one}: {predicted.ensemble[row, one]:.1%}" for one in two)
    sheet.write_small(centre, top + 32, shares)
    sheet.write_small(centre, top + 51, f"#{predicted.digits.ids[row]}", color=QUIET_COLOUR)
