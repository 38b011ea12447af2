"""Reading arrays that were kept on disk, without trusting that the file is whole."""

import tokenize
import zlib
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from competition.errors import UserError

# Whatever NumPy and zipfile were seen to raise for a file with some of its bytes changed.
DAMAGED_ARCHIVE = (EOFError, RuntimeError, BadZipFile, zlib.error)
DAMAGED_ARRAYS = (*DAMAGED_ARCHIVE, OSError, ValueError, SyntaxError, tokenize.TokenError)


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
