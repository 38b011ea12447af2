"""Systems side by side: finished runs beside the first, classic systems beside their claims."""

from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from competition import paths
from competition.analysis.classes import class_figures
from competition.analysis.summary import mean
from competition.config.loading import Ensemble, load_config
from competition.config.schema import claimed_percentage
from competition.data.run import Run, load_run
from competition.ensemble.comparison import EnsembleResult
from competition.ensemble.members import Member, load_member_predictions
from competition.errors import UserError
from competition.metrics import LossGap, McNemar, Score, loss_gap, marked, mcnemar, score
from competition.results import ALL_ROWS, job_status, minutes_of


@dataclass(frozen=True)
class Compared:
    """One run beside the first one.

    Attributes:
        config: the name of its configuration.
        name: the same, marked if it is selected.
        minutes: training time, each job's divided by the number of jobs side by side.
        best_member: its name and score.
        rows: how many labelled rows both runs predict; 0 if their data differ.
        gap: how far its log-loss on these rows is above the first one's; None without such rows.
        errors: the rows of these that only this run, or only the first, predicts correctly.
    """

    config: str
    name: str
    minutes: float
    score: Score
    best_member: tuple[str, Score]
    rows: int = 0
    gap: LossGap | None = None
    errors: McNemar | None = None


def compare_runs(results: list[EnsembleResult]) -> list[Compared]:
    """Compares each ensemble, by its chosen method, with the first one, on the rows of both."""
    return [_compared(each, results[0]) for each in results]


def _compared(result: EnsembleResult, first: EnsembleResult) -> Compared:
    members, (best, alone) = result.member_predictions, result.best_member
    found = Compared(
        result.name,
        marked(result.name, members.is_selected),
        minutes_of(members.manifests().values()),
        result.chosen.score,
        (str(members.members[best]), alone),
    )
    ids = np.intersect1d(members.ids, first.member_predictions.ids)
    is_other_data = result.runs[0].fingerprint != first.runs[0].fingerprint
    if result is first or is_other_data or not len(ids):
        return found
    labels = first.runs[0].data_set.train.labels_of(ids)
    own, others = (each.out_of_fold.aligned_to(ids).values for each in (result, first))
    gap, errors = loss_gap(own, others, labels), mcnemar(own, others, labels)
    return replace(found, rows=len(ids), gap=gap, errors=errors)


def finished_runs() -> list[Run]:
    """Returns every run in `output/` without missing or stale jobs, that of the default first.

    Raises:
        UserError: when there is none.
    """
    resolved = Path().glob(str(paths.OutputPaths("*").resolved_config))
    found: dict[str, Run] = {}
    for file in [*sorted(resolved), *sorted(Path("configs").glob("*.yaml"))]:
        # Results of an older version, or of data that are not here, are no run to compare.
        with suppress(UserError):
            config = load_config(file)
            if config.name in found or not paths.OutputPaths(config.name).jobs.exists():
                continue
            run = load_run(config)
            if len(job_status(run.identities).done) == len(run.identities):
                found[config.name] = run
    if not found:
        raise UserError("no run is finished yet: `make train-folds`, then compare")
    return sorted(found.values(), key=lambda run: (run.config.name != "default", run.config.name))


@dataclass(frozen=True)
class Baseline:
    """One variant with its first seed, or the mean of all its seeds.

    Attributes:
        config: the name of its configuration.
        name: of the variant, marked if it is selected.
        claim: the accuracy that its authors report, in their words.
        nets: number of nets behind the score; nets trained on all rows do not count.
        parameters: per net.
        minutes: training time, each job's divided by the number of jobs side by side.
        score: on the held-out rows.
        precision, recall, f1: means over the classes.
        is_selected: whether its callbacks used the held-out rows.
    """

    config: str
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
    """Returns each variant with its first seed, and with the mean of its seeds if it has several.

    Raises:
        UserError: naming every missing or stale job.
    """
    every_variant = run.config.model_copy(update={"ensemble": Ensemble()})
    member_predictions = load_member_predictions([replace(run, config=every_variant)])
    labels, found = member_predictions.labels, []
    for variant, settings in run.config.variants.items():
        about = settings.about
        members = [member for member in member_predictions.members if member.variant == variant]
        name = members[0].marked_variant
        of = run.config.name
        found.append(_baseline(of, name, about.title, about.claim, members[:1], labels))
        if len(members) > 1:
            name = f"{name}, mean of {len(members)} seeds"
            found.append(_baseline(of, name, about.mean_title, about.mean_claim, members, labels))
    return found


def _baseline(
    config: str, name: str, title: str, claim: str, members: list[Member], labels: np.ndarray
) -> Baseline:
    values = mean([member.out_of_fold for member in members])
    precision, recall, f1 = class_figures(labels, values.argmax(axis=1)).means()
    manifests = [
        manifest
        for member in members
        for job, manifest in member.manifests.items()
        if job.split != ALL_ROWS
    ]
    return Baseline(
        config=config,
        name=name,
        title=title,
        claim=claim,
        nets=len(manifests),
        parameters=manifests[0]["parameters"],
        minutes=minutes_of(manifests),
        score=score(values, labels),
        precision=precision,
        recall=recall,
        f1=f1,
        is_selected=members[0].is_selected,
    )
