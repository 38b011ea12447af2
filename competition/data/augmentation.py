"""Augmentation policies: each function returns one albumentations pipeline.

No policy flips: a mirrored digit is another sign. The default ranges are the usual ones of good
solutions (Deotte's kernel rotates by 10 degrees and zooms and shifts by 10 %), with a little shear.
"""

import albumentations

from competition.data.warp import Warp, require_possible_changes


def none() -> None:
    """The images as they are, in every epoch."""


def affine(rotation: float = 10.0, zoom: float = 0.1, shear: float = 5.0, shift: float = 0.08):
    """Rotation, zoom, shear and shift in one interpolation, so that nothing blurs twice.

    Args:
        rotation: largest turn to either side, in degrees.
        zoom: largest change of the size, as a share of it.
        shear: largest slant to either side, in degrees.
        shift: largest shift in either direction, as a share of the image's side; albumentations
            cuts what it draws to whole pixels, where `warp` shifts by parts of them too.
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
    """A map like that of `affine` and a smooth displacement in one interpolation (see `Warp`).

    Args:
        rotation, zoom, shear, shift: as in `affine`, but width and height change alike.
        displacement: standard deviation of the displacements, as a share of the image's side.
        knots: the displacements are drawn on a grid of `knots` x `knots` points.
        probability: share of the images that are displaced, from 0 to 1.
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
