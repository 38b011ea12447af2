"""The pace of a training: the time between the ends of its steps."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from competition.errors import UserError
from competition.training.train import step_watcher

# The first steps of a `fit` fill its buffers.
STEPS_TO_SKIP = 3

# Of less, the pace side by side is chance.
LEAST_STEPS_TOGETHER = 5


@dataclass(frozen=True)
class Pace:
    """What one `fit` showed.

    Attributes:
        step_ends: float64 `[steps]`, seconds of the system's steady clock, the same in all
            processes.
        pause: seconds between the end of the last step and the return of `fit`. On arrays,
            Keras's pipeline waits for its own tuner there; in a long epoch that is little, in a
            short measurement much, so it is not part of the pace.
    """

    step_ends: np.ndarray
    pause: float

    def seconds_a_step(self) -> float:
        """Returns the mean time of a step once it runs."""
        ends = self.step_ends[STEPS_TO_SKIP:]
        return float(ends[-1] - ends[0]) / (len(ends) - 1)


def paced_fit(model, feed: dict[str, Any]) -> Pace:
    """Trains a compiled Keras model for one epoch and watches the clock.

    Args:
        model: it is trained.
        feed: what `fit` is to learn from, more than `STEPS_TO_SKIP` + 1 steps.
    """
    ends: list[float] = []
    watcher = step_watcher(lambda step: ends.append(time.monotonic()))
    model.fit(**feed, verbose=0, callbacks=[watcher])
    return Pace(np.array(ends), time.monotonic() - ends[-1])


def joint_steps_a_second(paces: list[Pace]) -> float:
    """Returns the steps a second of trainings side by side, while all of them ran.

    Raises:
        UserError: when one of them did too little in that time, or they did not meet at all.
    """
    begin = max(pace.step_ends[STEPS_TO_SKIP] for pace in paces)
    end = min(pace.step_ends[-1] for pace in paces)
    steps = [_steps_between(pace, begin, end) for pace in paces]
    if min(steps) < LEAST_STEPS_TOGETHER:  # fewer than none, if the last began after an end
        raise UserError(
            f"{len(paces)} workers did not train at the same time, as something else kept the "
            "processor busy; measure again when nothing else runs"
        )
    return sum(steps) / (end - begin)


def _steps_between(pace: Pace, begin: float, end: float) -> float:
    """Counts steps, those at the borders by their share."""
    counts = np.arange(len(pace.step_ends))
    return float(np.diff(np.interp([begin, end], pace.step_ends, counts))[0])
