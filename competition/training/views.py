"""The views of a digit that a prediction averages: as it is, shifted, and as a policy draws it."""

from collections.abc import Iterator

import numpy as np

from competition.data.pool import Part, Pool
from competition.digits import Digits
from competition.settings.variant import Variant


def view_pool(variant: Variant, seed: int, data: str, part: Part) -> Pool:
    """Returns the pool of drawn views, the same for every fold of a member.

    Args:
        variant: says by which policy they are drawn.
        seed: the member's.
        data: fingerprint of the data set.
        part: of the data that is predicted.
    """
    return Pool(variant.test_time_augmentation, seed, data, part)


def views(variant: Variant, digits: Digits, rows: np.ndarray, pool: Pool) -> Iterator[np.ndarray]:
    """Yields each view of some rows, uint8 `[n, 28, 28]`, so that one at a time takes memory.

    Args:
        variant: says which views there are.
        digits: the digits of a part of the data.
        rows: int `[n]`, their positions.
        pool: of drawn views of that part; where there are none, it is not looked into.
    """
    for by in shifts(variant.test_time_shift, variant.test_time_directions):
        yield shifted(digits.images[rows], *by)
    for number in range(variant.test_time_draws):
        yield pool.epoch(number, digits)[rows]


def view_count(variant: Variant) -> int:
    """Returns how many views a prediction averages."""
    moved = shifts(variant.test_time_shift, variant.test_time_directions)
    return len(moved) + variant.test_time_draws


def shifts(pixels: int, directions: int = 4) -> list[tuple[int, int]]:
    """Returns shifts, down and right: none, to the four sides, with 8 directions to the corners."""
    steps = (-pixels, 0, pixels)
    moves = {(down, right) for down in steps for right in steps}
    return sorted(move for move in moves if directions == 8 or 0 in move)


def shifted(images: np.ndarray, down: int, right: int) -> np.ndarray:
    """Returns images `[n, height, width]` shifted by pixels; what comes in is 0."""
    height, width = images.shape[1:]
    padded = np.pad(images, [(0, 0), (abs(down), abs(down)), (abs(right), abs(right))])
    top, left = abs(down) - down, abs(right) - right
    return padded[:, top : top + height, left : left + width]
