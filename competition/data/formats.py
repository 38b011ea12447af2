"""What digits come in, whatever the format: images and labels of two parts, train and test."""

import gzip
import math
import re
import struct
import zlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO
from zipfile import ZipFile

import numpy as np

from competition import paths
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

PARTS = {"train": "train", "training": "train", "test": "test", "testing": "test", "t10k": "test"}
KINDS = {
    **dict.fromkeys(("x", "image", "images"), "images"),
    **dict.fromkeys(("y", "label", "labels"), "labels"),
}
REQUIRED = {("train", "images"), ("train", "labels"), ("test", "images")}


def chosen(path: Path, named: list[tuple[str, Key | None, Any]], expected: str) -> dict[Key, Any]:
    """Returns what there is of digits, by part and kind.

    Args:
        path: where it is.
        named: the name of each thing there, its part and kind (None: no digits), and its values.
        expected: what to call such things.

    Raises:
        UserError: when one is missing or there twice.
    """
    found: dict[Key, Any] = {}
    names: dict[Key, str] = {}
    for name, key, values in named:
        if key in found:
            what, twice = f"{key[1]} of {key[0]}", f"'{names[key]}' and '{name}'"
            raise UserError(f"{path} holds the {what} twice, as {twice}; leave one")
        if key is not None:
            found[key], names[key] = values, name
    missing = sorted(REQUIRED - found.keys())
    if missing:
        absent = ", ".join(f"{kind} of {part}" for part, kind in missing)
        there = ", ".join(name for name, _, _ in named) or "nothing"
        raise UserError(f"{path} has no {absent}; expected {expected}; it holds {there}")
    return found


GZIP_START = b"\x1f\x8b"
# A file begins with two zeros, the type of its values, and the number of its dimensions.
MAGIC = {b"\x00\x00\x08\x01": 1, b"\x00\x00\x08\x03": 3}
DAMAGED = (EOFError, OSError, zlib.error)


def dimensions(path: Path) -> int | None:
    """Returns 3 for a file of images, 1 for one of labels, None for any other file."""
    try:
        with _opened(path) as file:
            return MAGIC.get(file.read(4))
    except DAMAGED:
        return None


def is_gzip(path: Path) -> bool:
    """Says whether a file begins as gzip does."""
    return starts_with(path, GZIP_START)


def read_idx(path: Path) -> np.ndarray:
    """Reads an IDX file of unsigned bytes, uint8 `[n]` or `[n, height, width]`.

    Raises:
        UserError: when the file is cut or damaged, or holds more or fewer bytes than its header
            promises.
    """
    try:
        with _opened(path) as file:
            shape = _shape(path, file)
            size = math.prod(shape)
            content = file.read()
    except DAMAGED as error:
        raise UserError(f"{path} is cut or damaged ({error}); fetch it again") from None
    if len(content) != size:
        raise UserError(
            f"{path}: its header promises {' × '.join(map(str, shape))} values, {size:,} bytes, "
            f"but {len(content):,} follow; fetch it again"
        )
    return np.frombuffer(content, np.uint8).reshape(shape)


def _opened(path: Path) -> BinaryIO:
    return gzip.open(path) if is_gzip(path) else path.open("rb")


def _shape(path: Path, file: BinaryIO) -> tuple[int, ...]:
    count = MAGIC[file.read(4)]
    header = file.read(4 * count)
    if len(header) != 4 * count:
        raise UserError(f"{path} ends within its header; fetch it again")
    return struct.unpack(f">{count}I", header)


IDX_KINDS = {*KINDS, "idx1", "idx3"}
FILE_NAMES = "train-images…, train-labels…, t10k-images… and, if they are known, t10k-labels…"


def find_idx_files(files: Collection[Path]) -> list[Path]:
    """Returns the IDX files among some that hold nothing else that digits are read from.

    Raises:
        UserError: naming the first one that does not begin as IDX, though its name says so, or
            though it is gzip: left out without a word, its digits or labels would be missed.
    """
    found = [file for file in files if dimensions(file)]
    lost = [file for file in files if file not in found and _should_be_idx(file)]
    if lost:
        raise UserError(
            f"{lost[0]} does not begin as an IDX file does, plain or in gzip; it may be cut, or a "
            "server's error page: fetch it again, or move it away if it holds no digits"
        )
    return found


