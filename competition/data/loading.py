"""Loads a data set: the competition's CSV files, read strictly, or digits in another format."""

import csv
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from competition import paths
from competition.config.base import nearest
from competition.data.formats import checked_digits, read_other
from competition.digits import SIDE, DataSet, Digits
from competition.errors import UserError
from competition.storage import cached, visible_entries
from competition.submission import check_rows
from competition.tables import first_line

PIXELS = [f"pixel{number}" for number in range(SIDE * SIDE)]
LABEL = "label"


class MissingDataError(UserError):
    """Files of a data set are missing."""


def load_data_set(name: str) -> DataSet:
    """Reads `input/<name>/`, from a cache if the files did not change since the last time.

    The sample submission, which later stages check against, must have the rows of `test.csv`.

    Raises:
        MissingDataError: when a file is missing.
        UserError: when a file breaks its format.
    """
    files = train, test, sample_submission = paths.DataPaths(name).csv_files
    missing = [file.name for file in files if not file.exists()]
    other = read_other(name, train.parent) if len(missing) == len(files) else None
    if other is not None:
        return other
    if missing:
        how = "fetches it (or, with ZIP=path, unpacks an archive that you have)"
        if name != paths.COMPETITION:
            how = f"with the same CONFIG makes it, or says what to put there{_meant(name)}"
        raise MissingDataError(
            f"the data set '{name}' is not here: {train.parent}/ has no {', '.join(missing)}; "
            f"`make download` {how}"
        )
    data_set = DataSet(name, read_cached(train, labelled=True), read_cached(test, labelled=False))
    check_rows(sample_submission, data_set.test.ids, str(test))
    return data_set


def require(name: str) -> None:
    """Checks that a data set that cannot be downloaded is there and valid.

    Raises:
        UserError: when it is not, saying what to put there.
    """
    try:
        load_data_set(name)
    except MissingDataError:
        folder = paths.DataPaths(name).folder
        entries = ", ".join(entry.name for entry in visible_entries(folder))
        found = f"; it holds none of these, but {entries}" if entries else ""
        raise UserError(
            f"unknown data set '{name}': put its files into {folder}/: train.csv, test.csv and "
            "sample_submission.csv in the competition's format, or MNIST's IDX files, one .npz or "
            'HDF5 file, or folders of images (see "Other digits" in docs/settings.md)'
            f"{found}{_meant(name)}"
        ) from None


def _meant(name: str) -> str:
    """Returns the end of the message about a missing data set: which one was probably meant."""
    known = {paths.COMPETITION, paths.EMBEDDED, paths.HDF5_EXAMPLE}
    folders = {folder.name for folder in visible_entries(paths.INPUT) if folder.is_dir()}
    return "" if name in known else nearest(name, sorted(known | folders - {name}))


def require_replaceable(name: str) -> None:
    """Raises UserError if `input/<name>/`, which will be made again, holds files of the user."""
    folder = paths.DataPaths(name).folder
    ours = {*paths.DataPaths(name).csv_files, paths.cache_folder(folder)}
    others = [entry.name for entry in visible_entries(folder) if entry not in ours]
    if others:
        raise UserError(
            f"{folder}/ would be made again, and {', '.join(others)} in it would be lost; move "
            "your files to another folder, and try again"
        )


def read_cached(path: Path, labelled: bool) -> Digits:
    """Reads a CSV file like `read_csv`, with a cache in a folder beside it."""

    def read() -> dict[str, np.ndarray]:
        digits = read_csv(path, labelled)
        arrays = {"ids": digits.ids, "images": digits.images}
        return arrays | ({"labels": digits.labels} if labelled else {})

    return Digits(
        **cached(paths.cache_folder(path.parent) / f"{path.stem}.npz", path.parent, [path], read)
    )


def read_csv(path: Path, labelled: bool) -> Digits:
    """Reads one of the competition's CSV files; ids are its row numbers, from 1.

    `labelled`: a column `label` comes before `pixel0` … `pixel783`. Errors name file, row and
    column of the first bad value.
    """
    import pyarrow
    from pyarrow import csv as arrow_csv

    columns = [LABEL, *PIXELS] if labelled else PIXELS
    _check_header(path, columns)
    # For train.csv, pandas.read_csv(engine="pyarrow", dtype=np.uint8) takes 2.9 s of CPU time and
    # 1.0 GB, this 1.5 s and 0.30 GB; and pandas reads 256 as 0.
    try:
        table = arrow_csv.read_csv(
            path,
            # An empty line is a missing row; skipping it would shift the ids of all rows below.
            parse_options=arrow_csv.ParseOptions(ignore_empty_lines=False),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(columns, pyarrow.uint8()), null_values=[]
            ),
        )
    except pyarrow.ArrowInvalid as error:
        raise UserError(_first_bad_cell(path, columns) or f"{path}: {error}") from None
    if not table.num_rows:
        raise UserError(f"{path} has a header but no rows")
    values = np.stack([column.to_numpy() for column in table.columns], axis=1)
    images, labels = values[:, -len(PIXELS) :], values[:, 0] if labelled else None
    return checked_digits(images, labels, str(path), lambda row: _place(path, row + 1))


def _place(path: Path, row: int) -> str:
    return f"{path}, row {row} (line {row + 1})"


@contextmanager
def _rows(path: Path) -> Iterator[Iterator[list[str]]]:
    """Yields the cells of each line, without a byte order mark, which some editors write."""
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        try:
            yield csv.reader(file)
        except csv.Error as error:
            raise UserError(f"{path} is not a CSV file: {error}") from None


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
        f"{', '.join(expected[:2])} … {expected[-1]}; it begins with {first_line(path)}"
    )


def _first_bad_cell(path: Path, columns: list[str]) -> str | None:
    """Returns an error for the first value that is not an integer from 0 to 255; slow."""
    with _rows(path) as rows:
        next(rows)
        for number, row in enumerate(rows, start=1):
            if len(row) != len(columns):
                return f"{_place(path, number)} has {len(row)} values, expected {len(columns)}"
            for column, cell in zip(columns, row, strict=True):
                if not (re.fullmatch("0*[0-9]{1,3}", cell) and int(cell[-3:]) <= 255):
                    found = f"'{cell}' is not an integer" if cell else "the value is missing;"
                    expected = "from 0 to 255" if cell else "expected an integer from 0 to 255"
                    return f"{_place(path, number)}, column {column}: {found} {expected}"
    return None
