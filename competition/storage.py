"""Files and folders that are complete or absent, arrays with checksums, locks and caches."""

import fcntl
import hashlib
import io
import os
import re
import secrets
import shutil
import time
import tokenize
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from competition.errors import UserError, as_the_disk_allows

PARTIAL = ".partial-"
# How the name of a file or folder ends while it is written, by us or by the download.
PARTIAL_NAME = re.compile(re.escape(PARTIAL) + "([0-9a-z_]{8}|download)$")
# Partial files untouched for an hour belong to no running command or resumable download.
ABANDONED_SECONDS = 3600
# Where a folder waits until the one that takes its place is there.
REPLACED = ".replaced"


@contextmanager
def atomic_file(path: Path, is_remade: bool = False) -> Iterator[Path]:
    """Yields a temporary sibling that takes the place of `path` when the block succeeds.

    Args:
        is_remade: skip fsync: readers detect a damaged file and recreate it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = _partial_sibling(path)
    try:
        yield partial
        if not is_remade:
            _flush(partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Writes a text file in UTF-8, complete or absent."""
    with atomic_file(path) as partial:
        partial.write_text(text, encoding="utf-8")


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yields an empty temporary sibling that takes the place of `path` when the block succeeds.

    A folder that stands at `path` is removed only after the new one is complete. Where `path` is a
    link, perhaps to another disk, it stays one, and its target is replaced.

    Raises:
        UserError: when a link leads nowhere, or the folder is a disk of its own.
    """
    path = _behind_links(path)
    partial = _partial_sibling(path)
    partial.mkdir(parents=True)
    try:
        yield partial
        for written in (*partial.rglob("*"), partial):
            _flush(written)
        _replace_folder(path, partial)
        shutil.rmtree(path / REPLACED, ignore_errors=True)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _replace_folder(path: Path, new: Path) -> None:
    """An interruption leaves one or the other."""
    try:
        if path.exists():
            path.rename(new / REPLACED)
        new.rename(path)
    except BaseException:
        if not path.exists() and (new / REPLACED).exists():
            (new / REPLACED).rename(path)
        raise


def _flush(path: Path) -> None:
    """Waits until a file, or the names in a folder, are on the disk: a power cut may come."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        if not path.is_dir():  # not every file system can sync folders
            raise
    finally:
        os.close(descriptor)


def _behind_links(path: Path) -> Path:
    target = Path(os.path.realpath(path)) if path.is_symlink() else path
    if path.is_symlink() and not target.parent.is_dir():
        raise UserError(
            f"{path} is a link to {target}, but there is no {target.parent}/; mount its disk, or "
            "fix the link"
        )
    if os.path.ismount(target):
        raise UserError(
            f"{path} is a disk of its own, which cannot be replaced as a folder can; make a folder "
            f"on that disk, and let {path} be a link to it"
        )
    return target


def remove_partials(folder: Path, idle_seconds: float = 0) -> None:
    """Removes what killed processes left half-written anywhere below `folder`.

    Args:
        idle_seconds: how long nothing was written to what is removed; others may be writing.
    """
    latest = time.time() - idle_seconds
    for partial in filter(PARTIAL_NAME.search, paths_below(folder)):
        with suppress(FileNotFoundError):  # whoever wrote it may have been faster
            if _last_written(partial) <= latest:
                shutil.rmtree(partial) if os.path.isdir(partial) else os.unlink(partial)


def _last_written(path: str) -> float:
    """Returns when a file, or anything in a folder, was written to, in seconds since 1970."""
    return max(os.stat(each).st_mtime for each in (path, *paths_below(Path(path))))


def paths_below(folder: Path) -> Iterator[str]:
    """Yields the files and folders anywhere below a folder, while others may remove some."""
    for parent, folders, files in os.walk(folder):
        yield from (os.path.join(parent, name) for name in (*folders, *files))


def clear_folder(folder: Path) -> None:
    """Removes a folder; of a link to one, what it leads to is emptied, and the link stays."""
    shutil.rmtree(os.path.realpath(folder))
    if folder.is_symlink():
        Path(os.path.realpath(folder)).mkdir()


def _partial_sibling(path: Path) -> Path:
    return path.with_name(f"{path.name}{PARTIAL}{secrets.token_hex(4)}")


