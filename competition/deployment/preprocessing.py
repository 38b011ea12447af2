"""From the ink of any picture to digits as the nets know them: 28 × 28 pixels, centred."""

from dataclasses import dataclass

import numpy as np

from competition.data.pictures import bright_ink
from competition.digits import SIDE

# MNIST scales a digit into a box of 20 × 20 and puts its centre of mass at the centre of 28 × 28
# (Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits").
BOX = 20

# In 28 × 28 pixels, ground as dark as this is MNIST's, and nothing is to be done.
DARKEST = 8
# Ink differs from paper by as many grey values, and by as many times the paper's noise.
LEAST_CONTRAST, LEAST_SIGNAL = 24, 6
# Most of the ink is as bright as this percentile of all that is no paper; ruled lines are fainter.
INK_PERCENTILE = 90
# An edge of ink is less blurred than this share of the picture.
BLUR = 60
# Light changes more slowly than over this share of the picture; strokes are narrower.
LIGHT_SHARE = 4
# What is smaller than this share of the largest digit is a speck, a comma or a ruler's mark.
LEAST_SHARE = 0.3
# The largest digit's longer side is at least as many pixels, and the picture's shorter side divided
# by this: what is smaller is a speck.
LEAST_PIXELS, LEAST_SIDE = 5, 25
# A part of a digit has at least this share of the longest one, and is no further away than this
# share of the taller one; two parts that are equally tall must nearly touch.
LEAST_PART, WIDEST_GAP = 0.1, 0.3
# A ruled line is inked on this share of its way from edge to edge, and no wider than the picture's
# shorter side divided by this.
RULED_SHARE, RULER = 0.7, 100
# The strokes of MNIST are about this share of the digit's longer side wide; finer pens are
# thickened, or they would fade when they are scaled.
PEN_SHARE = 0.1

WHOLE = 0.5, 0.5  # the place of a digit that is the whole picture


@dataclass(frozen=True)
class Found:
    """A digit that was found in a picture.

    Attributes:
        image: uint8 `[28, 28]`, as MNIST shows it.
        place: the centre of its box, (x, y), as shares of the picture's width and height.
    """

    image: np.ndarray
    place: tuple[float, float]


def find_digits(grey: np.ndarray) -> tuple[list[Found], bool]:
    """Finds the digits of a picture, in reading order; a blank picture has none.

    Shadows, the paper's texture, ruled lines and specks are left out. A picture of 28 × 28 pixels
    on black ground is MNIST's already, and stays as it is.

    Args:
        grey: uint8 `[height, width]`, dark ink on light paper or the other way round.

    Returns:
        The digits, and whether it was clear which of light and dark is the ink.
    """
    bright, is_clear = bright_ink(grey)
    if bright.shape == (SIDE, SIDE) and np.median(bright) <= DARKEST:
        return ([Found(bright, WHOLE)] if bright.max() >= LEAST_CONTRAST else []), is_clear
    ink = _without_paper(bright)
    found = []
    for part in _digits_apart(ink > 0):
        # In a shadow, ink stands out less.
        full = 255 / np.percentile(ink[part], INK_PERCENTILE)
        digit = np.where(part, ink * full, 0).clip(0, 255).round().astype(np.uint8)
        image = centred(_thickened(digit))
        rows, columns = (np.flatnonzero(part.any(axis=axis)) for axis in (1, 0))
        place = (columns[0] + columns[-1] + 1) / 2, (rows[0] + rows[-1] + 1) / 2
        if image is not None:
            found.append(Found(image, (place[0] / grey.shape[1], place[1] / grey.shape[0])))
    return found, is_clear


def _without_paper(bright: np.ndarray) -> np.ndarray:
    """Returns the ink, uint8 `[height, width]`, with 0 wherever there is paper."""
    import cv2

    smooth = cv2.GaussianBlur(bright, (0, 0), max(bright.shape) / 640)
    # What stays when everything narrower is worn away is the light on the paper.
    width = min(bright.shape) // LIGHT_SHARE | 1
    light = cv2.blur(_opened(smooth, width), (width, width), borderType=cv2.BORDER_REPLICATE)
    rise = cv2.subtract(smooth, light)
    middle = float(np.median(rise))
    noise = 1.4826 * float(np.median(cv2.absdiff(rise, np.full_like(rise, round(middle)))))
    least = middle + max(LEAST_CONTRAST, LEAST_SIGNAL * noise)
    if not (rise > least).any():
        return np.zeros_like(bright)
    # Not Otsu's threshold, which a fine pen's few pixels do not move.
    threshold = max(least, float(np.percentile(rise[rise > least], INK_PERCENTILE)) / 2)
    mask = np.where(rise > threshold, 255, 0).astype(np.uint8)
    if np.median(rise[_around(mask)]) > threshold / 2:  # a shadow: ink has sharp edges
        return np.zeros_like(bright)
    mask = _without_lines(mask, rise > threshold / 2)
    # Edges stay soft: full ink is reached at one and a half times the threshold.
    soft = ((rise - threshold / 2) * (255 / threshold)).clip(0, 255).round()
    near = cv2.dilate(mask, np.ones((3, 3), np.uint8))
    return np.where(near > 0, soft, 0).astype(np.uint8)


