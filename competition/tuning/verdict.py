"""What tuning is worth: the best trial and the variant as it is, on folds the study never used.

Both are trained as ordinary jobs of their configurations, so that what is there already is used.
"""

from dataclasses import dataclass
from pathlib import Path

from competition.config import load_config
from competition.data.folds import split_names
from competition.data.run import Run, load_run
from competition.errors import UserError
from competition.probabilities import Probabilities, mean_of
from competition.results import Job, read_predictions
from competition.scores import Score, log_losses, score
from competition.significance import bootstrap_intervals
from competition.training.jobs import train_folds
from competition.tuning.search import Search


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
