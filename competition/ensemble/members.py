"""The members of an ensemble: one variant with one seed, all its nets put together."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from competition.config.schema import Folds
from competition.data.folds import split_names, split_number, trained_splits
from competition.data.run import Run
from competition.errors import UserError
from competition.metrics import marked
from competition.probabilities import Probabilities, mean_of
from competition.results import ALL_ROWS, Job, read_manifest, read_predictions, require_complete


def chosen_folds(runs: list[Run]) -> list[str]:
    """Returns the names of the folds that count, which are those of the first configuration."""
    first = runs[0].config
    if first.ensemble.folds is None:
        return trained_splits(first.folds)
    names = split_names(first.folds)
    return [names[number] for number in first.ensemble.folds]


def chosen_jobs(run: Run, folds: list[str]) -> dict[Job, dict[str, Any]]:
    """Returns the jobs that a configuration lets in, each with what identifies its result.

    A net that was trained on all rows comes with its variant, whatever its seed.
    """
    section = run.config.ensemble
    held_out = {
        job: identity
        for job, identity in run.identities.items()
        if job.split in folds
        and (section.variants is None or job.variant in section.variants)
        and (section.seeds is None or job.seed in section.seeds)
    }
    variants = {job.variant for job in held_out}
    of_all_rows = {
        job: identity
        for job, identity in run.identities.items()
        if job.split == ALL_ROWS and job.variant in variants
    }
    return held_out | of_all_rows


def require_agreement(runs: list[Run]) -> None:
    """Raises UserError naming every configuration whose data or folds are not the first one's."""
    folds = chosen_folds(runs)
    differences = {run.config.name: _difference(run, runs[0], folds) for run in runs[1:]}
    lines = [f"  {name}: {difference}\n" for name, difference in differences.items() if difference]
    if lines:
        raise UserError(
            f"these configurations cannot be blended with {runs[0].config.name}, as their "
            f"out-of-fold rows would not be out of fold for all members:\n{''.join(lines)}"
            "Train them on the same data with the same folds.count and folds.seed."
        )


def _difference(run: Run, first: Run, folds: list[str]) -> str:
    """Returns how the rows or folds of a run differ from those of another, or nothing."""
    own, other = (each.config.folds.model_copy(update={"only": None}) for each in (run, first))
    if run.fingerprint != first.fingerprint:
        return f"other data ('{run.config.data}', not '{first.config.data}')"
    if own != other:
        return f"folds of {_in_words(own)}, not of {_in_words(other)}"
    if run.folds.fingerprint() != first.folds.fingerprint():
        return "its file of folds holds another assignment"
    lacking = [fold for fold in folds if fold not in trained_splits(run.config.folds)]
    return f"it trains no {', '.join(lacking)}, as folds.only says" if lacking else ""


def _in_words(settings: Folds) -> str:
    share = f", share {settings.share:g}" if settings.scheme == "holdout" else ""
    return f"scheme {settings.scheme}, count {settings.count}{share}, seed {settings.seed}"


@dataclass(frozen=True)
class Member:
    """What one variant with one seed says of every row.

    Attributes:
        variant: its name; where several configurations are blended, `<config>/<variant>`.
        seed: of its folds' nets.
        manifests: of its nets' results, by job.
        by_split: the rows that each split holds out, predicted by its net, by the split's number.
        out_of_fold: the labelled rows of the folds that count, each predicted by the net that did
            not see it, or the mean of them where several hold-outs have it.
        test: every test row, the mean over the nets.
        is_selected: whether the held-out rows had a part in its trainings.
    """

    variant: str
    seed: int
    manifests: dict[Job, dict]
    by_split: dict[int, Probabilities]
    out_of_fold: Probabilities
    test: Probabilities
    is_selected: bool = False

    def __str__(self) -> str:
        return marked(f"{self.variant} seed{self.seed}", self.is_selected)

    @property
    def marked_variant(self) -> str:
        """The variant's name, with a mark if its figures out of fold are selected."""
        return marked(self.variant, self.is_selected)


