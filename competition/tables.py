"""Tables: DataFrames until they are shown in a terminal, in Markdown, as CSV or on a page."""

import codecs
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from competition.console import terminal
from competition.errors import UserError, printable

if TYPE_CHECKING:  # pandas takes a second to import, which `--help` should not
    import pandas as pd

    from competition.metrics import Score


def write_csv(path: Path, frame: "pd.DataFrame", digits: int | None = None) -> None:
    """Writes UTF-8, commas, line feeds and a header; floats in full or with `digits` digits.

    It is not atomic by itself, so callers write to a temporary path.
    """
    if digits is not None:
        short = lambda cell: f"{cell:.{digits}g}" if isinstance(cell, float) else cell  # noqa: E731
        frame = frame.map(short, na_action="ignore")
    frame.to_csv(path, index=False, lineterminator="\n")


# What files that people take for CSV begin with.
SIGNATURES = {
    b"<": "a web page, perhaps of a sign-in",
    b"version https://git-lfs": "a pointer of Git LFS; `git lfs pull` fetches the file itself",
    b"\x1f\x8b": "a gzip archive; unpack it",
    b"PK\x03\x04": "a zip archive or a spreadsheet; unpack it, or save it as CSV",
    b"\xff\xfe": "text in UTF-16; save it as UTF-8",
    b"\xfe\xff": "text in UTF-16; save it as UTF-8",
    b"{": "JSON",
}


def first_line(path: Path) -> str:
    """Returns a file's first line for an error message, and what it looks like if that is known."""
    with path.open("rb") as file:
        start = file.read(1000).removeprefix(codecs.BOM_UTF8).lstrip(b" \r\n")
    line = start.decode(errors="replace").partition("\n")[0].rstrip()
    looks = next((text for sign, text in SIGNATURES.items() if start.startswith(sign)), "")
    if not looks and (";" in line or "\t" in line):
        looks = "cells between semicolons or tabs; save it with commas"
    shown = f"'{line[:60]}…'" if len(line) > 60 else f"'{line}'"
    return f"{shown}, which looks like {looks}" if looks else shown


def read_csv(
    path: Path, columns: Sequence[str], source: str, more: Sequence[str] = ()
) -> "pd.DataFrame":
    """Reads a CSV file, which a person may have edited: cells stay text, missing ones are empty.

    The index is the line in the file. Another header than `columns`, alone or with `more` behind
    them, or longer lines, are refused. `source` names what writes such files, for the message if
    there is none.
    """
    import pandas as pd

    try:
        frame = pd.read_csv(
            path,
            dtype=str,
            keep_default_na=False,
            skip_blank_lines=False,
            encoding="utf-8-sig",  # as spreadsheets write it
        )
    except FileNotFoundError:
        raise UserError(f"there is no {path}; {source}") from None
    except pd.errors.EmptyDataError:
        frame = pd.DataFrame()
    except ValueError as error:  # bad CSV or encoding, or a NUL in the path
        begin = f"; it begins with {first_line(path)}" if path.is_file() else ""
        raise UserError(f"{path} is not a CSV file: {str(error).strip()}{begin}") from None
    if list(frame.columns) not in ([*columns], [*columns, *more]):
        raise UserError(
            f"{path}: the first line is expected to be {','.join(columns)}, not {first_line(path)}"
        )
    if not isinstance(frame.index, pd.RangeIndex):  # pandas took the first cells for row names
        raise UserError(f"{path}, line 2: {len(frame.columns)} values are expected, not more")
    frame.index += 2
    return frame.fillna("")


