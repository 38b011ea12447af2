"""Runs the official Kaggle client in a child process, with timeouts.

The client prints to stdout, may end the process when it is imported, and waits for ever for a
server that does not answer. So it runs in a process of its own (`child.py`), and its results come
through a file (`protocol.py`).
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from math import inf, isfinite
from pathlib import Path
from typing import Any

from competition.console import duration
from competition.errors import UserError
from competition.kaggle.credentials import CONFIG_DIR, settings_folder
from competition.kaggle.errors import UPGRADE, KaggleError, without_secrets
from competition.kaggle.protocol import read_notes

ANSWER_SECONDS = 60.0  # without any sign of life from the server
RATE_LIMIT_SECONDS, MOST_TRIES = 120.0, 5  # in all, when Kaggle has had too many requests
TIMEOUT_FACTOR = "DIGITS_KAGGLE_TIMEOUT_FACTOR"

SECONDS_BETWEEN_LOOKS = 0.1
DEFAULT_WAIT_SECONDS = 10.0  # for a 429 without Retry-After

# Called with the notes while the client runs; a changed return value is a sign of life.
Watch = Callable[[dict[str, Any]], object]


def timeout(seconds: float) -> float:
    """Returns the seconds, times the factor in the environment variable."""
    text = os.environ.get(TIMEOUT_FACTOR) or "1"
    try:
        factor = float(text)
    except ValueError:
        factor = 0.0
    if not (isfinite(factor) and factor > 0):
        raise UserError(f"{TIMEOUT_FACTOR} is '{text}', expected a number above 0, such as 3")
    return seconds * factor


def call(
    action: str, *arguments: str, watch: Watch = lambda notes: None, seconds: float = inf
) -> dict[str, Any]:
    """Runs one action of `child.py` and returns its notes; waits where Kaggle asks to (429).

    Args:
        action: a name of `child.ACTIONS`.
        watch: called about ten times per second, to show progress.
        seconds: how long a download may take in all; silence has its own timeout.

    Raises:
        KaggleError: when the client found no credentials, was refused, failed, or took too long.
    """
    start = time.monotonic()
    for tries in range(1, MOST_TRIES + 1):
        outcome = _run(action, arguments, watch, timeout(seconds))
        # Twice as long each time, as who asks for a second may do so for ever.
        wait = max(2.0 ** (tries - 1), outcome.get("retry_after") or DEFAULT_WAIT_SECONDS)
        is_over = time.monotonic() - start + wait > timeout(RATE_LIMIT_SECONDS)
        if outcome.get("status") != 429 or is_over or tries == MOST_TRIES:
            break
        print(f"Kaggle asks to wait {duration(wait)} (429), waiting", file=sys.stderr)
        time.sleep(wait)
    if outcome["problem"]:
        raise KaggleError(outcome)
    return outcome


def _run(action: str, arguments: tuple[str, ...], watch: Watch, seconds: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="kaggle-") as folder:
        notes, output = Path(folder) / "notes", Path(folder) / "output"
        child = [sys.executable, "-m", "competition.kaggle.child"]
        with (
            output.open("wb") as printed,
            subprocess.Popen(
                [*child, str(notes), str(os.getpid()), action, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=subprocess.STDOUT,
                env=_environment(folder),
            ) as process,
        ):
            try:
                problem = _wait(process, notes, watch, seconds)
            finally:
                process.kill()
                watch(read_notes(notes))  # the latest, even after Ctrl-C
        outcome = read_notes(notes)
        last_line = without_secrets(output.read_text(errors="replace")) or "it printed nothing"
    no_result = (
        f"The Kaggle client ended without a result ({last_line}). Try again; if it happens again, "
        f"run {UPGRADE}."
    )
    return {"problem": problem or no_result} | outcome


def _environment(folder: str) -> dict[str, str]:
    """Returns the child's environment: the client makes its settings' folder, and may not be able
    to in the user's home; so a missing one is `folder`.
    """
    is_there = settings_folder().is_dir()
    return dict(os.environ) if is_there else {**os.environ, CONFIG_DIR: folder}


def _wait(process: subprocess.Popen, notes: Path, watch: Watch, seconds: float) -> str | None:
    """Waits until the process ends; returns a message for the user if it takes too long."""
    silence = timeout(ANSWER_SECONDS)
    longer = f"{TIMEOUT_FACTOR}=3 waits three times as long."
    start = last_change = time.monotonic()
    last_signs = None
    while process.poll() is None:
        now = time.monotonic()
        found = read_notes(notes)
        if (signs := (found, watch(found))) != last_signs:
            last_signs, last_change = signs, now
        if now - last_change > silence:
            return (
                f"Kaggle did not answer for {duration(silence)}; the client was "
                f"{found.get('stage', 'starting')}. Check the network and try again; {longer}"
            )
        if now - start > seconds:
            return (
                f"The download was not finished after {duration(seconds)}. What arrived is kept, "
                f"and the same command continues from there; {longer}"
            )
        time.sleep(SECONDS_BETWEEN_LOOKS)
    return None
