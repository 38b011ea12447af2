"""How the scores of probabilities spread over the folds."""

from dataclasses import dataclass

import numpy as np

from competition.ensemble.members import Panel
from competition.inspection.evaluation.subject import Subject
from competition.scores import Score, score


@dataclass(frozen=True)
class FoldScores:
    """The scores of one set of out-of-fold probabilities.

    Attributes:
        name: of a member, a variant or the ensemble.
        whole: on all rows together.
        by_fold: on the rows of each fold, by its number.
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
    members = {str(each): each.out_of_fold.values for each in subject.panel.members}
    named = members | _of_several_seeds(subject.panel)
    if subject.variant is None:
        named[subject.title] = subject.cases.ensemble
    return [_fold_scores(name, values, subject.panel) for name, values in named.items()]


def _of_several_seeds(panel: Panel) -> dict[str, np.ndarray]:
    names = [member.marked_variant for member in panel.members]
    return {
        f"{each}, all seeds": panel.out_of_fold[np.array(names) == each].mean(axis=0)
        for each in dict.fromkeys(names)
        if names.count(each) > 1
    }


def _fold_scores(name: str, values: np.ndarray, panel: Panel) -> FoldScores:
    labels, folds = panel.labels, panel.folds
    by_fold = {
        int(fold): score(values[folds == fold], labels[folds == fold]) for fold in np.unique(folds)
    }
    return FoldScores(name, score(values, labels), by_fold)
