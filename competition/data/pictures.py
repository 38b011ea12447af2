"""Pictures in PNG, JPEG, WebP, BMP or TIFF, as grey values, and which of these are ink."""

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from competition.errors import UserError

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF")
ENDINGS = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"}
# The cameras of telephones reach this; a file of a few kB can promise a thousand times as much.
MOST_PIXELS = 50_000_000
# Whoever looks for ink needs no more; larger pictures are shrunk.
LONGEST_SIDE = 1000

# A colour channel is taken instead of the brightness if it shows this many times its contrast, as
# the blue one does of yellow ink.
CLEARER = 1.5
# Alpha values that differ by less tell nothing.
LEAST_ALPHA_RANGE = 16
# A card with a digit on it fills its box more than this, and has more contrast than ink alone.
CARD_SHARE, CARD_CONTRAST = 0.8, 64

# A share of the frame, or of the whole picture, that ink does not reach in a clear picture.
MOST_FRAME_INK, MOST_INK = 0.3, 0.5
# Smaller pictures have no uneven light.
LEAST_PHOTO_SIDE = 64


def read_grey(source: Path | bytes) -> np.ndarray:
    """Reads a picture, as it is meant to be seen, as uint8 `[height, width]`.

    A camera's orientation is applied, and a side has at most `LONGEST_SIDE` pixels. Strokes on
    transparent ground are white on black, whatever their colour.

    Args:
        source: a file, or what it holds.

    Raises:
        UserError: when it is no such picture, cut, or too large.
    """
    import struct
    import zlib

    from PIL import Image, ImageOps

    name = "the picture" if isinstance(source, bytes) else str(source)
    try:
        with Image.open(
            io.BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS
        ) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                raise Image.DecompressionBombError
            picture.draft(None, (LONGEST_SIDE, LONGEST_SIDE))  # JPEG is decoded in a smaller size
            picture.load()
            return grey_values(ImageOps.exif_transpose(picture))
    except Image.DecompressionBombError:
        raise UserError(
            f"{name} has more than {MOST_PIXELS:,} pixels; make it smaller, or cut out the digits"
        ) from None
    except IsADirectoryError:
        raise UserError(f"{name} is a folder; expected a picture") from None
    except FileNotFoundError:
        raise UserError(f"there is no {name}; expected a picture or a folder of pictures") from None
    # All that Pillow was seen to raise for damaged files.
    except (OSError, ValueError, SyntaxError, EOFError, IndexError, struct.error, zlib.error):
        raise UserError(
            f"{name} cannot be read as a picture; expected PNG, JPEG, WebP, BMP or TIFF; fetch it "
            "again if it may be cut, or move it away if it is no picture"
        ) from None


def grey_values(picture: "Image") -> np.ndarray:
    """Returns the clearest grey values of a picture that is open, as `read_grey` does."""
    if picture.mode.startswith(("I", "F")):
        values = np.asarray(picture).astype(float)
        if picture.mode.startswith("I;16"):
            values /= 257
        else:  # these have no range of their own
            values = (values - values.min()) * (255 / max(np.ptp(values), 1e-9))
        return _shrunk(values.round().clip(0, 255).astype(np.uint8))
    if not picture.has_transparency_data:
        return _clearest(_shrunk(np.asarray(picture.convert("RGB"))))
    coloured = _shrunk(np.asarray(picture.convert("RGBA")))
    colours, alpha = coloured[..., :3], coloured[..., 3]
    if np.ptp(alpha) < LEAST_ALPHA_RANGE:
        return _clearest(colours)
    grey, is_there = _clearest(colours), alpha >= 128
    if not _is_card(grey, is_there):
        return alpha
    paper = np.median(grey[is_there])
    return (paper + (grey - paper) * (alpha / 255)).round().astype(np.uint8)


def _is_card(grey: np.ndarray, is_there: np.ndarray) -> bool:
    """Whether the pixels that are not transparent are paper with ink, and not ink alone."""
    rows, columns = (np.flatnonzero(is_there.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return False
    share = is_there.sum() / ((np.ptp(rows) + 1) * (np.ptp(columns) + 1))
    low, high = np.percentile(grey[is_there], [1, 99])
    return bool(share > CARD_SHARE and high - low > CARD_CONTRAST)


def _clearest(colours: np.ndarray) -> np.ndarray:
    """Returns the brightness of `[height, width, 3]`, or the channel that shows much more."""
    import cv2

    grey = cv2.cvtColor(colours, cv2.COLOR_RGB2GRAY)
    contrasts = colours.std(axis=(0, 1))
    best = int(contrasts.argmax())
    return grey if contrasts[best] <= CLEARER * grey.std() else colours[..., best].copy()


def _shrunk(values: np.ndarray) -> np.ndarray:
    import cv2

    scale = LONGEST_SIDE / max(values.shape[:2])
    if scale >= 1:
        return values
    height, width = (max(1, round(side * scale)) for side in values.shape[:2])
    return cv2.resize(values, (width, height), interpolation=cv2.INTER_AREA)


def bright_ink(grey: np.ndarray) -> tuple[np.ndarray, bool]:
    """Returns a picture with its ink brighter than the paper, uint8, and whether that is clear.

    Paper is what most of the picture's frame is.
    """
    import cv2

    if not np.ptp(grey):  # one colour, so nothing but paper: white or black
        return np.where(grey >= 128, 255 - grey, grey), True
    flat = _without_shadows(grey)
    _, is_light = cv2.threshold(flat, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    depth = max(1, min(flat.shape) // 16)
    frame = np.ones(flat.shape, bool)
    frame[depth:-depth, depth:-depth] = False
    light_frame = float(is_light[frame].mean())
    is_dark_ink = light_frame > 0.5
    ink = 1 - is_light if is_dark_ink else is_light
    is_clear = min(light_frame, 1 - light_frame) <= MOST_FRAME_INK and ink.mean() <= MOST_INK
    return 255 - grey if is_dark_ink else grey, bool(is_clear)


def _without_shadows(grey: np.ndarray) -> np.ndarray:
    """Returns the difference from the light around, plus 128, in a picture that may be a photo."""
    import cv2

    shorter = min(grey.shape)
    if shorter < LEAST_PHOTO_SIDE:
        return grey
    scale = LEAST_PHOTO_SIDE / shorter
    small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    light = cv2.medianBlur(small, LEAST_PHOTO_SIDE // 2 + 1)
    differences = small.astype(np.int16) - light + 128
    return differences.clip(0, 255).astype(np.uint8)
