"""Digits in other formats than the competition's: MNIST's IDX files, `.npz`, HDF5, image files.

Readers return unchecked arrays by part and kind. `checked_digits` checks the images and labels of
every source, also of the competition's CSV files.
"""

import gzip
import math
import re
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from typing import IO, TypeVar
from zipfile import ZipFile

import numpy as np

from competition import paths
from competition.data.pictures import bright_ink, read_grey
from competition.digits import CLASSES, SIDE, DataSet, Digits
from competition.errors import UserError
from competition.storage import (
    DAMAGED_ARRAYS,
    cached,
    read_arrays,
    require_file,
    starts_with,
    visible_entries,
)

# A part, `train` or `test`, and a kind, `images` or `labels`.
Key = tuple[str, str]
Arrays = dict[Key, np.ndarray]
Value = TypeVar("Value")

REQUIRED = {("train", "images"), ("train", "labels"), ("test", "images")}
KEYS = REQUIRED | {("test", "labels")}

# Words in the names of files, arrays and folders.
PARTS = {"train": "train", "training": "train", "test": "test", "testing": "test", "t10k": "test"}
OTHER_PARTS = dict.fromkeys(("valid", "validation", "val", "dev", "extra"), "another part")
KINDS = {
    **dict.fromkeys(("x", "image", "images", "idx3"), "images"),
    **dict.fromkeys(("y", "label", "labels", "idx1"), "labels"),
}


@dataclass(frozen=True)
class Source:
    """Files with digits, and `read`, which returns their arrays unchecked.

    `image_files` has the images' files by part, if each image has its own.
    """

    name: str
    files: list[Path]
    read: Callable[[], Arrays]
    image_files: dict[str, list[Path]] = field(default_factory=dict)


def read_other(name: str, folder: Path) -> DataSet | None:
    """Reads a data set in one of these formats, None if there is none; it is cached.

    If the test images have labels, they are labelled rows as well, which the data itself holds out;
    their ids follow those of the training images.
    """
    sources = _sources(folder) if folder.is_dir() else []
    if not sources:
        return None
    if len(sources) > 1:
        found = "; ".join(source.name for source in sources)
        raise UserError(f"{folder} holds digits in {len(sources)} formats: {found}; keep only one")
    [source] = sources
    cache = paths.cache_folder(folder) / "digits.npz"
    arrays = cached(cache, folder, source.files, partial(_checked, folder, source))
    images, labels = arrays["train_images"], arrays["train_labels"]
    test = numbered(arrays["test_images"])
    if "test_labels" not in arrays:
        return DataSet(name, numbered(images, labels), test)
    labels = np.concatenate([labels, arrays["test_labels"]])
    train = numbered(np.concatenate([images, test.images]), labels)
    return DataSet(name, train, test, held_out=train.ids[len(images) :])


def _sources(folder: Path) -> list[Source]:
    """Returns all sources of digits in a folder; files are recognised by their first bytes."""
    sources, idx_files = [], []
    for file in visible_entries(folder):
        if file.is_dir():
            continue
        require_file(file, "mount its disk, or move it away")
        if starts_with(file, HDF5_START):
            sources.append(Source(file.name, [file], partial(read_hdf5, file)))
        elif _is_npz(file):
            sources.append(Source(file.name, [file], partial(read_npz, file)))
        elif _is_idx(file):
            idx_files.append(file)
    if idx_files:
        names = ", ".join(file.name for file in idx_files)
        sources.append(Source(names, idx_files, partial(read_idx_files, folder, idx_files)))
    if images := find_images(folder):
        files = [*chain(*images.values())]
        for file in files:
            require_file(file, f"expected pictures only, in {LAYOUT}")
        sources.append(Source("folders of images", files, partial(read_images, images), images))
    return sources


