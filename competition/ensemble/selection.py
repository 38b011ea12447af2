"""Which jobs go into an ensemble, as `ensemble:` of the configurations says."""

from typing import Any

from competition.data.folds import split_names, trained_splits
from competition.data.run import Run
from competition.errors import UserError
from competition.results import ALL_ROWS, Job
from competition.settings.folds import Folds


def chosen_folds(runs: list[Run]) -> list[str]:
    """Returns the names of the folds that count, which are those of the first configuration."""
    first = runs[0].config
    if first.ensemble.folds is None:
        return trained_splits(first.folds)
    names = split_names(first.folds)
    return [names[number] for number in first.ensemble.folds]


def chosen_jobs(run: Run, folds: list[str]) -> dict[Job, dict[str, Any]]:
    """Returns the jobs that a configuration lets in, each with what identifies its result.

    A net that was trained on all rows comes with its variant, whatever its seed.
    """
    section = run.config.ensemble
    held_out = {
        job: identity
        for job, identity in run.identities.items()
        if job.split in folds
        and (section.variants is None or job.variant in section.variants)
        and (section.seeds is None or job.seed in section.seeds)
    }
    variants = {job.variant for job in held_out}
    of_all_rows = {
        job: identity
        for job, identity in run.identities.items()
        if job.split == ALL_ROWS and job.variant in variants
    }
    return held_out | of_all_rows


def require_agreement(runs: list[Run]) -> None:
    """Raises UserError naming every configuration whose data or folds are not the first one's."""
    folds = chosen_folds(runs)
    differences = {run.config.name: _difference(run, runs[0], folds) for run in runs[1:]}
    lines = [f"  {name}: {difference}\n" for name, difference in differences.items() if difference]
    if lines:
        raise UserError(
            f"these configurations cannot be blended with {runs[0].config.name}, as their "
            f"out-of-fold rows would not be out of fold for all members:\n{''.join(lines)}"
            "Train them on the same data with the same folds.count and folds.seed."
        )


def _difference(run: Run, first: Run, folds: list[str]) -> str:
    """Returns how the rows or folds of a run differ from those of another, or nothing."""
    own, other = (each.config.folds.model_copy(update={"only": None}) for each in (run, first))
    if run.fingerprint != first.fingerprint:
        return f"other data ('{run.config.data}', not '{first.config.data}')"
    if own != other:
        return f"folds of {_in_words(own)}, not of {_in_words(other)}"
    if run.folds.fingerprint() != first.folds.fingerprint():
        return "its file of folds holds another assignment"
    lacking = [fold for fold in folds if fold not in trained_splits(run.config.folds)]
    return f"it trains no {', '.join(lacking)}, as folds.only says" if lacking else ""


def _in_words(settings: Folds) -> str:
    share = f", share {settings.share:g}" if settings.scheme == "holdout" else ""
    return f"scheme {settings.scheme}, count {settings.count}{share}, seed {settings.seed}"
