"""A folder of PNG or JPEG files, sorted into one folder a class."""

from pathlib import Path

import numpy as np

from competition.data.named_arrays import PARTS
from competition.digits import CLASSES, SIDE
from competition.errors import UserError

ENDINGS = {".png", ".jpg", ".jpeg"}
LAYOUT = "train/0/ … train/9/ and test/ (by class too, if the labels are known)"


def is_image_folder(folder: Path) -> bool:
    """Says whether there is a folder of training images."""
    return any(part == "train" for part in _parts(folder))


def read_image_folder(folder: Path) -> dict[tuple[str, str], np.ndarray]:
    """Reads all images, in the order of their names.

    Returns:
        Images uint8 `[n, 28, 28]` and labels uint8 `[n]` by part, `train` or `test`, and kind,
        `images` or `labels`. Labels of the test images are there if they lie in class folders.

    Raises:
        UserError: when folders are missing, or naming the first file that is not an image of
            28 × 28 pixels in grey.
    """
    arrays: dict[tuple[str, str], np.ndarray] = {}
    parts = _parts(folder)
    for part, inside in parts.items():
        files = image_files(inside)
        arrays[part, "images"] = np.stack([_read_image(file) for file in files])
        if part == "train" or any(file.parent != inside for file in files):
            arrays[part, "labels"] = np.array([_class_of(file) for file in files], np.uint8)
    if "test" not in parts:
        raise UserError(f"{folder} has no folder test/; expected {LAYOUT}")
    return arrays


def all_image_files(folder: Path) -> list[Path]:
    """Returns every image that `read_image_folder` reads."""
    return [file for inside in _parts(folder).values() for file in image_files(inside)]


def image_files(folder: Path) -> list[Path]:
    """Returns every image below a folder, sorted by its path.

    Raises:
        UserError: when there is none.
    """
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in ENDINGS)
    if not files:
        raise UserError(f"{folder} holds no PNG or JPEG file; expected {LAYOUT}")
    return files


def _parts(folder: Path) -> dict[str, Path]:
    inside = sorted(entry for entry in folder.iterdir() if entry.is_dir())
    return {PARTS[entry.name.lower()]: entry for entry in inside if entry.name.lower() in PARTS}


def _class_of(file: Path) -> int:
    name = file.parent.name
    if not (name.isascii() and name.isdigit() and int(name) < CLASSES):
        raise UserError(
            f"{file} lies in a folder '{name}', which is not a class from 0 to 9; expected {LAYOUT}"
        )
    return int(name)


def _read_image(file: Path) -> np.ndarray:
    import cv2

    content = np.fromfile(file, np.uint8)
    image = cv2.imdecode(content, cv2.IMREAD_UNCHANGED) if len(content) else None
    if image is None:
        raise UserError(f"{file} cannot be read as an image; it may be cut")
    if image.ndim == 3 and (image[..., :3] == image[..., :1]).all():
        image = image[..., 0]
    if image.shape != (SIDE, SIDE) or image.dtype != np.uint8:
        raise UserError(
            f"{file} has the shape {image.shape} and {image.dtype}; expected {SIDE} × {SIDE} "
            "pixels of 8 bits in grey, all images alike"
        )
    return image
