"""Tables: DataFrames until a person reads them in a terminal, in Markdown, as CSV, on a page."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from competition.errors import UserError

if TYPE_CHECKING:  # pandas takes a second to import, which `--help` should not
    import pandas as pd


def write_csv(path: Path, frame: "pd.DataFrame", digits: int | None = None) -> None:
    """Writes UTF-8, commas, line feeds and a header; the caller keeps it complete or absent.

    Args:
        digits: significant digits of fractions; None keeps all of them.
    """
    if digits is not None:
        frame = frame.map(lambda cell: f"{cell:.{digits}g}" if isinstance(cell, float) else cell)
    frame.to_csv(path, index=False, lineterminator="\n")


def read_csv(
    path: Path, columns: Sequence[str], source: str, encoding: str = "utf-8"
) -> "pd.DataFrame":
    """Reads a CSV file whose cells stay text, as a person may have edited it.

    Args:
        columns: its header, as it has to be.
        source: what writes such files, for the message where there is none.

    Returns:
        The cells, indexed by their line in the file; those that a line lacks are empty.

    Raises:
        UserError: when there is no such file, it is not CSV, its header is another one, or a line
            has more cells.
    """
    import pandas as pd

    try:
        frame = pd.read_csv(
            path, dtype=str, keep_default_na=False, skip_blank_lines=False, encoding=encoding
        )
    except FileNotFoundError:
        raise UserError(f"there is no {path}; {source}") from None
    except pd.errors.EmptyDataError:
        frame = pd.DataFrame()
    except ValueError as error:  # of the text or its encoding, or of a NUL in the path
        raise UserError(f"{path} is not a CSV file: {str(error).strip()}") from None
    if list(frame.columns) != list(columns):
        raise UserError(f"{path}: the first line is expected to be {','.join(columns)}")
    if not isinstance(frame.index, pd.RangeIndex):  # pandas took the first cells for row names
        raise UserError(f"{path}, line 2: {len(columns)} values are expected, not more")
    frame.index += 2
    return frame.fillna("")


def markdown(texts: "pd.DataFrame") -> str:
    """Returns a frame of texts in Markdown: numbers to the right, first column and words left."""
    rows = texts.astype(str).to_numpy().tolist()
    columns = list(zip(*rows, strict=True)) or [()] * len(texts.columns)
    alignment = ["---", *("---:" if _are_numbers(cells) else "---" for cells in columns[1:])]
    lines = [list(map(str, texts.columns)), alignment, *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _are_numbers(cells: tuple[str, ...]) -> bool:
    return all(re.match(r"[-+−]?[0-9]|$", cell) for cell in cells)


@dataclass(frozen=True)
class Column:
    """How some columns of a frame are shown as one.

    Attributes:
        title: the heading.
        form: how a cell is written; it has a place for each of its values.
        names: the frame's columns with these values; by default the title, spaces as underscores.
        is_code: whether the values are names out of a configuration.
    """

    title: str
    form: str = "{}"
    names: tuple[str, ...] = ()
    is_code: bool = False

    @property
    def sources(self) -> list[str]:
        """The frame's columns that are shown in this one."""
        return list(self.names or (self.title.replace(" ", "_"),))

    def text(self, values: Sequence[Any]) -> str:
        """Returns a cell as a person reads it; a missing value is nothing."""
        known = [value for value in values if value is not None and value == value]
        return self.form.format(*known) if len(known) == len(values) else ""


@dataclass(frozen=True)
class Table:
    """A frame of values with how to show it; the first column names the rows.

    Attributes:
        key: of the CSV file, and of the place in the page.
        title: what it is called.
        frame: the values, a column each, unrounded; in a notebook, show this.
        columns: what is shown, in this order; by default, every column as it is.
        note: how to read it, in a sentence or two.
        strong: the name of a row that stands out.
    """

    key: str
    title: str
    frame: "pd.DataFrame"
    columns: list[Column] = field(default_factory=list)
    note: str = ""
    strong: str = ""

    @classmethod
    def of_cells(
        cls,
        key: str,
        title: str,
        columns: list[Column],
        rows: list[list[Any]],
        note: str = "",
        strong: str = "",
    ) -> "Table":
        """Makes the frame from rows with a cell per column: a value, a tuple of values, or None."""
        import pandas as pd

        names = [name for column in columns for name in column.sources]
        lines = [
            [
                value
                for column, cell in zip(columns, row, strict=True)
                for value in (cell if isinstance(cell, tuple) else (cell,) * len(column.sources))
            ]
            for row in rows
        ]
        frame = pd.DataFrame(lines, columns=names, dtype=object)
        return cls(key, title, frame, columns, note, strong)

    def texts(self) -> "pd.DataFrame":
        """Returns every cell as a person reads it, under the headings."""
        import pandas as pd

        shown = self.columns or [Column(str(name)) for name in self.frame.columns]
        cells = {
            column.title: [
                column.text(values) for values in self.frame[column.sources].to_numpy().tolist()
            ]
            for column in shown
        }
        return pd.DataFrame(cells, dtype=str)

    def markdown(self) -> str:
        """Returns the table in Markdown, without title and note."""
        texts = self.texts()
        names = texts.iloc[:, 0]
        for column in self.columns:
            if column.is_code:
                cells = texts[column.title]
                texts[column.title] = cells.where(cells == "", "`" + cells + "`")
        texts.isetitem(
            0, texts.iloc[:, 0].mask(names == self.strong, "**" + texts.iloc[:, 0] + "**")
        )
        return markdown(texts)

    def markdown_with_note(self) -> str:
        """Returns the table in Markdown with its note below, to be read in a terminal."""
        return "\n\n".join(filter(None, [self.markdown(), self.note]))

    def _repr_html_(self) -> str:
        """Shows the table in a notebook."""
        return self.texts().to_html(index=False)

    def write_csv(self, path: Path) -> None:
        """Writes every value to nine digits."""
        write_csv(path, self.frame, digits=9)
