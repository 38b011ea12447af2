"""Writes centred.json: pictures of ink, and the digits that they become, by the definition.

The definition is worked out in fractions, pixel by pixel, with no code of the package. Run it as
`python tests/vectors/make.py` after a change of the pictures.
"""

import base64
import json
import math
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

SIDE, BOX = 28, 20
FILE = Path(__file__).with_name("centred.json")


def by_definition(ink: np.ndarray) -> list[int] | None:
    rows, columns = (np.flatnonzero(ink.any(axis=axis)).tolist() for axis in (1, 0))
    if not rows:
        return None
    box = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].tolist()
    sides = len(box), len(box[0])
    height, width = (max(1, half_up(Fraction(BOX * side, max(sides)))) for side in sides)
    across = [averages(row, width) for row in box]
    down = zip(*(averages(column, height) for column in zip(*across, strict=True)), strict=True)
    small = [[half_up(value) for value in row] for row in down]
    if not any(map(any, small)):
        return None
    top = start([sum(row) for row in small])
    left = start([sum(column) for column in zip(*small, strict=True)])
    image = np.zeros((SIDE, SIDE), int)
    image[top : top + height, left : left + width] = small
    return image.ravel().tolist()


def averages(values, count: int) -> list[Fraction]:
    """Returns the mean of each of `count` equal parts of a line of values."""
    part = Fraction(len(values), count)
    means = []
    for number in range(count):
        first, last = number * part, (number + 1) * part
        total = Fraction(0)
        for place in range(math.floor(first), math.ceil(last)):
            total += values[place] * (min(last, place + 1) - max(first, place))
        means.append(total / part)
    return means


def start(masses: list[int]) -> int:
    centre = Fraction(sum(place * mass for place, mass in enumerate(masses)), sum(masses))
    return min(max(half_up(SIDE // 2 - centre), 0), SIDE - len(masses))


def half_up(value: Fraction) -> int:
    return math.floor(value + Fraction(1, 2))


def drawn(height: int, width: int, pen: int, *strokes: list[tuple[int, int]]) -> np.ndarray:
    ink = np.zeros((height, width), np.uint8)
    for stroke in strokes:
        cv2.polylines(ink, [np.array(stroke)], False, 255, pen, cv2.LINE_AA)
    return ink


def pictures() -> dict[str, np.ndarray]:
    one_pixel, corner = np.zeros((9, 12), np.uint8), np.zeros((30, 40), np.uint8)
    one_pixel[7, 2] = 200
    corner[-7:, -3:] = 255
    faint = np.zeros((50, 50), np.uint8)
    faint[3, 4], faint[47, 45] = 1, 1
    zero = np.zeros((96, 80), np.uint8)
    cv2.ellipse(zero, (38, 50), (22, 34), 12, 0, 360, 255, 8, cv2.LINE_AA)
    noise = np.random.default_rng(0).integers(0, 256, (47, 33)).astype(np.uint8)
    return {
        "blank": np.zeros((20, 30), np.uint8),
        "one pixel": one_pixel,
        "too faint to be left": faint,
        "a bar in the corner": corner,
        "0, slanted": zero,
        "1, thin and long": drawn(100, 60, 1, [(31, 2), (28, 97)]),
        "1, lying": drawn(40, 100, 5, [(4, 20), (95, 23)]),
        "2": drawn(90, 70, 7, [(12, 25), (30, 10), (55, 20), (50, 45), (10, 80), (62, 78)]),
        "4, two strokes": drawn(80, 80, 6, [(30, 8), (14, 45), (66, 45)], [(50, 25), (48, 74)]),
        "7, heavy at the top": drawn(64, 64, 9, [(8, 10), (56, 10), (56, 16), (30, 60)]),
        "L, off its centre": drawn(99, 99, 11, [(10, 5), (10, 90), (92, 90)]),
        "smaller than the box": drawn(9, 8, 1, [(2, 1), (5, 1), (5, 7)]),
        "as large as the box": drawn(28, 28, 2, [(9, 5), (18, 5), (12, 23)]),
        "all ink": np.full((13, 29), 255, np.uint8),
        "noise": noise,
    }


def main() -> None:
    vectors = [
        {
            "name": name,
            "width": ink.shape[1],
            "height": ink.shape[0],
            "pixels": base64.b64encode(ink.tobytes()).decode(),
            "ink": by_definition(ink),
        }
        for name, ink in pictures().items()
    ]
    FILE.write_text("[\n" + ",\n".join(map(json.dumps, vectors)) + "\n]\n")


if __name__ == "__main__":
    main()