def _checked(folder: Path, source: Source) -> dict[str, np.ndarray]:
    """Reads and checks a source; returns images and labels by their names in the cache."""

    def place(row: int) -> str:
        files = source.image_files.get(part)
        return str(files[row]) if files else f"{where}, image {row + 1}"

    arrays, checked = source.read(), {}
    for part in ("train", "test"):
        where = f"{folder} ({source.name}), {part}"
        labels = arrays.get((part, "labels"))
        digits = checked_digits(arrays[part, "images"], labels, where, place)
        checked[f"{part}_images"] = digits.images
        if labels is not None:
            checked[f"{part}_labels"] = digits.labels
    if is_transposed(checked["train_images"], checked["train_labels"]):
        for part in ("train_images", "test_images"):
            checked[part] = np.ascontiguousarray(checked[part].swapaxes(1, 2))
    return checked


# What upright digits of 28 × 28 have more in common with upright ones of others than transposed
# ones have: 0.16 at least in samples of 20 of the competition's rows, 0.35 in large ones.
TRANSPOSED = -0.15


def is_transposed(images: np.ndarray, labels: np.ndarray) -> bool:
    """Whether digits have rows for columns, as EMNIST's files do, judged by scikit-learn's digits.

    Each class's mean image is compared with that of scikit-learn, as it is and transposed.
    """
    import cv2
    from sklearn.datasets import load_digits

    others, classes = load_digits(return_X_y=True)
    differences = []
    for label in np.unique(labels):
        other = others[classes == label].mean(axis=0)
        box = images[labels == label].mean(axis=0)[4:-4, 4:-4]
        mean = cv2.resize(box, (8, 8), interpolation=cv2.INTER_AREA)
        if not np.ptp(mean):
            return False  # these are no digits
        upright, turned = (np.corrcoef(each.ravel(), other)[0, 1] for each in (mean, mean.T))
        differences.append(upright - turned)
    return bool(np.mean(differences) < TRANSPOSED)


def numbered(images: np.ndarray, labels: np.ndarray | None = None) -> Digits:
    return Digits(np.arange(1, len(images) + 1, dtype=np.int32), images, labels)


# ----- Images and labels of every source -----

# Digits are bright on black; if it is the other way round, the pixels at the edges are bright.
BRIGHT_EDGE = 128


def checked_digits(
    images: np.ndarray, labels: np.ndarray | None, where: str, place: Callable[[int], str]
) -> Digits:
    """Returns images and labels of any source as digits with the ids 1 to n.

    Args:
        images: `[n, 28, 28]`, `[n, 28, 28, 1]` or `[n, 784]`, from 0 to 255, or divided by 255.
        labels: `[n]` from 0 to 9, or one-hot `[n, 10]`; None if not known.
        where: names all of them in an error.
        place: names the image at a position.

    Raises:
        UserError: when they are anything else, an image has no ink, or the digits are dark.
    """

    def require(good: np.ndarray, problem: str) -> None:
        if not good.all():
            raise UserError(f"{place(int(np.argmin(good)))} {problem}")

    pixels = _pixels(images, where)
    if pixels.max() == 1:
        raise UserError(
            f"{where}: no pixel is brighter than 1 of 255; expected whole numbers from 0 to 255, "
            "or floating-point numbers from 0 to 1; full ink is 255 or 1.0"
        )
    require((pixels != 0).any(axis=(1, 2)), "has no ink at all: every pixel is 0")
    edges = np.concatenate([pixels[:, [0, -1]].ravel(), pixels[:, :, [0, -1]].ravel()])
    if np.median(edges) >= BRIGHT_EDGE:
        raise UserError(f"{where}: the digits are dark on white; expected bright ink on black")
    if labels is None:
        return numbered(pixels)
    is_one_hot = np.shape(labels) == (len(pixels), CLASSES)
    if np.shape(labels) != (len(pixels),) and not is_one_hot:
        raise UserError(
            f"{where}: the labels have the shape {np.shape(labels)}; expected one label per image, "
            f"for {len(pixels):,} images"
        )
    if labels.dtype.kind not in ("biuf" if is_one_hot else "iuf"):
        raise UserError(f"{where}: the labels are {labels.dtype}; expected whole numbers")
    if is_one_hot:
        ones = labels == 1
        is_class = (ones.sum(axis=1) == 1) & (ones | (labels == 0)).all(axis=1)
        require(is_class, "has a row of labels that is not a single 1 among zeros")
        labels = ones.argmax(axis=1)
    else:
        is_class = np.isin(labels, np.arange(CLASSES))
        first_wrong = labels[np.argmin(is_class)]
        require(is_class, f"has the label {first_wrong}; expected a whole number from 0 to 9")
    return numbered(pixels, labels.astype(np.uint8))


