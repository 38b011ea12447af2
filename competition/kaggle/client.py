"""The official Kaggle client, in a child process that can neither print, leave, nor hang on us.

The client prints to stdout, may end the process when it is imported, and waits for ever for a
server that does not answer. So it runs in a process of its own (`child.py`), with time limits,
and what it comes to goes through a file (`notes.py`).
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from math import inf
from pathlib import Path
from typing import Any

from competition.console import duration
from competition.kaggle.answers import KaggleError
from competition.kaggle.credentials import sources
from competition.kaggle.failures import without_secrets
from competition.kaggle.limits import ANSWER, RATE_LIMIT, limit
from competition.kaggle.notes import read_notes

SECONDS_BETWEEN_LOOKS = 0.1
WAIT_IF_NOT_TOLD = 10.0

# Is called while the client runs, with its notes; what it returns is a sign of life if it changes.
Watch = Callable[[dict[str, Any]], object]


def call(
    action: str, *arguments: str, watch: Watch = lambda notes: None, seconds: float = inf
) -> dict[str, Any]:
    """Runs one action of `child.py` and returns its notes; waits where Kaggle asks to (429).

    Args:
        action: a name of `child.ACTIONS`.
        arguments: of that action.
        watch: called about ten times a second, to show progress.
        seconds: how long it may take in all; silence has a limit of its own.

    Raises:
        KaggleError: when the client found no credentials, was refused, failed, or took too long.
    """
    waited = 0.0
    while True:
        outcome = _run(action, arguments, watch, seconds)
        wait = max(1.0, outcome.get("retry_after") or WAIT_IF_NOT_TOLD)
        if outcome.get("status") != 429 or waited + wait > limit(RATE_LIMIT):
            break
        print(f"Kaggle asks to wait {duration(wait)} (429), waiting", file=sys.stderr)
        time.sleep(wait)
        waited += wait
    if outcome["problem"]:
        raise KaggleError(outcome)
    return outcome


def _run(action: str, arguments: tuple[str, ...], watch: Watch, seconds: float) -> dict[str, Any]:
    known = {"credentials": sources()}  # the client removes a login that has expired
    with tempfile.TemporaryDirectory(prefix="kaggle-") as folder:
        notes, output = Path(folder) / "notes", Path(folder) / "output"
        child = [sys.executable, "-m", "competition.kaggle.child"]
        command = [*child, str(notes), str(os.getpid()), action, *arguments]
        with (
            output.open("wb") as printed,
            subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=printed, stderr=subprocess.STDOUT
            ) as process,
        ):
            try:
                stopped = _wait(process, notes, watch, seconds)
            finally:
                process.kill()
                watch(read_notes(notes))  # what came since the last look, also before a Ctrl-C
        outcome = read_notes(notes)
        if "problem" not in outcome:
            last_words = without_secrets(output.read_text(errors="replace")) or "it said nothing"
            outcome |= stopped or {"problem": "broke off", "message": last_words}
    return outcome | known


def _wait(
    process: subprocess.Popen, notes: Path, watch: Watch, seconds: float
) -> dict[str, Any] | None:
    """Waits for the end of the process; returns the problem if it takes too long."""
    patience = limit(ANSWER)
    began = heard = time.monotonic()
    last = None
    while process.poll() is None:
        now = time.monotonic()
        found = read_notes(notes)
        if (signs := (found, watch(found))) != last:
            last, heard = signs, now
        if now - heard > patience:
            return {"problem": "silent", "seconds": duration(patience)}
        if now - began > seconds:
            return {"problem": "slow", "seconds": duration(seconds)}
        time.sleep(SECONDS_BETWEEN_LOOKS)
    return None
