"""Contact sheets: white PNG files of pictures and text, where there is no browser."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from competition.digits import SIDE
from competition.pages.figures import DEEP_BLUE, QUIET, RUST

if TYPE_CHECKING:
    from pandas import DataFrame

# Sizes are in pixels. Below each digit is room for three lines.
DOTS_PER_INCH = 120
SCALE = 4
DIGIT = SCALE * SIDE
COLUMNS = 10
CELL_WIDTH, CELL_HEIGHT, HEADER_HEIGHT, MARGIN = 160, 196, 108, 36
WIDTH = COLUMNS * CELL_WIDTH + 2 * MARGIN

TRUE_COLOUR, PREDICTED_COLOUR, QUIET_COLOUR = DEEP_BLUE, RUST, QUIET
BORDER_GREY = 204

MOST_SEEN = 300


# Whatever a matplotlibrc says. A dollar sign in a name is an ordinary character.
PLAIN: dict[str, Any] = {
    "va": "top", "family": "DejaVu Sans", "weight": "normal", "color": "black",
    "usetex": False, "parse_math": False,
}  # fmt: skip


class ContactSheet:
    """A sheet of ten cells per line, with a heading and a note above."""

    def __init__(self, lines: int, title: str, note: str):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        self._height = HEADER_HEIGHT + lines * CELL_HEIGHT + MARGIN
        size = WIDTH / DOTS_PER_INCH, self._height / DOTS_PER_INCH
        self._figure = Figure(figsize=size, dpi=DOTS_PER_INCH, facecolor="white")
        self._canvas = FigureCanvasAgg(self._figure)
        self._pictures = np.full((self._height, WIDTH, 3), 255, np.uint8)
        left = MARGIN + (CELL_WIDTH - DIGIT) // 2  # above the first digit's edge
        self.write(left, 30, title, WIDTH - left - MARGIN, fontsize=15, weight="bold")
        self.write(left, 66, note, fontsize=9, color=QUIET_COLOUR)

    def draw(self, line: int, column: int, picture: np.ndarray) -> tuple[float, float]:
        """Draws a picture, uint8 `[112, 112]` or `[112, 112, 3]` (RGB), in a thin frame.

        Returns the place of its caption: the centre of the cell, and the lower edge.
        """
        left, top = MARGIN + column * CELL_WIDTH, HEADER_HEIGHT + line * CELL_HEIGHT
        inset = left + (CELL_WIDTH - DIGIT) // 2
        framed = self._pictures[top - 1 : top + DIGIT + 1, inset - 1 : inset + DIGIT + 1]
        framed[:] = BORDER_GREY
        framed[1:-1, 1:-1] = picture if picture.ndim == 3 else picture[..., None]
        return left + CELL_WIDTH / 2, top + DIGIT

    def write(
        self, left: float, top: float, text: str, within: float | None = None, **style: Any
    ) -> None:
        """Writes a line at a place in pixels; the font shrinks until the line is `within` wide."""
        place = left / WIDTH, 1 - top / self._height
        line = self._figure.text(*place, text, **{**PLAIN, **style})
        if within:
            # Letters shrink by whole pixels, so leave some room.
            share = 0.95 * within / line.get_window_extent().width
            line.set_fontsize(float(line.get_fontsize()) * min(1, share))

    def write_small(
        self, centre: float, top: float, text: str, within: float | None = None, **style: Any
    ) -> None:
        """Writes a line of a caption."""
        self.write(centre, top, text, within, ha="center", fontsize=7.5, **style)

    def write_classes(self, label: int | None, predicted: int, centre: float, top: float) -> None:
        """Writes label → prediction as the first line of a caption."""
        style: dict[str, Any] = {"ha": "center", "fontsize": 11}
        middle = centre if label is None else centre + 24
        self.write(middle, top + 7, f"{predicted}", color=PREDICTED_COLOUR, weight="bold", **style)
        if label is not None:
            self.write(centre, top + 7, "→", color=QUIET_COLOUR, **style)
            self.write(centre - 24, top + 7, f"{label}", color=TRUE_COLOUR, weight="bold", **style)

    def save(self, path: Path) -> None:
        """Writes the sheet as PNG."""
        import cv2

        self._canvas.draw()
        # The figure holds only the text: matplotlib would draw the pictures in twice the time.
        written = np.asarray(self._canvas.buffer_rgba())[..., :3]
        drawn = np.minimum(written, self._pictures)[..., ::-1]
        # `imwrite` would want a name that ends in .png, which a partial file's does not.
        path.write_bytes(cv2.imencode(".png", drawn, [cv2.IMWRITE_PNG_COMPRESSION, 6])[1].tobytes())


def ink_on_paper(image: np.ndarray) -> np.ndarray:
    """Returns a digit, uint8 `[28, 28]`, as dark ink on white paper, uint8 `[112, 112]`."""
    return 255 - image.repeat(SCALE, axis=0).repeat(SCALE, axis=1)


def write_seen(path: Path, predicted: "DataFrame", images: np.ndarray, title: str) -> None:
    """Writes a sheet of the first digits that were found in pictures, as the net saw them.

    Args:
        path: a PNG file, written over.
        predicted: a row per digit, of `Predictor.predict`.
        images: uint8 `[n, 28, 28]`, of the same rows.
        title: heads the sheet.
    """
    shown = min(len(predicted), MOST_SEEN)
    note = "what the net saw, and its answer" + (
        f"; the first {shown} of {len(predicted):,}" if shown < len(predicted) else ""
    )
    sheet = ContactSheet(math.ceil(shown / COLUMNS), title, note)
    for place, row in enumerate(predicted[:shown].to_dict("records")):
        centre, top = sheet.draw(*divmod(place, COLUMNS), ink_on_paper(images[place]))
        if row["position"]:
            sheet.write_classes(None, row["digit"], centre, top)
            sheet.write_small(centre, top + 30, f"{row['probability']:.1%}", color=QUIET_COLOUR)
        else:
            sheet.write_small(centre, top + 10, row["note"], CELL_WIDTH, color=RUST)
        where = Path(row["picture"]).name
        if row["position"] > 1:
            where += f", digit {row['position']}"
        sheet.write_small(centre, top + 44, where, CELL_WIDTH, color=QUIET_COLOUR)
    sheet.save(path)
