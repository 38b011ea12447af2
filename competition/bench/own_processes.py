"""Processes that nothing was started in before, and that end with what they are for."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from joblib.externals.loky import ProcessPoolExecutor

from competition.system import end_with


def _nothing() -> None:
    """Begins nothing."""


@contextmanager
def new_workers(count: int, begin: Callable[[], None] = _nothing) -> Iterator[ProcessPoolExecutor]:
    """Yields processes of their own: those that are kept have threads and models of before.

    Args:
        count: how many.
        begin: what each of them does first, as does one that takes the place of one that grew.
    """
    workers = ProcessPoolExecutor(count, initializer=_begin, initargs=(os.getpid(), begin))
    try:
        yield workers
    finally:
        workers.shutdown(kill_workers=True)  # none waits for another one that failed


def _begin(command_pid: int, begin: Callable[[], None]) -> None:
    end_with(command_pid)
    begin()
