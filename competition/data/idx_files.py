"""MNIST's IDX files among those of a folder: which are there, and what each of them holds."""

import re
from collections.abc import Collection
from pathlib import Path

import numpy as np

from competition.data import idx
from competition.data.named_arrays import KINDS, PARTS, chosen
from competition.errors import UserError

IDX_KINDS = {*KINDS, "idx1", "idx3"}


def find_idx_files(files: Collection[Path]) -> list[Path]:
    """Returns the IDX files among some that hold nothing else that digits are read from.

    Raises:
        UserError: naming the first one that does not begin as IDX, though its name says so, or
            though it is gzip: left out without a word, its digits or labels would be missed.
    """
    found = [file for file in files if idx.dimensions(file)]
    lost = [file for file in files if file not in found and _should_be_idx(file)]
    if lost:
        raise UserError(
            f"{lost[0]} does not begin as an IDX file does, plain or in gzip; it may be cut, or a "
            "server's error page: fetch it again, or move it away if it holds no digits"
        )
    return found


def read_idx_files(folder: Path, files: list[Path]) -> dict[tuple[str, str], np.ndarray]:
    """Reads `train-images…`, `train-labels…`, `t10k-images…` and perhaps `t10k-labels…`.

    Returns:
        Arrays by part, `train` or `test`, and kind, `images` or `labels`.

    Raises:
        UserError: when one is missing, there twice, cut or damaged.
    """
    chosen_files = chosen(folder, [(_part_and_kind(file), file) for file in files])
    return {key: idx.read_idx(file) for key, file in chosen_files.items()}


def _part_and_kind(file: Path) -> str:
    """Returns `train/images` and the like: the part by the file's name, the kind by its content."""
    part = next((word for word in _words(file) if word in PARTS), "unknown")
    return f"{part}/{'images' if idx.dimensions(file) == 3 else 'labels'}"


def _should_be_idx(file: Path) -> bool:
    words = set(_words(file))
    return bool(words & PARTS.keys() and words & IDX_KINDS) or idx.is_gzip(file)


def _words(file: Path) -> list[str]:
    return re.split("[-_.]", file.name.lower())