# Whatever NumPy and zipfile were seen to raise for a file with some of its bytes changed; a changed
# header may promise more values than there is memory.
DAMAGED_ARCHIVE = (EOFError, RuntimeError, BadZipFile, zlib.error)
DAMAGED_ARRAYS = (
    *DAMAGED_ARCHIVE, OSError, ValueError, SyntaxError, tokenize.TokenError, MemoryError
)  # fmt: skip

CHECKSUM_BYTES = 4


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Reads every array of an `.npz` file; nothing in it is executed.

    Raises:
        UserError: when the file is missing or damaged, or holds anything but arrays.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except DAMAGED_ARRAYS as error:
        raise UserError(f"{path} cannot be read as arrays: {error}") from None
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):
            raise UserError(f"{path}, '{name}', is no array; expected arrays only")
    return arrays


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
    content = np.memmap(path, np.uint8, "r").data
    return _checksum(content[:-CHECKSUM_BYTES]) == content[-CHECKSUM_BYTES:].tobytes()


def _checksum(content: memoryview) -> bytes:
    return zlib.crc32(content).to_bytes(CHECKSUM_BYTES, "little")


@contextmanager
def exclusive(path: Path) -> Iterator[bool]:
    """Tries to take the exclusive lock without waiting; yields whether it was acquired.

    Args:
        path: a folder, which is left as it is, or a file, which is made if it is missing.
    """
    with _opened(path) as descriptor:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_held = True
        except BlockingIOError:
            is_held = False
        yield is_held


@contextmanager
def shared(path: Path) -> Iterator[None]:
    """Takes a lock that others may share; waits for the end of an exclusive one."""
    with _opened(path) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield


@contextmanager
def only_one(folder: Path, what: str) -> Iterator[None]:
    """Locks a folder against other processes that call this; leaves nothing of it on disk.

    Args:
        folder: is made if it is missing.
        what: what is done in it, as the end of "another process is …".

    Raises:
        UserError: when another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with exclusive(folder) as is_held:
        if not is_held:
            raise UserError(f"another process is {what}; wait until it has ended")
        yield


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_CREAT
    descriptor = os.open(path, mode, 0o666)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


# Raised by hand when the same files are read differently: every cache is then made again.
READER_VERSION = 2

STAMP = "stamp"

Named = dict[str, np.ndarray]


def cached(cache: Path, folder: Path, files: Iterable[Path], read: Callable[[], Named]) -> Named:
    """Returns what `read` returns, from a cache if that was made of the same files.

    A damaged or older cache is replaced. It only saves time, so a disk that takes none is no error.

    Args:
        cache: the file where it is kept.
        folder: where the files are, at any depth; it may be renamed.
        files: all that is read; their names, sizes and times of change have to be the same.
        read: reads them; called only if it is needed.
    """
    stamp = _stamp(folder, files)
    with suppress(UserError):  # none yet, or damaged: the zip's own CRC finds that
        kept = read_arrays(cache)
        if np.array_equal(kept.pop(STAMP, np.array("")), stamp):
            return kept
    found = read()
    with (
        as_the_disk_allows(),
        atomic_file(cache, is_remade=True) as partial,
        partial.open("wb") as file,
    ):
        np.savez(file, allow_pickle=False, **found, **{STAMP: np.array(stamp)})
    return found


def _stamp(folder: Path, files: Iterable[Path]) -> str:
    """Returns a SHA-256 over each file's name, size and time of change."""
    digest = hashlib.sha256(f"{READER_VERSION}\n".encode())
    for file in files:
        status = file.stat()
        name = file.relative_to(folder).as_posix()
        line = f"{name}\0{status.st_size}\0{status.st_mtime_ns}\n"
        digest.update(line.encode(errors="surrogateescape"))  # a name need not be UTF-8
    return digest.hexdigest()


def visible_entries(folder: Path) -> list[Path]:
    """Returns the files and folders in a folder by name, without hidden ones."""
    return sorted(folder.glob("[!.]*"))


def require_file(entry: Path, fix: str) -> None:
    """Raises UserError, which ends in how to `fix` it, for what cannot be read as a file."""
    if not entry.is_file():
        is_lost = entry.is_symlink() and not entry.exists()
        what = "a link to what is not there" if is_lost else "no file"
        raise UserError(f"{entry} is {what}; {fix}")
