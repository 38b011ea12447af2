"""From the ink of any picture to digits as the nets know them: 28 × 28 pixels, centred."""

import numpy as np

from competition.digits import SIDE

# MNIST scales a digit into a box of 20 × 20 and puts its centre of mass at the centre of 28 × 28
# (Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits").
BOX = 20


def centred(ink: np.ndarray) -> np.ndarray | None:
    """Returns one digit as MNIST shows it, uint8 `[28, 28]`, or None where there is no ink.

    The box around all ink is scaled, by averaging areas, until its longer side has 20 pixels, and
    moved until its centre of mass is in the middle. All of it is exact arithmetic of whole numbers,
    so the drawing page repeats it bit by bit; a digit of MNIST comes back unchanged.

    Args:
        ink: uint8 `[height, width]`, 0 where the paper is.
    """
    rows, columns = (np.flatnonzero(ink.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return None
    box = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    longer, area = max(box.shape), box.size
    height, width = (max(1, (2 * BOX * side + longer) // (2 * longer)) for side in box.shape)
    # Floating-point numbers hold these sums exactly, and multiply faster than integers.
    sums = _overlaps(box.shape[0], height) @ box @ _overlaps(box.shape[1], width).T
    small = (2 * sums.astype(np.int64) + area) // (2 * area)
    if not small.any():
        return None
    top, left = (_start(small.sum(axis=axis)) for axis in (1, 0))
    image = np.zeros((SIDE, SIDE), np.uint8)
    image[top : top + height, left : left + width] = small
    return image


def _overlaps(long: int, short: int) -> np.ndarray:
    """Returns by how much each of `short` equal parts of a line covers each of `long` equal parts.

    The line is `long * short` units long, so all are whole numbers: float `[short, long]`.
    """
    first = np.arange(short)[:, None] * long, np.arange(long) * short
    last = first[0] + long, first[1] + short
    return np.maximum(0, np.minimum(*last) - np.maximum(*first)).astype(float)


def _start(masses: np.ndarray) -> int:
    """Returns where to paste, so that the centre of these masses is nearest to the middle."""
    total, moment = int(masses.sum()), int(masses @ np.arange(len(masses)))
    start = (SIDE * total - 2 * moment + total) // (2 * total)  # half a pixel is rounded up
    return min(max(start, 0), SIDE - len(masses))
