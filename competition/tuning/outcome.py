"""Trials in words: a line each while they run, a table of all afterwards."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from competition import paths
from competition.config.loading import load_config
from competition.console import count_of
from competition.data.folds import split_names
from competition.data.run import Run, load_run
from competition.errors import UserError
from competition.metrics import SELECTED_NOTE, Score, bootstrap_intervals, log_losses, score
from competition.probabilities import Probabilities, mean_of
from competition.results import Job, read_predictions
from competition.storage import atomic_file, atomic_folder, write_text
from competition.tables import markdown, write_csv
from competition.training.jobs import train_folds
from competition.tuning.storage import ended, successors
from competition.tuning.study import Search
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
    import pandas as pd

    path = paths.trials_csv(search.config.name, search.name)
    again = successors(study)
    header = ["trial", "state", search.settings.objective, "minutes", *search.space, "remark"]
    rows = [_trial_row(trial, search, again) for trial in study.get_trials(deepcopy=False)]
    with atomic_file(path) as partial:
        write_csv(partial, pd.DataFrame(rows, columns=header))
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


DOTS_PER_INCH = 120
INCHES_PER_SLICE, INCHES_PER_AXIS = 3.6, 1.8

# Fewer completed trials show nothing, and of equal values no parameter can be important.
FEWEST_VALUES = 2


def draw_pictures(study: Study, search: Search) -> list[Path]:
    """Draws history, parallel coordinates, importances and slices of the completed trials.

    Returns:
        The PNG files; none while there are fewer than two different values to show.
    """
    completed = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len({trial.value for trial in completed}) < FEWEST_VALUES:
        return []
    with atomic_folder(paths.tuning_pictures_folder(search.config.name, search.name)) as folder:
        for name, draw in PICTURES.items():
            _draw(folder / f"{name}.png", draw, study, search)
    return [
        paths.tuning_pictures_folder(search.config.name, search.name) / f"{name}.png"
        for name in PICTURES
    ]


def _draw(path: Path, draw: Callable, study: Study, search: Search) -> None:
    import matplotlib

    matplotlib.use("agg")  # files only: no window, and no display needed
    from matplotlib import pyplot

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        draw(study, search)
        figure = pyplot.gcf()
        _tidy(figure)
        figure.savefig(path, dpi=DOTS_PER_INCH, bbox_inches="tight", facecolor="white")
        pyplot.close(figure)


def _tidy(figure) -> None:
    """Keeps labels of logarithms, and the grids of several axes, from covering one another."""
    from matplotlib.ticker import LogLocator, NullFormatter

    for axes in figure.axes:
        axes.grid(len(figure.axes) == 1)
        for axis in (axes.xaxis, axes.yaxis):
            if axis.get_scale() == "log":
                axis.set_major_locator(LogLocator(subs=(1, 3)))
                axis.set_major_formatter("{x:g}")
                axis.set_minor_formatter(NullFormatter())


def _history(study: Study, search: Search) -> None:
    from optuna.visualization.matplotlib import plot_optimization_history

    plot_optimization_history(study, target_name=search.settings.objective)


def _parallel_coordinates(study: Study, search: Search) -> None:
    from matplotlib import pyplot
    from optuna.visualization.matplotlib import plot_parallel_coordinate

    plot_parallel_coordinate(study, target_name=search.settings.objective)
    pyplot.gcf().set_size_inches(INCHES_PER_AXIS * (2 + len(search.space)), 6)


def _importances(study: Study, search: Search) -> None:
    from optuna.importance import FanovaImportanceEvaluator
    from optuna.visualization.matplotlib import plot_param_importances

    evaluator = FanovaImportanceEvaluator(seed=search.settings.seed)
    plot_param_importances(study, evaluator=evaluator, target_name=search.settings.objective)


def _slices(study: Study, search: Search) -> None:
    from matplotlib import pyplot
    from optuna.visualization.matplotlib import plot_slice

    plot_slice(study, target_name=search.settings.objective)
    pyplot.gcf().set_size_inches(INCHES_PER_SLICE * len(search.space), INCHES_PER_SLICE)


PICTURES: dict[str, Callable[[Study, Search], None]] = {
    "history": _history,
    "parallel_coordinates": _parallel_coordinates,
    "importances": _importances,
    "slices": _slices,
}


def best_trial(study: Study, search: Search) -> FrozenTrial:
    """Returns the completed trial with the lowest value; of equal ones, the first.

    Raises:
        UserError: when none was completed.
    """
    trials = study.get_trials(deepcopy=False)
    completed = [trial for trial in trials if trial.state is TrialState.COMPLETE]
    if completed:
        return min(completed, key=lambda trial: (trial.value, trial.number))
    failures = [trial.user_attrs[FAILURE] for trial in trials if FAILURE in trial.user_attrs]
    last = f"; the last failure: {failures[-1]}" if failures else ""
    raise UserError(f"no trial of {search} was completed yet, so there is no best one{last}")


def write_best(trial: FrozenTrial, search: Search) -> Path:
    """Writes `best.yaml`: of the study's configuration its variant alone, with the trial's values.

    An ensemble that names members may name others, so here all that there are go in.
    """
    changes = {
        "name": search.best_name,
        "variants": {search.name: search.variant.with_values(trial.params)},
        "ensemble": search.config.ensemble.model_copy(update={"variants": None, "seeds": None}),
    }
    config = search.config.model_copy(update=changes)
    unused = {"defaults": True, "tuning": True, "variants": {search.name: {"search_space"}}}
    content = config.model_dump(mode="json", exclude=unused)
    path = paths.best_config_file(search.config.name, search.name)
    write_text(path, _comment(trial, search) + yaml.safe_dump(content, sort_keys=False))
    return path


def _comment(trial: FrozenTrial, search: Search) -> str:
    folds = ", ".join(map(str, search.settings.folds))
    return (
        f"# Trial {trial.number} of the study {search}: {search.settings.objective} "
        f"{figure(trial.value, search)} on fold {folds},\n"
        "# by which it was chosen, so that this figure is too good. Those that count are in "
        "summary.md.\n"
    )


@dataclass(frozen=True)
class Verdict:
    """Scores of held-out rows that no trial was judged on.

    Attributes:
        folds: numbers of the folds that the rows belong to.
        best: of the best trial's settings.
        as_it_is: of the variant without any of them.
        lower: 95 % interval of how much lower the best trial's log-loss is, by a paired bootstrap
            over the rows.
    """

    folds: list[int]
    best: Score
    as_it_is: Score
    lower: tuple[float, float]


def final_verdict(search: Search, run: Run, best_config: Path, workers: int | None) -> Verdict:
    """Trains both settings on the folds that are left, as far as they are not trained yet.

    Args:
        search: whose study has ended.
        run: its configuration with data and folds.
        best_config: the file of the best trial's configuration.
        workers: how many jobs run side by side; None leaves it to the machine.

    Raises:
        UserError: when a training fails.
    """
    folds = search.settings.folds_left(search.config.folds.numbers)
    best = load_run(load_config(best_config))
    predicted = [_trained(one, search, folds, workers) for one in (best, run)]
    labels = run.data_set.train.labels_of(predicted[0].ids)
    scores = [score(each.values, labels) for each in predicted]
    of_best, as_it_is = (log_losses(each.values, labels) for each in predicted)
    (lower,) = bootstrap_intervals((as_it_is - of_best)[None])
    return Verdict(folds, *scores, lower=tuple(lower.tolist()))


def _trained(run: Run, search: Search, folds: list[int], workers: int | None) -> Probabilities:
    splits = split_names(run.config.folds)
    jobs = [Job(run.config.name, search.name, search.seed, splits[fold]) for fold in folds]
    failures = train_folds(run, workers, jobs)
    if failures:
        reasons = "; ".join(f"{failure.job}: {failure.message}" for failure in failures)
        raise UserError(f"the settings could not be compared, as trainings failed: {reasons}")
    return mean_of([read_predictions(job, "out_of_fold") for job in jobs])


BEST_TRIALS_SHOWN = 10


def verdict_table(trial: FrozenTrial, search: Search, verdict: Verdict) -> str:
    """Returns the best trial's score where it was chosen, and both settings' where it was not."""
    import pandas as pd

    header = ["settings", "judged on", "errors", "accuracy", "95 % interval", "log-loss"]
    chosen_on, judged_on = _folds(search.settings.folds), _folds(verdict.folds)
    rows = [
        [f"trial {trial.number}", f"{chosen_on}: optimistic", *_score_texts(score_of(trial))],
        [f"**trial {trial.number}**", judged_on, *_score_texts(verdict.best)],
        [f"**`{search.name}` as it is**", judged_on, *_score_texts(verdict.as_it_is)],
    ]
    return markdown(pd.DataFrame(rows, columns=header))


def _score_texts(score: Score) -> list[str]:
    low, high = score.interval()
    interval = f"{low:.5f} – {high:.5f}"
    return [f"{score.errors}", f"{score.accuracy:.5f}", interval, f"{score.log_loss:.5f}"]


def verdict_in_words(search: Search, verdict: Verdict) -> str:
    """Returns which of the figures may be believed, and what they say."""
    fewer = verdict.as_it_is.errors - verdict.best.errors
    lower = verdict.as_it_is.log_loss - verdict.best.log_loss
    low, high = verdict.lower
    return (
        f"The first line is optimistic: the trial was chosen by it. The other two are of rows "
        f"that no trial was judged on, and they count: the tuned settings make {abs(fewer)} "
        f"{'fewer' if fewer >= 0 else 'more'} error{'' if abs(fewer) == 1 else 's'} in "
        f"{verdict.best.rows:,}, and their log-loss "
        f"is {abs(lower):.5f} {'lower' if lower >= 0 else 'higher'} than `{search.name}` as it is "
        f"(95 % interval of how much lower: {low:+.5f} to {high:+.5f}, which knows nothing of the "
        f"spread between seeds)."
        f"{f' {SELECTED_NOTE}' if search.variant.is_selected else ''}"
    )


def write_summary(
    study: Study, trial: FrozenTrial, search: Search, verdict: Verdict, pictures: list[Path]
) -> Path:
    """Writes `summary.md` beside the study's journal and returns it."""
    path = paths.tuning_summary(search.config.name, search.name)
    figures = [verdict_table(trial, search, verdict), verdict_in_words(search, verdict)]
    sections = {
        "Figures": "\n\n".join(figures),
        "Settings": _settings_table(trial, search),
        "Trials": f"{_counts(study)}\n\n{_trials_table(study, search)}",
        "Pictures": "\n\n".join(
            f"![{picture.stem.replace('_', ' ')}]({picture.relative_to(path.parent)})"
            for picture in pictures
        ),
    }
    parts = [f"# Tuning of {search}"]
    parts += [f"## {heading}\n\n{text}" for heading, text in sections.items() if text]
    write_text(path, "\n\n".join(parts) + "\n")
    return path


