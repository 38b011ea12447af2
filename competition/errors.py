"""Errors that the user can fix, as opposed to bugs; among them, what the disk refuses."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

DISK_TROUBLE = {
    errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS,
    errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENOTEMPTY, errno.ENAMETOOLONG,
}  # fmt: skip


class UserError(Exception):
    """Something the user can fix; shown as a plain message, without a traceback.

    The message says what happened, what was expected, and how to fix it.
    """


def passes(check: Callable[..., object], *arguments: object) -> bool:
    """Whether `check(*arguments)` raises no UserError."""
    try:
        check(*arguments)
    except UserError:
        return False
    return True


@contextmanager
def as_the_disk_allows() -> Iterator[None]:
    """Suppresses the error if the disk refuses what the block writes; raises any other."""
    try:
        yield
    except OSError as error:
        if not disk_trouble(error):
            raise


def disk_trouble(error: OSError) -> UserError | None:
    """Returns the message for a full, read-only or misused disk, or None for any other error."""
    if error.errno not in DISK_TROUBLE:
        return None
    if error.filename and (link := Path(error.filename)).is_symlink() and not link.exists():
        target = os.path.realpath(link)
        return UserError(
            f"{link} is a link to {target}, which is not there; mount its disk, make that folder, "
            "or remove the link"
        )
    where = f" at {error.filename}" if error.filename else ""
    return UserError(f"the disk refused{where}: {error.strerror}; free space or allow it")
