"""Complete-or-absent files and folders, arrays with checksums, locks and caches."""

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
from typing import Any
from zipfile import BadZipFile

import numpy as np
from pydantic import BaseModel, ValidationError

from competition.errors import UserError, as_the_disk_allows, naming

PARTIAL = ".partial-"
# The end of a name while its file, folder or download is incomplete.
PARTIAL_NAME = re.compile(re.escape(PARTIAL) + "([0-9a-z_]{8}|download)$")
# Partial files untouched for an hour belong to no running command or resumable download.
ABANDONED_SECONDS = 3600
# The old folder, kept inside the new one until that is in place.
REPLACED = ".replaced"


@contextmanager
def atomic_file(path: Path, is_remade: bool = False) -> Iterator[Path]:
    """Yields a temporary sibling that replaces `path` when the block succeeds.

    With `is_remade` it skips fsync: readers detect a damaged file and recreate it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = _partial_sibling(path)
    try:
        with naming(path):
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
    """Yields an empty temporary sibling that replaces `path` when the block succeeds.

    The old folder is removed only after the new one is complete. If `path` is a link, perhaps to
    another disk, its target is replaced and the link stays.
    """
    path = _behind_links(path)
    partial = _partial_sibling(path)
    partial.mkdir(parents=True)
    try:
        with naming(path):
            yield partial
            for written in (*partial.rglob("*"), partial):
                _flush(written)
        _replace_folder(path, partial)
        shutil.rmtree(path / REPLACED, ignore_errors=True)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _replace_folder(path: Path, new: Path) -> None:
    """Replaces a folder, so that an interruption leaves the old or the new one."""
    try:
        if path.exists():
            path.rename(new / REPLACED)
        new.rename(path)
    except BaseException:
        if not path.exists() and (new / REPLACED).exists():
            (new / REPLACED).rename(path)
        raise


def _flush(path: Path) -> None:
    """Waits until a file, or a folder's list of names, is on the disk and survives a power cut."""
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
            f"{path} is a disk of its own, which cannot be replaced like a folder; make a folder "
            f"on that disk, and make {path} a link to it"
        )
    return target


def remove_partials(folder: Path, idle_seconds: float = 0) -> None:
    """Removes what killed processes left incomplete anywhere below `folder`.

    Only what was not written to for `idle_seconds`: another process may still be writing.
    """
    latest = time.time() - idle_seconds
    for partial in filter(PARTIAL_NAME.search, paths_below(folder)):
        with suppress(FileNotFoundError):  # its writer may have removed it first
            written = (os.stat(path).st_mtime for path in (partial, *paths_below(Path(partial))))
            if max(written) <= latest:
                shutil.rmtree(partial) if os.path.isdir(partial) else os.unlink(partial)


def paths_below(folder: Path) -> Iterator[str]:
    """Yields all files and folders below a folder, even while another process removes some."""
    for parent, folders, files in os.walk(folder):
        yield from (os.path.join(parent, name) for name in (*folders, *files))


def clear_folder(folder: Path) -> None:
    """Removes a folder; if it is a link, empties its target and keeps the link."""
    shutil.rmtree(os.path.realpath(folder))
    if folder.is_symlink():
        Path(os.path.realpath(folder)).mkdir()


def _partial_sibling(path: Path) -> Path:
    return path.with_name(f"{path.name}{PARTIAL}{secrets.token_hex(4)}")


# All that NumPy and zipfile were seen to raise for files with some bytes changed; MemoryError, as a
# changed header may ask for too much memory.
DAMAGED_ARCHIVE = (EOFError, RuntimeError, BadZipFile, zlib.error)
DAMAGED_ARRAYS = (
    *DAMAGED_ARCHIVE, OSError, ValueError, SyntaxError, tokenize.TokenError, MemoryError
)  # fmt: skip

CHECKSUM_BYTES = 4


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Reads every array of an `.npz` file; nothing in it is executed.

    Raises:
        UserError: when the file is missing, damaged, or holds anything but arrays.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except DAMAGED_ARRAYS as error:
        raise UserError(f"{path} cannot be read as arrays: {error}") from None
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):
            raise UserError(f"{path}: '{name}' is not an array; expected arrays only")
    return arrays