def _pixels(values: np.ndarray, where: str) -> np.ndarray:
    """Returns images as uint8 `[n, 28, 28]`; some users store pixels divided by 255."""
    count = len(values) if np.ndim(values) else 0
    shapes = [(count, SIDE, SIDE), (count, SIDE, SIDE, 1), (count, SIDE * SIDE)]
    if not count or np.shape(values) not in shapes:
        raise UserError(
            f"{where}: the images have the shape {np.shape(values)}; expected images of "
            f"{SIDE} × {SIDE} pixels in grey"
        )
    if values.dtype != np.uint8:
        problem = (
            f"{where}: the pixels are {values.dtype}; expected whole numbers from 0 to 255, or "
            "the same divided by 255"
        )
        if values.dtype.kind not in "iuf" or not np.isfinite(values).all():
            raise UserError(problem)
        pixels = values * 255.0 if values.dtype.kind == "f" and values.max() <= 1 else values
        rounded = np.round(pixels)
        if np.abs(pixels - rounded).max() > 1e-3 or rounded.min() < 0 or rounded.max() > 255:
            raise UserError(f"{problem}; they go from {values.min():g} to {values.max():g}")
        values = rounded.astype(np.uint8)
    return np.ascontiguousarray(values.reshape(count, SIDE, SIDE))


# ----- Names of arrays and of IDX files -----


def _key(name: str, two_words_only: bool = False) -> Key | None:
    """Returns part and kind of `x_train`, `label/test`, `t10k-images-idx3-ubyte` and the like.

    With `two_words_only`, names with more words, such as `y_test_predicted`, are something else.
    """
    words, known = re.split("[-_./]", name.lower()), PARTS | OTHER_PARTS
    parts = {known[word] for word in words if word in known}
    kinds = {KINDS[word] for word in words if word in KINDS}
    is_clear = len(parts) == len(kinds) == 1 and (len(words) == 2 or not two_words_only)
    return (parts.pop(), kinds.pop()) if is_clear else None


def _by_key(
    path: Path, named: dict[str, Value], expected: str, two_words_only: bool = False
) -> dict[Key, Value]:
    """Returns named values by part and kind; raises UserError if one is missing or there twice."""
    found: dict[Key, Value] = {}
    names: dict[Key, str] = {}
    for name, value in named.items():
        key = _key(name, two_words_only)
        if key is None:
            continue
        if key not in KEYS:  # ignoring it would lose its rows silently
            raise UserError(
                f"{path} holds '{name}', which belongs neither to train nor to test; join it to "
                "one of them, or remove it"
            )
        if key in found:
            what, twice = f"{key[1]} of {key[0]}", f"'{names[key]}' and '{name}'"
            raise UserError(f"{path} holds the {what} twice, as {twice}; keep only one")
        found[key], names[key] = value, name
    if missing := sorted(REQUIRED - found.keys()):
        absent = ", ".join(f"{kind} of {part}" for part, kind in missing)
        held = ", ".join(named) or "nothing"
        raise UserError(f"{path} has no {absent}; expected {expected}; it holds {held}")
    return found


# ----- One file of arrays: `.npz` or HDF5 -----

ZIP_START = b"PK\x03\x04"
HDF5_START = b"\x89HDF\r\n\x1a\n"
ARRAY_NAMES = "x_train, y_train, x_test and perhaps y_test, or groups such as train/images"
# Five million digits as bytes: a damaged header can promise any size, and HDF5 would fill it.
LARGEST_ARRAY = 2**32


