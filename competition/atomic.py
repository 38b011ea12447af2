"""Files and folders that are complete or absent, whenever the process is killed."""

import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from competition.errors import UserError

PARTIAL = ".partial-"
# Of a file or folder while it is written: the end of its name, whoever chose it.
PARTIAL_NAME = re.compile(re.escape(PARTIAL) + "([0-9a-z_]{8}|download)$")
# What was not written to for an hour is of no command that still runs, nor of a download that is
# about to be continued.
ABANDONED_SECONDS = 3600
# Where a folder waits until the one that takes its place is there.
REPLACED = ".replaced"


@contextmanager
def atomic_file(path: Path, is_remade: bool = False) -> Iterator[Path]:
    """Yields a temporary sibling that takes the place of `path` when the block succeeds.

    Args:
        path: the file.
        is_remade: whether its readers know a damaged one and make it again, so that nobody has to
            wait for the disk: after a power cut, it may be one.
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
    """Writes a text file in UTF-8, which is complete or absent."""
    with atomic_file(path) as partial:
        partial.write_text(text, encoding="utf-8")


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yields an empty temporary sibling that takes the place of `path` when the block succeeds.

    A folder that stands at `path` is removed only after the new one is complete. Where `path` is a
    link, perhaps to another disk, it stays one, and what it leads to is replaced.

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
    """Brings a file, or the names in a folder, to the disk: no power cut may halve them."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        if not path.is_dir():  # not every file system can do so with folders
            raise
    finally:
        os.close(descriptor)


def _behind_links(path: Path) -> Path:
    target = Path(os.path.realpath(path)) if path.is_symlink() else path
    if path.is_symlink() and not target.parent.is_dir():
        raise UserError(
            f"{path} is a link to {target}, but there is no {target.parent}/; mount the disk that "
            "it is on, or mend the link"
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
        folder: where to look.
        idle_seconds: how long nothing was written to it, where others may be writing.
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
