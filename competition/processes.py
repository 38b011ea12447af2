"""Worker processes: kept for all stages that want as many, and ended with their command."""

import os
import signal
import threading
import time
import warnings
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import cache

from joblib import Parallel, parallel_config

from competition.errors import UserError

SECONDS_BETWEEN_LOOKS = 0.5
SECONDS_BETWEEN_INTERRUPTS = 0.5

MORE_MEMORY = "run it again where more memory is free"


def side_by_side(workers: int, threads: int, in_this_process: bool = True) -> Parallel:
    """Returns what runs calls in worker processes and yields their results as they come.

    joblib keeps its workers, and what they have imported, from one use to the next only if they
    are asked for in the same way; so all ask here. Other threads mean other workers, as
    TensorFlow cannot change its own once it works. They are sent paths, and no arrays: joblib would
    share these through files of its own, which leak when a command is interrupted.

    Args:
        workers: how many processes.
        threads: that each of them may use.
        in_this_process: whether a single worker is this process, or else another one.
    """
    # A worker whose memory grew is replaced after a job; nothing is lost, so nothing is said.
    warnings.filterwarnings("ignore", message="A worker stopped while some jobs", module="joblib")
    with parallel_config("loky", inner_max_num_threads=threads):
        if workers == 1 and not in_this_process:  # joblib starts no single one: of two, one waits
            return Parallel(2, pre_dispatch=1, return_as="generator_unordered", max_nbytes=None)
        return Parallel(workers, return_as="generator_unordered", max_nbytes=None)


@contextmanager
def workers_may_end(advice: str) -> Iterator[None]:
    """Tells in a sentence what a worker's sudden end means.

    Args:
        advice: what is kept, and what to try where the memory was too little.

    Raises:
        UserError: when the system ended a worker, with the advice.
    """
    try:
        yield
    except BrokenProcessPool:
        raise UserError(
            f"the system ended a worker process, most likely for want of memory; {advice}"
        ) from None


@cache
def end_with(command_pid: int) -> None:
    """Lets this process end soon after its parent, the process with this number, is gone.

    joblib's workers wait minutes for more work after their command was killed, or go on with
    what they have. Whatever they write is complete or absent, so they may end at any moment.
    """
    if os.getpid() != command_pid:
        # Ctrl-C in a terminal reaches the workers too; the command alone answers it.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        threading.Thread(target=_watch, args=(command_pid,), daemon=True).start()


@contextmanager
def interruptible() -> Iterator[None]:
    """Lets Ctrl-C end the block as KeyboardInterrupt, whatever becomes of the first one.

    Raised while Python runs a callback of its garbage collector, which TensorFlow's tracing is
    full of, it is dropped; raised inside a library, it may come out as an error of that library.
    So it is raised again until the block is left.
    """
    in_main_thread = threading.current_thread() is threading.main_thread()
    if not in_main_thread or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield  # a worker, which Ctrl-C is not for, or a program with a way of its own
        return
    interrupts = []

    def interrupt(number, _):
        interrupts.append(number)
        signal.setitimer(signal.ITIMER_REAL, SECONDS_BETWEEN_INTERRUPTS)
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if interrupts:
            raise KeyboardInterrupt


def _watch(command_pid: int) -> None:
    while os.getppid() == command_pid:
        time.sleep(SECONDS_BETWEEN_LOOKS)
    os._exit(1)
