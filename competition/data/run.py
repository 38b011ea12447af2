"""A configuration with its data set and folds: what every stage after the download uses."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from competition.config.loading import Config
from competition.config.schema import code_hash
from competition.data.folds import Splits, load_folds, trained_splits
from competition.data.label_marks import read_label_errors
from competition.data.loading import load_data_set
from competition.digits import DataSet
from competition.results import ALL_ROWS, Job, job_identity


@dataclass(frozen=True)
class Run:
    """One configuration on its data, with the folds that belong to both.

    Attributes:
        config, data_set: what is trained on what.
        fingerprint: of the data set.
        folds: which rows each split holds out.
        label_errors: what training learns in place of a row's label, None to leave the row out.
    """

    config: Config
    data_set: DataSet
    fingerprint: str
    folds: Splits
    label_errors: dict[int, int | None] = field(default_factory=dict)

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

    @cached_property
    def codes(self) -> dict[Job, str]:
        """The hash of the code that trains each job; no part of its identity."""
        by_variant = {name: code_hash(each) for name, each in self.config.variants.items()}
        return {job: by_variant[job.variant] for job in self.identities}

    def marks_identity(self) -> dict[str, Any]:
        """Returns what marks change of the labels, as JSON values; nothing without marks."""
        mended = {str(row): label for row, label in self.label_errors.items()}
        return {"label_errors": mended} if mended else {}

    def _identity(self, job: Job) -> dict[str, Any]:
        variant = self.config.variants[job.variant]
        identity = job_identity(variant, job, self.fingerprint, self.folds.fingerprint())
        return identity | self.marks_identity()


def load_run(config: Config) -> Run:
    """Loads the data set that the configuration names, and its folds.

    Raises:
        UserError: when the data set is missing or broken, cannot be split as configured, or the
            marks do not fit it.
    """
    data_set = load_data_set(config.data)
    fingerprint = data_set.fingerprint()
    folds = load_folds(config, data_set, fingerprint)
    errors = read_label_errors(Path(config.marks), data_set.train) if config.marks else {}
    return Run(config, data_set, fingerprint, folds, errors)