def parse_json(content: bytes, model: type[BaseModel]) -> dict[str, Any]:
    """Returns a JSON object, checked by a model of the fields that are used; others stay.

    Raises:
        ValueError: in one line, naming the first field that is missing or of another type.
    """
    try:
        return model.model_validate_json(content).model_dump(exclude_unset=True)
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(map(str, problem["loc"]))
        raise ValueError(f"{place}: {problem['msg']}" if place else problem["msg"]) from None


def file_hash(path: Path) -> str:
    """Returns the SHA-256 of a file, 64 hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def starts_with(path: Path, start: bytes) -> bool:
    """Whether a file begins with these bytes, the signature of its format."""
    with path.open("rb") as file:
        return file.read(len(start)) == start


def write_array(path: Path, array: np.ndarray) -> None:
    """Writes an array in NumPy's format, followed by its CRC-32.

    `np.load` reads and maps such a file as usual: it ignores bytes after the array.
    """
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    with path.open("wb") as file:
        file.write(buffer.getbuffer())
        file.write(_checksum(buffer.getbuffer()))


def is_whole(path: Path) -> bool:
    """Whether a file of `write_array` still ends in the right checksum."""
    if path.stat().st_size <= CHECKSUM_BYTES:
        return False
    content = np.memmap(path, np.uint8, "r").data
    return _checksum(content[:-CHECKSUM_BYTES]) == content[-CHECKSUM_BYTES:].tobytes()


def _checksum(content: memoryview) -> bytes:
    return zlib.crc32(content).to_bytes(CHECKSUM_BYTES, "little")


@contextmanager
def exclusive(path: Path) -> Iterator[bool]:
    """Tries to take the exclusive lock without waiting; yields whether it was acquired.

    `path` is a folder, which is left as it is, or a file, which is made if it is missing.
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
    """Takes a shared lock; waits while another process holds the exclusive one."""
    with _opened(path) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield


@contextmanager
def in_turn(path: Path) -> Iterator[None]:
    """Takes the exclusive lock; waits while another process holds it."""
    with _opened(path) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield


@contextmanager
def only_one(folder: Path, what: str) -> Iterator[None]:
    """Locks a folder, which is made if needed, without a lock file in it.

    Raises:
        UserError: "another process is `what`", when another one holds the lock.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with exclusive(folder) as is_held:
        if not is_held:
            raise UserError(f"another process is {what}; wait until it has finished")
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


# Increase it when the same files are read differently: then every cache is made again.
READER_VERSION = 3

STAMP = "stamp"

Named = dict[str, np.ndarray]


def cached(cache: Path, folder: Path, files: Iterable[Path], read: Callable[[], Named]) -> Named:
    """Returns the arrays of `read()`, from the file `cache` if that was made from the same files.

    A damaged or outdated cache is replaced. A disk that refuses it is no error: it only saves time.

    Args:
        folder: contains `files` at any depth; it may be renamed.
        files: all that is read; the cache is valid while names, sizes and modification times stay.
    """
    stamp = _stamp(folder, files)
    with suppress(UserError):  # no cache yet, or a damaged one, which the zip's own CRC detects
        kept = read_arrays(cache)
        if np.array_equal(kept.pop(STAMP, np.array("")), stamp):
            return kept
    found = read()
    with (
        as_the_disk_allows(),
        atomic_file(cache, is_remade=True) as partial,
        partial.open("wb") as file,
    ):
        np.savez(file, **found, **{STAMP: np.array(stamp)})  # type: ignore[arg-type]
    return found


def _stamp(folder: Path, files: Iterable[Path]) -> str:
    """Returns a SHA-256 of each file's name, size and modification time."""
    digest = hashlib.sha256(f"{READER_VERSION}\n".encode())
    for file in files:
        status = file.stat()
        name = file.relative_to(folder).as_posix()
        line = f"{name}\0{status.st_size}\0{status.st_mtime_ns}\n"
        digest.update(line.encode(errors="surrogateescape"))  # a name need not be UTF-8
    return digest.hexdigest()


def visible_entries(folder: Path) -> list[Path]:
    """Returns the files and folders in a folder, sorted, without hidden ones."""
    return sorted(folder.glob("[!.]*"))


def require_file(entry: Path, fix: str) -> None:
    """Refuses what cannot be read as a file; `fix` ends the message."""
    if not entry.is_file():
        is_broken = entry.is_symlink() and not entry.exists()
        raise UserError(f"{entry} is {'a broken link' if is_broken else 'not a file'}; {fix}")
