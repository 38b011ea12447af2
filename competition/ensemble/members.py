"""The members of an ensemble: one variant with one seed, all its folds put together."""

from dataclasses import dataclass

import numpy as np

from competition.data.run import Run
from competition.probabilities import Probabilities, concatenate
from competition.results import Job, read_manifest, read_predictions, require_complete


@dataclass(frozen=True)
class Member:
    """What one variant with one seed says of every row.

    Attributes:
        variant, seed: which one.
        manifests: of its folds' results.
        out_of_fold: every training row, each predicted by the fold that did not see it.
        test: every test row, the mean over the folds.
    """

    variant: str
    seed: int
    manifests: list[dict]
    out_of_fold: Probabilities
    test: Probabilities

    def __str__(self) -> str:
        return f"{self.variant} seed{self.seed}"


def load_members(run: Run) -> list[Member]:
    """Reads every member of a run, in the configuration's order.

    Raises:
        UserError: naming every job that is missing or stale.
    """
    require_complete(run.identities)
    jobs: dict[tuple[str, int], list[Job]] = {}
    for job in run.identities:
        jobs.setdefault((job.variant, job.seed), []).append(job)
    return [_load_member(run, of_member) for of_member in jobs.values()]


def _load_member(run: Run, jobs: list[Job]) -> Member:
    out_of_fold = concatenate([read_predictions(job, "out_of_fold") for job in jobs])
    test_ids = run.data_set.test.ids
    tests = [read_predictions(job, "test").aligned_to(test_ids).values for job in jobs]
    return Member(
        jobs[0].variant,
        jobs[0].seed,
        [read_manifest(job) for job in jobs],
        out_of_fold.aligned_to(run.data_set.train.ids),
        Probabilities(test_ids, np.mean(tests, axis=0)),
    )
