"""The colours of figures, and how dark the cells of a table of counts are.

They are those of `static/base.css` and `static/report.css` in a light page; a page that is dark
puts its own in their place. Series follow M. Okabe and K. Ito, "Color Universal Design", 2008:
they can be told apart without telling red from green.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

# How dark a cell of a confusion matrix can be; 0 is for none.
SHADES = 5

INK, QUIET, LINE, SURFACE = "#1c1e22", "#575c66", "#dcdcd6", "#ffffff"
BLUE, VERMILLION, GREEN, PURPLE = "#0072b2", "#d55e00", "#00805d", "#b5598c"
SERIES = (BLUE, VERMILLION, GREEN, PURPLE, INK)
SHADE_FILLS = (SURFACE, "#e3eef5", "#bcd7e8", "#86b6d4", "#2b75a3", "#00527f")
# A step beside black and white, so that a page can tell them from other text.
ON_LIGHT_SHADE, ON_DARK_SHADE = "#1c1e21", "#fffffe"

# Labelled rows and what is true, test rows and what is predicted: as text on white.
DEEP_BLUE, RUST = "#005f96", "#a84300"

# The names that style sheets have for them.
VARIABLES = {
    INK: "ink", QUIET: "quiet", LINE: "line", SURFACE: "surface",
    BLUE: "blue", VERMILLION: "vermillion", GREEN: "green", PURPLE: "purple",
    ON_LIGHT_SHADE: "on-light-shade", ON_DARK_SHADE: "on-dark-shade",
    **{fill: f"shade{step}" for step, fill in enumerate(SHADE_FILLS) if step},
}  # fmt: skip


def shades(counts: np.ndarray) -> np.ndarray:
    """Returns how dark each cell is, int from 0 to `SHADES`; roots, so that small ones differ."""
    return np.ceil(np.sqrt(counts / max(1, counts.max())) * SHADES).astype(int)


def on_shade(shade: int) -> str:
    """Returns the colour of text on a shade."""
    return ON_LIGHT_SHADE if shade <= 3 else ON_DARK_SHADE


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


# Inches. The page shows a figure 330 to 560 pixels wide, at which its type must be readable.
PNG_WIDTH = 4.8
PNG_DOTS_PER_INCH = 190
PNG_NOTEBOOK_DOTS_PER_INCH = 110


@dataclass(frozen=True)
class Palette:
    """The colours of a figure, those of `base.css` where it has them.

    Attributes:
        paper, ink, quiet, line: background, text, text of less weight, axes.
        train, test: whatever is of the labelled or of the test rows.
        digits: colour map of grey values, from no ink to full ink.
        shades: colour map of amounts, from none to most.
        classes: ten, the eight of M. Okabe and K. Ito and two more; labels stand beside them.
    """

    paper: str
    ink: str
    quiet: str
    line: str
    train: str
    test: str
    digits: str
    shades: str
    classes: tuple[str, ...]


LIGHT = Palette(
    paper=SURFACE,
    ink=INK,
    quiet=QUIET,
    line="#85888f",
    train=DEEP_BLUE,
    test=RUST,
    digits="gray_r",
    shades="Blues",
    classes=("#000000", "#e69f00", "#56b4e9", "#009e73", "#b8a800", "#0072b2", "#d55e00",
             "#cc79a7", "#882255", "#7a5230"),
)  # fmt: skip
DARK = Palette(
    paper="#1d2026",
    ink="#eceef2",
    quiet="#a5abb7",
    line="#7b8290",
    train="#74bdf0",
    test="#ffa265",
    digits="gray",
    shades="Blues_r",
    classes=("#ffffff", "#e69f00", "#56b4e9", "#009e73", "#f0e442", "#3d9be0", "#d55e00",
             "#cc79a7", "#c4618f", "#b98a5e"),
)  # fmt: skip


def png(
    draw: Callable, height: float, palette: Palette, dots_per_inch: int = PNG_DOTS_PER_INCH
) -> bytes:
    """Returns a figure as a PNG file's bytes.

    Args:
        draw: called with an empty figure and the palette.
        height: of the figure in inches.
        palette: its colours.
        dots_per_inch: how large it is.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_style(palette)):
        figure = Figure(figsize=(PNG_WIDTH, height), dpi=dots_per_inch, layout="constrained")
        FigureCanvasAgg(figure)
        draw(figure, palette)
        file = BytesIO()
        figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()


def _style(palette: Palette) -> dict[str, object]:
    colours = {
        palette.paper: ("figure.facecolor", "axes.facecolor", "savefig.facecolor"),
        palette.ink: ("text.color", "axes.titlecolor"),
        palette.quiet: ("axes.labelcolor", "xtick.labelcolor", "ytick.labelcolor"),
        palette.line: ("axes.edgecolor", "xtick.color", "ytick.color"),
    }
    return {key: colour for colour, keys in colours.items() for key in keys} | {
        "font.family": "DejaVu Sans",
        "font.size": 10,
        "axes.titlesize": 10,
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "legend.frameon": False,
        "text.parse_math": False,
    }


def hide_axes(axes) -> None:
    """Leaves a panel without ticks and frame, for a digit."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
