"""MNIST's IDX files among those of a folder: which are there, and what each of them holds."""

import re
from collections.abc import Collection
from pathlib import Path

import numpy as np

from competition.data.formats import idx
from competition.data.formats.parts import KINDS, PARTS, Key, chosen
from competition.errors import UserError

IDX_KINDS = {*KINDS, "idx1", "idx3"}
FILE_NAMES = "train-images…, train-labels…, t10k-images… and, if they are known, t10k-labels…"


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


def read_idx_files(folder: Path, files: list[Path]) -> dict[Key, np.ndarray]:
    """Reads `train-images…`, `train-labels…`, `t10k-images…` and perhaps `t10k-labels…`.

    Returns:
        Arrays by part and kind.

    Raises:
        UserError: when one is missing, there twice, of no part, cut or damaged.
    """
    named = [(file.name, _part_and_kind(file), file) for file in files]
    return {key: idx.read_idx(file) for key, file in chosen(folder, named, FILE_NAMES).items()}


def _part_and_kind(file: Path) -> Key:
    """Takes the part from a file's name, and the kind from its content."""
    part = next((PARTS[word] for word in _words(file) if word in PARTS), None)
    if part is None:
        raise UserError(
            f"{file} is an IDX file, but its name does not say of which part; expected {FILE_NAMES}"
        )
    return part, "images" if idx.dimensions(file) == 3 else "labels"


def _should_be_idx(file: Path) -> bool:
    words = set(_words(file))
    return bool(words & PARTS.keys() and words & IDX_KINDS) or idx.is_gzip(file)


def _words(file: Path) -> list[str]:
    return re.split("[-_.]", file.name.lower())
