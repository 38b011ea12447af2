"""Augmentation policies: each function returns one albumentations pipeline.

No policy flips: a mirrored digit is another sign. The default ranges are the usual ones of good
solutions (Deotte's kernel rotates by 10 degrees and zooms and shifts by 10%), with a little shear.
"""

import albumentations
import cv2
import numpy as np


def require_possible_changes(rotation: float, zoom: float, shear: float, shift: float) -> None:
    """Raises ValueError if the affine map could mirror a digit or make it vanish."""
    for name, value in (("rotation", rotation), ("shift", shift)):
        if value < 0:
            raise ValueError(f"{name} is {value}, expected 0 or more")
    for name, value, limit in (("zoom", zoom, 1), ("shear", shear, 45)):
        if not 0 <= value < limit:
            raise ValueError(f"{name} is {value}, expected 0 or more, and less than {limit}")


class Warp(albumentations.ImageOnlyTransform):
    """An affine map and a smooth displacement, composed and applied in a single interpolation.

    The displacement is a grid of independent normal vectors, smoothed by cubic interpolation: much
    like the elastic distortion of Simard, Steinkraus and Platt (ICDAR 2003), but composed with the
    affine map and without filtering a random image. The arguments are those of `warp`.
    """

    def __init__(
        self,
        rotation: float,
        zoom: float,
        shear: float,
        shift: float,
        displacement: float,
        knots: int,
        probability: float,
    ):
        require_possible_changes(rotation, zoom, shear, shift)
        if displacement < 0:
            raise ValueError(f"displacement is {displacement}, expected 0 or more")
        if not 0 <= probability <= 1:
            raise ValueError(f"probability is {probability}, expected 0 to 1")
        if knots < 1:
            raise ValueError(f"knots is {knots}, expected 1 or more")
        super().__init__(p=1.0)
        self.rotation, self.zoom, self.shear = rotation, zoom, shear
        self.shift, self.displacement, self.knots = shift, displacement, knots
        self.probability = probability

    def apply(self, img: np.ndarray, **params: object) -> np.ndarray:
        """Returns the warped image, of the same shape and dtype."""
        side = img.shape[0]
        centre = (side - 1) / 2
        columns, rows = np.meshgrid(np.arange(side) - centre, np.arange(side) - centre)
        positions = np.stack([columns, rows], axis=-1) - self.draw_shift(side)
        sources = positions @ self.draw_inverse_map() + centre + self.draw_displacements(side)
        # The first map has both coordinates, so the second may be None; OpenCV's types deny it.
        return cv2.remap(img, sources.astype(np.float32), None, cv2.INTER_LINEAR)  # type: ignore[call-overload]

    def draw_shift(self, side: int) -> np.ndarray:
        """Returns `(x, y)` in pixels."""
        return side * self.random_generator.uniform(-self.shift, self.shift, 2)

    def draw_inverse_map(self) -> np.ndarray:
        """Returns the matrix from rows `(x, y)` of the warped image to those of the original."""
        draw = self.random_generator.uniform
        angle = np.deg2rad(draw(-self.rotation, self.rotation))
        slants = np.tan(np.deg2rad(draw(-self.shear, self.shear, 2)))
        size = draw(1 - self.zoom, 1 + self.zoom)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        return np.array([[1, slants[0]], [slants[1], 1]]) @ turn / size

    def draw_displacements(self, side: int) -> np.ndarray:
        """Returns `(x, y)` in pixels for each pixel, `[side, side, 2]`."""
        if self.random_generator.random() >= self.probability:
            return np.zeros((side, side, 2))
        grid = self.random_generator.normal(size=(self.knots, self.knots, 2))
        smooth = cv2.resize(grid, (side, side), interpolation=cv2.INTER_CUBIC)
        return self.displacement * side * smooth


def none() -> None:
    """No augmentation: the same images in every epoch."""


def affine(
    rotation: float = 10.0, zoom: float = 0.1, shear: float = 5.0, shift: float = 0.08
) -> albumentations.Compose:
    """Rotation, zoom, shear and shift in one interpolation, so that nothing blurs twice.

    Args:
        rotation: largest rotation to either side, in degrees.
        zoom: largest change of the size, as a share of it.
        shear: largest slant to either side, in degrees.
        shift: largest shift in each direction, as a share of the image's side, cut to whole pixels
            (`warp` shifts by fractions of pixels, too).
    """
    return albumentations.Compose([_affine(rotation, zoom, shear, shift)])


def affine_elastic(
    rotation: float = 10.0,
    zoom: float = 0.1,
    shear: float = 5.0,
    shift: float = 0.08,
    strength: float = 30.0,
    smoothness: float = 5.0,
    probability: float = 0.7,
):
    """`affine`, then an elastic distortion (Simard, Steinkraus and Platt, ICDAR 2003).

    Args:
        rotation, zoom, shear, shift: as in `affine`.
        strength: scale of the displacements (albumentations' `alpha`).
        smoothness: standard deviation in pixels of the Gaussian that smooths them (`sigma`).
        probability: share of the images that are distorted, from 0 to 1.
    """
    elastic = albumentations.ElasticTransform(strength, smoothness, p=probability)
    return albumentations.Compose([_affine(rotation, zoom, shear, shift), elastic])


def warp(
    rotation: float = 10.0,
    zoom: float = 0.1,
    shear: float = 5.0,
    shift: float = 0.08,
    displacement: float = 0.018,
    knots: int = 5,
    probability: float = 0.7,
):
    """An affine map and a smooth displacement in one interpolation (see `Warp`).

    Args:
        rotation, zoom, shear, shift: as in `affine`, but width and height change alike.
        displacement: standard deviation of the displacements, as a share of the image's side.
        knots: the displacements are drawn on a grid of `knots` x `knots` points.
        probability: share of the images that are displaced, from 0 to 1; all are mapped.
    """
    drawn = Warp(rotation, zoom, shear, shift, displacement, knots, probability)
    return albumentations.Compose([drawn])


def _affine(rotation: float, zoom: float, shear: float, shift: float):
    require_possible_changes(rotation, zoom, shear, shift)
    return albumentations.Affine(
        rotate=(-rotation, rotation),
        scale=(1 - zoom, 1 + zoom),
        shear=(-shear, shear),
        translate_percent=(-shift, shift),
        p=1.0,
    )
