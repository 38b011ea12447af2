"""Digits as pieces of large PNG images, which a page holds as addresses."""

import numpy as np

from competition.digits import SIDE
from competition.inspection.presentation.html import png_data_uri

# Digits a sprite: browsers keep the decoded sprites of what is seen, so each must be small.
SPRITE_COLUMNS, SPRITE_ROWS = 32, 32
DIGITS_PER_SPRITE = SPRITE_COLUMNS * SPRITE_ROWS


def sprites(images: np.ndarray) -> list[str]:
    """Returns grey PNG images as data URIs, on which the digits stand in rows of 32.

    Args:
        images: uint8 `[n, 28, 28]`.
    """
    parts = range(0, len(images), DIGITS_PER_SPRITE)
    return [_sprite(images[start : start + DIGITS_PER_SPRITE]) for start in parts]


def _sprite(images: np.ndarray) -> str:
    lines = -(-len(images) // SPRITE_COLUMNS)
    full = np.zeros((lines * SPRITE_COLUMNS, SIDE, SIDE), np.uint8)
    full[: len(images)] = images
    grid = full.reshape(lines, SPRITE_COLUMNS, SIDE, SIDE).swapaxes(1, 2)
    return data_uri(grid.reshape(lines * SIDE, SPRITE_COLUMNS * SIDE))


def data_uri(picture: np.ndarray) -> str:
    """Returns a picture, uint8, grey `[h, w]` or BGRA `[h, w, 4]`, as the data URI of a PNG."""
    import cv2

    settings = [cv2.IMWRITE_PNG_COMPRESSION, 6]  # 9 takes ten times as long, for 3 % less
    _, png = cv2.imencode(".png", picture, settings)
    return png_data_uri(png.tobytes())
