"""The results of a study: its trials, the best one, and that one's final evaluation."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from competition.config.loading import load_config
from competition.console import count_of
from competition.data.folds import split_names
from competition.data.run import Run, load_run
from competition.errors import UserError
from competition.metrics import SELECTED_NOTE, LossGap, Score, loss_gap, score
from competition.probabilities import Probabilities, mean_of
from competition.results import Job, read_predictions
from competition.storage import atomic_file, write_text
from competition.tables import SCORE_COLUMNS, Column, Table, score_values, write_csv
from competition.training.jobs import train_folds
from competition.training.resources import Workers
from competition.tuning.storage import finished_trials, in_turn, successors
from competition.tuning.study import Search
from competition.tuning.trial import FAILURE, SCORE

if TYPE_CHECKING:  # pandas takes a second to import
    import pandas as pd


def trial_line(trial: FrozenTrial, search: Search, is_best: bool) -> str:
    minutes = f"{minutes_of(trial):.1f} min"
    if trial.state is TrialState.FAIL:
        outcome = f"FAILED, {trial.user_attrs.get(FAILURE, 'for an unknown reason')}"
    elif trial.state is TrialState.PRUNED:
        outcome = f"pruned at {value_text(trial, search)}, {minutes}"
    else:
        best = ", the best so far" if is_best else ""
        outcome = f"{search.settings.objective} {value_text(trial, search)}{best}, {minutes}"
    values = ", ".join(f"{name} {short(value)}" for name, value in trial.params.items())
    return f"trial {trial.number}: {outcome}; {values}"


def value_of(trial: FrozenTrial) -> float:
    """Returns the objective's value that a trial reached; infinity if it failed."""
    return float("inf") if trial.value is None else trial.value


def value_text(trial: FrozenTrial, search: Search) -> str:
    return objective_form(search).format(value_of(trial))


def objective_form(search: Search) -> str:
    """Returns the format of the objective's values, a count of errors or a log-loss."""
    return "{:.0f}" if search.settings.objective == "errors" else "{:.5f}"


def short(value: bool | int | float | str) -> str:
    """Returns a setting's value with at most three digits."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def minutes_of(trial: FrozenTrial) -> float:
    """Returns an ended trial's wall-clock minutes; 0 if it never began."""
    return trial.duration.total_seconds() / 60 if trial.duration else 0.0


def trials_frame(study: Study, search: Search) -> "pd.DataFrame":
    """Returns one row per trial: its state, objective, values, and a remark."""
    import pandas as pd

    requeued = successors(study)
    columns = ["trial", "state", search.settings.objective, "minutes", *search.space, "remark"]
    rows = [
        [
            trial.number,
            trial.state.name.lower(),
            trial.value,
            round(minutes_of(trial), 2),
            *map(trial.params.get, search.space),
            _remark(trial, requeued),
        ]
        for trial in study.get_trials(deepcopy=False)
    ]
    # As objects, whole numbers stay whole in a column where one is missing.
    return pd.DataFrame(rows, columns=columns, dtype=object)


def _remark(trial: FrozenTrial, requeued: dict[int, int]) -> str:
    if trial.number in requeued:
        return f"interrupted; re-queued as trial {requeued[trial.number]}"
    if trial.state is not TrialState.FAIL:
        return ""  # a re-queued trial inherits the attributes of the failed one
    return trial.user_attrs.get(FAILURE, "").strip().split("\n")[-1]


def write_trials(study: Study, search: Search) -> Path:
    """Writes `trials.csv`, with all digits of the values, and returns its path."""
    with atomic_file(search.files.trials) as partial:
        write_csv(partial, trials_frame(study, search))
    return search.files.trials


def best_trial(study: Study, search: Search) -> FrozenTrial:
    """Returns the completed trial with the lowest value, the first if several are equal.

    Raises:
        UserError: when no trial is completed.
    """
    trials = study.get_trials(deepcopy=False)
    completed = [trial for trial in trials if trial.state is TrialState.COMPLETE]
    if completed:
        return min(completed, key=attrgetter("value", "number"))
    failures = [trial.user_attrs[FAILURE] for trial in trials if FAILURE in trial.user_attrs]
    last = f"; the last failure: {failures[-1]}" if failures else ""
    raise UserError(f"no trial of {search} was completed yet, so there is no best one{last}")


