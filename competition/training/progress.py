"""How far each job is, told by worker processes through a small file that they share."""

import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from competition.config.schema import Variant
from competition.console import ProgressDisplay
from competition.training.predict import tta_view_count

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
    def shown_on(self, display: ProgressDisplay) -> Iterator[None]:
        """Keeps a display, whose total is the number of jobs, up to date while the block runs."""
        ended = threading.Event()

        def look() -> None:
            while not ended.wait(SECONDS_BETWEEN_LOOKS):
                display.update(float(self.shares().sum()))

        thread = threading.Thread(target=look, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


# Learning from a row takes one pass forward and two of the same size for its gradients.
PASSES_OF_LEARNING = 3


class JobProgress:
    """Keeps a job's share on the progress board, counted in rows that pass forward in its net."""

    def __init__(
        self, board: ProgressBoard, number: int, variant: Variant, steps: int, predicted_rows: int
    ):
        """Takes what the whole job is.

        Args:
            board: of all jobs.
            number: the job's place on it.
            variant: what is trained.
            steps: of one epoch.
            predicted_rows: how many rows are predicted afterwards, in each of their views.
        """
        self._shares, self._number = board.shares(), number
        self._passes_per_step = PASSES_OF_LEARNING * variant.batch_size
        self._learning = variant.epochs * steps * self._passes_per_step
        self._predicting = tta_view_count(variant) * predicted_rows
        self._predicted = 0

    def trained(self, steps: int) -> None:
        """Is called after each step with the number of steps done."""
        self._tell(steps * self._passes_per_step)

    def counted(self, tta_views: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Passes views on, and counts each as predicted when the next one is asked for."""
        for view in tta_views:
            yield view
            self._predicted += len(view)
            self._tell(self._learning + self._predicted)

    def _tell(self, done: int) -> None:
        self._shares[self._number] = done / (self._learning + self._predicting)
