"""The scores of a run: its jobs, members and ensemble; draws nothing."""

from dataclasses import dataclass

from competition.data.run import Run
from competition.ensemble.blend import Blend
from competition.ensemble.comparison import Comparison
from competition.ensemble.contributions import Contributions, contributions
from competition.results import ALL_ROWS, Job, read_manifest, read_predictions, survey
from competition.scores import Score, score


@dataclass(frozen=True)
class JobRow:
    """One finished job: its score on the rows that it held out, and what it took.

    Attributes:
        job: which one.
        score: how good; None where no rows were held out.
        minutes: of wall-clock time, while `workers` jobs ran side by side.
        cpu_minutes: of processor time.
        workers: how many jobs shared the machine.
    """

    job: Job
    score: Score | None
    minutes: float
    cpu_minutes: float
    workers: int


@dataclass(frozen=True)
class Scores:
    """The out-of-fold scores of an ensemble.

    Attributes:
        members: each member's score by its name.
        ensemble: the ensemble's.
        without_fold0: the same without the rows of fold 0, on which settings are tried out: what
            is left has had no part in any choice. None if no other fold counts.
    """

    members: dict[str, Score]
    ensemble: Score
    without_fold0: Score | None


@dataclass(frozen=True)
class Summary:
    """The results of a run.

    Attributes:
        name: of the configuration.
        jobs: every finished job.
        scores: of the members and the ensemble.
        comparison: of the ensemble methods.
        contributions: of the variants.
        nets: how many there are in the ensemble.
        machines: what the jobs were trained on, each once.
    """

    name: str
    jobs: list[JobRow]
    scores: Scores
    comparison: Comparison
    contributions: Contributions
    nets: int
    machines: list[str]


def job_rows(run: Run) -> list[JobRow]:
    """Returns the finished jobs of a run that fit its configuration, in training order."""
    done = set(survey(run.identities).done)
    return [_job_row(run, job) for job in run.identities if job in done]


def _job_row(run: Run, job: Job) -> JobRow:
    manifest = read_manifest(job)
    reached = None if job.split == ALL_ROWS else _held_out_score(run, job)
    return JobRow(job, reached, manifest["minutes"], manifest["cpu_minutes"], manifest["workers"])


def _held_out_score(run: Run, job: Job) -> Score:
    out_of_fold = read_predictions(job, "out_of_fold")
    return score(out_of_fold.values, run.data_set.train.labels_of(out_of_fold.ids))


def summarise(run: Run, made: Blend) -> Summary:
    """Returns what there is to tell of a run: its jobs, and what came of their ensemble."""
    manifests = made.panel.manifests()
    return Summary(
        run.config.name,
        job_rows(run),
        ensemble_scores(made),
        made.comparison,
        contributions(made.panel),
        len(manifests),
        sorted({manifest["machine"] for manifest in manifests.values()}),
    )


def ensemble_scores(made: Blend) -> Scores:
    """Returns the scores of an ensemble and its members, all on the same rows."""
    panel, labels = made.panel, made.panel.labels
    others = panel.folds != 0
    members = {str(each): score(each.out_of_fold.values, labels) for each in panel.members}
    without_fold0 = score(made.out_of_fold.values[others], labels[others]) if others.any() else None
    return Scores(members, made.chosen.score, without_fold0)
