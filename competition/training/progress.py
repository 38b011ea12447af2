"""How far each job is, told by worker processes through a small file that they share."""

import heapq
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from competition.config.registry import Augmentation
from competition.config.schema import Variant
from competition.console import ProgressDisplay
from competition.data.augmented_epochs import augment
from competition.training.predict import PREDICTION_BATCH_SIZE, batches, predict, view_count
from competition.training.resources import use_precision
from competition.training.train import callback_list, compiled_model, is_validated, step_watcher
from competition.training.training_data import Fold, one_hot

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


TIMED_STEPS = 12
TIMED_IMAGES = 200


@dataclass(frozen=True)
class Estimate:
    """What a training will take.

    Attributes:
        training: seconds of a whole training, with building the model and predicting.
        augmenting: seconds of one core for one image, by the policy that varies it.
    """

    training: float
    augmenting: dict[Augmentation, float]


def estimate(variant: Variant, fold: Fold, test_rows: int) -> Estimate:
    """Measures what a training of a variant takes; whatever it cannot do is raised here already.

    Args:
        variant: what is to be trained.
        fold: the rows of one training.
        test_rows: how many unlabelled rows are predicted afterwards.
    """
    drawn = {variant.test_time_augmentation} if variant.test_time_draws else set()
    policies = {variant.augmentation} | drawn
    augmenting = {policy: seconds_an_image(policy, fold.digits.images) for policy in policies}
    return Estimate(estimate_seconds(variant, fold, test_rows), augmenting)


def seconds_an_image(augmentation: Augmentation, images: np.ndarray) -> float:
    """Augments some of the images, uint8 `[n, 28, 28]`, and returns the seconds that each took."""
    augment(images[:1], augmentation, seed=0, epoch=0)  # the first one imports the library
    sample = images[:TIMED_IMAGES]
    began = time.perf_counter()
    augment(sample, augmentation, seed=0, epoch=0)
    return (time.perf_counter() - began) / len(sample)


def makespan(seconds: Iterable[float], workers: int) -> float:
    """Returns when the last of some jobs ends, if each begins as soon as a worker is free."""
    free_at = [0.0] * workers
    for of_job in seconds:
        heapq.heapreplace(free_at, free_at[0] + of_job)
    return max(free_at)


def estimate_seconds(variant: Variant, fold: Fold, test_rows: int) -> float:
    """Trains and predicts a few batches on a throw-away model.

    Args:
        variant: what is to be trained.
        fold: the rows of one training.
        test_rows: how many unlabelled rows are predicted afterwards.

    Returns:
        Seconds for one whole training that no callback ends early, with building the model and
        predicting.
    """
    use_precision(variant.precision)
    began = time.perf_counter()
    model = compiled_model(variant, TIMED_STEPS)
    callback_list(variant, model)  # what cannot be built is refused now
    step = _seconds_a_step(model, variant, fold)
    predict(model, fold.digits.images[:PREDICTION_BATCH_SIZE])
    start_up = time.perf_counter() - began - TIMED_STEPS * step
    a_row = _seconds_a_row(model, fold.digits.images)
    views = view_count(variant)
    validations = views + sum(is_validated(variant, epoch) for epoch in range(variant.epochs))
    predicted_rows = validations * len(fold.validation_rows) + views * test_rows
    return start_up + variant.epochs * fold.steps(variant) * step + predicted_rows * a_row


def _seconds_a_step(model, variant: Variant, fold: Fold) -> float:
    """Returns the median time between the ends of steps, which no slow first one changes."""
    rows = np.resize(fold.training_rows, TIMED_STEPS * variant.batch_size)
    images, labels = fold.digits.images[rows][..., None], one_hot(fold.digits.labels[rows])
    ends: list[float] = []
    model.fit(
        batches(variant.batch_size, images, labels),
        shuffle=False,
        verbose=0,
        callbacks=[step_watcher(lambda step: ends.append(time.perf_counter()))],
    )
    return float(np.median(np.diff(ends)))


def _seconds_a_row(model, images: np.ndarray) -> float:
    """Returns the mean time of a prediction by a model that has predicted before."""
    sample = images[: 4 * PREDICTION_BATCH_SIZE]
    began = time.perf_counter()
    predict(model, sample)
    return (time.perf_counter() - began) / len(sample)
