"""Files that hold arrays by name: NumPy's `.npz`, as Keras has MNIST, and HDF5."""

import re
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np

from competition.arrays import DAMAGED_ARRAYS, read_arrays, require_size, starts_with
from competition.data.formats.parts import KINDS, PARTS, Key, chosen
from competition.errors import UserError

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
    except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is cut or damaged ({error}); fetch it again") from None


def _read_node(path: Path, node) -> np.ndarray:
    try:
        dtype = node.dtype
    except TypeError as error:
        raise UserError(f"{path}, '{node.name}': {error}; expected numbers") from None
    stored = node.id.get_storage_size()
    require_size(f"{path}, '{node.name}',", node.shape or (0,), dtype, stored)
    return node[()]


def _collect(found: dict, name: str, node) -> None:
    """Takes up what is data in the file itself, and no group or window to another file."""
    import h5py

    if isinstance(node, h5py.Dataset) and not node.is_virtual and not node.external:
        found[name] = node


def _by_name(path: Path, named: dict[str, Any]) -> dict[Key, Any]:
    for name in named:
        words = _words(name)
        if len(words) == 2 and {*words} & {*OTHER_PARTS} and {*words} & KINDS.keys():
            raise UserError(
                f"{path} holds '{name}', which is neither of train nor of test; join it to one of "
                "them, or leave it out"
            )
    found = [(name, _part_and_kind(name), values) for name, values in named.items()]
    return chosen(path, found, ARRAY_NAMES)


def _part_and_kind(name: str) -> Key | None:
    """Reads `x_train`, `train/images`, `label/test` and the like; None for other names."""
    words = _words(name)
    parts = [PARTS[word] for word in words if word in PARTS]
    kinds = [KINDS[word] for word in words if word in KINDS]
    is_clear = len(words) == 2 and len(parts) == len(kinds) == 1
    return (parts[0], kinds[0]) if is_clear else None


def _words(name: str) -> list[str]:
    return re.split("[/_]", name.strip("/").lower())
