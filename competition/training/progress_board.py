"""How far each job is, told by worker processes through a small file that they share."""

import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from competition.progress import ProgressDisplay

SECONDS_BETWEEN_LOOKS = 0.5


@dataclass(frozen=True)
class ProgressBoard:
    """One number a job, from 0 to 1, in a memory-mapped file; it travels to workers as a path."""

    file: Path
    jobs: int

    @classmethod
    @contextmanager
    def on_disk(cls, jobs: int) -> Iterator["ProgressBoard"]:
        """Yields a board that is removed afterwards."""
        with tempfile.TemporaryDirectory(prefix="progress-") as folder:
            board = cls(Path(folder) / "shares", jobs)
            np.zeros(jobs).tofile(board.file)
            yield board

    def shares(self) -> np.ndarray:
        """Returns the jobs' shares, float64 `[jobs]`; assigning to it is seen by every process."""
        return np.memmap(self.file, np.float64, "r+", shape=(self.jobs,))

    @contextmanager
    def shown_on(self, display: ProgressDisplay, seconds: Sequence[float]) -> Iterator[None]:
        """Keeps a display up to date while the block runs.

        Args:
            display: its total is the sum of `seconds`.
            seconds: how long each job is expected to take.
        """
        ended = threading.Event()

        def look() -> None:
            while not ended.wait(SECONDS_BETWEEN_LOOKS):
                display.update(float(self.shares() @ np.asarray(seconds)))

        thread = threading.Thread(target=look, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
