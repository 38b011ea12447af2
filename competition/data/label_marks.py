"""Marks that a person gave to labelled rows in the gallery: a CSV, read and checked.

    id,given_label,mark,label
    1234,4,label error,9
    1301,7,ambiguous,
    2210,5,real mistake,

`id` is the row's, `given_label` the label that the data set has for it: it shows that the marks
belong to this data. `mark` is one of `MARKS`. `label` is what the person believes the digit to be;
only a `label error` has one, and it may be empty, when the label is wrong but no other is better.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from competition.console import count_of
from competition.digits import Digits
from competition.errors import UserError
from competition.tables import read_csv

COLUMNS = ("id", "given_label", "mark", "label")
LABEL_ERROR = "label error"
MARKS = (LABEL_ERROR, "ambiguous", "real mistake")


@dataclass(frozen=True)
class Mark:
    """What a person says of one labelled row.

    Attributes:
        id: of the row.
        mark: one of `MARKS`.
        label: of a label error, the right class if the person named one; otherwise None.
    """

    id: int
    mark: str
    label: int | None


def without_label_errors(
    digits: Digits, training_rows: np.ndarray, label_errors: dict[int, int | None]
) -> tuple[Digits, np.ndarray]:
    """Returns the digits and rows that a training learns from, with wrong labels corrected.

    The labels of all other rows, which judge, stay as they are.

    Args:
        digits: all labelled digits.
        training_rows: int `[n]`, positions among them.
        label_errors: the right label by the row's id, or None for a row that is left out.
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
    """Says how many label errors training leaves out or learns with another label."""
    left_out = sum(label is None for label in label_errors.values())
    relabelled = count_of(len(label_errors) - left_out, "label error")
    return f"{relabelled} learnt with the label marked, {left_out} left out"


def read_label_errors(path: Path, digits: Digits) -> dict[int, int | None]:
    """Returns the right label of each marked label error by its row's id, None if not known."""
    return {each.id: each.label for each in read_marks(path, digits) if each.mark == LABEL_ERROR}


def read_marks(path: Path, digits: Digits) -> list[Mark]:
    """Reads a CSV of marks for these labelled digits, in its order.

    Raises:
        UserError: naming the file, and the line, of the first thing that is wrong.
    """
    given = dict(zip(digits.ids.tolist(), digits.labels.tolist(), strict=True))
    marks: dict[int, Mark] = {}
    source = "the page that `make gallery` writes exports marks"
    rows = read_csv(path, COLUMNS, source, encoding="utf-8-sig")  # as spreadsheets write it
    for number, cells in rows[(rows != "").any(axis=1)].iterrows():
        try:
            mark = _mark(cells.tolist(), given)
            if mark.id in marks:
                raise ValueError(f"the id {mark.id} stands on an earlier line, too")
        except ValueError as error:
            raise UserError(f"{path}, line {number}: {error}") from None
        marks[mark.id] = mark
    return list(marks.values())


def _mark(cells: list[str], given: dict[int, int]) -> Mark:
    """Returns the mark of a line; raises ValueError saying what is wrong with it."""
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
        raise ValueError(f"the mark is expected to be one of {', '.join(MARKS)}, not '{mark}'")
    return Mark(row, mark, _right_label(label_text, mark, given[row]))


def _right_label(text: str, mark: str, given: int) -> int | None:
    if not text:
        return None
    if mark != LABEL_ERROR:
        raise ValueError(f"only a '{LABEL_ERROR}' may have a label of its own, not a '{mark}'")
    if not re.fullmatch("[0-9]", text):
        raise ValueError(f"a label from 0 to 9 is expected, not '{text}'")
    if int(text) == given:
        raise ValueError(f"the label {text} is the one that the row has already")
    return int(text)