def _around(mask: np.ndarray) -> np.ndarray:
    """Returns which pixels are beside those of a mask, but not next to them."""
    import cv2

    near = max(1, min(mask.shape) // BLUR)
    inner, outer = (
        cv2.dilate(mask, np.ones((2 * size + 1, 2 * size + 1), np.uint8))
        for size in (near, 2 * near)
    )
    ring = (outer > 0) & (inner == 0)
    return ring if ring.any() else mask == 0


def _opened(picture: np.ndarray, width: int) -> np.ndarray:
    import cv2

    square = cv2.getStructuringElement(cv2.MORPH_RECT, (width, width))
    return cv2.morphologyEx(picture, cv2.MORPH_OPEN, square)


def _without_lines(mask: np.ndarray, faint: np.ndarray) -> np.ndarray:
    """Removes ruled lines from a mask of 0 and 255: thin ones from edge to edge of the picture.

    In a shadow they may be `faint` only.
    """
    import cv2

    shorter = min(mask.shape)
    pen = max(3, shorter // RULER) | 1
    thin = cv2.subtract(mask, _opened(mask, pen))
    found = cv2.HoughLinesP(
        thin, 1, np.pi / 360, shorter // 4, minLineLength=shorter // 2, maxLineGap=shorter // 8
    )
    wide = cv2.dilate(faint.astype(np.uint8), np.ones((3, 3), np.uint8))
    ruled = np.zeros_like(mask)
    for line in [] if found is None else np.asarray(found).reshape(-1, 2, 2):
        path = _line_through(line, mask.shape)
        inked = wide[path[:, 1], path[:, 0]] > 0
        end = max(2, len(inked) // 20)
        if inked[:end].any() and inked[-end:].any() and inked.mean() > RULED_SHARE:
            cv2.line(ruled, path[0].tolist(), path[-1].tolist(), 255, pen)
    rest = cv2.subtract(mask, ruled)
    # Strokes that cross a line are whole again.
    closed = cv2.morphologyEx(rest, cv2.MORPH_CLOSE, np.ones((2 * pen, 2 * pen), np.uint8))
    return rest | (closed & mask)


def _line_through(points: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Returns the pixels of a line through a picture, from edge to edge: (x, y), int `[n, 2]`."""
    way = points[1] - points[0]
    steps = np.arange(-sum(shape), sum(shape))[:, None]
    path = np.round(points[0] + steps * way / np.abs(way).max()).astype(int)
    return path[((path >= 0) & (path < shape[1::-1])).all(axis=1)]


def _digits_apart(mask: np.ndarray) -> list[np.ndarray]:
    """Returns a mask per digit, in reading order; specks belong to none."""
    import cv2

    _, parts, measures, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    boxes = measures[1:, :4].astype(int)  # left, top, width, height; the paper comes first
    if not len(boxes):
        return []
    sizes = boxes[:, 2:].max(axis=1)
    if sizes.max() < max(LEAST_PIXELS, min(mask.shape) / LEAST_SIDE):
        return []
    large = np.flatnonzero(sizes >= sizes.max() * LEAST_PART)
    groups = [large[members] for members in _grouped(boxes[large])]
    tops = np.array([boxes[group, 1].min() for group in groups])
    heights = np.array([(boxes[group, 1] + boxes[group, 3]).max() for group in groups]) - tops
    lefts = np.array([boxes[group, 0].min() for group in groups])
    order = _reading_order(lefts, tops, heights)
    kept = [number for number in order if heights[number] >= LEAST_SHARE * heights.max()]
    return [np.isin(parts, groups[number] + 1) for number in kept]


def _grouped(boxes: np.ndarray) -> list[np.ndarray]:
    """Returns which parts are one digit: the bar of a 5 is above it, a piece is close beside.

    Args:
        boxes: left, top, width and height, int `[n, 4]`.
    """
    from scipy.sparse.csgraph import connected_components

    starts, sides = boxes[:, :2], boxes[:, 2:]
    ends = starts + sides
    # How much two boxes share in x and in y; below 0 it is the gap between them.
    shared = np.minimum(ends[:, None], ends) - np.maximum(starts[:, None], starts)
    shorter, longer = np.minimum(sides[:, None], sides), np.maximum(sides[:, None], sides)
    gaps = -shared / longer[..., 1:]
    is_small = shorter[..., 1] < longer[..., 1] / 2
    is_above = shared[..., 0] >= shorter[..., 0] / 2
    above_another = is_above & (gaps[..., 1] < np.where(is_small, WIDEST_GAP, WIDEST_GAP / 4))
    beside_another = is_small & (gaps < WIDEST_GAP / 4).all(axis=-1)
    count, group_of = connected_components(above_another | beside_another)
    return [np.flatnonzero(group_of == number) for number in range(count)]


def _reading_order(lefts: np.ndarray, tops: np.ndarray, heights: np.ndarray) -> list[int]:
    """Returns the places of boxes line by line, and in each line from the left."""
    order = np.argsort(tops)
    lowest = np.maximum.accumulate((tops + heights)[order])
    begins_line = tops[order][1:] > lowest[:-1]
    lines = np.split(order, np.flatnonzero(begins_line) + 1)
    return [int(number) for line in lines for number in line[np.argsort(lefts[line])]]


def _thickened(ink: np.ndarray) -> np.ndarray:
    """Returns a digit as a pen draws it that is as wide as those of MNIST, if it was finer."""
    import cv2

    mask = (ink >= 128).astype(np.uint8)
    outlines, _ = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    outline = sum(cv2.arcLength(line, True) for line in outlines)
    rows, columns = (np.flatnonzero(ink.any(axis=axis)) for axis in (1, 0))
    pen = 2 * mask.sum() / max(outline, 1)
    more = round(PEN_SHARE * (max(np.ptp(rows), np.ptp(columns)) + 1) - pen)
    if more < 1:
        return ink
    ink = np.pad(ink, more)  # a stroke at the edge grows on both sides
    return cv2.dilate(ink, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (more + 1, more + 1)))


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
