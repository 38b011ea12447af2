"""The members of an ensemble: each is one variant with one seed, the nets of its folds together."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from competition.config.schema import Folds
from competition.console import count_of
from competition.data.folds import split_names, split_number, trained_splits
from competition.data.run import Run
from competition.errors import UserError
from competition.metrics import marked
from competition.probabilities import Probabilities, mean_of
from competition.results import ALL_ROWS, Job, read_manifest, read_predictions, require_complete


@dataclass(frozen=True)
class Member:
    """The predictions of one variant with one seed.

    Attributes:
        variant: its name; where several configurations are blended, `<config>/<variant>`.
        manifests: one per net.
        by_split: by the split's number, its net's predictions of the rows that it holds out.
        out_of_fold: the labelled rows of the folds in use, each predicted by the net that did not
            see it, or by the mean of such nets where several hold-outs have the row.
        test: every test row, the mean over the nets.
        is_net: whether Keras nets predicted, and not another learner.
        is_selected: whether callbacks of its trainings looked at the held-out rows.
    """

    variant: str
    seed: int
    manifests: dict[Job, dict]
    by_split: dict[int, Probabilities]
    out_of_fold: Probabilities
    test: Probabilities
    is_net: bool = True
    is_selected: bool = False

    def __str__(self) -> str:
        return marked(f"{self.variant} seed{self.seed}", self.is_selected)

    @property
    def marked_variant(self) -> str:
        """The variant's name, with a mark if its out-of-fold figures are selected."""
        return marked(self.variant, self.is_selected)


@dataclass(frozen=True)
class MemberPredictions:
    """The members of an ensemble, on the same rows.

    Attributes:
        members: in the configuration's order.
        labels: uint8 `[n]`, of the out-of-fold rows.
        folds: int8 `[n]`, the (first) fold that holds each of these rows out.
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
    def ids(self) -> np.ndarray:
        """Ids of the labelled rows, int32 `[n]`."""
        return self.members[0].out_of_fold.ids

    @property
    def test_ids(self) -> np.ndarray:
        """Ids of the test rows, int32 `[k]`."""
        return self.members[0].test.ids

    @property
    def is_net(self) -> np.ndarray:
        """Which members are nets, bool `[m]`."""
        return np.array([member.is_net for member in self.members])

    @property
    def is_selected(self) -> bool:
        return any(member.is_selected for member in self.members)

    @property
    def can_nest(self) -> bool:
        """Whether a method can be fitted to other folds than the one that is scored."""
        return len(np.unique(self.folds)) > 1

    def trained_in_words(self) -> str:
        """Returns how many take part, such as `10 nets and 5 other learners`."""
        nets = len({job for each in self.members if each.is_net for job in each.manifests})
        counts = {"net": nets, "other learner": len(self.manifests()) - nets}
        return " and ".join(count_of(count, noun) for noun, count in counts.items() if count)

    def manifests(self) -> dict[Job, dict]:
        """Returns the manifest of every net, each once."""
        return {job: found for member in self.members for job, found in member.manifests.items()}


def load_member_predictions(runs: list[Run]) -> MemberPredictions:
    """Reads the members of one run, or of several to blend, in the order of the configurations.

    The first configuration chooses the folds, each one its own variants and seeds.

    Raises:
        UserError: when the runs differ in data or folds, jobs are missing or stale, or a result
            holds other rows than its split.
    """
    first, config = runs[0], runs[0].config
    folds = trained_splits(config.folds)
    if config.ensemble.folds is not None:
        names = split_names(config.folds)
        folds = [names[number] for number in config.ensemble.folds]
    _require_same_splits(runs, folds)

    members = [(run, jobs) for run in runs for jobs in _jobs_by_member(run, folds)]
    identities = {job: run.identities[job] for run, jobs in members for job in jobs}
    codes = {job: run.codes[job.variant] for run, jobs in members for job in jobs}
    status = require_complete(identities, codes)
    if status.other_code:
        print(status.other_code_in_words())
    train = first.data_set.train
    in_use = np.any([first.folds.held_out[fold] for fold in folds], axis=0)
    return MemberPredictions(
        [_load_member(run, jobs, train.ids[in_use], len(runs) > 1) for run, jobs in members],
        train.labels[in_use],
        first.folds.numbers(folds)[in_use],
    )


def _require_same_splits(runs: list[Run], folds: list[str]) -> None:
    """Raises UserError if data or folds of any run differ from the first one's."""
    differences = {run.config.name: _difference(run, runs[0], folds) for run in runs[1:]}
    lines = [f"  {name}: {difference}\n" for name, difference in differences.items() if difference]
    if lines:
        raise UserError(
            f"these configurations cannot be blended with {runs[0].config.name}, as no honest "
            f"out-of-fold score could be given:\n{''.join(lines)}"
            "Train them on the same data with the same folds.count and folds.seed."
        )


