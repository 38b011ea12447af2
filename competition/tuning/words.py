"""Trials in words: a line each while they run, a table of all afterwards."""

from pathlib import Path
from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from competition import paths
from competition.atomic import atomic_file
from competition.csv_files import write_table
from competition.scores import Score
from competition.tuning.abandoned import successors
from competition.tuning.search import Search
from competition.tuning.trial import FAILURE, SCORE


def trial_line(trial: FrozenTrial, search: Search, is_best: bool) -> str:
    """Returns number, outcome, minutes and values of a trial that has ended."""
    values = ", ".join(f"{name} {short(value)}" for name, value in trial.params.items())
    return f"trial {trial.number}: {_outcome(trial, search, is_best)}; {values}"


def _outcome(trial: FrozenTrial, search: Search, is_best: bool) -> str:
    minutes = f"{minutes_of(trial):.1f} min"
    if trial.state is TrialState.FAIL:
        return f"FAILED, {trial.user_attrs.get(FAILURE, 'for an unknown reason')}"
    if trial.state is TrialState.PRUNED:
        return f"pruned at {figure(trial.value, search)}, {minutes}"
    best = ", the best so far" if is_best else ""
    return f"{search.settings.objective} {figure(trial.value, search)}{best}, {minutes}"


def figure(value: float, search: Search) -> str:
    """Returns a value of the objective as text: a count, or a log-loss."""
    return f"{value:.0f}" if search.settings.objective == "errors" else f"{value:.5f}"


def short(value: bool | int | float | str) -> str:
    """Returns a value with as many digits as one can take in."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def minutes_of(trial: FrozenTrial) -> float:
    """Returns the minutes of wall-clock time that an ended trial took; 0 if it never began."""
    return trial.duration.total_seconds() / 60 if trial.duration else 0.0


def score_of(trial: FrozenTrial) -> Score:
    """Returns the score of a completed trial on the folds of its study."""
    return Score(*trial.user_attrs[SCORE])


def write_trials(study: Study, search: Search) -> Path:
    """Writes a line a trial to `trials.csv`, every digit of its values, and returns the path."""
    path = paths.trials_csv(search.config.name, search.name)
    again = successors(study)
    header = ["trial", "state", search.settings.objective, "minutes", *search.space, "remark"]
    rows = [_trial_row(trial, search, again) for trial in study.get_trials(deepcopy=False)]
    with atomic_file(path) as partial:
        write_table(partial, header, rows)
    return path


def _trial_row(trial: FrozenTrial, search: Search, again: dict[int, int]) -> list[Any]:
    value = "" if trial.value is None else trial.value
    values = [trial.params.get(name, "") for name in search.space]
    state, minutes = trial.state.name.lower(), f"{minutes_of(trial):.2f}"
    return [trial.number, state, value, minutes, *values, _remark(trial, again)]


def _remark(trial: FrozenTrial, again: dict[int, int]) -> str:
    if trial.number in again:
        return f"interrupted; taken up again as trial {again[trial.number]}"
    if trial.state is not TrialState.FAIL:
        return ""  # it may have the remark of the trial whose values it has
    return trial.user_attrs.get(FAILURE, "").strip().split("\n")[-1]
