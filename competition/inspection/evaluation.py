"""The numbers behind every table and picture; draws nothing."""

from dataclasses import dataclass

import numpy as np

from competition.data.run import Run
from competition.digits import Digits
from competition.ensemble.blend import Blend
from competition.probabilities import Probabilities
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
class Summary:
    """The results of a run.

    Attributes:
        name: of the configuration.
        jobs: every finished job.
        members: each member's out-of-fold score by its name.
        ensemble: the ensemble's out-of-fold score.
        without_fold0: the same without the rows of fold 0, on which settings are tried out: what
            is left has had no part in any choice.
        machines: what the jobs were trained on, each once.
    """

    name: str
    jobs: list[JobRow]
    members: dict[str, Score]
    ensemble: Score
    without_fold0: Score
    machines: list[str]


@dataclass(frozen=True)
class Mistake:
    """A labelled row that was predicted wrongly.

    Attributes:
        id: of the row.
        image: uint8 `[28, 28]`.
        label: the class it is said to be.
        prediction: the class it was taken for.
        confidence: the probability given to the prediction.
        truth: the probability given to the label.
    """

    id: int
    image: np.ndarray
    label: int
    prediction: int
    confidence: float
    truth: float


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
    """Returns the scores of a run's jobs, members and ensemble."""
    labels = run.data_set.train.labels
    others, _ = run.folds.split("fold0")
    machines = {m["machine"] for member in made.members for m in member.manifests}
    return Summary(
        run.config.name,
        job_rows(run),
        {str(member): score(member.out_of_fold.values, labels) for member in made.members},
        made.score,
        score(made.out_of_fold.values[others], labels[others]),
        sorted(machines),
    )


def mistakes(out_of_fold: Probabilities, digits: Digits) -> list[Mistake]:
    """Returns the rows that were predicted wrongly, the most confident ones first."""
    values, labels = out_of_fold.aligned_to(digits.ids).values, digits.labels
    predictions = values.argmax(axis=1)
    wrong = np.flatnonzero(predictions != labels)
    order = wrong[np.argsort(-values[wrong, predictions[wrong]], kind="stable")]
    return [
        Mistake(
            int(digits.ids[row]),
            digits.images[row],
            int(labels[row]),
            int(predictions[row]),
            float(values[row, predictions[row]]),
            float(values[row, labels[row]]),
        )
        for row in order
    ]


def confused_pairs(found: list[Mistake]) -> dict[tuple[int, int], list[Mistake]]:
    """Groups mistakes by the two classes that were confused, either way; most frequent first."""
    pairs: dict[tuple[int, int], list[Mistake]] = {}
    for mistake in found:
        pair = tuple(sorted((mistake.label, mistake.prediction)))
        pairs.setdefault(pair, []).append(mistake)
    return dict(sorted(pairs.items(), key=lambda item: (-len(item[1]), item[0])))