def write_best(trial: FrozenTrial, search: Search) -> Path:
    """Writes `best.yaml`: the study's configuration with only this variant, as the trial has it."""
    changes = {
        "name": search.best_name,
        "variants": {search.name: search.variant.with_values(trial.params)},
        # The study's ensemble may name variants that are gone here, so it takes every member.
        "ensemble": search.config.ensemble.model_copy(update={"variants": None, "seeds": None}),
    }
    config = search.config.model_copy(update=changes)
    unused: Any = {"defaults": True, "tuning": True, "variants": {search.name: {"search_space"}}}
    content = config.model_dump(mode="json", exclude=unused)
    comment = (
        f"# Trial {trial.number} of the study {search}: {search.settings.objective} "
        f"{value_text(trial, search)} on {folds_text(search.settings.folds)}.\n"
        "# It was chosen by this figure, which is therefore optimistic; the unbiased ones are in "
        "summary.md.\n"
    )
    path = search.files.best_config
    write_text(path, comment + yaml.safe_dump(content, sort_keys=False))
    return path


def folds_text(numbers: list[int]) -> str:
    """Returns for example `"fold 0"` or `"folds 1 2"`."""
    return f"fold{'s' if len(numbers) > 1 else ''} {' '.join(map(str, numbers))}"


@dataclass(frozen=True)
class FinalEvaluation:
    """The tuned settings and the original ones, scored on rows on which no trial was scored.

    Attributes:
        folds: numbers of the folds that hold these rows out.
        best: the score of the best trial's settings.
        as_it_is: the score of the variant as configured.
        gap: how far the log-loss of the best trial's settings is above that of the variant.
    """

    folds: list[int]
    best: Score
    as_it_is: Score
    gap: LossGap


# The attribute of a study with the final evaluation of one of its trials.
EVALUATED = "final_evaluation"


def shared_evaluation(
    study: Study, trial: FrozenTrial, search: Search, evaluate: Callable[[], FinalEvaluation]
) -> FinalEvaluation:
    """Returns a trial's final evaluation, made by one command while all others wait for it.

    Those on other machines have none of its files, and read its figures in the database.
    """
    storage, folds = (
        search.settings.storage,
        search.settings.folds_left(search.config.folds.numbers),
    )
    with in_turn(storage, f"{search} evaluation", search.files.folder):
        known = study.user_attrs.get(EVALUATED, {})
        if (known.get("trial"), known.get("folds")) == (trial.number, folds):
            scores = Score(**known["best"]), Score(**known["as_it_is"])
            print("another command evaluated it")
            return FinalEvaluation(folds, *scores, LossGap(*known["gap"]))
        found = evaluate()
        if storage is not None:
            study.set_user_attr(EVALUATED, {"trial": trial.number, **asdict(found)})
        return found


def final_evaluation(
    search: Search, run: Run, best_config: Path, workers: Workers
) -> FinalEvaluation:
    """Trains both settings on the folds that no trial used; finished jobs are skipped.

    Args:
        run: the search's configuration with data and folds.
        workers: how many jobs run side by side; None leaves it to the machine.

    Raises:
        UserError: when a training fails.
    """
    folds = search.settings.folds_left(search.config.folds.numbers)
    best = _held_out(load_run(load_config(best_config)), search, folds, workers)
    as_it_is = _held_out(run, search, folds, workers).aligned_to(best.ids)
    labels = run.data_set.train.labels_of(best.ids)
    return FinalEvaluation(
        folds,
        score(best.values, labels),
        score(as_it_is.values, labels),
        loss_gap(best.values, as_it_is.values, labels),
    )


def _held_out(run: Run, search: Search, folds: list[int], workers: Workers) -> Probabilities:
    """Returns the out-of-fold predictions of a run's variant for the rows of these folds."""
    splits = split_names(run.config.folds)
    jobs = [Job(run.config.name, search.name, search.seed, splits[fold]) for fold in folds]
    failures = train_folds(run, workers, jobs)
    if failures:
        reasons = "; ".join(f"{failure.job}: {failure.message}" for failure in failures)
        raise UserError(f"no final evaluation, as trainings failed: {reasons}")
    return mean_of([read_predictions(job, "out_of_fold") for job in jobs])


