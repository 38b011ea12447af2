"""A configuration with its data set and folds: what every stage after the download uses."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from competition.config import Config
from competition.data.folds import FoldAssignment, load_folds, split_names
from competition.data.sources import load_data_set
from competition.digits import DataSet
from competition.results import ALL_ROWS, Job, job_identity


@dataclass(frozen=True)
class Run:
    """One configuration on its data, with the folds that belong to both."""

    config: Config
    data_set: DataSet
    fingerprint: str
    folds: FoldAssignment

    @cached_property
    def identities(self) -> dict[Job, dict[str, Any]]:
        """Every job of the configuration with what identifies its result, in training order.

        The order goes fold by fold, so that an interrupted run has comparable variants; what is
        trained on all rows comes last.
        """
        jobs = (
            Job(self.config.name, name, seed, split)
            for split in [*split_names(self.config.folds), ALL_ROWS]
            for name, variant in self.config.variants.items()
            for seed in (variant.all_rows_seeds if split == ALL_ROWS else variant.seeds)
        )
        return {job: self._identity(job) for job in jobs}

    def _identity(self, job: Job) -> dict[str, Any]:
        variant = self.config.variants[job.variant]
        return job_identity(variant, job, self.fingerprint, self.folds.fingerprint())


def load_run(config: Config) -> Run:
    """Loads the data set that the configuration names, and its folds.

    Raises:
        UserError: when the data set is missing or broken, or cannot be split as configured.
    """
    data_set = load_data_set(config.data)
    fingerprint = data_set.fingerprint()
    return Run(config, data_set, fingerprint, load_folds(config, data_set, fingerprint))
