"""One small net, the student, that learns what the ensemble says of all rows.

(G. Hinton, O. Vinyals and J. Dean, "Distilling the Knowledge in a Neural Network",
arXiv:1503.02531.) It learns from stored probabilities; no net of the ensemble is needed.

The student to use learns from every labelled row. So that its figure is honest, there is one more
student per fold, which only serves to be judged: nothing that teaches it has seen a label of the
rows that it is judged on. It learns the labels of the other folds, and for the unlabelled rows
the probabilities of the nets that held out the same fold. It does without the out-of-fold
probabilities of labelled rows: they come from nets that have learnt the judged fold's labels.
"""

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from competition import paths, storage
from competition.config.schema import Training, Variant
from competition.console import count_of
from competition.data.augmented_epochs import AugmentedEpochs, Part, pools_at_hand
from competition.data.folds import split_number, trained_splits
from competition.data.run import Run
from competition.digits import DataSet, Digits, positions
from competition.ensemble.comparison import EnsembleResult
from competition.ensemble.members import Member
from competition.errors import UserError
from competition.metrics import Score, bootstrap_intervals, log_losses, mcnemar, score
from competition.probabilities import Probabilities, mean_of
from competition.results import (
    ALL_ROWS,
    Job,
    job_identity,
    job_status,
    read_history,
    read_predictions,
)
from competition.storage import remove_partials
from competition.system import workers_may_end
from competition.tables import SCORE_COLUMNS, Column, Table, score_values
from competition.training.jobs import jobs_left, train_jobs
from competition.training.predict import tta_view_count
from competition.training.resources import chosen_plan
from competition.training.training_data import TrainingData, one_hot, unbalanced_data
from competition.training.worker import Failure, less_memory

STUDENT = "student"

# What the student learns of a labelled row: this share of the teacher's out-of-fold probabilities,
# and for the rest the label.
SOFT_SHARE = 0.5


@dataclass(frozen=True)
class Student(Job):
    """The training of a student; its result is beside the jobs of the ensemble's nets."""

    made_by: ClassVar[str] = "make distil"
    forced: ClassVar[str] = "every student again"

    def folder(self) -> Path:
        return paths.OutputPaths(self.config).students / self.split


@dataclass(frozen=True)
class Teacher:
    """What an ensemble says of the rows, by the method that makes its submission.

    Attributes:
        out_of_fold: of the labelled rows that some net held out.
        test: by split, of every unlabelled row: for a fold by the nets that held out that fold,
            for `all` by the whole ensemble.
        identity: JSON values that identify the ensemble.
    """

    out_of_fold: Probabilities
    test: dict[str, Probabilities]
    identity: dict[str, Any]


def teacher_of(result: EnsembleResult) -> Teacher:
    """Returns what an ensemble of one run teaches, from its stored probabilities."""
    (run,) = result.runs
    members = result.member_predictions
    method, test = result.chosen.method, {ALL_ROWS: result.test}
    used = {job.split for job in members.manifests()}
    for split in filter(used.__contains__, trained_splits(run.config.folds)):
        # As when methods are scored: fitted, if it fits anything, to the other folds.
        others = ~run.folds.held_out[split][positions(run.folds.ids, members.ids)]
        fitted = method.function()(
            members.out_of_fold[:, others], members.labels[others], is_net=members.is_net
        )
        values = fitted.combine(_test_of_split(result, split))
        test[split] = Probabilities(result.test.ids, values.astype(np.float32))
    results = [manifest["identity_hash"] for manifest in members.manifests().values()]
    identity = {"method": method.identity(), "results": sorted(results)}
    return Teacher(result.out_of_fold, test, identity)


def _test_of_split(result: EnsembleResult, split: str) -> np.ndarray:
    """Returns the test probabilities of the nets that held out one split, float64 `[m, k, 10]`."""
    nets = [
        next(job for job in member.manifests if job.split == split)
        for member in result.member_predictions.members
    ]
    read = [read_predictions(job, "test").aligned_to(result.test.ids) for job in nets]
    return np.stack([each.values for each in read], dtype=float)