def _is_npz(file: Path) -> bool:
    """Whether a file is a zip with NumPy arrays, or a damaged zip, which may have been one."""
    if not starts_with(file, ZIP_START):
        return False
    try:
        with ZipFile(file) as archive:
            return any(name.endswith(".npy") for name in archive.namelist())
    except DAMAGED_ARRAYS:
        return True


def read_npz(path: Path) -> Arrays:
    """Reads `x_train`, `y_train`, `x_test` and perhaps `y_test`; nothing is unpickled."""
    return _by_key(path, read_arrays(path), ARRAY_NAMES, two_words_only=True)


def read_hdf5(path: Path) -> Arrays:
    """Reads the same names, or groups such as `train/images`; links to other files are ignored."""
    import h5py

    datasets: dict[str, h5py.Dataset] = {}

    def collect(name: str, node: h5py.Group | h5py.Dataset) -> None:
        if isinstance(node, h5py.Dataset):
            datasets[name] = node

    try:
        with h5py.File(path, "r") as file:
            file.visititems(collect)
            found = _by_key(path, datasets, ARRAY_NAMES, two_words_only=True)
            for node in found.values():
                if node.nbytes > LARGEST_ARRAY:
                    raise UserError(
                        f"{path}, '{node.name}': an array of {node.nbytes:,} bytes; expected "
                        f"{LARGEST_ARRAY:,} at most, a byte per pixel (uint8)"
                    )
            return {key: node[()] for key, node in found.items()}
    except (OSError, RuntimeError, KeyError, TypeError, ValueError, MemoryError) as error:
        raise UserError(f"{path} cannot be read ({error}); fetch it again if damaged") from None


# ----- MNIST's IDX files -----

GZIP_START = b"\x1f\x8b"
# A file begins with two zeros, 8 for the type "unsigned byte", and the number of dimensions.
IDX_DIMENSIONS = {b"\x00\x00\x08\x01": 1, b"\x00\x00\x08\x03": 3}
DAMAGED_IDX = (EOFError, OSError, zlib.error, struct.error)
IDX_NAMES = "train-images…, train-labels…, t10k-images… and perhaps t10k-labels…"


def _is_idx(file: Path) -> bool:
    """Whether a file begins like IDX, plain or in gzip.

    Raises UserError for other files that are gzip or have such a name: ignoring them would lose
    digits or labels silently.
    """
    try:
        with _opened(file) as opened:
            if opened.read(4) in IDX_DIMENSIONS:
                return True
    except DAMAGED_IDX:
        pass
    if _key(file.name) in KEYS or starts_with(file, GZIP_START):
        raise UserError(
            f"{file} does not begin like an IDX file, plain or in gzip; it may be cut, or a "
            "server's error page: fetch it again, or move it away if it holds no digits"
        )
    return False


def _opened(path: Path) -> IO[bytes] | gzip.GzipFile:
    return gzip.open(path) if starts_with(path, GZIP_START) else path.open("rb")


def read_idx_files(folder: Path, files: list[Path]) -> Arrays:
    """Reads files with the names of `IDX_NAMES`."""
    for file in files:
        if _key(file.name) is None:
            raise UserError(
                f"{file} is an IDX file, but its name does not tell its part and kind; expected "
                f"{IDX_NAMES}"
            )
    found = _by_key(folder, {file.name: file for file in files}, IDX_NAMES)
    return {key: read_idx(file) for key, file in found.items()}


def read_idx(path: Path) -> np.ndarray:
    """Reads unsigned bytes `[n]` or `[n, height, width]`."""
    try:
        with _opened(path) as file:
            content = file.read()
        count = IDX_DIMENSIONS[content[:4]]
        shape = struct.unpack_from(f">{count}I", content, offset=4)
    except DAMAGED_IDX as error:
        raise UserError(f"{path} is cut or damaged ({error}); fetch it again") from None
    values = np.frombuffer(content, np.uint8, offset=4 + 4 * count)
    if len(values) != math.prod(shape):
        sides = " × ".join(map(str, shape))
        raise UserError(
            f"{path}: its header promises {sides} values, {math.prod(shape):,} bytes, but "
            f"{len(values):,} follow; fetch it again"
        )
    return values.reshape(shape)


