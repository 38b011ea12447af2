"""How the scores of probabilities spread over the folds."""

from dataclasses import dataclass

import numpy as np

from competition.digits import positions
from competition.ensemble.members import Member, Panel
from competition.inspection.evaluation.subject import Subject
from competition.probabilities import Probabilities
from competition.scores import Score, score


@dataclass(frozen=True)
class FoldScores:
    """The scores of one set of out-of-fold probabilities.

    Attributes:
        name: of a member, a variant or the ensemble.
        whole: on all rows together.
        by_fold: on the rows of each fold or hold-out, by its number; none of an ensemble where
            hold-outs overlap, as it predicts a row by the nets of all that have it.
    """

    name: str
    whole: Score
    by_fold: dict[int, Score]

    def accuracy(self) -> tuple[float, float]:
        """Returns the mean of the folds' accuracies, and their standard deviation."""
        return mean_and_deviation([each.accuracy for each in self.by_fold.values()])

    def log_loss(self) -> tuple[float, float]:
        """Returns the mean of the folds' log-losses, and their standard deviation."""
        return mean_and_deviation([each.log_loss for each in self.by_fold.values()])


def mean_and_deviation(values: list[float]) -> tuple[float, float]:
    """Returns the mean and the sample standard deviation (n - 1), NaN of a single value."""
    deviation = np.std(values, ddof=1) if len(values) > 1 else np.nan
    return float(np.mean(values)), float(deviation)


def fold_scores(subject: Subject) -> list[FoldScores]:
    """Scores each member, each variant that has several seeds, and last what the report is of."""
    panel = subject.panel
    named = {str(each): [each] for each in panel.members} | _of_several_seeds(panel.members)
    found = [_of_members(name, members, panel) for name, members in named.items()]
    return found + ([_of_ensemble(subject)] if subject.variant is None else [])


def _of_several_seeds(members: list[Member]) -> dict[str, list[Member]]:
    variants: dict[str, list[Member]] = {}
    for member in members:
        variants.setdefault(f"{member.marked_variant}, all seeds", []).append(member)
    return {name: own for name, own in variants.items() if len(own) > 1}


def _of_members(name: str, members: list[Member], panel: Panel) -> FoldScores:
    """Scores the mean of some members, in each fold that of its own nets on all of its rows."""
    whole = score(_mean([member.out_of_fold for member in members]), panel.labels)
    by_fold = {}
    for number, held_out in sorted(members[0].by_split.items()):
        values = _mean([member.by_split[number] for member in members])
        by_fold[number] = score(values, panel.labels[positions(panel.ids, held_out.ids)])
    return FoldScores(name, whole, by_fold)


def _mean(parts: list[Probabilities]) -> np.ndarray:
    return np.mean([part.values for part in parts], axis=0, dtype=float)


def overlap(panel: Panel) -> bool:
    """Says whether rows were held out more than once, and so predicted by the mean of nets."""
    return sum(len(part.ids) for part in panel.members[0].by_split.values()) > len(panel.ids)


def _of_ensemble(subject: Subject) -> FoldScores:
    """Scores the ensemble, by fold where no row is held out twice, and so belongs to one alone."""
    panel, values = subject.panel, subject.cases.ensemble
    numbers = [] if overlap(panel) else np.unique(panel.folds).tolist()
    by_fold = {
        each: score(values[panel.folds == each], panel.labels[panel.folds == each])
        for each in numbers
    }
    return FoldScores(subject.title, score(values, panel.labels), by_fold)
