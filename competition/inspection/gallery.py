"""Contact sheets of misclassified digits, as PNG files; computes nothing."""

from pathlib import Path

from competition import paths
from competition.atomic import atomic_folder
from competition.inspection.evaluation import Mistake, confused_pairs

COLUMNS = 10
ROWS = 8
DIGITS_PER_SHEET = COLUMNS * ROWS

# Inches: one digit is drawn at the same size on every sheet, with room for two lines below.
CELL_WIDTH, CELL_HEIGHT, HEADER_HEIGHT, MARGIN = 1.15, 1.55, 0.95, 0.25
DIGIT_SIDE = 0.95
DOTS_PER_INCH = 120

# Readable without telling red from green (M. Okabe and K. Ito's palette).
TRUE_COLOUR, PREDICTED_COLOUR, QUIET_COLOUR = "#0072B2", "#D55E00", "#595959"


def write_gallery(config_name: str, mistakes: list[Mistake], rows: int) -> list[Path]:
    """Writes sheets of all mistakes, the most confident first, and sheets per confused pair.

    Args:
        config_name: whose gallery it is.
        mistakes: the most confident first.
        rows: how many rows were predicted.

    Returns:
        The files, in `output/<config>/gallery/`.
    """
    with atomic_folder(paths.gallery_folder(config_name)) as folder:
        title = f"{len(mistakes)} mistakes in {rows:,} out-of-fold digits of '{config_name}'"
        _write_sheets(folder / "mistakes", title, mistakes)
        for (one, other), confused in confused_pairs(mistakes).items():
            often = "once" if len(confused) == 1 else f"{len(confused)} times"
            title = f"{one} and {other}: confused {often} by '{config_name}'"
            _write_sheets(folder / f"pair-{one}-{other}", title, confused)
    return sorted(paths.gallery_folder(config_name).glob("*.png"))


def _write_sheets(stem: Path, title: str, mistakes: list[Mistake]) -> None:
    """Writes as many numbered sheets as the mistakes fill; at least one, if only to say so."""
    pages = [
        mistakes[start : start + DIGITS_PER_SHEET]
        for start in range(0, max(1, len(mistakes)), DIGITS_PER_SHEET)
    ]
    for number, page in enumerate(pages, start=1):
        name = stem.name if len(pages) == 1 else f"{stem.name}-{number:02d}"
        heading = title if len(pages) == 1 else f"{title}  ({number} of {len(pages)})"
        _write_sheet(stem.with_name(f"{name}.png"), heading, page)


def _write_sheet(path: Path, title: str, mistakes: list[Mistake]) -> None:
    from matplotlib.figure import Figure

    lines = -(-len(mistakes) // COLUMNS)
    width = COLUMNS * CELL_WIDTH + 2 * MARGIN
    height = HEADER_HEIGHT + lines * CELL_HEIGHT + MARGIN
    figure = Figure(figsize=(width, height), dpi=DOTS_PER_INCH, facecolor="white")
    _write_header(figure, title, width, height)
    for position, mistake in enumerate(mistakes):
        line, column = divmod(position, COLUMNS)
        left = MARGIN + column * CELL_WIDTH
        top = height - HEADER_HEIGHT - line * CELL_HEIGHT
        _draw_mistake(figure, mistake, left, top, width, height)
    figure.savefig(path)


def _write_header(figure, title: str, width: float, height: float) -> None:
    left = MARGIN / width
    figure.text(left, 1 - 0.25 / height, title, fontsize=15, weight="bold", va="top")
    figure.text(
        left,
        1 - 0.58 / height,
        "label → prediction, then the prediction's probability and the row's id; "
        "most confident first",
        fontsize=9.5,
        color=QUIET_COLOUR,
        va="top",
    )


def _draw_mistake(figure, mistake: Mistake, left, top, width, height) -> None:
    """Draws a digit, and its caption below; `left` and `top` in inches."""
    inset = (CELL_WIDTH - DIGIT_SIDE) / 2
    box = (left + inset) / width, (top - DIGIT_SIDE) / height
    axes = figure.add_axes((*box, DIGIT_SIDE / width, DIGIT_SIDE / height))
    axes.imshow(mistake.image, cmap="gray_r", vmin=0, vmax=255, interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_color("#CCCCCC")

    def caption(offset: float, below: float, text: str, **style) -> None:
        x = (left + CELL_WIDTH / 2 + offset) / width
        figure.text(x, (top - DIGIT_SIDE - below) / height, text, va="top", **style)

    caption(-0.14, 0.04, str(mistake.label), ha="right", color=TRUE_COLOUR, weight="bold")
    caption(0, 0.04, "→", ha="center", color=QUIET_COLOUR)
    caption(0.14, 0.04, str(mistake.prediction), ha="left", color=PREDICTED_COLOUR, weight="bold")
    details = f"{mistake.confidence:.1%}  #{mistake.id}"
    caption(0, 0.25, details, ha="center", color=QUIET_COLOUR, fontsize=8)
