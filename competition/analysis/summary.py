"""All figures of a report: scores by member and fold, finished jobs."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from competition.analysis.classes import (
    ClassCurves,
    ClassFigures,
    class_curves,
    class_figures,
    confusion_counts,
)
from competition.analysis.predictions import Agreement, Subject, agreement
from competition.config.schema import Folds
from competition.data.folds import assign_folds
from competition.data.run import Run
from competition.digits import positions
from competition.ensemble.contributions import Contributions, contributions
from competition.ensemble.members import Member, MemberPredictions
from competition.metrics import Reliability, Score, expected_calibration_error, reliability, score
from competition.probabilities import Probabilities
from competition.results import (
    ALL_ROWS,
    Job,
    job_status,
    minutes_of,
    read_history,
    read_manifest,
    read_predictions,
)

# The competition's data set. The settings of all presets were searched on its first fold, at first
# of three folds, later of five (EXPERIMENTS.md).
SEARCHED_DATA = "8685adddc7c71a9df3f8d249a7da70d5a52e0f2b9f37f1115dac2e3642649cea"
SEARCHED_FOLDS = Folds(count=3, seed=0), Folds(count=5, seed=0)
SEARCHED_SPLIT = "fold0"


@dataclass(frozen=True)
class Scores:
    """The out-of-fold scores of an ensemble, or of one variant.

    Attributes:
        members: by the member's name.
        ensemble: of the combined members.
        unsearched: the same on the rows that the search for the presets' settings did not use;
            None if there are none, or the data are not the competition's.
        is_selected: whether held-out rows influenced the training of any member.
    """

    members: dict[str, Score]
    ensemble: Score
    unsearched: Score | None
    is_selected: bool


def ensemble_scores(run: Run, member_predictions: MemberPredictions, values: np.ndarray) -> Scores:
    """Returns the scores of the members and of their combination, probabilities `[n, 10]`."""
    labels, is_unsearched = member_predictions.labels, unsearched(run, member_predictions.ids)
    return Scores(
        members={
            str(member): score(member.out_of_fold.values, labels)
            for member in member_predictions.members
        },
        ensemble=score(values, labels),
        unsearched=score(values[is_unsearched], labels[is_unsearched])
        if is_unsearched.any()
        else None,
        is_selected=member_predictions.is_selected,
    )


def unsearched(run: Run, ids: np.ndarray) -> np.ndarray:
    """Returns which rows the search for the presets' settings did not use, bool `[n]`.

    All False for other data sets. A user's own search, as by `make tune`, does not count.
    """
    if run.fingerprint != SEARCHED_DATA:
        return np.zeros(len(ids), bool)
    train = run.data_set.train
    held_out = [assign_folds(train, folds).held_out[SEARCHED_SPLIT] for folds in SEARCHED_FOLDS]
    return ~np.isin(ids, train.ids[np.any(held_out, axis=0)])


@dataclass(frozen=True)
class FoldScores:
    """The scores of one member, variant or ensemble.

    Attributes:
        whole: on all rows together.
        by_fold: by the number of the fold or hold-out; empty for an ensemble with overlapping
            hold-outs, which predicts a row by the nets of all hold-outs that contain it.
    """

    name: str
    whole: Score
    by_fold: dict[int, Score]

    def accuracy(self) -> tuple[float, float]:
        """Returns the mean of the folds' accuracies, and their standard deviation."""
        return mean_and_deviation([each.accuracy for each in self.by_fold.values()])

    def log_loss(self) -> tuple[float, float]:
        """Returns the mean of the folds' log-losses, and their standard deviation."""
        return mean_and_deviation([each.log_loss for each in self.by_fold.values()])


def mean_and_deviation(values: list[float]) -> tuple[float, float]:
    """Returns the mean and the sample standard deviation (n - 1), NaN of a single value."""
    deviation = np.std(values, ddof=1) if len(values) > 1 else np.nan
    return float(np.mean(values)), float(deviation)


def fold_scores(subject: Subject) -> list[FoldScores]:
    """Scores each member, each variant with several seeds, and last an ensemble."""
    members = subject.member_predictions.members
    groups = {str(member): [member] for member in members}
    for variant in dict.fromkeys(member.marked_variant for member in members):
        own = [member for member in members if member.marked_variant == variant]
        if len(own) > 1:
            groups[f"{variant}, all seeds"] = own
    scores = [
        _mean_scores(name, group, subject.member_predictions) for name, group in groups.items()
    ]
    return scores if subject.variant else [*scores, _ensemble_fold_scores(subject)]


