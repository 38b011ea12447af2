"""What tuning is worth: the best trial and the variant as it is, on folds the study never used.

Both are trained as ordinary jobs of their configurations, so that what is there already is used.
"""

from dataclasses import dataclass
from pathlib import Path

from competition.config import load_config
from competition.data.folds import split_names
from competition.data.run import Run, load_run
from competition.errors import UserError
from competition.probabilities import mean_of
from competition.results import Job, read_predictions
from competition.scores import Score, score
from competition.training.jobs import train_folds
from competition.tuning.search import Search


@dataclass(frozen=True)
class Verdict:
    """Scores of held-out rows that no trial was judged on.

    Attributes:
        folds: numbers of the folds that the rows belong to.
        best: of the best trial's settings.
        as_it_is: of the variant without any of them.
    """

    folds: list[int]
    best: Score
    as_it_is: Score


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
    scores = [_trained_score(one, search, folds, workers) for one in (best, run)]
    return Verdict(folds, *scores)


def _trained_score(run: Run, search: Search, folds: list[int], workers: int | None) -> Score:
    splits = split_names(run.config.folds)
    jobs = [Job(run.config.name, search.name, search.seed, splits[fold]) for fold in folds]
    failures = train_folds(run, workers, jobs)
    if failures:
        reasons = "; ".join(f"{failure.job}: {failure.message}" for failure in failures)
        raise UserError(f"the settings could not be compared, as trainings failed: {reasons}")
    predicted = mean_of([read_predictions(job, "out_of_fold") for job in jobs])
    return score(predicted.values, run.data_set.train.labels_of(predicted.ids))