@dataclass(frozen=True)
class StudentRun(Run):
    """A run whose jobs are students: one to use, and one per fold to be judged."""

    teacher: Teacher = field(kw_only=True)

    @cached_property
    def identities(self) -> dict[Job, dict[str, Any]]:
        """Every student with the identity of its result, the one to use first."""
        variant, folds = self.config.variants[STUDENT], self.folds.fingerprint()
        found: dict[Job, dict[str, Any]] = {}
        for split in self.teacher.test:
            job = Student(self.config.name, STUDENT, variant.seeds[0], split)
            identity = job_identity(variant, job, self.fingerprint, folds) | self.marks_identity()
            share = {"soft_share": SOFT_SHARE} if split == ALL_ROWS else {}
            found[job] = identity | {"teacher": {**self.teacher.identity, **share}}
        return found


def student_run(run: Run, teacher: Teacher) -> StudentRun:
    """Returns the run of a teacher's students, by the run of the ensemble."""
    config = run.config.model_copy(update={"variants": {STUDENT: student(run.config.defaults)}})
    return StudentRun(
        config, run.data_set, run.fingerprint, run.folds, run.label_errors, teacher=teacher
    )


def student(defaults: Training) -> Variant:
    """Returns the student's net and training: `plain`, with the settings of `defaults:`.

    It predicts without test-time augmentation, as the exported net answers.
    """
    settings = defaults.model_dump(exclude={"callbacks", "resampling", "seeds", "all_rows_seeds"})
    one_view = {"test_time_shift": 0, "test_time_draws": 0}
    return Variant.model_validate({**settings, **one_view, "architecture": {"name": "plain"}})


def distil(students: StudentRun, workers: int | None, force: bool = False) -> list[Failure]:
    """Trains every student without a valid result, and returns the failures.

    Args:
        workers: how many trainings run side by side; None: as many as suit the machine.
        force: also train students that have a result, which may be another teacher's.

    Raises:
        UserError: before any work, when another process distils this configuration, or a student
            has learnt from other data, folds or another teacher.
    """
    name, identities = students.config.name, students.identities
    with storage.only_one(paths.OutputPaths(name).students, f"distilling '{name}'"):
        remove_partials(paths.OutputPaths(name).students)
        jobs = jobs_left(students, identities, force)
        if not jobs:
            return []
        plan = chosen_plan(len(identities), len(jobs), workers)
        needed = dict.fromkeys(
            student_epochs(students).parts, students.config.variants[STUDENT].epochs
        )
        with (
            workers_may_end(f"finished students are kept: {less_memory(plan)}"),
            pools_at_hand(needed, students.data_set, plan.threads),
        ):
            return train_jobs(students, jobs, plan, student_data)


@dataclass(frozen=True)
class JoinedEpochs:
    """The augmented epochs of the labelled rows, followed by those of the unlabelled rows."""

    parts: tuple[AugmentedEpochs, ...]
    data_set: DataSet

    @property
    def data_fingerprint(self) -> str:
        """Of the data set that the digits come from."""
        return self.parts[0].data_fingerprint

    def epoch(self, number: int, digits: Digits) -> np.ndarray:
        """Returns the images of an existing epoch, uint8 `[n, 28, 28]`."""
        images = [part.epoch(number, getattr(self.data_set, part.part)) for part in self.parts]
        return np.concatenate(images)


def student_epochs(students: StudentRun) -> JoinedEpochs:
    """Returns the augmented epochs of all rows, the same ones for every student."""
    variant = students.config.variants[STUDENT]
    both: tuple[Part, ...] = ("train", "test")
    policy, seed = variant.augmentation, variant.seeds[0]
    parts = (AugmentedEpochs(policy, seed, students.fingerprint, part) for part in both)
    return JoinedEpochs(tuple(parts), students.data_set)


def student_data(students: StudentRun, job: Job) -> TrainingData:
    """Returns what a student trains on: labelled rows that are not held out, and all unlabelled."""
    data, teacher = unbalanced_data(students, job), students.teacher
    labelled, unlabelled = data.digits, students.data_set.test
    soft = teacher.test[job.split].aligned_to(unlabelled.ids)
    targets = one_hot(labelled.labels)
    if job.split == ALL_ROWS:
        known = positions(labelled.ids, teacher.out_of_fold.ids)
        targets[known] += SOFT_SHARE * (teacher.out_of_fold.values - targets[known])
    first = labelled.ids.max() + 1
    joined = Digits(
        np.concatenate([labelled.ids, first + np.arange(len(unlabelled), dtype=np.int32)]),
        np.concatenate([labelled.images, unlabelled.images]),
        np.concatenate([labelled.labels, soft.predictions()]),
    )
    return replace(
        data,
        digits=joined,
        training_rows=np.concatenate(
            [data.training_rows, np.arange(len(labelled), len(joined), dtype=np.intp)]
        ),
        augmented=student_epochs(students),
        targets=np.concatenate([targets, soft.values]),
    )


