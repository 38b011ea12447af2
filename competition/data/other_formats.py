"""Digits in other formats than the competition's: found by their content, checked as strictly."""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from competition.data import idx
from competition.data.image_folder import is_image_folder, read_image_folder
from competition.data.named_arrays import (
    HDF5_START,
    NPZ_START,
    PARTS,
    chosen,
    read_hdf5,
    read_npz,
)
from competition.digits import CLASSES, SIDE, DataSet, Digits
from competition.errors import UserError

# Arrays by part, `train` or `test`, and kind, `images` or `labels`.
Arrays = dict[tuple[str, str], np.ndarray]

# Digits are bright on black; in a picture of the opposite, the outermost pixels are bright.
BRIGHT_EDGE = 128


def read_other(name: str, folder: Path) -> DataSet | None:
    """Reads digits as MNIST's IDX files, `.npz`, HDF5, or as image files by class.

    Where the labels of the test images are known, these are labelled rows as well, which the data
    itself holds out; their ids follow those of the training images.

    Args:
        name: of the data set.
        folder: where its files lie.

    Returns:
        The data set, or None where there is nothing of the kind.

    Raises:
        UserError: when files are missing or damaged, or hold other things than digits.
    """
    readers = _readers(folder) if folder.is_dir() else []
    if len(readers) > 1:
        raise UserError(f"{folder} holds digits in {len(readers)} ways; leave one of them there")
    return _data_set(name, folder, readers[0]()) if readers else None


def _readers(folder: Path) -> list[Callable[[], Arrays]]:
    """Returns what reads each of the things there that can be read."""
    files = sorted(entry for entry in folder.iterdir() if entry.is_file())
    readers = [partial(read_hdf5, file) for file in files if _starts_with(file, HDF5_START)]
    readers += [partial(read_npz, file) for file in files if _starts_with(file, NPZ_START)]
    idx_files = [file for file in files if idx.dimensions(file)]
    if idx_files:
        readers.append(partial(_read_idx_files, folder, idx_files))
    if is_image_folder(folder):
        readers.append(partial(read_image_folder, folder))
    return readers


def _starts_with(file: Path, start: bytes) -> bool:
    with file.open("rb") as opened:
        return opened.read(len(start)) == start


def _read_idx_files(folder: Path, files: list[Path]) -> Arrays:
    """Reads `train-images…`, `train-labels…`, `t10k-images…` and perhaps `t10k-labels…`."""
    chosen_files = chosen(folder, [(_idx_name(file), file) for file in files])
    return {key: idx.read_idx(file) for key, file in chosen_files.items()}


def _idx_name(file: Path) -> str:
    """Returns `train/images` and the like: the part by the file's name, the kind by its content."""
    words = re.split("[-_.]", file.name.lower())
    part = next((word for word in words if word in PARTS), "unknown")
    return f"{part}/{'images' if idx.dimensions(file) == 3 else 'labels'}"


def _data_set(name: str, folder: Path, found: Arrays) -> DataSet:
    images = {
        part: _images(f"{folder}, {part}", found[part, "images"]) for part in ("train", "test")
    }
    labels = {
        part: _labels(f"{folder}, {part}", values, len(images[part]))
        for (part, kind), values in found.items()
        if kind == "labels"
    }
    test = Digits(_ids(images["test"]), images["test"])
    if "test" not in labels:
        return DataSet(name, Digits(_ids(images["train"]), images["train"], labels["train"]), test)
    both = np.concatenate([images["train"], images["test"]])
    train = Digits(_ids(both), both, np.concatenate([labels["train"], labels["test"]]))
    return DataSet(name, train, test, train.ids[len(images["train"]) :])


def _ids(images: np.ndarray) -> np.ndarray:
    return np.arange(1, len(images) + 1, dtype=np.int32)


def _images(where: str, values: np.ndarray) -> np.ndarray:
    """Returns images as uint8 `[n, 28, 28]`; `where` names them in errors."""
    count = len(values) if np.ndim(values) else 0
    shapes = [(count, SIDE, SIDE), (count, SIDE, SIDE, 1), (count, SIDE * SIDE)]
    if not count or np.shape(values) not in shapes:
        raise UserError(
            f"{where}: the images have the shape {np.shape(values)}; expected are some of "
            f"{SIDE} × {SIDE} pixels in grey"
        )
    images = _as_bytes(where, values).reshape(count, SIDE, SIDE)
    _require(where, images.any(axis=(1, 2)), "has no ink at all: every pixel is 0")
    edges = np.concatenate([images[:, [0, -1]].ravel(), images[:, :, [0, -1]].ravel()])
    if np.median(edges) >= BRIGHT_EDGE:
        raise UserError(f"{where}: the digits are dark on white; expected is bright ink on black")
    return images


def _as_bytes(where: str, values: np.ndarray) -> np.ndarray:
    """Returns pixels from 0 to 255; they may also be divided by 255, as Keras users keep them."""
    if values.dtype == np.uint8:
        return values
    problem = (
        f"{where}: the pixels are {values.dtype}; expected are whole numbers from 0 to 255, or "
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
    if np.shape(values) == (expected, CLASSES) and (np.sort(values)[:, :-1] == 0).all():
        values = values.argmax(axis=1)
    if np.shape(values) != (expected,):
        raise UserError(
            f"{where}: the labels have the shape {np.shape(values)}; expected is one for each of "
            f"the {expected:,} images"
        )
    if values.dtype.kind not in "iuf":
        raise UserError(f"{where}: the labels are {values.dtype}; expected are whole numbers")
    is_class = np.isin(values, np.arange(CLASSES))
    _require(where, is_class, "has a label that is no whole number from 0 to 9")
    return values.astype(np.uint8)


def _require(where: str, good: np.ndarray, problem: str) -> None:
    if not good.all():
        raise UserError(f"{where}, image {int(np.argmin(good)) + 1} {problem}")