def read_idx_files(folder: Path, files: list[Path]) -> dict[Key, np.ndarray]:
    """Reads `train-images…`, `train-labels…`, `t10k-images…` and perhaps `t10k-labels…`.

    Returns:
        Arrays by part and kind.

    Raises:
        UserError: when one is missing, there twice, of no part, cut or damaged.
    """
    named = [(file.name, _part_and_kind(file), file) for file in files]
    return {key: read_idx(file) for key, file in chosen(folder, named, FILE_NAMES).items()}


def _part_and_kind(file: Path) -> Key:
    """Takes the part from a file's name, and the kind from its content."""
    part = next((PARTS[word] for word in _words(file) if word in PARTS), None)
    if part is None:
        raise UserError(
            f"{file} is an IDX file, but its name does not say of which part; expected {FILE_NAMES}"
        )
    return part, "images" if dimensions(file) == 3 else "labels"


def _should_be_idx(file: Path) -> bool:
    words = set(_words(file))
    return bool(words & PARTS.keys() and words & IDX_KINDS) or is_gzip(file)


def _words(file: Path) -> list[str]:
    return re.split("[-_.]", file.name.lower())


ZIP_START = b"PK\x03\x04"
HDF5_START = b"\x89HDF\r\n\x1a\n"

# What else people call a part: were it ignored, its rows would be lost without a word.
OTHER_PARTS = ("valid", "validation", "val", "dev", "extra")

ARRAY_NAMES = (
    "x_train, y_train, x_test and, if they are known, y_test, or groups such as train/images and "
    "train/labels"
)


def is_hdf5(file: Path) -> bool:
    """Says whether a file begins as HDF5 does."""
    return starts_with(file, HDF5_START)


def is_npz(file: Path) -> bool:
    """Says whether a file is a zip of NumPy's arrays, or one that is damaged: that may be it."""
    if not starts_with(file, ZIP_START):
        return False
    try:
        with ZipFile(file) as archive:
            return any(name.endswith(".npy") for name in archive.namelist())
    except DAMAGED_ARRAYS:
        return True


def read_npz(path: Path) -> dict[Key, np.ndarray]:
    """Reads `x_train`, `y_train`, `x_test` and, if it is there, `y_test`; nothing is unpickled.

    Returns:
        Arrays by part and kind.

    Raises:
        UserError: when the file is damaged or has no such arrays.
    """
    return _by_name(path, read_arrays(path))


def read_hdf5(path: Path) -> dict[Key, np.ndarray]:
    """Reads the same from HDF5: `x_train` … or groups, such as `train/images` or `label/test`.

    Links are not followed, so that nothing outside the file is read.

    Raises:
        UserError: when the file is damaged or has no such data.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            found: dict[str, h5py.Dataset] = {}
            file.visititems(lambda name, node: _collect(found, name, node))
            nodes = _by_name(path, found)
            return {key: _read_node(path, node) for key, node in nodes.items()}
    except (OSError, RuntimeError, KeyError, TypeError, ValueError, MemoryError) as error:
        raise UserError(f"{path} is cut or damaged ({error}); fetch it again") from None


def _read_node(path: Path, node) -> np.ndarray:
    try:
        return node[()]
    except TypeError as error:
        raise UserError(f"{path}, '{node.name}': {error}; expected numbers") from None


def _collect(found: dict, name: str, node) -> None:
    """Takes up what is data in the file itself, and no group or window to another file."""
    import h5py

    if isinstance(node, h5py.Dataset) and not node.is_virtual and not node.external:
        found[name] = node


def _by_name(path: Path, named: dict[str, Any]) -> dict[Key, Any]:
    for name in named:
        words = _words_of_array(name)
        if len(words) == 2 and {*words} & {*OTHER_PARTS} and {*words} & KINDS.keys():
            raise UserError(
                f"{path} holds '{name}', which is neither of train nor of test; join it to one of "
                "them, or leave it out"
            )
    found = [(name, _part_and_kind_of_array(name), values) for name, values in named.items()]
    return chosen(path, found, ARRAY_NAMES)


def _part_and_kind_of_array(name: str) -> Key | None:
    """Reads `x_train`, `train/images`, `label/test` and the like; None for other names."""
    words = _words_of_array(name)
    parts = [PARTS[word] for word in words if word in PARTS]
    kinds = [KINDS[word] for word in words if word in KINDS]
    is_clear = len(words) == 2 and len(parts) == len(kinds) == 1
    return (parts[0], kinds[0]) if is_clear else None


def _words_of_array(name: str) -> list[str]:
    return re.split("[/_]", name.strip("/").lower())


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