def _difference(run: Run, first: Run, folds: list[str]) -> str:
    """Returns how the data or folds of a run differ from those of the first, or nothing."""

    def in_words(settings: Folds) -> str:
        share = f", share {settings.share:g}" if settings.scheme == "holdout" else ""
        return f"scheme {settings.scheme}, count {settings.count}{share}, seed {settings.seed}"

    own, other = (each.config.folds.model_copy(update={"only": None}) for each in (run, first))
    if run.fingerprint != first.fingerprint:
        return f"other data ('{run.config.data}', not '{first.config.data}')"
    if own != other:
        return f"folds of {in_words(own)}, not of {in_words(other)}"
    if run.folds.fingerprint() != first.folds.fingerprint():
        return "its file of folds holds another assignment"
    lacking = [fold for fold in folds if fold not in trained_splits(run.config.folds)]
    return f"folds.only leaves out {', '.join(lacking)}" if lacking else ""


def _jobs_by_member(run: Run, folds: list[str]) -> list[list[Job]]:
    """Returns the jobs of each member that the configuration takes.

    A net trained on all rows joins every seed of its variant. It has no out-of-fold probabilities,
    so it predicts test rows only, with the weight fitted to its variant's folds.
    """
    section = run.config.ensemble
    members: dict[tuple[str, int], list[Job]] = {}
    for job in run.identities:
        if (
            job.split in folds
            and (section.variants is None or job.variant in section.variants)
            and (section.seeds is None or job.seed in section.seeds)
        ):
            members.setdefault((job.variant, job.seed), []).append(job)
    all_rows = [job for job in run.identities if job.split == ALL_ROWS]
    return [
        [*jobs, *(job for job in all_rows if job.variant == variant)]
        for (variant, _), jobs in members.items()
    ]


def _load_member(run: Run, jobs: list[Job], ids: np.ndarray, are_blended: bool) -> Member:
    """Reads a member; on the test rows, all nets that predict these have the same weight."""
    data, variant = run.data_set, jobs[0].variant
    by_split = {
        split_number(job.split): _read_rows(
            job, "out_of_fold", data.train.ids[run.folds.split(job.split)[1]]
        )
        for job in jobs
        if job.split != ALL_ROWS
    }
    wanted = run.config.ensemble.test
    tests = [
        _read_rows(job, "test", data.test.ids).values
        for job in jobs
        if wanted == "both" or (wanted == "all_rows") == (job.split == ALL_ROWS)
    ]
    return Member(
        f"{run.config.name}/{variant}" if are_blended else variant,
        jobs[0].seed,
        {job: read_manifest(job) for job in jobs},
        by_split,
        mean_of(list(by_split.values())).aligned_to(ids),
        Probabilities(data.test.ids, np.mean(tests, axis=0)),
        run.config.variants[variant].is_net,
        run.config.variants[variant].is_selected,
    )


def _read_rows(job: Job, name: str, ids: np.ndarray) -> Probabilities:
    """Reads probabilities of exactly these rows, in this order."""
    found = read_predictions(job, name)
    # Out of fold, other rows would be rows that the net was trained on.
    if not np.array_equal(np.sort(found.ids), np.sort(ids)):
        raise UserError(
            f"{job.folder()} holds '{name}' probabilities of {len(found.ids):,} rows that are not "
            f"the {len(ids):,} of {job}; remove the folder, then `make train-folds` trains it again"
        )
    return found.aligned_to(ids)
