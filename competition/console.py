"""Progress with the time left, as a bar or a short log; durations and counts in words."""

import os
import sys
import time
from collections.abc import Collection, Iterator
from types import TracebackType
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

SECONDS_BETWEEN_LOG_LINES = 30.0

Item = TypeVar("Item")


def terminal(stderr: bool = False) -> Console:
    """Returns rich's console, which draws on a real terminal only, whatever `FORCE_COLOR` says."""
    stream = sys.stderr if stderr else sys.stdout
    can_draw = stream.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")
    return Console(stderr=stderr, highlight=False, force_terminal=can_draw)


class ProgressDisplay:
    """Shows how much of `total` is done, in any unit: a bar, or log lines outside a terminal.

    Used in a `with` block. The time left assumes a steady pace.
    """

    def __init__(self, description: str, total: float):
        self._description, self._total = description, total
        self._console = terminal(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[left]}"),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task(description, total=total, left="")
        self._began = self._logged = time.monotonic()

    def __enter__(self) -> "ProgressDisplay":
        self._bar.start()
        return self

    def __exit__(
        self, kind: type | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            self._bar.update(self._task, completed=self._total, left="")
        self._bar.stop()

    def update(self, done: float) -> None:
        """Shows that `done` of the total is done, and the time left."""
        left = time_left(time.monotonic() - self._began, done / self._total)
        self._bar.update(self._task, completed=done, left=left)
        waited = time.monotonic() - self._logged
        if not self._console.is_terminal and waited >= SECONDS_BETWEEN_LOG_LINES:
            self._logged = time.monotonic()
            self.say(f"{self._description}: {done / self._total:.0%} {left}")

    def say(self, line: str) -> None:
        """Prints a line above the bar."""
        self._console.print(line, markup=False, soft_wrap=True)


def with_progress(description: str, items: Collection[Item]) -> Iterator[Item]:
    """Yields items; each counts as done when the next one is requested."""
    with ProgressDisplay(description, len(items)) as display:
        for done, item in enumerate(items, start=1):
            yield item
            display.update(done)


def time_left(elapsed: float, share: float) -> str:
    """Returns for example `"3 min left"`, or an empty text while it is too early to tell."""
    if share < 0.01 or elapsed < 2:
        return ""
    return f"{duration(elapsed * (1 - min(share, 1)) / share)} left"


def duration(seconds: float) -> str:
    """Returns for example `"40 s"`, `"3 min"`, `"1 h 20 min"`."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def bytes_text(count: float) -> str:
    """Returns for example `"12 kB"`, `"3.4 MB"`, `"1.2 GB"`, in powers of 1,000."""
    for unit, size in {"GB": 1e9, "MB": 1e6, "kB": 1e3}.items():
        if count >= size:
            return f"{count / size:.{0 if unit == 'kB' else 1}f} {unit}"
    return f"{count:.0f} bytes"


def count_of(number: int, noun: str, plural: str | None = None) -> str:
    """Returns for example `"no pairs"`, `"1 pair"`, `"2,000 pairs"`."""
    name = noun if number == 1 else plural or f"{noun}s"
    return f"{number:,} {name}" if number else f"no {name}"
