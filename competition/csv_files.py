"""CSV files in one dialect: UTF-8, commas, lines that end in a line feed, a header first."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from competition.errors import UserError


def write_table(path: Path, header: Sequence[str], rows: Iterable[Iterable[Any]]) -> None:
    """Writes a header and rows; the caller sees to it that the file is complete or absent."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def read_table(
    path: Path, header: Sequence[str], source: str, encoding: str = "utf-8"
) -> list[list[str]]:
    """Returns the lines below the header, of any number of cells.

    Args:
        path: the file.
        header: its first line as it has to be.
        source: what writes such files, for the message if there is none.
        encoding: of the text.

    Raises:
        UserError: when there is no such file, it is not CSV, or its first line is another one.
    """
    try:
        with path.open(newline="", encoding=encoding) as file:
            lines = list(csv.reader(file))
    except FileNotFoundError:
        raise UserError(f"there is no {path}; {source}") from None
    except (ValueError, csv.Error) as error:  # of the text, or of a NUL in the path
        raise UserError(f"{path} is not a CSV file: {error}") from None
    if lines[:1] != [list(header)]:
        raise UserError(f"{path}: the first line is expected to be {','.join(header)}")
    return lines[1:]
