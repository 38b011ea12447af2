"""The figures of a run: its jobs, members, ensemble or one variant; draws nothing."""

from dataclasses import dataclass

import numpy as np

from competition.data.run import Run
from competition.ensemble.contributions import Contributions, contributions
from competition.ensemble.members import Panel
from competition.inspection.evaluation.agreement import Agreement, agreement
from competition.inspection.evaluation.fold_scores import FoldScores, fold_scores
from competition.inspection.evaluation.per_class import (
    ClassCurves,
    ClassFigures,
    class_curves,
    class_figures,
    confusion_counts,
)
from competition.inspection.evaluation.searched import unsearched
from competition.inspection.evaluation.subject import Subject
from competition.results import (
    ALL_ROWS,
    Job,
    minutes_of,
    read_history,
    read_manifest,
    read_predictions,
    survey,
)
from competition.scores import Reliability, Score, expected_calibration_error, reliability, score


@dataclass(frozen=True)
class JobRow:
    """One finished job: its score on the rows that it held out, and what it took.

    Attributes:
        job: which one.
        score: how good; None where no rows were held out.
        minutes: of wall-clock time, while `workers` jobs ran side by side.
        cpu_minutes: of processor time.
        workers: how many jobs shared the machine.
        is_selected: whether the rows that it held out had a part in its training.
    """

    job: Job
    score: Score | None
    minutes: float
    cpu_minutes: float
    workers: int
    is_selected: bool


@dataclass(frozen=True)
class TeacherCost:
    """What it took to train the nets that taught others; it is not in the minutes of these.

    Attributes:
        config: the file that configures them.
        nets: how many of them are there.
        minutes, cpu_minutes: all of them together, as those of a `Summary`.
    """

    config: str
    nets: int
    minutes: float
    cpu_minutes: float


@dataclass(frozen=True)
class Scores:
    """The out-of-fold scores of an ensemble.

    Attributes:
        members: each member's score by its name.
        ensemble: the ensemble's, or that of the variant that is looked at.
        unsearched: the same on the rows that the search for the presets' settings did not see.
            None if there are none, or the data are not the competition's.
        is_selected: whether the rows had a part in the training of any member.
    """

    members: dict[str, Score]
    ensemble: Score
    unsearched: Score | None
    is_selected: bool


@dataclass(frozen=True)
class Summary:
    """What there is to tell of an ensemble, or of one variant.

    Attributes:
        subject: what it is.
        scores: of it and its members.
        folds: the same by fold.
        jobs: every finished job that fits, of the variant if it is one.
        teacher_costs: by whom they were taught the unlabelled and held-out rows.
        histories: the training curves of the nets that were combined.
        manifests: of the same.
        confusion: int `[10, 10]`, rows by label (first) and prediction, right ones too.
        classes: the classification report.
        curves: of each class against all others.
        reliability: rows by confidence.
        calibration_error: expected, from 0 to 1.
        agreement: of the members.
        contributions: of the variants.
    """

    subject: Subject
    scores: Scores
    folds: list[FoldScores]
    jobs: list[JobRow]
    teacher_costs: list[TeacherCost]
    histories: dict[Job, dict[str, list[float]]]
    manifests: dict[Job, dict]
    confusion: np.ndarray
    classes: ClassFigures
    curves: list[ClassCurves]
    reliability: Reliability
    calibration_error: float
    agreement: Agreement
    contributions: Contributions

    @property
    def minutes(self) -> float:
        """Of training the nets, each job's divided by how many ran side by side."""
        return minutes_of(self.manifests.values())

    @property
    def cpu_minutes(self) -> float:
        """Of processor time, all these nets together."""
        return sum(manifest["cpu_minutes"] for manifest in self.manifests.values())

    def distinct(self, fact: str) -> list[str]:
        """Returns what the nets' manifests say of something, each answer once."""
        return sorted({str(manifest[fact]) for manifest in self.manifests.values()})


def job_rows(run: Run) -> list[JobRow]:
    """Returns the finished jobs of a run that fit its configuration, in training order."""
    done = set(survey(run.identities).done)
    return [_job_row(run, job) for job in run.identities if job in done]


def _job_row(run: Run, job: Job) -> JobRow:
    manifest = read_manifest(job)
    reached = None if job.split == ALL_ROWS else _held_out_score(run, job)
    spent = [manifest[fact] for fact in ("minutes", "cpu_minutes", "workers")]
    return JobRow(job, reached, *spent, run.config.variants[job.variant].is_selected)


def _held_out_score(run: Run, job: Job) -> Score:
    out_of_fold = read_predictions(job, "out_of_fold")
    return score(out_of_fold.values, run.data_set.train.labels_of(out_of_fold.ids))


def summarise(subject: Subject) -> Summary:
    """Computes all figures of an ensemble, or of one variant."""
    values, labels = subject.cases.ensemble, subject.cases.digits.labels
    manifests = subject.panel.manifests()
    confusion = confusion_counts(labels, subject.cases.predictions)
    return Summary(
        subject=subject,
        scores=panel_scores(subject.run, subject.panel, values),
        folds=fold_scores(subject),
        jobs=[row for row in job_rows(subject.run) if _is_of(row.job, subject)],
        teacher_costs=_teacher_costs(subject),
        histories={job: read_history(job) for job in manifests},
        manifests=manifests,
        confusion=confusion,
        classes=class_figures(confusion),
        curves=class_curves(values, labels),
        reliability=reliability(values, labels),
        calibration_error=expected_calibration_error(values, labels),
        agreement=agreement(subject.cases),
        contributions=contributions(subject.panel),
    )


def _teacher_costs(subject: Subject) -> list[TeacherCost]:
    variants = subject.run.config.variants
    named = {variants[job.variant].teacher for job in subject.panel.manifests()} - {None}
    return [_teacher_cost(path, subject.run.teachers[path]) for path in sorted(named)]


def _teacher_cost(path: str, teacher: Run) -> TeacherCost:
    manifests = [read_manifest(job) for job in survey(teacher.identities).done]
    cpu_minutes = sum(manifest["cpu_minutes"] for manifest in manifests)
    return TeacherCost(path, len(manifests), minutes_of(manifests), cpu_minutes)


def _is_of(job: Job, subject: Subject) -> bool:
    return subject.variant in (None, job.variant)


def panel_scores(run: Run, panel: Panel, values: np.ndarray) -> Scores:
    """Returns the scores of members and of what was made of them, `[n, 10]`, on the same rows."""
    labels, others = panel.labels, unsearched(run, panel.ids)
    members = {str(each): score(each.out_of_fold.values, labels) for each in panel.members}
    of_others = score(values[others], labels[others]) if others.any() else None
    return Scores(members, score(values, labels), of_others, panel.is_selected)
