"""CSV files in one dialect: UTF-8, commas, lines that end in a line feed, a header first."""

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from competition.errors import UserError
from competition.metrics import Score


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


def table(header: list[str], rows: list[list[str]]) -> str:
    """Returns a Markdown table: numbers to the right, the first column and words to the left."""
    columns = list(zip(*rows, strict=True)) or [()] * len(header)
    alignment = ["---", *("---:" if _are_numbers(cells) else "---" for cells in columns[1:])]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, alignment, *rows))


def _are_numbers(cells: tuple[str, ...]) -> bool:
    return all(re.match(r"[-+−]?[0-9]|$", cell) for cell in cells)


def score_texts(score: Score) -> list[str]:
    """Returns errors, accuracy, its 95 % interval and log-loss as text."""
    low, high = score.interval()
    return [
        f"{score.errors}",
        f"{score.accuracy:.5f}",
        f"{low:.5f} – {high:.5f}",
        f"{score.log_loss:.5f}",
    ]


@dataclass(frozen=True)
class Column:
    """How one column is called and how its values are shown.

    Attributes:
        title: its heading.
        form: how a value is written; it has a place for each of a cell's values.
        names: in a CSV file, a name for each of a cell's values; by default, the heading.
        is_code: whether the values are names out of a configuration.
    """

    title: str
    form: str = "{}"
    names: tuple[str, ...] = ()
    is_code: bool = False

    def csv_names(self) -> tuple[str, ...]:
        """Returns the column's heading in a CSV file, one for each of a cell's values."""
        return self.names or (self.title.replace(" ", "_"),)

    def text(self, cell: Any) -> str:
        """Returns a cell as a person reads it; None is nothing."""
        return "" if cell is None else self.form.format(*_values(cell))

    def raw(self, cell: Any) -> list[Any]:
        """Returns a cell's values as a program reads them."""
        return [""] * len(self.csv_names()) if cell is None else [_plain(v) for v in _values(cell)]


@dataclass(frozen=True)
class Table:
    """Rows of values under columns; the first column names the rows.

    Attributes:
        key: of the CSV file, and of the place in the page.
        title: what it is called.
        columns: how each cell of a row is shown.
        rows: a cell a column: a value, a tuple of values, or None.
        note: how to read it, in a sentence or two.
        strong: the name of a row that stands out.
    """

    key: str
    title: str
    columns: list[Column]
    rows: list[list[Any]]
    note: str = ""
    strong: str = ""

    def texts(self) -> list[list[str]]:
        """Returns every cell as a person reads it."""
        return [
            [column.text(cell) for column, cell in zip(self.columns, row, strict=True)]
            for row in self.rows
        ]

    def markdown(self) -> str:
        """Returns the table in Markdown, without title and note."""
        lines = [self._markdown_cells(row) for row in self.texts()]
        return table([column.title for column in self.columns], lines)

    def markdown_with_note(self) -> str:
        """Returns the table in Markdown with its note below, to be read in a terminal."""
        return "\n\n".join(filter(None, [self.markdown(), self.note]))

    def _repr_markdown_(self) -> str:
        """Shows the table in a notebook, with its note."""
        return self.markdown_with_note()

    def _markdown_cells(self, row: list[str]) -> list[str]:
        pairs = zip(self.columns, row, strict=True)
        cells = [f"`{cell}`" if column.is_code and cell else cell for column, cell in pairs]
        first = f"**{cells[0]}**" if row[0] == self.strong else cells[0]
        return [first, *cells[1:]]

    def write_csv(self, path: Path) -> None:
        """Writes every value, unrounded or to nine digits."""
        names = [name for column in self.columns for name in column.csv_names()]
        write_table(path, names, map(self._raw_values, self.rows))

    def _raw_values(self, row: list[Any]) -> list[Any]:
        pairs = zip(self.columns, row, strict=True)
        return [value for column, cell in pairs for value in column.raw(cell)]


def _values(cell: Any) -> tuple:
    return cell if isinstance(cell, tuple) else (cell,)


def _plain(value: Any) -> Any:
    """Returns a number with the digits that mean something."""
    return f"{value:.9g}" if isinstance(value, float) else value