def evaluation_table(trial: FrozenTrial, search: Search, evaluation: FinalEvaluation) -> Table:
    """Returns the best trial's score on the tuning folds, and both settings' on the others."""
    import pandas as pd

    tuned, unused_folds = f"trial {trial.number}", folds_text(evaluation.folds)
    optimistic = f"{folds_text(search.settings.folds)}: optimistic"
    scores = [
        (tuned, optimistic, Score(*trial.user_attrs[SCORE])),
        (tuned, unused_folds, evaluation.best),
        (f"{search.name} as it is", unused_folds, evaluation.as_it_is),
    ]
    frame = pd.DataFrame(
        {"settings": name, "scored_on": folds, **score_values(score)}
        for name, folds, score in scores
    )
    columns = [Column("settings"), Column("scored on"), *SCORE_COLUMNS]
    note = EVALUATION_NOTE + (f" {SELECTED_NOTE}" if search.variant.is_selected else "")
    return Table("final-evaluation", "Final evaluation", frame, columns, note)


EVALUATION_NOTE = (
    "The first line of the table is optimistic, as the trial was chosen by it. The interval, of a "
    "paired bootstrap over the rows, does not cover the spread between seeds."
)


VERDICTS = {
    "better": "keep it: on {} rows that no trial saw, trial {} is better than {} untuned",
    "not proven": "not proven: on {} rows that no trial saw, trial {} and {} untuned differ by no "
    "more than chance",
    "worse": "drop it: on {} rows that no trial saw, trial {} is worse than {} untuned",
}


def verdict(trial: FrozenTrial, search: Search, evaluation: FinalEvaluation) -> str:
    """Returns one sentence: whether to keep the tuned settings, and by which figures."""
    gap, best, as_it_is = evaluation.gap, evaluation.best, evaluation.as_it_is
    said = VERDICTS[gap.verdict].format(f"{best.rows:,}", trial.number, search.name)
    return (
        f"{said} (in log-loss {gap.mean:+.5f}, 95% interval {gap.low:+.5f} … {gap.high:+.5f}; "
        f"{count_of(best.errors, 'error')}, untuned {as_it_is.errors})"
    )


def summary_tables(
    study: Study, trial: FrozenTrial, search: Search, evaluation: FinalEvaluation
) -> list[Table]:
    """Returns the tables of the summary and of its page."""
    tables = [settings_table(trial, search), best_trials_table(study, search)]
    return [evaluation_table(trial, search, evaluation), *tables]


def write_summary(search: Search, verdict: str, tables: list[Table], pictures: list[Path]) -> Path:
    """Writes `summary.md` beside the study's journal and returns its path."""
    path = search.files.summary
    parts = [f"# Tuning of {search}", verdict[0].upper() + verdict[1:] + "."]
    parts += [f"## {table.title}\n\n{table.markdown_with_note()}" for table in tables]
    if pictures:
        images = [
            f"![{picture.stem.replace('_', ' ')}]({picture.relative_to(path.parent)})"
            for picture in pictures
        ]
        parts.append("\n\n".join(["## Pictures", *images]))
    write_text(path, "\n\n".join(parts) + "\n")
    return path


def settings_table(trial: FrozenTrial, search: Search) -> Table:
    """Returns the searched settings of the variant as it is, beside those of the trial."""
    import pandas as pd

    rows = [
        [name, short(search.value_as_it_is(name)), short(value)]
        for name, value in trial.params.items()
    ]
    frame = pd.DataFrame(rows, columns=["setting", "as it is", f"trial {trial.number}"])
    columns = [Column(name, names=(name,)) for name in frame.columns]
    return Table("settings", "Settings", frame, columns)


BEST_TRIALS_SHOWN = 10


def best_trials_table(study: Study, search: Search) -> Table:
    """Returns the best completed trials, with a note that counts the trials by state."""
    objective, frame = search.settings.objective, trials_frame(study, search)
    completed = frame[frame["state"] == "complete"]
    best = completed.sort_values([objective, "trial"]).head(BEST_TRIALS_SHOWN)
    best = best[["trial", objective, "minutes", *search.space]]
    forms = {
        name: "{:.3g}"
        for name in search.space
        if all(isinstance(value, float) for value in best[name])
    }
    forms |= {objective: objective_form(search), "minutes": "{:.1f}"}
    columns = [Column(name, forms.get(name, "{}"), (name,)) for name in best.columns]
    states = [trial.state for trial in finished_trials(study)]
    note = (
        f"{count_of(len(states), 'trial')}: {states.count(TrialState.COMPLETE)} completed (the "
        f"best are shown), {states.count(TrialState.PRUNED)} pruned, "
        f"{states.count(TrialState.FAIL)} failed. All of them are in trials.csv."
    )
    return Table("trials", "Trials", best, columns, note)