@dataclass(frozen=True)
class MemberPredictions:
    """The members of an ensemble side by side, on the same rows.

    Attributes:
        members: in the configuration's order.
        labels: uint8 `[n]`, of the members' out-of-fold rows.
        folds: int8 `[n]`, in which each of these rows is held out, the first if there are several.
    """

    members: list[Member]
    labels: np.ndarray
    folds: np.ndarray

    @cached_property
    def out_of_fold(self) -> np.ndarray:
        """Probabilities of the labelled rows, float64 `[m, n, 10]`."""
        return np.stack([member.out_of_fold.values for member in self.members], dtype=float)

    @cached_property
    def test(self) -> np.ndarray:
        """Probabilities of the test rows, float64 `[m, k, 10]`."""
        return np.stack([member.test.values for member in self.members], dtype=float)

    @property
    def is_selected(self) -> bool:
        """Whether the held-out rows had a part in the training of any member."""
        return any(member.is_selected for member in self.members)

    @property
    def can_nest(self) -> bool:
        """Whether there are folds to fit to besides the one that is scored."""
        return len(np.unique(self.folds)) > 1

    @property
    def ids(self) -> np.ndarray:
        """int32 `[n]`, of the labelled rows."""
        return self.members[0].out_of_fold.ids

    @property
    def test_ids(self) -> np.ndarray:
        """int32 `[k]`."""
        return self.members[0].test.ids

    def manifests(self) -> dict[Job, dict]:
        """Returns the manifest of every net, each once."""
        return {job: found for member in self.members for job, found in member.manifests.items()}


def load_member_predictions(runs: list[Run]) -> MemberPredictions:
    """Reads the members of one run, or of several that are blended, in the configurations' order.

    Raises:
        UserError: when the runs do not agree; naming every job that is missing or stale; when a
            result holds other rows than its own.
    """
    require_agreement(runs)
    folds = chosen_folds(runs)
    chosen = {run.config.name: chosen_jobs(run, folds) for run in runs}
    require_complete({job: identity for jobs in chosen.values() for job, identity in jobs.items()})
    train, assigned = runs[0].data_set.train, runs[0].folds
    counts = np.any([assigned.held_out[fold] for fold in folds], axis=0)
    members = [
        _load_member(run, jobs, train.ids[counts], f"{run.config.name}/" if len(runs) > 1 else "")
        for run in runs
        for jobs in _by_member(list(chosen[run.config.name]))
    ]
    return MemberPredictions(members, train.labels[counts], assigned.numbers(folds)[counts])


def _by_member(jobs: list[Job]) -> list[list[Job]]:
    """Groups jobs by variant and seed; nets trained on all rows go to each seed of their variant.

    They have no probabilities out of fold, so they join the test rows with the weight that the
    folds of their variant earned.
    """
    members: dict[tuple[str, int], list[Job]] = {}
    for job in jobs:
        if job.split != ALL_ROWS:
            members.setdefault((job.variant, job.seed), []).append(job)
    of_all_rows = [job for job in jobs if job.split == ALL_ROWS]
    return [
        own + [job for job in of_all_rows if job.variant == variant]
        for (variant, _), own in members.items()
    ]


def _load_member(run: Run, jobs: list[Job], ids: np.ndarray, prefix: str) -> Member:
    """Reads a member; every net has one vote on the test rows."""
    data = run.data_set
    by_split = {
        split_number(job.split): _read(
            job, "out_of_fold", data.train.ids[run.folds.split(job.split)[1]]
        )
        for job in jobs
        if job.split != ALL_ROWS
    }
    tests = [_read(job, "test", data.test.ids).values for job in jobs]
    return Member(
        f"{prefix}{jobs[0].variant}",
        jobs[0].seed,
        {job: read_manifest(job) for job in jobs},
        by_split,
        mean_of(list(by_split.values())).aligned_to(ids),
        Probabilities(data.test.ids, np.mean(tests, axis=0)),
        run.config.variants[jobs[0].variant].is_selected,
    )


def _read(job: Job, name: str, ids: np.ndarray) -> Probabilities:
    """Reads probabilities of exactly these rows, whatever their order.

    Raises:
        UserError: when there are others: out of fold they would be of rows that were learned from.
    """
    found = read_predictions(job, name)
    if not np.array_equal(np.sort(found.ids), np.sort(ids)):
        raise UserError(
            f"{job.folder()} holds '{name}' probabilities of {len(found.ids):,} rows that are not "
            f"the {len(ids):,} of {job}; remove the folder, and `make train-folds` makes it again"
        )
    return found.aligned_to(ids)
