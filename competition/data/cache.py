"""What was read from files of input, kept beside them as arrays."""

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from competition.arrays import read_arrays
from competition.atomic import atomic_file
from competition.errors import UserError, as_the_disk_allows

# Raised by hand when the same files are read differently: every cache is then made again.
READER_VERSION = 2

STAMP = "stamp"

Named = dict[str, np.ndarray]


def cached(cache: Path, folder: Path, files: Iterable[Path], read: Callable[[], Named]) -> Named:
    """Returns what `read` returns, from a cache where that is of the same files.

    A damaged or older cache is replaced. It only saves time: on a disk that takes none, there is
    none.

    Args:
        cache: where it is kept.
        folder: where the files are, at any depth; it may be renamed.
        files: all that is read; their names, sizes and times of change have to be the same.
        read: reads them; called only if it is needed.
    """
    stamp = _stamp(folder, files)
    kept = _read_kept(cache, stamp)
    if kept is None:
        kept = read()
        _keep(cache, {**kept, STAMP: np.array(stamp)})
    return kept


def _stamp(folder: Path, files: Iterable[Path]) -> str:
    """Returns a SHA-256 over each file's name, size and time of change."""
    digest = hashlib.sha256(f"{READER_VERSION}\n".encode())
    for file in files:
        status = file.stat()
        name = file.relative_to(folder).as_posix()
        line = f"{name}\0{status.st_size}\0{status.st_mtime_ns}\n"
        digest.update(line.encode(errors="surrogateescape"))  # a name need not be UTF-8
    return digest.hexdigest()


def _read_kept(cache: Path, stamp: str) -> Named | None:
    """Returns None where there is no cache of this stamp; the zip's CRC tells a damaged one."""
    try:
        arrays = read_arrays(cache)
    except UserError:
        return None
    return arrays if np.array_equal(arrays.pop(STAMP, None), stamp) else None


def _keep(cache: Path, arrays: Named) -> None:
    with (
        as_the_disk_allows(),
        atomic_file(cache, is_remade=True) as partial,
        partial.open("wb") as file,
    ):
        np.savez(file, **arrays)
