"""Arrays on disk, read without trusting that the file is whole."""

import io
import tokenize
import zlib
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from competition.errors import UserError

# Whatever NumPy and zipfile were seen to raise for a file with some of its bytes changed.
DAMAGED_ARCHIVE = (EOFError, RuntimeError, BadZipFile, zlib.error)
DAMAGED_ARRAYS = (*DAMAGED_ARCHIVE, OSError, ValueError, SyntaxError, tokenize.TokenError)

CHECKSUM_BYTES = 4


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Reads every array of an `.npz` file; nothing in it is executed.

    Raises:
        UserError: when the file is missing or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except DAMAGED_ARRAYS as error:
        raise UserError(f"{path} cannot be read as arrays: {error}") from None


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