def filled_rows(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Returns the rows with any text: spreadsheets write `,,,` for a row that was emptied."""
    return frame[(frame.map(str.strip) != "").any(axis=1)]


def _are_numbers(cells: Iterable[str]) -> bool:
    return all(re.match(r"[-+−]?[0-9]|$", cell) for cell in cells)


@dataclass(frozen=True)
class Column:
    """How one or more columns of a frame are shown as one.

    Attributes:
        form: the cell's format, with one place per value.
        names: the frame's columns; by default the title, with underscores for spaces.
        is_code: whether the values are names from a configuration.
        is_detail: whether only pages and files show it, as a terminal is too narrow.
    """

    title: str
    form: str = "{}"
    names: tuple[str, ...] = ()
    is_code: bool = False
    is_detail: bool = False

    @property
    def sources(self) -> list[str]:
        """The frame's columns that this one shows."""
        return list(self.names or (self.title.replace(" ", "_"),))

    def texts(self, frame: "pd.DataFrame") -> list[str]:
        """Returns the formatted cells, empty where a value is missing."""
        # As objects, or integers in a row with floats would become floats.
        rows = frame[self.sources].astype(object)
        known = rows.notna().all(axis=1).tolist()
        cells = zip(rows.to_numpy().tolist(), known, strict=True)
        return [self.form.format(*values) if is_known else "" for values, is_known in cells]


SCORE_COLUMNS = [
    Column("errors"),
    Column("accuracy", "{:.5f}"),
    Column("95% interval", "{:.5f} – {:.5f}", ("accuracy_low", "accuracy_high")),
    Column("log-loss", "{:.5f}", ("log_loss",)),
]

ERRORS_COLUMN = Column(
    "errors (95% interval)", "{} ({:.0f} – {:.0f})", ("errors", "errors_low", "errors_high")
)


def errors_values(score: "Score") -> dict[str, float]:
    """Returns the values of a score that `ERRORS_COLUMN` shows."""
    return dict(zip(ERRORS_COLUMN.names, (score.errors, *score.errors_interval()), strict=True))


def score_values(score: "Score") -> dict[str, float]:
    """Returns the values of a score that `SCORE_COLUMNS` show."""
    low, high = score.interval()
    return {
        "errors": score.errors,
        "accuracy": score.accuracy,
        "accuracy_low": low,
        "accuracy_high": high,
        "log_loss": score.log_loss,
    }


# In characters; nothing of ours folds there.
WIDEST_LOG = 10_000


@dataclass(frozen=True)
class Table:
    """A frame of values and how to show it; the first column names the rows.

    Attributes:
        key: the name of its CSV file, and of its place in the page.
        frame: the unrounded values.
        columns: what is shown, in this order; by default, every column as it is.
        note: how to read it, in a sentence or two.
        strong: the name of the row to print in bold.
    """

    key: str
    title: str
    frame: "pd.DataFrame"
    columns: list[Column] = field(default_factory=list)
    note: str = ""
    strong: str = ""

    def texts(self) -> "pd.DataFrame":
        """Returns every cell as formatted text, under the headings."""
        import pandas as pd

        shown = self.columns or [Column(name, names=(name,)) for name in map(str, self.frame)]
        texts = pd.DataFrame({each.title: each.texts(self.frame) for each in shown}, dtype=str)
        return texts.map(printable)

    def markdown(self) -> str:
        """Returns the table in Markdown, without title and note; columns of numbers but the first
        are aligned right.
        """
        texts = self.texts()
        is_strong = texts.iloc[:, 0] == self.strong
        for column in self.columns:
            if column.is_code:
                cells = texts[column.title]
                texts[column.title] = cells.where(cells == "", "`" + cells + "`")
        first = texts.columns[0]
        texts[first] = texts[first].mask(is_strong, "**" + texts[first] + "**")
        texts = texts.replace("\n", " ", regex=True)
        others = [texts.iloc[:, place] for place in range(1, len(texts.columns))]
        alignment = ["---", *("---:" if _are_numbers(cells) else "---" for cells in others)]
        lines = [list(map(str, texts.columns)), alignment, *texts.to_numpy().tolist()]
        return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)

    def markdown_with_note(self) -> str:
        """Returns the table in Markdown with its note below."""
        return "\n\n".join(filter(None, [self.markdown(), self.note]))

    def write_csv(self, path: Path) -> None:
        """Writes all values, with nine significant digits."""
        write_csv(path, self.frame, digits=9)


def print_table(table: Table) -> None:
    """Prints a table under its title, and its note."""
    print(text_of(table))


def text_of(table: Table) -> str:
    """Returns a table without details under its title, and its note: as wide as the terminal, or
    as a log needs.
    """
    from rich import box
    from rich.table import Table as Drawn
    from rich.text import Text

    console = terminal()
    texts = table.texts().drop(columns=[each.title for each in table.columns if each.is_detail])
    drawn = Drawn(
        title=table.title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False,
        collapse_padding=True,
    )  # fmt: skip
    for place, title in enumerate(map(str, texts)):
        is_right = place > 0 and _are_numbers(texts[title])
        # In a narrow window, names stay on one line and other cells fold.
        drawn.add_column(
            Text(title),
            justify="right" if is_right else "left",
            overflow="fold",
            no_wrap=place == 0,
        )
    for row in texts.to_numpy().tolist():
        style = "bold" if row[0] == table.strong else None
        drawn.add_row(*map(Text, row), style=style)  # Text, as a name may look like markup
    if not console.is_terminal:
        console.width = WIDEST_LOG
    with console.capture() as captured:
        console.print(drawn)
        console.print(table.note, markup=False)
    return "\n".join(line.rstrip() for line in captured.get().splitlines()).strip("\n")
