"""A folder that only one process at a time may change."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from competition.errors import UserError


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
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        _lock(descriptor, what)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, what: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UserError(f"another process is {what}; wait until it has ended") from None
