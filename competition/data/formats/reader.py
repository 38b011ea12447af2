"""Digits in other formats than the competition's: found by their content, checked as strictly."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np

from competition import paths
from competition.data.cache import cached
from competition.data.entries import require_file, visible_entries
from competition.data.formats.idx_files import find_idx_files, read_idx_files
from competition.data.formats.image_folder import find_images, is_image_folder, read_images
from competition.data.formats.named_arrays import is_hdf5, is_npz, read_hdf5, read_npz
from competition.data.formats.parts import Key
from competition.digits import CLASSES, SIDE, DataSet, Digits
from competition.errors import UserError

Arrays = dict[Key, np.ndarray]

# Digits are bright on black; in a picture of the opposite, the outermost pixels are bright.
BRIGHT_EDGE = 128


@dataclass(frozen=True)
class Source:
    """Something in a folder that digits can be read from.

    Attributes:
        name: tells a person what it is.
        files: all that is read.
        read: returns what they hold.
    """

    name: str
    files: list[Path]
    read: Callable[[], Arrays]


def read_other(name: str, folder: Path) -> DataSet | None:
    """Reads digits as MNIST's IDX files, `.npz`, HDF5, or as image files by class.

    Where the labels of the test images are known, these are labelled rows as well, which the data
    itself holds out; their ids follow those of the training images. What is as it was when it was
    read last comes from a cache.

    Args:
        name: of the data set.
        folder: where its files lie.

    Returns:
        The data set, or None where there is nothing of the kind.

    Raises:
        UserError: when files are missing or damaged, or hold other things than digits.
    """
    sources = _sources(folder) if folder.is_dir() else []
    if len(sources) > 1:
        found = "; ".join(source.name for source in sources)
        raise UserError(f"{folder} holds digits in {len(sources)} ways: {found}; leave one there")
    return _data_set(name, _read_cached(folder, sources[0])) if sources else None


def _read_cached(folder: Path, source: Source) -> Arrays:
    """Returns what a source holds, checked."""

    def read() -> dict[str, np.ndarray]:
        checked = _checked(f"{folder} ({source.name})", source.read())
        return {"_".join(key): values for key, values in checked.items()}

    arrays = cached(paths.folder_cache_file(folder), folder, source.files, read)
    return {tuple(name.split("_")): values for name, values in arrays.items()}


def _sources(folder: Path) -> list[Source]:
    """Returns each of the things there that can be read."""
    files = [entry for entry in visible_entries(folder) if not entry.is_dir()]
    for file in files:
        require_file(file, "mount its disk, or move it away")
    arrays = _array_sources(files)
    known = {source.files[0] for source in arrays}
    others = [file for file in files if file not in known]
    return [*arrays, *_idx_sources(folder, others), *_image_sources(folder)]


def _array_sources(files: list[Path]) -> list[Source]:
    return [
        Source(file.name, [file], partial(read, file))
        for is_one, read in ((is_hdf5, read_hdf5), (is_npz, read_npz))
        for file in files
        if is_one(file)
    ]


def _idx_sources(folder: Path, files: list[Path]) -> list[Source]:
    found = find_idx_files(files)
    names = ", ".join(file.name for file in found)
    return [Source(names, found, partial(read_idx_files, folder, found))] if found else []


def _image_sources(folder: Path) -> list[Source]:
    if not is_image_folder(folder):
        return []
    images = find_images(folder)
    return [Source("folders of images", [*chain(*images.values())], partial(read_images, images))]


def _checked(source: str, arrays: Arrays) -> Arrays:
    """Returns images as uint8 `[n, 28, 28]` and labels as uint8 `[n]`."""
    images = {
        (part, "images"): _images(f"{source}, {part}", arrays[part, "images"])
        for part in ("train", "test")
    }
    labels = {
        (part, kind): _labels(f"{source}, {part}", values, len(images[part, "images"]))
        for (part, kind), values in arrays.items()
        if kind == "labels"
    }
    return images | labels


def _data_set(name: str, arrays: Arrays) -> DataSet:
    """Returns checked arrays as a data set."""
    images, labels = arrays["train", "images"], arrays["train", "labels"]
    test = Digits(_ids(arrays["test", "images"]), arrays["test", "images"])
    if ("test", "labels") not in arrays:
        return DataSet(name, Digits(_ids(images), images, labels), test)
    both = np.concatenate([images, test.images])
    train = Digits(_ids(both), both, np.concatenate([labels, arrays["test", "labels"]]))
    return DataSet(name, train, test, train.ids[len(images) :])


def _ids(images: np.ndarray) -> np.ndarray:
    return np.arange(1, len(images) + 1, dtype=np.int32)


def _images(where: str, values: np.ndarray) -> np.ndarray:
    """Returns images as uint8 `[n, 28, 28]`; `where` names them in errors."""
    count = len(values) if np.ndim(values) else 0
    shapes = [(count, SIDE, SIDE), (count, SIDE, SIDE, 1), (count, SIDE * SIDE)]
    if not count or np.shape(values) not in shapes:
        raise UserError(
            f"{where}: the images have the shape {np.shape(values)}; expected images of "
            f"{SIDE} × {SIDE} pixels in grey"
        )
    images = _as_bytes(where, values).reshape(count, SIDE, SIDE)
    if images.max() == 1:
        raise UserError(
            f"{where}: no pixel is brighter than 1 of 255; expected whole numbers from 0 to 255, "
            "or the same divided by 255 as floating point; full ink is 255"
        )
    _require(where, images.any(axis=(1, 2)), "has no ink at all: every pixel is 0")
    edges = np.concatenate([images[:, [0, -1]].ravel(), images[:, :, [0, -1]].ravel()])
    if np.median(edges) >= BRIGHT_EDGE:
        raise UserError(f"{where}: the digits are dark on white; expected bright ink on black")
    return images


def _as_bytes(where: str, values: np.ndarray) -> np.ndarray:
    """Returns pixels from 0 to 255; they may also be divided by 255, as Keras users keep them."""
    if values.dtype == np.uint8:
        return values
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
    return rounded.astype(np.uint8)


def _labels(where: str, values: np.ndarray, expected: int) -> np.ndarray:
    """Returns labels as uint8 `[n]`; one-hot rows `[n, 10]` are read as well."""
    if np.shape(values) not in [(expected,), (expected, CLASSES)]:
        raise UserError(
            f"{where}: the labels have the shape {np.shape(values)}; expected one for each of "
            f"the {expected:,} images"
        )
    is_one_hot = np.ndim(values) == 2
    if values.dtype.kind not in ("biuf" if is_one_hot else "iuf"):
        raise UserError(f"{where}: the labels are {values.dtype}; expected whole numbers")
    if is_one_hot:
        return _classes(where, values)
    is_class = np.isin(values, np.arange(CLASSES))
    first = values[np.argmin(is_class)]
    _require(where, is_class, f"has the label {first}; expected a whole number from 0 to 9")
    return values.astype(np.uint8)


def _classes(where: str, rows: np.ndarray) -> np.ndarray:
    """Returns the classes, uint8 `[n]`, of one-hot rows."""
    ones = rows == 1
    is_one_hot = (ones.sum(axis=1) == 1) & (ones | (rows == 0)).all(axis=1)
    _require(where, is_one_hot, "has a row of labels that is not a single 1 among zeros")
    return ones.argmax(axis=1).astype(np.uint8)


def _require(where: str, good: np.ndarray, problem: str) -> None:
    if not good.all():
        raise UserError(f"{where}, image {int(np.argmin(good)) + 1} {problem}")
