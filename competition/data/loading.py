"""Reading digits from the competition's CSV files, strictly; other formats have their module."""

import csv
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from competition import paths
from competition.data.formats import read_other
from competition.digits import CLASSES, SIDE, DataSet, Digits
from competition.errors import UserError
from competition.storage import cached, visible_entries
from competition.submission import check_rows

PIXELS = [f"pixel{number}" for number in range(SIDE * SIDE)]
LABEL = "label"


class MissingDataError(UserError):
    """Files of a data set are not there."""


def load_data_set(name: str) -> DataSet:
    """Reads `input/<name>/`: the competition's files, or digits in one of the other formats.

    What is as it was when it was read last comes from a cache. The sample submission, which later
    stages check against, has to have the rows of `test.csv`.

    Raises:
        MissingDataError: when a file is missing.
        UserError: when one breaks its format.
    """
    files = train, test, sample_submission = paths.csv_files(name)
    missing = [file.name for file in files if not file.exists()]
    other = read_other(name, train.parent) if len(missing) == len(files) else None
    if other is not None:
        return other
    if missing:
        raise MissingDataError(
            f"the data set '{name}' is not here: {train.parent}/ has no {', '.join(missing)}; "
            "`make download` with the CONFIG that you use fetches it (ZIP=path takes an archive at "
            "hand), or says what to put there"
        )
    data_set = DataSet(name, read_cached(train, labelled=True), read_cached(test, labelled=False))
    check_rows(sample_submission, data_set.test.ids, str(test))
    return data_set


def require_replaceable(name: str) -> None:
    """Checks that `input/<name>/`, which is to be made anew, holds nothing of somebody else.

    Raises:
        UserError: naming what would be lost.
    """
    folder = paths.data_folder(name)
    ours = {*paths.csv_files(name), paths.cache_folder(folder)}
    others = [entry.name for entry in visible_entries(folder) if entry not in ours]
    if others:
        raise UserError(
            f"{folder}/ is to be made anew, and also has {', '.join(others)}, which would be lost; "
            "move it to another folder, and try again"
        )


def read_cached(path: Path, labelled: bool) -> Digits:
    """Reads a CSV file as `read_csv` does, through a cache in a folder beside it."""

    def read() -> dict[str, np.ndarray]:
        digits = read_csv(path, labelled)
        arrays = {"ids": digits.ids, "images": digits.images}
        return arrays | ({"labels": digits.labels} if labelled else {})

    return Digits(**cached(paths.cache_file(path), path.parent, [path], read))


def read_csv(path: Path, labelled: bool) -> Digits:
    """Reads one of the competition's CSV files; ids are its row numbers, from 1.

    Args:
        path: the file, with a header line.
        labelled: whether a column `label` comes before `pixel0` … `pixel783`.

    Raises:
        UserError: naming file, row and column of the first value that is not an integer from 0
            to 255 (a label: 0 to 9), a missing column or value, or a row without any ink.
    """
    columns = [LABEL, *PIXELS] if labelled else PIXELS
    _check_header(path, columns)
    table = _parse(path, columns)
    images = table[:, -len(PIXELS) :].reshape(-1, SIDE, SIDE)
    if not len(images):
        raise UserError(f"{path} has a header but no rows")
    _require(path, images.any(axis=(1, 2)), "has no ink at all: every pixel is 0")
    labels = np.ascontiguousarray(table[:, 0]) if labelled else None
    if labels is not None:
        _require(path, labels < CLASSES, f"column {LABEL}: a label is an integer from 0 to 9")
    ids = np.arange(1, len(images) + 1, dtype=np.int32)
    return Digits(ids, np.ascontiguousarray(images), labels)


def _check_header(path: Path, expected: list[str]) -> None:
    with _rows(path) as rows:
        found = next(rows, [])
    if found == expected:
        return
    if len(found) != len(expected):
        problem = f"has {len(found)} columns"
    else:
        position = next(i for i, name in enumerate(found) if name != expected[i])
        problem = f"has '{found[position]}' as column {position + 1}, not '{expected[position]}'"
    raise UserError(
        f"{path} {problem}; expected {len(expected)} columns in the competition's order: "
        f"{', '.join(expected[:2])} … {expected[-1]}"
    )


@contextmanager
def _rows(path: Path) -> Iterator[Iterator[list[str]]]:
    """Yields the cells of each line; a byte order mark, as some editors write it, is passed over.

    Raises:
        UserError: when the file is not CSV.
    """
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        try:
            yield csv.reader(file)
        except csv.Error as error:
            raise UserError(f"{path} is not a CSV file: {error}") from None


def _parse(path: Path, columns: list[str]) -> np.ndarray:
    """Returns the table as uint8 `[rows, columns]`."""
    import pyarrow
    from pyarrow import csv as arrow_csv

    types = dict.fromkeys(columns, pyarrow.uint8())
    try:
        table = arrow_csv.read_csv(
            path,
            # An empty line is a missing row; skipped, it would shift the ids of all that follow.
            parse_options=arrow_csv.ParseOptions(ignore_empty_lines=False),
            convert_options=arrow_csv.ConvertOptions(column_types=types, null_values=[]),
        )
    except pyarrow.ArrowInvalid as error:
        raise UserError(_first_bad_cell(path, columns) or f"{path}: {error}") from None
    matrix = np.empty((table.num_rows, len(columns)), np.uint8)
    for position in range(len(columns)):
        matrix[:, position] = table.column(position).to_numpy()
    return matrix


def _first_bad_cell(path: Path, columns: list[str]) -> str | None:
    """Says where the first value stands that is not an integer from 0 to 255; slow, for errors."""
    with _rows(path) as rows:
        next(rows)
        for number, row in enumerate(rows, start=1):
            where = f"{path}, row {number} (line {number + 1})"
            if len(row) != len(columns):
                return f"{where} has {len(row)} values, expected {len(columns)}"
            for column, cell in zip(columns, row, strict=True):
                if not (re.fullmatch("0*[0-9]{1,3}", cell) and int(cell[-3:]) <= 255):
                    return f"{where}, column {column}: {_problem_of(cell)} from 0 to 255"
    return None


def _problem_of(cell: str) -> str:
    return f"'{cell}' is not an integer" if cell else "the value is missing; expected one"


def _require(path: Path, good: np.ndarray, problem: str) -> None:
    if not good.all():
        number = int(np.argmin(good)) + 1
        raise UserError(f"{path}, row {number} (line {number + 1}) {problem}")


def require(name: str) -> None:
    """Reads `input/<name>/`.

    Raises:
        UserError: when nothing is there, with what to put there, or it is not as it should be.
    """
    try:
        load_data_set(name)
    except MissingDataError:
        raise UserError(_where_it_goes(name)) from None


def _where_it_goes(name: str) -> str:
    there = [entry.name for entry in visible_entries(paths.data_folder(name))]
    found = f"; what is there is none of these: {', '.join(there)}" if there else ""
    return (
        f"nothing is known of where the data set '{name}' comes from; put it into "
        f"{paths.data_folder(name)}/: train.csv, test.csv and sample_submission.csv in the "
        "competition's format, or MNIST's IDX files, one .npz or HDF5 file, or folders of images "
        '(docs/settings.md says how, under "Other digits"); or set data: to '
        f"{paths.COMPETITION}{found}"
    )
