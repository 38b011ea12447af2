"""A figure as SVG in the colours of a page, and as PNG in those of the light theme.

Each colour below is one of the light theme in `static/base.css` or `static/figures.css`. In the SVG
of a page it becomes the variable of that style sheet, so that the dark theme can replace it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from html import escape
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from competition.console import with_progress
from competition.pages.html import markup

if TYPE_CHECKING:
    from markupsafe import Markup

INK, QUIET, CONTROL, LINE, SURFACE = "#1c1e22", "#575c66", "#85888f", "#dcdcd6", "#ffffff"
# Labelled rows and labels, test rows and predictions: dark enough for text on white.
DEEP_BLUE, RUST = "#005f96", "#a84300"
# Series follow M. Okabe and K. Ito, "Color Universal Design", 2008: they differ for people who
# cannot tell red from green.
BLUE, VERMILLION, GREEN, PURPLE = "#0072b2", "#d55e00", "#00805d", "#b5598c"
SERIES = (BLUE, VERMILLION, GREEN, PURPLE, INK)
# Their eight colours and two more. Some are one step off a series' colour, as `VARIABLES` needs
# unique keys.
CLASS_COLOURS = ("#000001", "#e69f00", "#56b4e9", "#009e73", "#b8a800", "#0072b1", "#d55e01",
                 "#cc79a7", "#882255", "#7a5230")  # fmt: skip
# Shades of a confusion matrix; 0 is an empty cell.
SHADES = 5
SHADE_FILLS = (SURFACE, "#e3eef5", "#bcd7e8", "#86b6d4", "#2b75a3", "#00527f")
# One step off INK and SURFACE, as `VARIABLES` needs unique keys.
ON_LIGHT_SHADE, ON_DARK_SHADE = "#1c1e21", "#fffffe"

# Their names in the style sheets.
VARIABLES = {
    INK: "ink", QUIET: "quiet", CONTROL: "control", LINE: "line", SURFACE: "surface",
    DEEP_BLUE: "true", RUST: "predicted",
    BLUE: "blue", VERMILLION: "vermillion", GREEN: "green", PURPLE: "purple",
    ON_LIGHT_SHADE: "on-light-shade", ON_DARK_SHADE: "on-dark-shade",
    **{fill: f"shade{step}" for step, fill in enumerate(SHADE_FILLS) if step},
    **{colour: f"class{label}" for label, colour in enumerate(CLASS_COLOURS)},
}  # fmt: skip

# In points: narrow enough for readable text on a phone.
WIDTH, HEIGHT = 380, 280
TEXT_SIZE, SMALL_TEXT_SIZE = 11, 10
POINTS_PER_INCH = 72
DOTS_PER_INCH = 150
NOTEBOOK_DOTS_PER_INCH = 100

STYLE: dict[Any, Any] = {
    "figure.facecolor": SURFACE, "axes.facecolor": SURFACE, "savefig.facecolor": SURFACE,
    "text.color": INK, "axes.labelcolor": INK, "xtick.labelcolor": INK, "ytick.labelcolor": INK,
    "axes.edgecolor": QUIET, "xtick.color": QUIET, "ytick.color": QUIET, "grid.color": LINE,
    "axes.grid": True, "axes.axisbelow": True, "axes.linewidth": 0.8, "grid.linewidth": 0.8,
    "axes.spines.top": False, "axes.spines.right": False,
    "font.family": "DejaVu Sans", "font.size": TEXT_SIZE, "axes.labelsize": TEXT_SIZE,
    "axes.titlesize": TEXT_SIZE, "axes.titlelocation": "left", "legend.fontsize": SMALL_TEXT_SIZE,
    "xtick.labelsize": SMALL_TEXT_SIZE, "ytick.labelsize": SMALL_TEXT_SIZE,
    "legend.frameon": False, "lines.linewidth": 1.6,
    "svg.fonttype": "none", "text.parse_math": False,
}  # fmt: skip


@dataclass(frozen=True)
class Figure:
    """A figure that can be drawn.

    Attributes:
        key: of its files, and in the page.
        caption: what to look for, in a sentence.
        draw: draws onto an empty matplotlib Figure.
        height: in points; the width is `WIDTH`.
    """

    key: str
    title: str
    caption: str
    draw: Callable[[Any], None] = field(repr=False)
    height: int = HEIGHT

    def svg_and_png(self) -> tuple[str, bytes]:
        """Draws the figure once, and returns it in both formats."""
        svg, png = self._drawn(
            {"format": "svg", "metadata": {"Date": None, "Creator": None}}, _png(DOTS_PER_INCH)
        )
        return svg.decode(), png

    def _repr_png_(self) -> bytes:
        """Shows the figure in a notebook."""
        return self._drawn(_png(NOTEBOOK_DOTS_PER_INCH))[0]

    def _drawn(self, *formats: dict[str, Any]) -> list[bytes]:
        from matplotlib import style
        from matplotlib.figure import Figure as Canvas

        # The salt makes ids in the SVG reproducible, and different between figures.
        with style.context({**STYLE, "svg.hashsalt": self.key}, after_reset=True):
            size = WIDTH / POINTS_PER_INCH, self.height / POINTS_PER_INCH
            canvas = Canvas(figsize=size, layout="constrained")
            self.draw(canvas)
            files = [BytesIO() for _ in formats]
            for file, settings in zip(files, formats, strict=True):
                canvas.savefig(file, **settings)
        return [file.getvalue() for file in files]

    def for_page(self, svg: str) -> str:
        """Returns the `<svg>` element, with ids and colours that fit into a page."""
        body = svg[svg.index(">", svg.index("<svg")) + 1 :]
        body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
        body = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{self.key}-", body)
        body = re.sub(
            r"#[0-9a-f]{6}\b",
            lambda found: f"var(--{VARIABLES[found[0]]})" if found[0] in VARIABLES else found[0],
            body,
        )
        box, label = f"0 0 {WIDTH} {self.height}", escape(f"{self.title}. {self.caption}")
        return f'<svg viewBox="{box}" role="img" aria-label="{label}">{body.strip()}'


def write_figures(
    folder: Path, figures: list[Figure], with_svg: bool = False
) -> dict[str, "Markup"]:
    """Writes PNG files, and SVG files too; returns the SVG for the page by the figure's key."""
    drawn = {}
    for figure in with_progress(f"drawing {len(figures)} figures", figures):
        svg, png = figure.svg_and_png()
        (folder / f"{figure.key}.png").write_bytes(png)
        if with_svg:
            (folder / f"{figure.key}.svg").write_text(svg, encoding="utf-8")
        drawn[figure.key] = markup(figure.for_page(svg))
    return drawn


