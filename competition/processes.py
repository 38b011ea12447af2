"""Worker processes: started once, kept for all stages, and ended with their command."""

import os
import signal
import threading
import time
import warnings
from functools import cache

from joblib import Parallel

SECONDS_BETWEEN_LOOKS = 0.5


def side_by_side(workers: int) -> Parallel:
    """Returns what runs calls in worker processes and yields their results as they come.

    joblib keeps its workers, and what they have imported, from one use to the next only if they
    are asked for in the same way; so all ask here. Arrays are sent, which takes no time for those
    of this project; shared through files, they leak when a command is interrupted.
    """
    # A worker whose memory grew is replaced after a job; nothing is lost, so nothing is said.
    warnings.filterwarnings("ignore", message="A worker stopped while some jobs", module="joblib")
    return Parallel(workers, return_as="generator_unordered", max_nbytes=None)


@cache
def end_with(command: int) -> None:
    """Lets this process end soon after the process `command`, its parent, is gone.

    joblib's workers wait minutes for more work after their command was killed, or go on with
    what they have. Whatever they write is complete or absent, so they may end at any moment.
    """
    if os.getpid() != command:
        # Ctrl-C in a terminal reaches the workers too; the command alone answers it.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        threading.Thread(target=_watch, args=(command,), daemon=True).start()


def _watch(command: int) -> None:
    while os.getppid() == command:
        time.sleep(SECONDS_BETWEEN_LOOKS)
    os._exit(1)
