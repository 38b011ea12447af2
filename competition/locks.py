"""Locks between commands; the system lets go of them when a process ends, however it ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from competition.errors import UserError


@contextmanager
def exclusive(path: Path) -> Iterator[bool]:
    """Holds a lock that nobody shares, and yields whether it was to be had; it never waits.

    Args:
        path: a folder, which is left as it is, or a file, which is made if it is not there.
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
    """Holds a lock that others may share; waits for the end of an exclusive one."""
    with _opened(path) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield


@contextmanager
def only_one(folder: Path, what: str) -> Iterator[None]:
    """Holds a folder against other processes that call this; nothing of it is left on disk.

    Args:
        folder: is made if it is not there.
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
