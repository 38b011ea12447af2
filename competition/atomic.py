"""Files and folders that are complete or absent, whenever the process is killed."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from competition.errors import UserError

PARTIAL = ".partial-"


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yields a temporary sibling that takes the place of `path` when the block succeeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = _partial_sibling(path)
    try:
        yield partial
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
        if path.exists():
            path.rename(partial / ".replaced")
        partial.rename(path)
        shutil.rmtree(path / ".replaced", ignore_errors=True)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


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


def remove_partials(folder: Path) -> None:
    """Removes what killed processes left half-written anywhere below `folder`."""
    for partial in folder.rglob(f"*{PARTIAL}*"):
        shutil.rmtree(partial) if partial.is_dir() else partial.unlink(missing_ok=True)


def _partial_sibling(path: Path) -> Path:
    return path.with_name(f"{path.name}{PARTIAL}{secrets.token_hex(4)}")
