"""Contact sheets of digits as PNG files, for where there is no browser; computes nothing."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from competition.digits import SIDE
from competition.inspection.evaluation.cases import Cases
from competition.inspection.evaluation.findings import Findings, confused_pairs

COLUMNS = 10
ROWS = 8
DIGITS_PER_SHEET = COLUMNS * ROWS
# A bad run has thousands of mistakes: the page shows them all, the sheets the first of each kind.
SHEETS_OF_A_KIND = 3

# Pixels: every digit is drawn at the same whole multiple of its size, with three lines below.
DOTS_PER_INCH = 120
SCALE = 4
DIGIT = SCALE * SIDE
CELL_WIDTH, CELL_HEIGHT, HEADER_HEIGHT, MARGIN = 160, 196, 108, 36
WIDTH = COLUMNS * CELL_WIDTH + 2 * MARGIN

# Readable without telling red from green, and as text on white (after M. Okabe and K. Ito).
TRUE_COLOUR, PREDICTED_COLOUR, QUIET_COLOUR = "#005F96", "#A84300", "#595959"
BORDER_GREY = 204
KEY = "Below each digit: {}; the two likeliest classes; #row id."


@dataclass(frozen=True)
class Series:
    """Digits of one kind, on as many sheets as they fill.

    Attributes:
        stem: of the file names.
        title: the sheets' heading.
        order: a line below it: what comes first.
        cases: what is drawn, in this order.
    """

    stem: str
    title: str
    order: str
    cases: Cases


def write_sheets(folder: Path, findings: Findings) -> None:
    """Writes PNG sheets of mistakes, confused pairs, uncertain rows and likely label errors."""
    for series in (*_kinds(findings), *_pairs(findings)):
        _write_series(folder, series)


def _kinds(findings: Findings) -> list[Series]:
    name, labelled, test = findings.name, findings.labelled, findings.test
    errors = findings.label_errors
    return [
        Series(
            "mistakes",
            f"{_count(len(findings.mistakes), 'mistake')} in {len(labelled):,} out-of-fold digits "
            f"of “{name}”",
            "Most confident first.",
            labelled.take(findings.mistakes),
        ),
        Series(
            "label-errors",
            f"{_count(len(errors), 'likely label error')} in the digits of “{name}”",
            f"All members contradict the label; likeliest first. {errors.confident.sum()} of them "
            "are errors by confident learning.",
            labelled.take(errors.rows),
        ),
        Series(
            "least-certain",
            f"The least certain out-of-fold digits of “{name}”",
            "Smallest margin first, right or wrong.",
            labelled.take(findings.uncertain[:DIGITS_PER_SHEET]),
        ),
        Series(
            "least-certain-test",
            f"The least certain test digits of “{name}”",
            "Smallest margin first; test rows have no label.",
            test.take(findings.uncertain_test[:DIGITS_PER_SHEET]),
        ),
    ]


def _pairs(findings: Findings) -> list[Series]:
    found = confused_pairs(findings.labelled, findings.mistakes)
    return [
        Series(
            f"pair-{one}-{other}",
            f"{one} and {other}: confused {_times(len(rows))} by “{findings.name}”",
            "Most confident first.",
            findings.labelled.take(rows),
        )
        for (one, other), rows in found.items()
    ]


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number:,} times"


def _write_series(folder: Path, series: Series) -> None:
    """Writes numbered sheets; at least one, if only to say that there is nothing."""
    shown = min(len(series.cases), SHEETS_OF_A_KIND * DIGITS_PER_SHEET)
    pages = [
        np.arange(start, min(start + DIGITS_PER_SHEET, shown))
        for start in range(0, max(1, shown), DIGITS_PER_SHEET)
    ]
    order = series.order
    if shown < len(series.cases):
        order = f"{order} These are the first {shown:,}; index.html has all."
    for number, page in enumerate(pages, start=1):
        single = len(pages) == 1
        name = series.stem if single else f"{series.stem}-{number:02d}"
        title = series.title if single else f"{series.title}  ({number} of {len(pages)})"
        _write_sheet(folder / f"{name}.png", title, order, series.cases.take(page))


def _write_sheet(path: Path, title: str, order: str, cases: Cases) -> None:
    import cv2
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    height = HEADER_HEIGHT + -(-len(cases) // COLUMNS) * CELL_HEIGHT + MARGIN
    size = WIDTH / DOTS_PER_INCH, height / DOTS_PER_INCH
    figure = Figure(figsize=size, dpi=DOTS_PER_INCH, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    paper = np.full((height, WIDTH), 255, np.uint8)
    _write_header(figure, title, order, has_labels=cases.digits.labels is not None)
    for position in range(len(cases)):
        line, column = divmod(position, COLUMNS)
        left, top = MARGIN + column * CELL_WIDTH, HEADER_HEIGHT + line * CELL_HEIGHT
        _draw_digit(paper, cases.digits.images[position], left, top)
        _write_caption(figure, cases, position, left + CELL_WIDTH / 2, top + DIGIT)
    canvas.draw()
    # The figure holds the text only: its own way to draw pictures takes as long again.
    written = np.asarray(canvas.buffer_rgba())[..., :3]
    drawn = np.minimum(written, paper[..., None])[..., ::-1]
    cv2.imwrite(str(path), drawn, [cv2.IMWRITE_PNG_COMPRESSION, 6])


def _write_header(figure, title: str, order: str, has_labels: bool) -> None:
    left = MARGIN + (CELL_WIDTH - DIGIT) // 2  # above the first digit's edge
    heading = _write(figure, left, 30, title, fontsize=15, weight="bold")
    # A name may have a hundred letters; they shrink by whole pixels, so some room is left.
    share = 0.95 * (WIDTH - left - MARGIN) / heading.get_window_extent().width
    heading.set_fontsize(15 * min(1, share))
    key = KEY.format("label → prediction" if has_labels else "prediction")
    _write(figure, left, 66, f"{order} {key}", fontsize=9, color=QUIET_COLOUR)


def _draw_digit(paper: np.ndarray, image: np.ndarray, left: int, top: int) -> None:
    """Draws dark ink on white paper, pixel by pixel, in a thin frame."""
    left += (CELL_WIDTH - DIGIT) // 2
    paper[top - 1 : top + DIGIT + 1, left - 1 : left + DIGIT + 1] = BORDER_GREY
    ink = image.repeat(SCALE, axis=0).repeat(SCALE, axis=1)
    paper[top : top + DIGIT, left : left + DIGIT] = 255 - ink


def _write_caption(figure, cases: Cases, row: int, centre: float, top: float) -> None:
    """Writes the classes, the two likeliest with their probabilities, and the id."""
    label = None if cases.digits.labels is None else cases.digits.labels[row]
    _write_classes(figure, label, cases.predictions[row], centre, top + 7)
    two = (cases.predictions[row], cases.runners_up[row])
    shares = "   ".join(f"{one}: {cases.ensemble[row, one]:.1%}" for one in two)
    small = {"ha": "center", "fontsize": 7.5}
    _write(figure, centre, top + 32, shares, **small)
    _write(figure, centre, top + 51, f"#{cases.digits.ids[row]}", color=QUIET_COLOUR, **small)


def _write_classes(figure, label: int | None, predicted: int, centre: float, top: float) -> None:
    bold = {"ha": "center", "fontsize": 11, "weight": "bold"}
    if label is None:
        _write(figure, centre, top, str(predicted), color=PREDICTED_COLOUR, **bold)
        return
    _write(figure, centre - 24, top, str(label), color=TRUE_COLOUR, **bold)
    _write(figure, centre, top, "→", ha="center", fontsize=11, color=QUIET_COLOUR)
    _write(figure, centre + 24, top, str(predicted), color=PREDICTED_COLOUR, **bold)


def _write(figure, left: float, top: float, text: str, **style):
    """Writes a line, and returns it; `left` and `top` in pixels from the upper left corner."""
    height = figure.get_figheight() * DOTS_PER_INCH
    # Without `parse_math`, a dollar sign in a name stays one.
    return figure.text(left / WIDTH, 1 - top / height, text, va="top", parse_math=False, **style)
