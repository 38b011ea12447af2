"""Files that hold arrays by name: NumPy's `.npz`, as Keras has MNIST, and HDF5."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from competition.arrays import read_arrays, require_size
from competition.errors import UserError

NPZ_START = b"PK\x03\x04"
HDF5_START = b"\x89HDF\r\n\x1a\n"

PARTS = {"train": "train", "training": "train", "test": "test", "testing": "test", "t10k": "test"}
KINDS = {
    **dict.fromkeys(("x", "image", "images"), "images"),
    **dict.fromkeys(("y", "label", "labels"), "labels"),
}
REQUIRED = {("train", "images"), ("train", "labels"), ("test", "images")}


def read_npz(path: Path) -> dict[tuple[str, str], np.ndarray]:
    """Reads `x_train`, `y_train`, `x_test` and, if it is there, `y_test`; nothing is unpickled.

    Returns:
        Arrays by part, `train` or `test`, and kind, `images` or `labels`.

    Raises:
        UserError: when the file is damaged or has no such arrays.
    """
    return chosen(path, read_arrays(path).items())


def read_hdf5(path: Path) -> dict[tuple[str, str], np.ndarray]:
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
            nodes = chosen(path, found.items())
            return {key: _read_node(path, node) for key, node in nodes.items()}
    except (OSError, RuntimeError, KeyError) as error:
        raise UserError(f"{path} is cut or damaged ({error}); fetch it again") from None


def _read_node(path: Path, node) -> np.ndarray:
    try:
        dtype = node.dtype
    except TypeError as error:
        raise UserError(f"{path}, '{node.name}': {error}; expected numbers") from None
    require_size(f"{path}, '{node.name}',", node.shape or (), dtype)
    return node[()]


def _collect(found: dict, name: str, node) -> None:
    """Takes up what is data in the file itself, and no group or window to another file."""
    import h5py

    if isinstance(node, h5py.Dataset) and not node.is_virtual and not node.external:
        found[name] = node


def chosen(path: Path, named: Iterable[tuple[str, Any]]) -> dict[tuple[str, str], Any]:
    """Returns what `named` holds of digits, by part and kind; other names are left out.

    Raises:
        UserError: when one is missing or there twice.
    """
    named = list(named)
    found: dict[tuple[str, str], Any] = {}
    for name, values in named:
        key = part_and_kind(name)
        if key in found:
            raise UserError(f"{path} holds the {key[1]} of {key[0]} twice, once as '{name}'")
        if key is not None:
            found[key] = values
    missing = sorted(REQUIRED - found.keys())
    if missing:
        absent = ", ".join(f"{kind} of {part}" for part, kind in missing)
        there = ", ".join(name for name, _ in named) or "nothing"
        raise UserError(
            f"{path} has no {absent}; expected x_train, y_train, x_test and, if they are "
            f"known, y_test, or groups such as train/images and train/labels; it holds {there}"
        )
    return found


def part_and_kind(name: str) -> tuple[str, str] | None:
    """Reads `x_train`, `train/images`, `label/test` and the like; None for other names."""
    words = re.split("[/_]", name.strip("/").lower())
    parts = [PARTS[word] for word in words if word in PARTS]
    kinds = [KINDS[word] for word in words if word in KINDS]
    is_clear = len(words) == 2 and len(parts) == len(kinds) == 1
    return (parts[0], kinds[0]) if is_clear else None
