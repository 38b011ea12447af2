"""The figures of a run: its jobs, members, ensemble or one variant; draws nothing."""

from dataclasses import dataclass, replace

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
from competition.config.loading import Ensemble
from competition.config.schema import Folds, claimed_percentage
from competition.data.folds import assign_folds
from competition.data.run import Run
from competition.digits import positions
from competition.ensemble.contributions import Contributions, contributions
from competition.ensemble.members import Member, MemberPredictions, load_member_predictions
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


@dataclass(frozen=True)
class FoldScores:
    """The scores of one set of out-of-fold probabilities.

    Attributes:
        name: of a member, a variant or the ensemble.
        whole: on all rows together.
        by_fold: on the rows of each fold or hold-out, by its number; none of an ensemble where
            hold-outs overlap, as it predicts a row by the nets of all that have it.
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
    """Scores each member, each variant that has several seeds, and last what the report is of."""
    member_predictions = subject.member_predictions
    named = {str(each): [each] for each in member_predictions.members} | _of_several_seeds(
        member_predictions.members
    )
    found = [_of_members(name, members, member_predictions) for name, members in named.items()]
    return found + ([_of_ensemble(subject)] if subject.variant is None else [])


def _of_several_seeds(members: list[Member]) -> dict[str, list[Member]]:
    variants: dict[str, list[Member]] = {}
    for member in members:
        variants.setdefault(f"{member.marked_variant}, all seeds", []).append(member)
    return {name: own for name, own in variants.items() if len(own) > 1}


def _of_members(
    name: str, members: list[Member], member_predictions: MemberPredictions
) -> FoldScores:
    """Scores the mean of some members, in each fold that of its own nets on all of its rows."""
    whole = score(_mean([member.out_of_fold for member in members]), member_predictions.labels)
    by_fold = {}
    for number, held_out in sorted(members[0].by_split.items()):
        values = _mean([member.by_split[number] for member in members])
        by_fold[number] = score(
            values, member_predictions.labels[positions(member_predictions.ids, held_out.ids)]
        )
    return FoldScores(name, whole, by_fold)


def _mean(parts: list[Probabilities]) -> np.ndarray:
    return np.mean([part.values for part in parts], axis=0, dtype=float)


def overlap(member_predictions: MemberPredictions) -> bool:
    """Says whether rows were held out more than once, and so predicted by the mean of nets."""
    return sum(len(part.ids) for part in member_predictions.members[0].by_split.values()) > len(
        member_predictions.ids
    )


def _of_ensemble(subject: Subject) -> FoldScores:
    """Scores the ensemble, by fold where no row is held out twice, and so belongs to one alone."""
    member_predictions, values = subject.member_predictions, subject.predicted.ensemble
    numbers = [] if overlap(member_predictions) else np.unique(member_predictions.folds).tolist()
    by_fold = {
        each: score(
            values[member_predictions.folds == each],
            member_predictions.labels[member_predictions.folds == each],
        )
        for each in numbers
    }
    return FoldScores(subject.title, score(values, member_predictions.labels), by_fold)


# The fingerprint of the competition's data set, of which settings and nets were tried on the first
# fold of three and, after a while, of five (EXPERIMENTS.md), whatever folds a preset has.
SEARCHED_DATA = "8685adddc7c71a9df3f8d249a7da70d5a52e0f2b9f37f1115dac2e3642649cea"
SEARCHED_FOLDS = Folds(count=3, seed=0), Folds(count=5, seed=0)
SEARCHED_SPLIT = "fold0"


def unsearched(run: Run, ids: np.ndarray) -> np.ndarray:
    """Returns which labelled rows no trial of the presets was judged by, bool `[n]`.

    Of a user's own trials, as those of `make tune`, nothing is known.

    None are where the data are not the competition's: nothing is claimed of these.
    """
    if run.fingerprint != SEARCHED_DATA:
        return np.zeros(len(ids), bool)
    train = run.data_set.train
    held_out = [assign_folds(train, folds).held_out[SEARCHED_SPLIT] for folds in SEARCHED_FOLDS]
    return ~np.isin(ids, train.ids[np.any(held_out, axis=0)])


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
    histories: dict[Job, pd.DataFrame]
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
    done = set(job_status(run.identities).done)
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
    values, labels = subject.predicted.ensemble, subject.predicted.digits.labels
    manifests = subject.member_predictions.manifests()
    confusion = confusion_counts(labels, subject.predicted.predictions)
    return Summary(
        subject=subject,
        scores=ensemble_scores(subject.run, subject.member_predictions, values),
        folds=fold_scores(subject),
        jobs=[row for row in job_rows(subject.run) if _is_of(row.job, subject)],
        histories={job: read_history(job) for job in manifests},
        manifests=manifests,
        confusion=confusion,
        classes=class_figures(confusion),
        curves=class_curves(values, labels),
        reliability=reliability(values, labels),
        calibration_error=expected_calibration_error(values, labels),
        agreement=agreement(subject.predicted),
        contributions=contributions(subject.member_predictions),
    )


def _is_of(job: Job, subject: Subject) -> bool:
    return subject.variant in (None, job.variant)


def ensemble_scores(run: Run, member_predictions: MemberPredictions, values: np.ndarray) -> Scores:
    """Returns the scores of members and of what was made of them, `[n, 10]`, on the same rows."""
    labels, others = member_predictions.labels, unsearched(run, member_predictions.ids)
    members = {
        str(each): score(each.out_of_fold.values, labels) for each in member_predictions.members
    }
    other_values = score(values[others], labels[others]) if others.any() else None
    return Scores(members, score(values, labels), other_values, member_predictions.is_selected)


@dataclass(frozen=True)
class Baseline:
    """One variant with its first seed, or the plain mean of all its seeds.

    Attributes:
        name: of the variant, perhaps marked.
        title: what it is.
        claim: the accuracy that its authors report, in their words.
        nets: how many were trained for its score; those of all rows have no part in it.
        parameters: of each of them.
        minutes: of training, each job's divided by how many ran side by side.
        score: on the held-out rows.
        precision, recall, f1: means over the classes.
        is_selected: whether its callbacks looked at the held-out rows.
    """

    name: str
    title: str
    claim: str
    nets: int
    parameters: int
    minutes: float
    score: Score
    precision: float
    recall: float
    f1: float
    is_selected: bool = False

    @property
    def falls_short(self) -> bool:
        """Whether the claim begins with a percentage, and the accuracy is below it."""
        claimed = claimed_percentage(self.claim)
        right = self.score.rows - self.score.errors
        return claimed is not None and 100 * right < claimed * self.score.rows


def baselines(run: Run) -> list[Baseline]:
    """Returns each variant of a run with its first seed, and the mean of those with several.

    Raises:
        UserError: naming every job that is missing or stale.
    """
    all_of_it = run.config.model_copy(update={"ensemble": Ensemble()})
    member_predictions = load_member_predictions([replace(run, config=all_of_it)])
    found = []
    for variant, settings in run.config.variants.items():
        about = settings.about
        members = [member for member in member_predictions.members if member.variant == variant]
        name = members[0].marked_variant
        found.append(_system(member_predictions, members[:1], name, about.title, about.claim))
        if len(members) > 1:
            name = f"{name}, mean of {len(members)} seeds"
            found.append(
                _system(member_predictions, members, name, about.mean_title, about.mean_claim)
            )
    return found


def _system(
    member_predictions: MemberPredictions, members: list[Member], name: str, title: str, claim: str
) -> Baseline:
    values = np.mean([member.out_of_fold.values for member in members], axis=0, dtype=float)
    confusion = confusion_counts(member_predictions.labels, values.argmax(axis=1))
    precision, recall, f1 = class_figures(confusion).means()
    manifests = [
        manifest
        for member in members
        for job, manifest in member.manifests.items()
        if job.split != ALL_ROWS
    ]
    return Baseline(
        name=name,
        title=title,
        claim=claim,
        nets=len(manifests),
        parameters=manifests[0]["parameters"],
        minutes=minutes_of(manifests),
        score=score(values, member_predictions.labels),
        precision=precision,
        recall=recall,
        f1=f1,
        is_selected=members[0].is_selected,
    )
