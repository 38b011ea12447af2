"""What came of a study, as Markdown: the figures that count, the settings, the pictures."""

from pathlib import Path

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from competition import paths
from competition.atomic import write_text
from competition.markdown import score_texts, table
from competition.selected import SELECTED_NOTE
from competition.tuning.abandoned import ended
from competition.tuning.search import Search
from competition.tuning.verdict import Verdict
from competition.tuning.words import figure, minutes_of, score_of, short
from competition.wording import count_of

BEST_TRIALS_SHOWN = 10


def verdict_table(trial: FrozenTrial, search: Search, verdict: Verdict) -> str:
    """Returns the best trial's score where it was chosen, and both settings' where it was not."""
    header = ["settings", "judged on", "errors", "accuracy", "95 % interval", "log-loss"]
    chosen_on, judged_on = _folds(search.settings.folds), _folds(verdict.folds)
    rows = [
        [f"trial {trial.number}", f"{chosen_on}: optimistic", *score_texts(score_of(trial))],
        [f"**trial {trial.number}**", judged_on, *score_texts(verdict.best)],
        [f"**`{search.name}` as it is**", judged_on, *score_texts(verdict.as_it_is)],
    ]
    return table(header, rows)


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
    return table(
        ["setting", "as it is", f"trial {trial.number}"],
        [
            [name, short(search.value_as_it_is(name)), short(value)]
            for name, value in trial.params.items()
        ],
    )


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
    completed = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    best = sorted(completed, key=lambda trial: (trial.value, trial.number))[:BEST_TRIALS_SHOWN]
    header = ["trial", search.settings.objective, "minutes", *search.space]
    return table(header, [_trial_cells(trial, search) for trial in best])


def _trial_cells(trial: FrozenTrial, search: Search) -> list[str]:
    values = [short(trial.params[name]) for name in search.space]
    return [f"{trial.number}", figure(trial.value, search), f"{minutes_of(trial):.1f}", *values]
