"""Contact sheets of digits as PNG files, for where there is no browser; computes nothing."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from competition.inspection.evaluation.cases import Cases
from competition.inspection.evaluation.findings import Findings, confused_pairs
from competition.inspection.presentation.contact_sheet import (
    COLUMNS,
    QUIET_COLOUR,
    ContactSheet,
    ink_on_paper,
    write_classes,
    write_small,
)
from competition.progress import with_progress
from competition.wording import count_of

ROWS = 8
DIGITS_PER_SHEET = COLUMNS * ROWS
# A bad run has thousands of mistakes: the page shows them all, the sheets the first of each kind.
SHEETS_OF_A_KIND = 3
KEY = "Below each digit: {}; the two likeliest classes; #row id."


@dataclass(frozen=True)
class Series:
    """Digits of one kind, on as many sheets as they fill.

    Attributes:
        stem: of the file names.
        title: the sheets' heading.
        order: a line below it: what comes first.
        cases: what is drawn, in this order.
    """

    stem: str
    title: str
    order: str
    cases: Cases


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
            f"All members contradict the label; likeliest first. {errors.confident.sum()} of them "
            "are errors by confident learning.",
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
            f"{one} and {other}: confused {_times(len(rows))} by “{findings.name}”",
            "Most confident first.",
            findings.labelled.take(rows),
        )
        for (one, other), rows in found.items()
    ]


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number:,} times"


def _write_series(folder: Path, series: Series) -> None:
    """Writes numbered sheets; at least one, if only to say that there is nothing."""
    shown = min(len(series.cases), SHEETS_OF_A_KIND * DIGITS_PER_SHEET)
    pages = [
        np.arange(start, min(start + DIGITS_PER_SHEET, shown))
        for start in range(0, max(1, shown), DIGITS_PER_SHEET)
    ]
    order = series.order
    if shown < len(series.cases):
        order = f"{order} These are the first {shown:,}; index.html has all."
    for number, page in enumerate(pages, start=1):
        single = len(pages) == 1
        name = series.stem if single else f"{series.stem}-{number:02d}"
        title = series.title if single else f"{series.title}  ({number} of {len(pages)})"
        _write_sheet(folder / f"{name}.png", title, order, series.cases.take(page))


def _write_sheet(path: Path, title: str, order: str, cases: Cases) -> None:
    key = KEY.format("prediction" if cases.digits.labels is None else "label → prediction")
    sheet = ContactSheet(-(-len(cases) // COLUMNS), title, f"{order} {key}")
    for position, image in enumerate(cases.digits.images):
        below = sheet.draw(*divmod(position, COLUMNS), ink_on_paper(image))
        _write_caption(sheet, cases, position, *below)
    sheet.save(path)


def _write_caption(sheet: ContactSheet, cases: Cases, row: int, centre: float, top: float) -> None:
    """Writes the classes, the two likeliest with their probabilities, and the id."""
    label = None if cases.digits.labels is None else cases.digits.labels[row]
    write_classes(sheet, label, cases.predictions[row], centre, top)
    two = (cases.predictions[row], cases.runners_up[row])
    shares = "   ".join(f"{one}: {cases.ensemble[row, one]:.1%}" for one in two)
    write_small(sheet, centre, top + 32, shares)
    write_small(sheet, centre, top + 51, f"#{cases.digits.ids[row]}", color=QUIET_COLOUR)