@dataclass(frozen=True)
class Judgement:
    """The students of the folds beside their teacher and the same net taught by labels alone.

    Attributes:
        folds: the splits whose students are trained.
        labels: uint8 `[n]`, of the rows that these folds hold out.
        student: float32 `[n, 10]`, each row by the student of its fold.
        others: the same by the name of what is compared, the teacher first.
        in_one_view: scores of nets whose predictions in one view were not kept.
    """

    folds: list[str]
    labels: np.ndarray
    student: np.ndarray
    others: dict[str, np.ndarray]
    in_one_view: dict[str, Score]

    @property
    def score(self) -> Score:
        """The student's."""
        return score(self.student, self.labels)

    def table(self) -> Table:
        """Returns every figure, a row per net; the others are compared with the student."""
        losses = log_losses(self.student, self.labels)
        rows = [{"net": "student", **score_values(self.score)}]
        for name, values in self.others.items():
            gaps = losses - log_losses(values, self.labels)
            ((low, high),) = bootstrap_intervals(gaps[None])
            pairs = mcnemar(self.student, values, self.labels)
            rows.append(
                {
                    "net": name,
                    **score_values(score(values, self.labels)),
                    "gap": gaps.mean(),
                    "gap_low": low,
                    "gap_high": high,
                    "gained": pairs.gained,
                    "lost": pairs.lost,
                    "mcnemar_p": pairs.p_value,
                }
            )
        rows += [{"net": name, **score_values(each)} for name, each in self.in_one_view.items()]
        return Table("students", "The student and its teacher", pd.DataFrame(rows), COLUMNS, NOTE)


COLUMNS = [
    Column("net"),
    *SCORE_COLUMNS,
    Column("difference", "{:+.5f} ({:+.5f} … {:+.5f})", ("gap", "gap_low", "gap_high")),
    Column("only the student right", "{:.0f}", ("gained",)),
    Column("only the student wrong", "{:.0f}", ("lost",)),
    Column("McNemar p", "{:.2g}", ("mcnemar_p",)),
]
NOTE = (
    "Every row is predicted by the student of its fold, in one view. Nothing that taught it has "
    "seen a label of that fold: it learnt the labels of the other folds and, for the unlabelled "
    "rows, the probabilities of the nets that held the fold out. The difference is the student's "
    "log-loss minus the net's, with a 95% interval; McNemar's test is two-sided."
)


def judge(result: EnsembleResult, students: StudentRun) -> Judgement:
    """Compares the students that are trained with their teacher, on the rows that they hold out.

    Raises:
        UserError: when no student of a fold is trained.
    """
    done = [job for job in job_status(students.identities).done if job.split != ALL_ROWS]
    if not done:
        raise UserError("no student of a fold is trained yet; `make distil` trains them")
    student = mean_of([read_predictions(job, "out_of_fold") for job in done])
    folds, rows = [job.split for job in done], student.ids
    others, in_one_view = {f"its teacher, `{result.name}`": result.out_of_fold}, {}
    architecture = students.config.variants[STUDENT].architecture
    for member in result.member_predictions.members:
        variant = result.runs[0].config.variants.get(member.variant)
        if variant is not None and variant.architecture == architecture:
            name = f"`{member}` by labels alone"
            others[f"{name}, {count_of(tta_view_count(variant), 'view')}"] = member.out_of_fold
            in_one_view[f"{name}, 1 view"] = _score_in_one_view(member, folds)
    return Judgement(
        folds,
        students.data_set.train.labels_of(rows),
        student.values,
        {name: each.aligned_to(rows).values for name, each in others.items()},
        in_one_view,
    )


def _score_in_one_view(member: Member, folds: list[str]) -> Score:
    """Returns how a member's nets did on their held-out rows after the last epoch."""
    counts, errors, losses = [], [], []
    for job in member.manifests:
        if job.split in folds:
            last = read_history(job).iloc[-1]
            counts.append(len(member.by_split[split_number(job.split)].ids))
            errors.append(round((1 - last["validation_accuracy"]) * counts[-1]))
            losses.append(last["validation_loss"])
    return Score(sum(counts), sum(errors), float(np.average(losses, weights=counts)))
