"""Marks of labelled rows, set by a person in the gallery: a CSV, read and checked.

    id,given_label,mark,label,who,when
    1234,4,label error,9,Ann,2026-11-29T10:15:00Z
    1301,7,ambiguous,,Ann,2026-11-29T10:16:30Z
    2210,5,real mistake,,Ben,2026-11-29T11:02:10Z

`given_label` is the row's label in the data set: it shows that the marks belong to this data.
`mark` is one of `MARKS`. `label` is the right class; only a `label error` has one, and it is empty
when the label is wrong but no other is better. Nothing here depends on who marked a row, and when:
the gallery merges marks by them, and a file may lack both columns.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from competition.console import count_of
from competition.digits import Digits
from competition.errors import UserError
from competition.tables import filled_rows, read_csv

COLUMNS = ("id", "given_label", "mark", "label")
AUTHOR_COLUMNS = ("who", "when")
LABEL_ERROR = "label error"
MARKS = (LABEL_ERROR, "ambiguous", "real mistake")


@dataclass(frozen=True)
class Mark:
    """One line of the CSV: `label` is None unless it is a label error with a known right class."""

    id: int
    mark: str
    label: int | None


def without_label_errors(
    digits: Digits, training_rows: np.ndarray, label_errors: dict[int, int | None]
) -> tuple[Digits, np.ndarray]:
    """Returns the digits with training labels corrected, and the training rows that are kept.

    The labels of all other rows do not change: scores are computed on them.

    Args:
        digits: all labelled digits.
        training_rows: int `[n]`, positions among them.
        label_errors: the right label by the row's id; None leaves the row out.
    """
    if not label_errors:
        return digits, training_rows
    known = {id: label for id, label in label_errors.items() if label is not None}
    unknown = [id for id, label in label_errors.items() if label is None]
    ids, labels = digits.ids[training_rows], digits.labels.copy()
    for row in training_rows[np.isin(ids, list(known))]:
        labels[row] = known[int(digits.ids[row])]
    return Digits(digits.ids, digits.images, labels), training_rows[~np.isin(ids, unknown)]


def label_errors_in_words(label_errors: dict[int, int | None]) -> str:
    """Returns in words how many label errors are corrected for training, and how many left out."""
    left_out = sum(label is None for label in label_errors.values())
    corrected = count_of(len(label_errors) - left_out, "label error")
    return f"{corrected} corrected for training, {left_out} left out"


def read_label_errors(path: Path, digits: Digits) -> dict[int, int | None]:
    """Returns the right label of each label error by the row's id, None if not known."""
    return {each.id: each.label for each in read_marks(path, digits) if each.mark == LABEL_ERROR}


def read_marks(path: Path, digits: Digits) -> list[Mark]:
    """Reads a CSV of marks of these labelled digits; errors name file and line."""
    given = dict(zip(digits.ids.tolist(), digits.labels.tolist(), strict=True))
    marks: dict[int, Mark] = {}
    source = "the page that `make gallery` writes exports marks"
    rows = read_csv(path, COLUMNS, source, AUTHOR_COLUMNS)[[*COLUMNS]]
    for number, cells in filled_rows(rows).iterrows():
        try:
            mark = _mark(cells.tolist(), given)
            if mark.id in marks:
                raise ValueError(f"the id {mark.id} is on an earlier line, too")
        except ValueError as error:
            raise UserError(f"{path}, line {number}: {error}") from None
        marks[mark.id] = mark
    return list(marks.values())


def _mark(cells: list[str], given: dict[int, int]) -> Mark:
    """Returns the mark of a line; raises ValueError if something is wrong with it."""
    id_text, given_text, mark, label_text = cells
    row = int(id_text) if re.fullmatch("[0-9]{1,9}", id_text) else None
    if row not in given:
        raise ValueError(f"no labelled row has the id '{id_text}'")
    if given_text != str(given[row]):
        raise ValueError(
            f"the label of row {row} is {given[row]}, not '{given_text}': "
            "were the marks made on other data?"
        )
    if mark not in MARKS:
        raise ValueError(f"the mark is '{mark}', expected one of {', '.join(MARKS)}")
    return Mark(row, mark, _right_label(label_text, mark, given[row]))


def _right_label(text: str, mark: str, given: int) -> int | None:
    if not text:
        return None
    if mark != LABEL_ERROR:
        raise ValueError(f"only a '{LABEL_ERROR}' may have a label, not a '{mark}'")
    if not re.fullmatch("[0-9]", text):
        raise ValueError(f"the label is '{text}', expected 0 to 9")
    if int(text) == given:
        raise ValueError(f"the label {text} is the one that the row has already")
    return int(text)