def _folds(numbers: list[int]) -> str:
    return f"fold{'s' if len(numbers) > 1 else ''} {' '.join(map(str, numbers))}"


def _settings_table(trial: FrozenTrial, search: Search) -> str:
    import pandas as pd

    rows = [
        [name, short(search.value_as_it_is(name)), short(value)]
        for name, value in trial.params.items()
    ]
    header = ["setting", "as it is", f"trial {trial.number}"]
    return markdown(pd.DataFrame(rows, columns=header))


def _counts(study: Study) -> str:
    trials = ended(study)
    counts = {
        words: sum(trial.state is state for trial in trials)
        for state, words in {
            TrialState.COMPLETE: "completed",
            TrialState.PRUNED: "pruned",
            TrialState.FAIL: "failed",
        }.items()
    }
    told = ", ".join(f"{count} {words}" for words, count in counts.items())
    return f"{count_of(len(trials), 'trial')} ({told}); the best of those that were completed:"


def _trials_table(study: Study, search: Search) -> str:
    import pandas as pd

    completed = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    best = sorted(completed, key=lambda trial: (trial.value, trial.number))[:BEST_TRIALS_SHOWN]
    header = ["trial", search.settings.objective, "minutes", *search.space]
    rows = [_trial_cells(trial, search) for trial in best]
    return markdown(pd.DataFrame(rows, columns=header))


def _trial_cells(trial: FrozenTrial, search: Search) -> list[str]:
    values = [short(trial.params[name]) for name in search.space]
    return [f"{trial.number}", figure(trial.value, search), f"{minutes_of(trial):.1f}", *values]
