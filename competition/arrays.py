"""Arrays on disk, read without trusting that the file is whole."""

import io
import math
import tokenize
import zlib
from pathlib import Path
from typing import IO
from zipfile import BadZipFile, ZipFile

import numpy as np
from numpy.lib import format as npy

from competition.errors import UserError

# Whatever NumPy and zipfile were seen to raise for a file with some of its bytes changed.
DAMAGED_ARCHIVE = (EOFError, RuntimeError, BadZipFile, zlib.error)
DAMAGED_ARRAYS = (*DAMAGED_ARCHIVE, OSError, ValueError, SyntaxError, tokenize.TokenError)

CHECKSUM_BYTES = 4

# Of one array: five million digits as bytes. A header that was changed can promise any size.
LARGEST_ARRAY = 2**32
# Of what is stored, as zlib packs at most (zlib.net/zlib_tech.html); HDF5 also promises values that
# were never written.
MOST_TIMES = 1032


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Reads every array of an `.npz` file; nothing in it is executed.

    Raises:
        UserError: when the file is missing or damaged, holds anything but arrays, or one is
            larger than `require_size` lets it be.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            _require_sizes(path, arrays.zip)
            return {name: arrays[name] for name in arrays.files}
    except DAMAGED_ARRAYS as error:
        raise UserError(f"{path} cannot be read as arrays: {error}") from None


def require_size(where: str, shape: tuple[int, ...], dtype: np.dtype, stored: int) -> None:
    """Refuses an array that cannot be what its header promises, before memory is asked for.

    Args:
        where: names the array in the error.
        shape, dtype: what its header promises.
        stored: bytes that its values take in the file, packed or not.

    Raises:
        UserError: when it would take more than 4 GiB, or more than can be packed into `stored`.
    """
    size = math.prod(shape) * dtype.itemsize
    if size > min(LARGEST_ARRAY, MOST_TIMES * stored):
        raise UserError(
            f"{where} promises {' × '.join(map(str, shape))} values of {dtype}, {size:,} bytes, "
            f"and {stored:,} are stored; expected all of them, and {LARGEST_ARRAY:,} at most: the "
            "file may be damaged, or its pixels be kept in more than one byte (uint8) each"
        )


def _require_sizes(path: Path, archive: ZipFile) -> None:
    for info in archive.infolist():
        where = f"{path}, '{info.filename.removesuffix('.npy')}',"
        with archive.open(info) as member:
            if not member.peek(len(npy.MAGIC_PREFIX)).startswith(npy.MAGIC_PREFIX):
                raise UserError(f"{where} is no array; expected arrays only")
            require_size(where, *_promised(member), info.compress_size)


def _promised(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    """Reads the header of an array in NumPy's format."""
    is_first = npy.read_magic(file) == (1, 0)
    read = npy.read_array_header_1_0 if is_first else npy.read_array_header_2_0
    shape, _, dtype = read(file)
    return shape, dtype


def starts_with(path: Path, start: bytes) -> bool:
    """Says whether a file begins with some bytes, as files of one format do."""
    with path.open("rb") as file:
        return file.read(len(start)) == start


def write_array(path: Path, array: np.ndarray) -> None:
    """Writes an array in NumPy's format, and behind it the CRC-32 of all that comes before.

    `np.load` reads and maps such a file like any other, as it ignores what follows the array.
    """
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    with path.open("wb") as file:
        file.write(buffer.getbuffer())
        file.write(_checksum(buffer.getbuffer()))


def is_whole(path: Path) -> bool:
    """Says whether a file of `write_array` still ends in the right checksum."""
    if path.stat().st_size <= CHECKSUM_BYTES:
        return False
    content = np.memmap(path, np.uint8, "r")
    return _checksum(content[:-CHECKSUM_BYTES]) == content[-CHECKSUM_BYTES:].tobytes()


def _checksum(content: memoryview | np.ndarray) -> bytes:
    return zlib.crc32(content).to_bytes(CHECKSUM_BYTES, "little")
