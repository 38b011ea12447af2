"""Processes that nothing was started in before, and that end with what they are for."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from joblib.externals.loky import ProcessPoolExecutor

from competition.processes import end_with


@contextmanager
def new_workers(count: int) -> Iterator[ProcessPoolExecutor]:
    """Yields processes of their own: those that are kept have threads and models of before."""
    workers = ProcessPoolExecutor(count, initializer=end_with, initargs=(os.getpid(),))
    try:
        yield workers
    finally:
        workers.shutdown(kill_workers=True)  # none waits for another one that failed
