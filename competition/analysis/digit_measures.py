"""Measures of single digits (ink, slant, centre), and counts over a data set."""

from dataclasses import dataclass

import numpy as np

from competition.digits import CLASSES, SIDE

# Rows that are turned into floats at a time: 30 MB.
BLOCK = 10_000


@dataclass(frozen=True)
class ClassCounts:
    """Rows per class, int `[10]`, and the p of a chi-squared test of equal shares."""

    counts: np.ndarray
    p_value: float

    @property
    def expected(self) -> float:
        """Rows per class at equal shares."""
        return self.counts.sum() / CLASSES


def class_counts(labels: np.ndarray) -> ClassCounts:
    """Counts labels, and tests the counts against equal shares (K. Pearson, 1900)."""
    from scipy.stats import chisquare

    counts = np.bincount(labels, minlength=CLASSES)
    return ClassCounts(counts, float(chisquare(counts).pvalue))


def class_images(images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns mean and standard deviation per class, 0 to 255, `[10, 28, 28]`; 0 without rows."""
    means, deviations = np.zeros((2, CLASSES, SIDE, SIDE))
    for label in np.unique(labels):
        digits = images[labels == label]
        means[label], deviations[label] = digits.mean(axis=0), digits.std(axis=0)
    return means, deviations


@dataclass(frozen=True)
class Measures:
    """Measures of each digit, float64 `[n]` each.

    Attributes:
        ink: sum of the pixels, each from 0 to 1: the inked area in pixels.
        slant: of the strokes in degrees, positive to the right.
        off_centre: pixels from the ink's centre of mass to the centre of the image.
    """

    ink: np.ndarray
    slant: np.ndarray
    off_centre: np.ndarray


def measure(images: np.ndarray) -> Measures:
    """Measures images, uint8 `[n, 28, 28]`, each with some ink, by its moments up to order 2.

    The slant is the one that deslanting removes (Y. LeCun et al., Proceedings of the IEEE 86,
    1998): that of the regression line of x on y. Ink in a single line of pixels has slant 0.
    """
    starts = range(0, len(images), BLOCK)
    moments = np.concatenate([_moments(images[start : start + BLOCK]) for start in starts])
    ink, right, up, mixed, upwards = moments.T
    right, up = right / ink, up / ink
    covariance, variance = mixed / ink - right * up, upwards / ink - up**2
    is_flat = variance < 1e-9  # rounding errors make a variance of 0 a little larger
    lean = np.where(is_flat, 0, covariance) / np.where(is_flat, 1, variance)
    return Measures(ink, np.rad2deg(np.arctan(lean)), np.hypot(right, up))


def _moments(images: np.ndarray) -> np.ndarray:
    """Returns the ink's sums of 1, x, y, xy and y², `[n, 5]`, from the centre, y upwards."""
    places = np.arange(SIDE) - (SIDE - 1) / 2
    right, up = np.meshgrid(places, -places)
    weights = np.stack([np.ones_like(up), right, up, right * up, up * up], axis=-1)
    return images.reshape(len(images), -1) / 255 @ weights.reshape(-1, 5)


@dataclass(frozen=True)
class Pixels:
    """The pixels of some digits.

    Attributes:
        values: float64 `[256]`, the share of each grey value.
        inked: float64 `[28, 28]`, the share of digits with ink at each pixel.
        mean, deviation: of all pixels, each from 0 to 1.
        largest: largest height and largest width of a digit's ink, in pixels.
    """

    values: np.ndarray
    inked: np.ndarray
    mean: float
    deviation: float
    largest: tuple[int, int]


def pixels(images: np.ndarray) -> Pixels:
    """Counts the grey values of images, uint8 `[n, 28, 28]`, and where their ink is."""
    values = np.bincount(images.ravel(), minlength=256) / images.size
    grey = np.arange(256) / 255
    mean = float(values @ grey)
    has_ink = images > 0
    largest = _longest(np.any(has_ink, axis=2)), _longest(np.any(has_ink, axis=1))
    deviation = float(np.sqrt(values @ (grey - mean) ** 2))
    return Pixels(values, has_ink.mean(axis=0), mean, deviation, largest)


def _longest(has_ink: np.ndarray) -> int:
    """Returns the largest distance from the first to the last line with ink, of bool `[n, 28]`."""
    first = has_ink.argmax(axis=1)
    last = SIDE - has_ink[:, ::-1].argmax(axis=1)
    return int((last - first)[has_ink.any(axis=1)].max(initial=0))
