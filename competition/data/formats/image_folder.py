"""A folder of PNG or JPEG files, sorted into one folder a class."""

import re
from itertools import chain
from pathlib import Path

import numpy as np

from competition import paths
from competition.arrays import starts_with
from competition.data.entries import require_file, visible_entries
from competition.data.formats.parts import PARTS, Key
from competition.digits import CLASSES, SIDE
from competition.errors import UserError

# What PNG and JPEG files begin with.
STARTS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")
# Of one file: 784 pixels take less than one, and what packs a thousand to one stays below 100 MB.
LARGEST_IMAGE_FILE = 100_000
LAYOUT = "train/0/ … train/9/, or 0/ … 9/, and test/ (by class too, if the labels are known)"

# Files by part, `train` or `test`.
Images = dict[str, list[Path]]


def is_image_folder(folder: Path) -> bool:
    """Says whether there is a folder of training images, or of a class."""
    entries = _folders_in(folder)
    return any(_part_of(entry) == "train" or _is_class(entry) for entry in entries)


def find_images(folder: Path) -> Images:
    """Returns every file of the two parts, but for hidden ones, in the order of their ids.

    Folders and the names in each are sorted as people count, `2.png` before `10.png`.

    Raises:
        UserError: when a part is missing, empty or there twice, or naming the first entry that is
            no file, or that belongs to no part.
    """
    parts = _parts(folder)
    if "test" not in parts:
        raise UserError(
            f"{folder} has no folder test/: put images to predict into it, or some labelled ones "
            f"of each class into {folder / 'test'}/0/ … 9/; expected {LAYOUT}"
        )
    _require_known(folder, parts)
    images = {part: _files_in(folders) for part, folders in parts.items()}
    for part, files in images.items():
        if not files:
            raise UserError(f"{folder} has no images of {part}; expected {LAYOUT}")
    return images


def read_images(images: Images) -> dict[Key, np.ndarray]:
    """Reads the files that were found, in their order.

    Returns:
        Images uint8 `[n, 28, 28]` and labels uint8 `[n]` by part, `train` or `test`, and kind,
        `images` or `labels`. Labels of the test images are there if they lie in class folders.

    Raises:
        UserError: naming the first file that is not a PNG or JPEG image of 28 × 28 pixels in grey
            with some ink, or that lies in no class folder.
    """
    arrays: dict[Key, np.ndarray] = {}
    for part, files in images.items():
        arrays[part, "images"] = np.stack([_read_image(file) for file in files])
        if part == "train" or any(_part_of(file.parent) != part for file in files):
            arrays[part, "labels"] = np.array([_class_of(file) for file in files], np.uint8)
    return arrays


def _parts(folder: Path) -> dict[str, list[Path]]:
    """Returns the folders that the files of each part may lie in."""
    entries = _folders_in(folder)
    classes = [entry for entry in entries if _is_class(entry)]
    parts = {"train": classes} if classes else {}
    for entry in entries:
        part = _part_of(entry)
        if part in parts:
            raise UserError(f"{parts[part][0]} and {entry} are both the part {part}; leave one")
        if part is not None:
            parts[part] = [entry, *_folders_in(entry)]
    return parts


def _require_known(folder: Path, parts: dict[str, list[Path]]) -> None:
    """Raises UserError naming the first folder or image beside the parts: it would be left out."""
    known = {paths.cache_folder(folder), *chain(*parts.values())}
    for entry in _entries(folder):
        if entry not in known and (entry.is_dir() or _is_image(entry)):
            raise UserError(
                f"{entry} belongs to no class from 0 to 9 and to no part; expected {LAYOUT}, and "
                "no other folders or images"
            )


def _part_of(folder: Path) -> str | None:
    return PARTS.get(folder.name.lower())


def _files_in(folders: list[Path]) -> list[Path]:
    files = [entry for folder in folders for entry in _entries(folder) if entry not in folders]
    for file in files:
        require_file(file, f"expected PNG or JPEG files only, in {LAYOUT}")
    return files


def _folders_in(folder: Path) -> list[Path]:
    return [entry for entry in _entries(folder) if entry.is_dir()]


def _entries(folder: Path) -> list[Path]:
    return sorted(visible_entries(folder), key=_natural_key)


def _natural_key(entry: Path) -> tuple[list[str | int], str]:
    """Sorts by the numbers in a name; those that count the same, `1` and `01`, by the text."""
    words = re.split("([0-9]+)", entry.name)
    words[1::2] = map(int, words[1::2])
    return words, entry.name


def _is_class(folder: Path) -> bool:
    name = folder.name
    return name.isascii() and name.isdigit() and int(name) < CLASSES


def _class_of(file: Path) -> int:
    if not _is_class(file.parent):
        raise UserError(
            f"{file} lies in a folder '{file.parent.name}', which is not a class from 0 to 9; "
            f"expected {LAYOUT}"
        )
    return int(file.parent.name)


def _read_image(file: Path) -> np.ndarray:
    if file.stat().st_size > LARGEST_IMAGE_FILE:
        raise UserError(
            f"{file} has more than {LARGEST_IMAGE_FILE:,} bytes, and so more than one digit; "
            f"expected {SIDE} × {SIDE} pixels of 8 bits in grey, all images alike"
        )
    image = _decoded(file)
    if image is None:
        raise UserError(
            f"{file} cannot be read as a PNG or JPEG image; fetch it again if it may be cut, or "
            "move away what is none"
        )
    if image.ndim == 3 and (image[..., :3] == image[..., :1]).all():
        image = image[..., 0]
    if image.shape != (SIDE, SIDE) or image.dtype != np.uint8:
        raise UserError(
            f"{file} has the shape {image.shape} and {image.dtype}; expected {SIDE} × {SIDE} "
            "pixels of 8 bits in grey, all images alike"
        )
    if not image.any():
        raise UserError(f"{file} has no ink at all: every pixel is 0; move it away")
    return image


def _is_image(file: Path) -> bool:
    return any(starts_with(file, start) for start in STARTS)


def _decoded(file: Path) -> np.ndarray | None:
    """Returns None for a damaged file, and for any other than PNG and JPEG, whatever its name."""
    import cv2

    content = file.read_bytes()
    if not content.startswith(STARTS):
        return None
    try:
        return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:  # a header that promises more pixels than OpenCV takes
        return None
