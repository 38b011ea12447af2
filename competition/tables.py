"""Tables: DataFrames until a person reads them in a terminal, in Markdown, as CSV, on a page."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from competition.errors import UserError

if TYPE_CHECKING:  # pandas takes a second to import, which `--help` should not
    import pandas as pd

    from competition.metrics import Score


def write_csv(path: Path, frame: "pd.DataFrame", digits: int | None = None) -> None:
    """Writes UTF-8, commas, line feeds and a header; the caller keeps it complete or absent.

    Args:
        digits: significant digits of fractions; None keeps all of them.
    """
    if digits is not None:
        short = lambda cell: f"{cell:.{digits}g}" if isinstance(cell, float) else cell  # noqa: E731
        frame = frame.map(short, na_action="ignore")
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
    texts = texts.astype(str)
    others = [texts.iloc[:, place] for place in range(1, len(texts.columns))]
    alignment = ["---", *("---:" if _are_numbers(cells) else "---" for cells in others)]
    lines = [list(map(str, texts.columns)), alignment, *texts.to_numpy().tolist()]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _are_numbers(cells: Iterable[str]) -> bool:
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

    def texts(self, frame: "pd.DataFrame") -> list[str]:
        """Returns the cells as a person reads them; where a value is missing, nothing."""
        # As objects, or whole numbers beside fractions would become fractions.
        rows = frame[self.sources].astype(object)
        known = rows.notna().all(axis=1).tolist()
        cells = zip(rows.to_numpy().tolist(), known, strict=True)
        return [self.form.format(*values) if is_known else "" for values, is_known in cells]


SCORE_COLUMNS = [
    Column("errors"),
    Column("accuracy", "{:.5f}"),
    Column("95 % interval", "{:.5f} – {:.5f}", ("accuracy_low", "accuracy_high")),
    Column("log-loss", "{:.5f}", ("log_loss",)),
]


def score_values(score: "Score") -> dict[str, float]:
    """Returns what `SCORE_COLUMNS` show of a score."""
    low, high = score.interval()
    return {
        "errors": score.errors,
        "accuracy": score.accuracy,
        "accuracy_low": low,
        "accuracy_high": high,
        "log_loss": score.log_loss,
    }


@dataclass(frozen=True)
class Table:
    """A frame of values with how to show it; the first column names the rows.

    Attributes:
        key: of the CSV file, and of the place in the page.
        title: what it is called.
        frame: the values, a column each, unrounded.
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

    def texts(self) -> "pd.DataFrame":
        """Returns every cell as a person reads it, under the headings."""
        import pandas as pd

        shown = self.columns or [Column(name, names=(name,)) for name in map(str, self.frame)]
        return pd.DataFrame({each.title: each.texts(self.frame) for each in shown}, dtype=str)

    def markdown(self) -> str:
        """Returns the table in Markdown, without title and note."""
        texts = self.texts()
        is_strong = texts.iloc[:, 0] == self.strong
        for column in self.columns:
            if column.is_code:
                cells = texts[column.title]
                texts[column.title] = cells.where(cells == "", "`" + cells + "`")
        first = texts.columns[0]
        texts[first] = texts[first].mask(is_strong, "**" + texts[first] + "**")
        return markdown(texts)

    def markdown_with_note(self) -> str:
        """Returns the table in Markdown with its note below."""
        return "\n\n".join(filter(None, [self.markdown(), self.note]))

    def write_csv(self, path: Path) -> None:
        """Writes every value to nine digits."""
        write_csv(path, self.frame, digits=9)


def print_table(table: Table) -> None:
    """Prints a table with its note: drawn in a terminal, in Markdown where output is kept."""
    from rich import box
    from rich.console import Console
    from rich.table import Table as Drawn
    from rich.text import Text

    console = Console(highlight=False)
    if not console.is_terminal:
        print(table.markdown_with_note())
        return
    texts = table.texts()
    drawn = Drawn(
        title=table.title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1)
    )
    for place, title in enumerate(map(str, texts)):
        is_right = place > 0 and _are_numbers(texts[title])
        # A name stays in one piece, whatever else has to be folded in a narrow window.
        drawn.add_column(
            Text(title),
            justify="right" if is_right else "left",
            overflow="fold",
            no_wrap=place == 0,
        )
    for row in texts.to_numpy().tolist():
        style = "bold" if row[0] == table.strong else None
        drawn.add_row(*map(Text, row), style=style)  # Text, as a name may look like markup
    console.print(drawn)
    if table.note:
        console.print(table.note, markup=False)