def _mean_scores(
    name: str, members: list[Member], member_predictions: MemberPredictions
) -> FoldScores:
    """Scores the mean of some members; in each fold, the mean of that fold's nets."""
    labels = member_predictions.labels
    by_fold = {}
    for number, held_out in sorted(members[0].by_split.items()):
        values = mean([member.by_split[number] for member in members])
        rows = positions(member_predictions.ids, held_out.ids)
        by_fold[number] = score(values, labels[rows])
    whole = score(mean([member.out_of_fold for member in members]), labels)
    return FoldScores(name, whole, by_fold)


def mean(parts: list[Probabilities]) -> np.ndarray:
    """Returns the mean of probabilities of the same rows, float64 `[n, 10]`."""
    return np.mean([part.values for part in parts], axis=0, dtype=float)


def _ensemble_fold_scores(subject: Subject) -> FoldScores:
    labels, folds = subject.member_predictions.labels, subject.member_predictions.folds
    values = subject.predicted.ensemble
    by_fold = {}
    if not overlap(subject.member_predictions):  # each row belongs to one fold
        for number in np.unique(folds).tolist():
            by_fold[number] = score(values[folds == number], labels[folds == number])
    return FoldScores(subject.title, score(values, labels), by_fold)


def overlap(member_predictions: MemberPredictions) -> bool:
    """Whether any row was held out more than once, and so predicted by the mean of several nets."""
    held_out = member_predictions.members[0].by_split.values()
    return sum(len(part.ids) for part in held_out) > len(member_predictions.ids)


@dataclass(frozen=True)
class JobRow:
    """One finished job.

    Attributes:
        score: on its held-out rows; None where it held none out.
        minutes: wall-clock time, while `workers` jobs ran side by side.
        is_selected: whether its held-out rows influenced its training.
    """

    job: Job
    score: Score | None
    minutes: float
    cpu_minutes: float
    workers: int
    is_selected: bool


def job_rows(run: Run) -> list[JobRow]:
    """Returns the finished jobs that fit the configuration of a run, in training order."""
    done = set(job_status(run.identities).done)
    return [_job_row(run, job) for job in run.identities if job in done]


def _job_row(run: Run, job: Job) -> JobRow:
    manifest, job_score = read_manifest(job), None
    if job.split != ALL_ROWS:
        out_of_fold = read_predictions(job, "out_of_fold")
        job_score = score(out_of_fold.values, run.data_set.train.labels_of(out_of_fold.ids))
    return JobRow(
        job=job,
        score=job_score,
        minutes=manifest["minutes"],
        cpu_minutes=manifest["cpu_minutes"],
        workers=manifest["workers"],
        is_selected=run.config.variants[job.variant].is_selected,
    )


@dataclass(frozen=True)
class Summary:
    """All figures of a report on an ensemble, or on one variant.

    Attributes:
        jobs: every finished job of the configuration, or of the variant.
        histories: of the nets that were combined.
        manifests: of these and of other learners.
        confusion: int `[10, 10]`, rows by label (first) and prediction, right ones included.
        calibration_error: expected calibration error, from 0 to 1.
    """

    subject: Subject
    scores: Scores
    folds: list[FoldScores]
    jobs: list[JobRow]
    histories: dict[Job, pd.DataFrame]
    manifests: dict[Job, dict[str, Any]]
    confusion: np.ndarray
    classes: ClassFigures
    curves: list[ClassCurves]
    reliability: Reliability
    calibration_error: float
    agreement: Agreement
    contributions: Contributions

    @property
    def minutes(self) -> float:
        """Training time of the nets, each job's divided by the number of jobs side by side."""
        return minutes_of(self.manifests.values())

    @property
    def cpu_minutes(self) -> float:
        """Processor time of all these nets together."""
        return sum(manifest["cpu_minutes"] for manifest in self.manifests.values())

    def distinct(self, fact: str) -> list[str]:
        """Returns the distinct values of a key in the nets' manifests, as sorted texts."""
        return sorted({str(manifest[fact]) for manifest in self.manifests.values()})


def summarise(subject: Subject) -> Summary:
    """Computes all figures of an ensemble, or of one variant."""
    predicted, run = subject.predicted, subject.run
    values, predictions, labels = predicted.ensemble, predicted.predictions, predicted.digits.labels
    manifests = subject.member_predictions.manifests()
    return Summary(
        subject=subject,
        scores=ensemble_scores(run, subject.member_predictions, values),
        folds=fold_scores(subject),
        jobs=[row for row in job_rows(run) if subject.variant in (None, row.job.variant)],
        histories={
            job: read_history(job)
            for job in manifests
            if run.config.variants[job.variant].is_net  # others have no epochs
        },
        manifests=manifests,
        confusion=confusion_counts(labels, predictions),
        classes=class_figures(labels, predictions),
        curves=class_curves(values, labels),
        reliability=reliability(values, labels),
        calibration_error=expected_calibration_error(values, labels),
        agreement=agreement(predicted),
        contributions=contributions(subject.member_predictions),
    )
