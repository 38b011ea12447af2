"""A configuration with its data set and splits, which every stage after the download uses."""

from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np

from competition.config.loading import Config
from competition.config.schema import code_hash
from competition.data.folds import Splits, load_folds, trained_splits
from competition.data.label_marks import read_label_errors
from competition.data.loading import load_data_set
from competition.digits import SIDE, DataSet, Digits
from competition.errors import UserError
from competition.paths import DataPaths
from competition.results import ALL_ROWS, Job, job_identity

# In place of digits that a job gets where it runs.
NO_DIGITS = Digits(np.empty(0, np.int32), np.empty((0, SIDE, SIDE), np.uint8))


@dataclass(frozen=True)
class Run:
    """One configuration on its data, with the splits that belong to both.

    Attributes:
        fingerprint: of the data set.
        label_errors: corrected labels for training by the row's id; None leaves the row out.
    """

    config: Config
    data_set: DataSet
    fingerprint: str
    folds: Splits
    label_errors: dict[int, int | None] = field(default_factory=dict)

    @cached_property
    def identities(self) -> dict[Job, dict[str, Any]]:
        """Every job of the configuration with the identity of its result, in training order.

        The order goes fold by fold, so that an interrupted run has comparable variants; jobs on
        all rows come last.
        """
        folds, marks = self.folds.fingerprint(), self.marks_identity()
        return {
            (job := Job(self.config.name, name, seed, split)): (
                job_identity(variant, job, self.fingerprint, folds) | marks
            )
            for split in [*trained_splits(self.config.folds), ALL_ROWS]
            for name, variant in self.config.variants.items()
            for seed in (variant.all_rows_seeds if split == ALL_ROWS else variant.seeds)
        }

    @cached_property
    def codes(self) -> dict[str, str]:
        """The hash of each variant's net and augmentation code; not part of its identity."""
        return {name: code_hash(variant) for name, variant in self.config.variants.items()}

    def marks_identity(self) -> dict[str, Any]:
        """Returns the label changes from marks, as JSON values; empty without marks."""
        corrected = {str(row): label for row, label in self.label_errors.items()}
        return {"label_errors": corrected} if corrected else {}

    def __getstate__(self) -> dict[str, Any]:
        """Leaves out the digits, which a worker process reads by the data set's name."""
        named = DataSet(self.data_set.name, NO_DIGITS, NO_DIGITS)
        return {each.name: getattr(self, each.name) for each in fields(self)} | {"data_set": named}

    def with_data(self) -> Self:
        """Returns the run with its data set, which is read here unless it is there.

        Raises:
            UserError: when it cannot be read, or is not the one that the run was made of.
        """
        if len(self.data_set.train):
            return self
        data_set = load_data_set(self.data_set.name)
        if data_set.fingerprint() != self.fingerprint:
            folder = DataPaths(data_set.name).folder
            raise UserError(f"{folder} was changed during the training; run the command again")
        return replace(self, data_set=data_set)


def load_run(config: Config) -> Run:
    """Loads the configuration's data set, splits and marks.

    Raises:
        UserError: when one of them is missing, broken, or does not fit the others.
    """
    data_set = load_data_set(config.data)
    fingerprint = data_set.fingerprint()
    folds = load_folds(config, data_set, fingerprint)
    errors = read_label_errors(Path(config.marks), data_set.train) if config.marks else {}
    return Run(config, data_set, fingerprint, folds, errors)
