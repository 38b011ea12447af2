"""How far each job is, reported by worker processes through a small shared file."""

import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from competition.config.schema import Variant
from competition.console import ProgressDisplay
from competition.training.predict import tta_view_count

SECONDS_BETWEEN_LOOKS = 0.5


@dataclass(frozen=True)
class ProgressBoard:
    """One number per job, from 0 to 1, in a memory-mapped file; workers are sent its path."""

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
        """Returns the jobs' shares, float64 `[jobs]`; all processes see what is assigned to it."""
        return np.memmap(self.file, np.float64, "r+", shape=(self.jobs,))

    def reporter(self, number: int) -> Callable[[float], None]:
        """Returns a function that keeps the share of the job at this place."""
        return partial(self.shares().__setitem__, number)

    @contextmanager
    def shown(self, description: str) -> Iterator[ProgressDisplay]:
        """Yields a display that follows the board while the block runs."""
        ended = threading.Event()

        def look() -> None:
            while not ended.wait(SECONDS_BETWEEN_LOOKS):
                display.update(float(self.shares().sum()))

        with ProgressDisplay(description, self.jobs) as display:
            thread = threading.Thread(target=look, daemon=True)
            thread.start()
            try:
                yield display
            finally:
                ended.set()
                thread.join()


# Training on a row takes one forward pass, and twice its work for the gradients.
TRAINING_PASSES = 3


class JobProgress:
    """Reports a job's share, from 0 to 1, counted in forward passes of single rows.

    Args:
        steps: of one epoch.
        predicted_rows: how many rows are predicted afterwards, in each of their views.
    """

    def __init__(
        self, report: Callable[[float], None], variant: Variant, steps: int, predicted_rows: int
    ):
        self._report = report
        self._passes_per_step = TRAINING_PASSES * variant.batch_size
        self._training = variant.epochs * steps * self._passes_per_step
        self._total = self._training + tta_view_count(variant) * predicted_rows
        self._predicted = 0

    def trained(self, steps: int) -> None:
        """Is called after each step with the number of steps done."""
        self._report(steps * self._passes_per_step / self._total)

    def counted(self, tta_views: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Passes views on, and counts each as predicted when the next one is asked for."""
        for view in tta_views:
            yield view
            self._predicted += len(view)
            self._report((self._training + self._predicted) / self._total)
