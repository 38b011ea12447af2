"""A configuration with its data set and folds: what every stage after the download uses."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from competition.config import Config, load_config
from competition.data.folds import FoldAssignment, load_folds, trained_splits
from competition.data.marks import read_label_errors
from competition.data.sources import load_data_set
from competition.digits import DataSet
from competition.errors import UserError
from competition.results import ALL_ROWS, Job, identity_hash, job_identity


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
        """Returns whose test predictions a job learns, with what identifies their results.

        They held out the same rows as the job, which so learns nothing of their labels: not by
        way of its teacher either.
        """
        teacher = self.config.variants[job.variant].teacher
        return self.teachers[teacher].of_split(job.split) if teacher else {}

    def of_split(self, split: str) -> dict[Job, dict[str, Any]]:
        """Returns the jobs that hold out no other rows than a split; of `"all"`, every job."""
        return {
            job: identity
            for job, identity in self.identities.items()
            if split in (job.split, ALL_ROWS)
        }

    def _identity(self, job: Job) -> dict[str, Any]:
        variant = self.config.variants[job.variant]
        identity = job_identity(variant, job, self.fingerprint, self.folds.fingerprint())
        mended = {str(row): label for row, label in self.label_errors.items()}
        taught = list(self.teaching(job).values())
        return (
            identity
            | ({"label_errors": mended} if mended else {})
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
    _require_none(path, _objections(config, pupil.config))
    run = _run_on(config, pupil.data_set, pupil.fingerprint)
    _require_none(path, _objections_to_folds(run, pupil))
    return run


def _objections(teacher: Config, pupil: Config) -> Iterator[str]:
    """Says why nets may not teach others, whatever the folds of both."""
    if any(variant.teacher for variant in teacher.variants.values()):
        yield "has a teacher itself; name one that learns labels"
    if any(variant.is_selected for variant in teacher.variants.values()):
        yield (
            "has callbacks, which look at the rows that are held out to judge by, and would pass "
            "that on; name one without"
        )
    if teacher.data != pupil.data:
        yield f"has learnt {teacher.data}, and {pupil.name} learns {pupil.data}; give both the same"


def _objections_to_folds(teacher: Run, pupil: Run) -> Iterator[str]:
    if teacher.folds.fingerprint() != pupil.folds.fingerprint():
        yield (
            f"holds out other rows than {pupil.config.name}: so it would tell of rows that are "
            "held out to judge by; give both the same folds"
        )
        return
    trained = trained_splits(teacher.config.folds)
    untaught = [split for split in trained_splits(pupil.config.folds) if split not in trained]
    if untaught:
        yield (
            f"trains no net for {', '.join(untaught)}, as its folds.only says; expected one for "
            "each that is taught"
        )


def _require_none(path: str, objections: Iterator[str]) -> None:
    for objection in objections:
        raise UserError(f"the teacher {path} {objection}")
