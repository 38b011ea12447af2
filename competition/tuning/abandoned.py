"""Trials that were interrupted: recorded as failed, and taken up again with their values."""

import warnings
from collections.abc import Collection
from functools import cache

import optuna
from optuna.storages import RetryHeartbeatStaleTrialCallback
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

# A trial that ended its process so often, perhaps for want of memory, is not tried again.
MOST_RETRIES = 2


@cache
def retry(most: int | None = MOST_RETRIES) -> RetryHeartbeatStaleTrialCallback:
    """Returns what queues the values of a trial again, so often at most; the same for all."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return RetryHeartbeatStaleTrialCallback(max_retry=most)


def take_up(study: Study) -> tuple[int, int]:
    """Records every trial that is said to run as failed, and queues its values again.

    To be called only while no process works on the study.

    Returns:
        How many were queued, and how many are given up.
    """
    running = study.get_trials(states=(TrialState.RUNNING,))
    for trial in running:
        study.tell(trial.number, state=TrialState.FAIL)
        retry()(study, trial)
    queued = sum(trial.number in successors(study) for trial in running)
    return queued, len(running) - queued


def queue_again(study: Study, numbers: Collection[int]) -> None:
    """Queues the values of those of some trials again that failed as somebody pressed Ctrl-C."""
    for trial in study.get_trials(states=(TrialState.FAIL,)):
        if trial.number in numbers:
            retry(None)(study, trial)


def successors(study: Study) -> dict[int, int]:
    """Returns, of each trial that was taken up again, the number of the latest that did."""
    return {
        earlier: trial.number
        for trial in study.get_trials(deepcopy=False)
        for earlier in trial.system_attrs.get("retry_history", [])
    }


def ended(study: Study) -> list[FrozenTrial]:
    """Returns the trials that ended by themselves: completed, pruned or failed."""
    again = successors(study)
    trials = study.get_trials(deepcopy=False)
    return [t for t in trials if t.state.is_finished() and t.number not in again]
