"""What each variant contributes to the plain mean, and how alike the variants err."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from competition.ensemble.members import MemberPredictions
from competition.metrics import Score, score


@dataclass(frozen=True)
class Contribution:
    """One variant with all its seeds, scored by plain means of members, as these fit nothing.

    Attributes:
        variant: its name, marked if its figures are selected.
        alone: the mean of its own members.
        without: the mean of all other members; None if there are none.
        beside_best: the mean of its members and the best variant's; None for the best one.
    """

    variant: str
    alone: Score
    without: Score | None
    beside_best: Score | None


@dataclass(frozen=True)
class Contributions:
    """How the variants of an ensemble work together.

    Attributes:
        variants: in the configuration's order.
        together: the mean of all members.
        best: the variant with the lowest log-loss alone.
        error_overlap, disagreement: int `[v, v]`, pairs of variants, see `count_pairs`.
    """

    variants: list[Contribution]
    together: Score
    best: Contribution
    error_overlap: np.ndarray
    disagreement: np.ndarray

    def frame(self) -> pd.DataFrame:
        """Returns errors and log-loss of each mean, one row per variant, unrounded."""
        columns: dict[str, Any] = {"variant": [part.variant for part in self.variants]}
        for name in ("alone", "without", "beside_best"):
            scores = [getattr(part, name) for part in self.variants]
            errors = [score and score.errors for score in scores]
            columns[f"{name}_errors"] = pd.array(errors, "Int64")  # whole, beside empty cells too
            losses = [score.log_loss if score else np.nan for score in scores]
            columns[f"{name}_log_loss"] = losses
        return pd.DataFrame(columns)


def contributions(members: MemberPredictions) -> Contributions:
    """Scores the variants out of fold: alone, left out, and added to the best one."""
    names = np.array([member.marked_variant for member in members.members])
    variants = list(dict.fromkeys(names.tolist()))

    def mean(chosen: np.ndarray) -> np.ndarray:
        return members.out_of_fold[chosen].mean(axis=0)

    def score_of(chosen: np.ndarray) -> Score:
        return score(mean(chosen), members.labels)

    alone = {each: score_of(names == each) for each in variants}
    best = min(variants, key=lambda each: alone[each].log_loss)
    parts = {
        each: Contribution(
            each,
            alone[each],
            score_of(names != each) if len(variants) > 1 else None,
            score_of(np.isin(names, [best, each])) if each != best else None,
        )
        for each in variants
    }
    votes = np.array([mean(names == each).argmax(axis=1) for each in variants])
    return Contributions(
        list(parts.values()),
        score_of(np.full(len(names), True)),
        parts[best],
        *count_pairs(votes, members.labels),
    )


def count_pairs(votes: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Counts, for each pair of predictors, the rows that both get wrong (on the diagonal, that one
    gets wrong), and the rows for which they predict different classes; int `[v, v]` each.

    Args:
        votes: the classes `[v, n]` that v predictors give n rows.
        labels: the true classes `[n]`.
    """
    wrong = votes != labels
    both_wrong = [[np.count_nonzero(one & other) for other in wrong] for one in wrong]
    different = [[np.count_nonzero(one != other) for other in votes] for one in votes]
    return np.array(both_wrong), np.array(different)
