"""A map as colours over a digit; computes nothing."""

import numpy as np

from competition.inspection.presentation.colours import GREEN, PURPLE
from competition.inspection.presentation.contact_sheet import DIGIT, SCALE

# Of a row whose maps hold less than this, none is drawn as strongly as it could be.
FAINTEST_SCALE = 0.1
# At full strength a colour still lets the digit through.
STRENGTH = 0.9
IN_WORDS = "green: costs, purple: gains probability"
# How dark the ink is below a map, as in `why.css`: so that the colour is seen on it too.
INK = 0.4


def scale_of(drops: list[np.ndarray]) -> float:
    """Returns the probability that is drawn at full strength in all maps of a row."""
    return max(FAINTEST_SCALE, *(float(np.abs(each).max()) for each in drops))


def overlay(drops: np.ndarray, scale: float) -> np.ndarray:
    """Returns a map as BGRA, uint8 `[14, 14, 4]`: green what speaks for a class, purple against.

    Args:
        drops: `[14, 14]`, the probability that is lost when a place is hidden.
        scale: what is drawn at full strength.
    """
    colours = np.where((drops >= 0)[..., None], _rgb(GREEN), _rgb(PURPLE))[..., ::-1]
    alpha = np.rint(np.abs(drops) / scale * STRENGTH * 255)
    return np.dstack([colours, alpha]).astype(np.uint8)


def on_paper(image: np.ndarray, drops: np.ndarray, scale: float) -> np.ndarray:
    """Returns a map over a digit, dark ink on white, RGB, uint8 `[112, 112, 3]`."""
    import cv2

    colours = cv2.resize(overlay(drops, scale), (DIGIT, DIGIT), interpolation=cv2.INTER_LINEAR)
    alpha = colours[..., 3:] / 255
    filtered = 1 - alpha + alpha * colours[..., 2::-1] / 255
    ink = image.repeat(SCALE, axis=0).repeat(SCALE, axis=1)[..., None]
    return np.rint((255 - INK * ink) * filtered).astype(np.uint8)


def _rgb(colour: str) -> np.ndarray:
    return np.array([int(colour[start : start + 2], 16) for start in (1, 3, 5)])
