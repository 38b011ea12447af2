"""The variants of a run as systems of their own: how good each is, and what it took."""

from dataclasses import dataclass, replace

import numpy as np

from competition.config import Ensemble
from competition.data.run import Run
from competition.ensemble.members import Member, Panel, load_panel
from competition.inspection.evaluation.per_class import class_figures, confusion_counts
from competition.results import ALL_ROWS, minutes_of
from competition.scores import Score, score
from competition.settings.about import claimed_percentage


@dataclass(frozen=True)
class System:
    """One variant with its first seed, or the plain mean of all its seeds.

    Attributes:
        name: of the variant, perhaps marked.
        title: what it is.
        claim: the accuracy that its authors report, in their words.
        nets: how many were trained for its score; those of all rows have no part in it.
        parameters: of each of them.
        minutes: of training, each job's divided by how many ran side by side.
        score: on the held-out rows.
        precision, recall, f1: means over the classes.
        is_selected: whether its callbacks looked at the held-out rows.
    """

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


def systems(run: Run) -> list[System]:
    """Returns each variant of a run with its first seed, and the mean of those with several.

    Raises:
        UserError: naming every job that is missing or stale.
    """
    all_of_it = run.config.model_copy(update={"ensemble": Ensemble()})
    panel = load_panel([replace(run, config=all_of_it)])
    found = []
    for variant, settings in run.config.variants.items():
        about = settings.about
        members = [member for member in panel.members if member.variant == variant]
        name = members[0].marked_variant
        found.append(_system(panel, members[:1], name, about.title, about.claim))
        if len(members) > 1:
            name = f"{name}, mean of {len(members)} seeds"
            found.append(_system(panel, members, name, about.mean_title, about.mean_claim))
    return found


def _system(panel: Panel, members: list[Member], name: str, title: str, claim: str) -> System:
    values = np.mean([member.out_of_fold.values for member in members], axis=0, dtype=float)
    confusion = confusion_counts(panel.labels, values.argmax(axis=1))
    precision, recall, f1 = class_figures(confusion).means()
    manifests = [
        manifest
        for member in members
        for job, manifest in member.manifests.items()
        if job.split != ALL_ROWS
    ]
    return System(
        name=name,
        title=title,
        claim=claim,
        nets=len(manifests),
        parameters=manifests[0]["parameters"],
        minutes=minutes_of(manifests),
        score=score(values, panel.labels),
        precision=precision,
        recall=recall,
        f1=f1,
        is_selected=members[0].is_selected,
    )
