"""A configuration with its data set and folds: what every stage after the download uses."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from competition.config.loading import Config, load_config
from competition.data.folds import FoldAssignment, load_folds, trained_splits
from competition.data.label_marks import read_label_errors
from competition.data.loading import load_data_set
from competition.digits import DataSet
from competition.errors import UserError
from competition.results import ALL_ROWS, Job, identity_hash, job_identity


def require_fitting_teacher(path: str, teacher: Config, pupil: Config) -> None:
    """Checks all but the folds of a teacher.

    Args:
        path: the teacher's file, as the pupil names it.
        teacher, pupil: configurations.

    Raises:
        UserError: when the teacher has one itself, which might be the pupil, when its nets were
            selected by held-out rows, or when both are of different data.
    """
    for objection in _objections(teacher, pupil):
        raise UserError(f"the teacher {path} {objection}")


def _objections(teacher: Config, pupil: Config) -> Iterator[str]:
    if any(variant.teacher for variant in teacher.variants.values()):
        yield "has a teacher itself; name one that learns labels"
    if any(variant.is_selected for variant in teacher.variants.values()):
        yield (
            "has callbacks, which look at the rows that are held out to judge by, and would pass "
            "that on; name one without"
        )
    if teacher.data != pupil.data:
        yield f"has learnt {teacher.data}, and {pupil.name} learns {pupil.data}; give both the same"


def require_fitting_folds(
    path: str,
    teacher: Config,
    teacher_folds: FoldAssignment,
    pupil: Config,
    pupil_folds: FoldAssignment,
) -> None:
    """Checks that a teacher holds out the pupil's rows, and trains a net for each of its splits.

    Raises:
        UserError: when it holds out others; naming the splits that it trains no net for.
    """
    if teacher_folds.fingerprint() != pupil_folds.fingerprint():
        raise UserError(
            f"the teacher {path} holds out other rows than {pupil.name}: so it would tell of rows "
            "that are held out to judge by; give both the same folds"
        )
    trained = trained_splits(teacher.folds)
    untaught = [split for split in trained_splits(pupil.folds) if split not in trained]
    if untaught:
        raise UserError(
            f"the teacher {path} trains no net for {', '.join(untaught)}, as its folds.only says; "
            "expected one for each that is taught"
        )


@dataclass(frozen=True)
class Run:
    """One configuration on its data, with the folds that belong to both.

    Attributes:
        config, data_set: what is trained on what.
        fingerprint: of the data set.
        folds: which rows each split holds out.
        label_errors: what training learns in place of a row's label, None to leave the row out.
        teachers: by the file that a variant names, the run whose nets teach it.
    """

    config: Config
    data_set: DataSet
    fingerprint: str
    folds: FoldAssignment
    label_errors: dict[int, int | None] = field(default_factory=dict)
    teachers: dict[str, "Run"] = field(default_factory=dict)

    @cached_property
    def identities(self) -> dict[Job, dict[str, Any]]:
        """Every job of the configuration with what identifies its result, in training order.

        The order goes fold by fold, so that an interrupted run has comparable variants; what is
        trained on all rows comes last.
        """
        jobs = (
            Job(self.config.name, name, seed, split)
            for split in [*trained_splits(self.config.folds), ALL_ROWS]
            for name, variant in self.config.variants.items()
            for seed in (variant.all_rows_seeds if split == ALL_ROWS else variant.seeds)
        )
        return {job: self._identity(job) for job in jobs}

    def teaching(self, job: Job) -> dict[Job, dict[str, Any]]:
        """Returns the teacher's jobs that a job learns from, each with what identifies its result.

        They hold out the same rows as the job, so that no held-out label reaches it through its
        teacher either.
        """
        teacher = self.config.variants[job.variant].teacher
        return self.teachers[teacher].of_split(job.split) if teacher else {}

    def of_split(self, split: str) -> dict[Job, dict[str, Any]]:
        """Returns the jobs of one split; of `"all"`, every job, whatever it holds out."""
        return {
            job: identity
            for job, identity in self.identities.items()
            if split in (job.split, ALL_ROWS)
        }

    def marks_identity(self) -> dict[str, Any]:
        """Returns what marks change of the labels, as JSON values; nothing without marks."""
        mended = {str(row): label for row, label in self.label_errors.items()}
        return {"label_errors": mended} if mended else {}

    def _identity(self, job: Job) -> dict[str, Any]:
        variant = self.config.variants[job.variant]
        identity = job_identity(variant, job, self.fingerprint, self.folds.fingerprint())
        taught = list(self.teaching(job).values())
        return (
            identity
            | self.marks_identity()
            | ({"taught_by": identity_hash(taught)} if taught else {})
        )


def load_run(config: Config) -> Run:
    """Loads the data set that the configuration names, and its folds.

    Raises:
        UserError: when the data set is missing or broken, cannot be split as configured, or the
            marks do not fit it.
    """
    data_set = load_data_set(config.data)
    return _run_on(config, data_set, data_set.fingerprint())


def _run_on(config: Config, data_set: DataSet, fingerprint: str) -> Run:
    folds = load_folds(config, data_set, fingerprint)
    errors = read_label_errors(Path(config.marks), data_set.train) if config.marks else {}
    run = Run(config, data_set, fingerprint, folds, errors)
    return replace(run, teachers=_teachers(run))


def _teachers(run: Run) -> dict[str, Run]:
    named = {variant.teacher for variant in run.config.variants.values() if variant.teacher}
    return {path: _teacher(path, run) for path in sorted(named)}


def _teacher(path: str, pupil: Run) -> Run:
    """Loads a run that teaches another one.

    Raises:
        UserError: when its nets may have seen what the pupil's hold out, or were selected by it,
            or have a teacher themselves, which might be the pupil.
    """
    config = load_config(Path(path))
    require_fitting_teacher(path, config, pupil.config)
    run = _run_on(config, pupil.data_set, pupil.fingerprint)
    require_fitting_folds(path, config, run.folds, pupil.config, pupil.folds)
    return run
