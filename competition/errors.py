"""Errors that the user can fix, as opposed to bugs; among them, what disk and memory refuse."""

import errno
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

SPACE, LOOK = "free space or allow it", "look whether its disk is there and in order"
DISK_TROUBLE = {
    **dict.fromkeys(
        (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EISDIR,
         errno.ENOTDIR, errno.EEXIST, errno.ENOTEMPTY, errno.ENAMETOOLONG, errno.ELOOP), SPACE),
    **dict.fromkeys((errno.EIO, errno.ESTALE, errno.ENODEV, errno.ENXIO, errno.ENOTCONN), LOOK),
    errno.EFBIG: "raise the limit of a file's size, `ulimit -f`",
    errno.EMFILE: "raise the limit of open files, `ulimit -n`",
}  # fmt: skip

# NumPy's error for a full disk has no number.
SHORT_WRITE = re.compile("[0-9]+ requested and [0-9]+ written")

# What libraries say instead of MemoryError, under a limit of the address space or of threads.
MEMORY_TROUBLE = re.compile(
    "failed to map segment|[Cc]annot allocate memory|can't start new thread|Arena alloc failed"
    "|std::bad_alloc|OOM when allocating"
)


class UserError(Exception):
    """Something the user can fix; shown as a plain message, without a traceback.

    The message says what happened, what was expected, and how to fix it. It may quote names and
    text of others: passwords in URLs are left out, and no character controls the terminal.
    """

    def __init__(self, message: str):
        super().__init__(printable(re.sub(r"://\S*@", "://…@", message)))


def printable(text: str) -> str:
    """Returns the text with escapes, as `\\x1b`, for characters that a terminal would obey."""
    return "".join(c if c.isprintable() or c in "\n\t" else repr(c)[1:-1] for c in text)


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


def trouble(error: BaseException) -> UserError | None:
    """Returns the message for what disk or memory refused, or None for any other error."""
    if is_out_of_memory(error):
        return UserError(
            f"there was too little memory ({type(error).__name__}: {error}); run it again where "
            "more is free and allowed (`ulimit -v`, `ulimit -u`)"
        )
    return disk_trouble(error) if isinstance(error, OSError) else None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory, or what a limit allows of it, ran out."""
    # TensorFlow's error by name: it should not be imported just to explain an error.
    by_type = isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError"
    is_system = isinstance(error, OSError | ImportError | RuntimeError)
    return by_type or (is_system and MEMORY_TROUBLE.search(str(error)) is not None)


def disk_trouble(error: OSError) -> UserError | None:
    """Returns the message for a full, read-only, broken or misused disk, or None otherwise."""
    number, reason = error.errno, error.strerror
    if number is None and SHORT_WRITE.search(str(error.args)):
        number, reason = errno.ENOSPC, os.strerror(errno.ENOSPC)
    if number not in DISK_TROUBLE:
        return None
    if error.filename and (link := Path(error.filename)).is_symlink() and not link.exists():
        target = os.path.realpath(link)
        return UserError(
            f"{link} is a link to {target}, which is not there; mount its disk, make that folder, "
            "or remove the link"
        )
    where = f" at {error.filename}" if error.filename else ""
    return UserError(f"the disk refused{where}: {reason}; {DISK_TROUBLE[number]}")


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Names the file in the disk's errors that have no name, as those of writing have none."""
    try:
        yield
    except OSError as error:
        if error.filename is None and disk_trouble(error):
            error.filename = str(path)
        raise