# ----- Folders of images -----

# Of PNG, JPEG, WebP, BMP and TIFF.
IMAGE_STARTS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF", b"BM", b"II*\0", b"MM\0*")
LAYOUT = "train/0/ … train/9/, or 0/ … 9/, and test/ (by class too, if the labels are known)"


def find_images(folder: Path) -> dict[str, list[Path]]:
    """Returns the image files of both parts, in the order of their ids; {} without folders."""
    entries = _sorted_entries(folder)
    classes = [entry for entry in entries if entry.is_dir() and _is_class(entry)]
    parts = {"train": classes} if classes else {}
    for entry in entries:
        part = PARTS.get(entry.name.lower()) if entry.is_dir() else None
        if part in parts:
            raise UserError(f"{parts[part][0]} and {entry} are both the part {part}; keep only one")
        if part is not None:
            parts[part] = [entry, *(inside for inside in _sorted_entries(entry) if inside.is_dir())]
    if "train" not in parts:
        return {}
    if "test" not in parts:
        raise UserError(
            f"{folder} has no folder test/: put images to predict into it, or some labelled ones "
            f"of each class into {folder / 'test'}/0/ … 9/; expected {LAYOUT}"
        )
    known = {paths.cache_folder(folder), *chain(*parts.values())}
    for entry in entries:  # ignoring one would lose images silently
        is_image = entry.is_file() and any(starts_with(entry, start) for start in IMAGE_STARTS)
        if entry not in known and (entry.is_dir() or is_image):
            raise UserError(
                f"{entry} is no class from 0 to 9 and no part; expected {LAYOUT}, and no other "
                "folders or images"
            )
    images = {
        part: [file for one in folders for file in _sorted_entries(one) if file not in folders]
        for part, folders in parts.items()
    }
    for part, files in images.items():
        if not files:
            raise UserError(f"{folder} has no images of {part}; expected {LAYOUT}")
    return images


def _sorted_entries(folder: Path) -> list[Path]:
    """Sorts names by their numbers, `2.png` before `10.png`; equal ones, `1` and `01`, by text."""

    def key(entry: Path) -> tuple[list[str | int], str]:
        words: list[str | int] = [*re.split("([0-9]+)", entry.name)]
        words[1::2] = map(int, words[1::2])
        return words, entry.name

    return sorted(visible_entries(folder), key=key)


def _is_class(folder: Path) -> bool:
    return re.fullmatch("0*[0-9]", folder.name) is not None


def read_images(images: dict[str, list[Path]]) -> Arrays:
    """Reads image files; test images have labels if they are in folders by class."""
    arrays: Arrays = {}
    for part, files in images.items():
        arrays[part, "images"] = np.stack([_read_image(file) for file in files])
        if part == "train" or any(PARTS.get(file.parent.name.lower()) != part for file in files):
            for file in files:
                if not _is_class(file.parent):
                    raise UserError(
                        f"{file} is in a folder '{file.parent.name}', which is not a class from "
                        f"0 to 9; expected {LAYOUT}"
                    )
            arrays[part, "labels"] = np.array([int(file.parent.name) for file in files])
    return arrays


def _read_image(file: Path) -> np.ndarray:
    """Reads a picture of 28 × 28 pixels as bright ink on black; its name does not matter."""
    grey = read_grey(file)
    if grey.shape != (SIDE, SIDE):
        height, width = grey.shape
        raise UserError(
            f"{file} has {width} × {height} pixels; expected {SIDE} × {SIDE}, all images alike"
        )
    ink, is_clear = bright_ink(grey)
    if not is_clear:
        raise UserError(
            f"{file}: it is unclear whether its ink is the light or the dark; expected paper all "
            "around the ink; give it a margin of paper, or move it away"
        )
    return ink
