"""Figures in the pages' two sets of colours, as PNG."""

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO

from competition.inspection.presentation.colours import DEEP_BLUE, INK, QUIET, RUST, SURFACE

# Inches. The page shows a figure 330 to 560 pixels wide, at which its type must be readable.
WIDTH = 4.8
DOTS_PER_INCH = 190
NOTEBOOK_DOTS_PER_INCH = 110


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
    draw: Callable, height: float, palette: Palette, dots_per_inch: int = DOTS_PER_INCH
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
        figure = Figure(figsize=(WIDTH, height), dpi=dots_per_inch, layout="constrained")
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
