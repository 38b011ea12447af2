"""Worker processes that do not outlive the command that started them."""

import os
import signal
import threading
import time
from functools import cache

SECONDS_BETWEEN_LOOKS = 0.5


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