def _png(dots_per_inch: int) -> dict[str, Any]:
    return {"format": "png", "dpi": dots_per_inch, "metadata": {"Software": None}}


def shades(counts: np.ndarray) -> np.ndarray:
    """Returns each cell's shade, int from 0 to `SHADES`, by the root: small counts differ too."""
    return np.ceil(np.sqrt(counts / max(1, counts.max())) * SHADES).astype(int)


def on_shade(shade: int) -> str:
    """Returns the colour of text on a shade."""
    return ON_LIGHT_SHADE if shade <= 3 else ON_DARK_SHADE


def draw_picture(axes, values: np.ndarray, full: float, colour: str = INK):
    """Draws amounts `[h, w]`, 0 to `full`, as opacity of ink, and returns the image.

    The background stays transparent and a dark page inverts the ink, so it suits both themes.
    """
    from matplotlib.colors import LinearSegmentedColormap, to_rgba

    ink = LinearSegmentedColormap.from_list("ink", [to_rgba(colour, 0), to_rgba(colour, 1)])
    drawn = axes.imshow(values, cmap=ink, vmin=0, vmax=full, interpolation="none")
    hide_axes(axes)
    return drawn


def hide_axes(axes) -> None:
    """Removes ticks, grid and frame."""
    axes.set(xticks=[], yticks=[])
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
