"""Figures as files, SVG and PNG, and as SVG inside a page that may be dark."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from competition.inspection.presentation.colours import INK, LINE, QUIET, SURFACE, VARIABLES

# In points: so narrow that text of this size is still read where a phone shows the whole width.
WIDTH, HEIGHT = 380, 280
TEXT_SIZE, SMALL_TEXT_SIZE = 11, 10
POINTS_PER_INCH = 72
DOTS_PER_INCH = 150
NOTEBOOK_DOTS_PER_INCH = 100

STYLE = {
    "figure.facecolor": SURFACE, "axes.facecolor": SURFACE, "savefig.facecolor": SURFACE,
    "text.color": INK, "axes.labelcolor": INK, "xtick.labelcolor": INK, "ytick.labelcolor": INK,
    "axes.edgecolor": QUIET, "xtick.color": QUIET, "ytick.color": QUIET, "grid.color": LINE,
    "axes.grid": True, "axes.axisbelow": True, "axes.linewidth": 0.8, "grid.linewidth": 0.8,
    "axes.spines.top": False, "axes.spines.right": False,
    "font.size": TEXT_SIZE, "axes.labelsize": TEXT_SIZE, "legend.fontsize": SMALL_TEXT_SIZE,
    "xtick.labelsize": SMALL_TEXT_SIZE, "ytick.labelsize": SMALL_TEXT_SIZE,
    "legend.frameon": False, "lines.linewidth": 1.6,
    "svg.fonttype": "none", "text.parse_math": False,
    "figure.subplot.left": 0.17, "figure.subplot.right": 0.97,
    "figure.subplot.bottom": 0.17, "figure.subplot.top": 0.96,
}  # fmt: skip


@dataclass(frozen=True)
class Plot:
    """A figure that can be drawn.

    Attributes:
        key: of its files, and of the place in the page.
        title: what it is.
        caption: what to look for, in a sentence.
        draw: draws onto an empty matplotlib Figure.
        height: of the figure, in points; `WIDTH` is that of all.
    """

    key: str
    title: str
    caption: str
    draw: Callable = field(repr=False)
    height: int = HEIGHT

    def _repr_png_(self) -> bytes:
        """Shows the figure in a notebook."""
        file = BytesIO()
        with _drawn(self) as figure:
            _save_png(figure, file, NOTEBOOK_DOTS_PER_INCH)
        return file.getvalue()


def write_plot(folder: Path, plot: Plot) -> str:
    """Writes `<key>.svg` and `<key>.png`, and returns SVG for a page, whose colours it takes."""
    path = folder / f"{plot.key}.svg"
    with _drawn(plot) as figure:
        figure.savefig(path, metadata={"Date": None, "Creator": None})
        _save_png(figure, path.with_suffix(".png"), DOTS_PER_INCH)
    return _for_page(path.read_text(encoding="utf-8"), plot)


@contextmanager
def _drawn(plot: Plot) -> Iterator[Any]:
    """Yields the figure in the style in which it is to be saved."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    # The salt makes names within the file the same each time, and other than in other figures.
    with rc_context({**STYLE, "svg.hashsalt": plot.key}):
        figure = Figure(figsize=(WIDTH / POINTS_PER_INCH, plot.height / POINTS_PER_INCH))
        plot.draw(figure)
        yield figure


def _save_png(figure: Any, file: Path | BinaryIO, dots_per_inch: int) -> None:
    figure.savefig(file, format="png", dpi=dots_per_inch, metadata={"Software": None})


def _for_page(svg: str, plot: Plot) -> str:
    """Returns the `<svg>` element alone, with names and colours that fit into a page."""
    body = svg[svg.index(">", svg.index("<svg")) + 1 :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{plot.key}-", body)
    body = re.sub(r"#[0-9a-f]{6}\b", _variable, body)
    box = f"0 0 {WIDTH} {plot.height}"
    label = escape(f"{plot.title}. {plot.caption}")
    return f'<svg viewBox="{box}" role="img" aria-label="{label}">{body.strip()}'


def _variable(colour: re.Match) -> str:
    name = VARIABLES.get(colour[0])
    return f"var(--{name})" if name else colour[0]
