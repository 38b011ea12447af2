"""MNIST's own file format, IDX, plain or in gzip (Y. LeCun, yann.lecun.com/exdb/mnist)."""

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np

from competition.arrays import LARGEST_ARRAY, starts_with
from competition.errors import UserError

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
            content = file.read(min(size, LARGEST_ARRAY) + 1)
    except DAMAGED as error:
        raise UserError(f"{path} is cut or damaged ({error}); fetch it again") from None
    if len(content) != size:
        found = f"{len(content):,}" if len(content) < size else "more"
        raise UserError(
            f"{path}: its header promises {' × '.join(map(str, shape))} values, {size:,} bytes, "
            f"but {found} follow; fetch it again"
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
