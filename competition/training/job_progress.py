"""How far one job is, in training and in the predictions after it."""

from collections.abc import Iterable, Iterator

import numpy as np

from competition.settings.variant import Variant
from competition.training.progress_board import ProgressBoard
from competition.training.views import view_count

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
        self._passes_a_step = PASSES_OF_LEARNING * variant.batch_size
        self._learning = variant.epochs * steps * self._passes_a_step
        self._predicting = view_count(variant) * predicted_rows
        self._predicted = 0

    def trained(self, steps: int) -> None:
        """Is called after each step with the number of steps done."""
        self._tell(steps * self._passes_a_step)

    def counted(self, views: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Passes views on, and counts each as predicted when the next one is asked for."""
        for view in views:
            yield view
            self._predicted += len(view)
            self._tell(self._learning + self._predicted)

    def _tell(self, done: int) -> None:
        self._shares[self._number] = done / (self._learning + self._predicting)
