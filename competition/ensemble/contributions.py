"""What each variant contributes to the plain mean, and how alike the variants err."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from competition.ensemble.members import MemberPredictions
from competition.metrics import Score, score


@dataclass(frozen=True)
class Contribution:
    """One variant, with all its seeds, in the plain mean, for which nothing is fitted.

    Attributes:
        variant: its name, perhaps marked.
        alone: the mean of its own members.
        without: the mean of all other members; None if there are none.
        beside_best: the mean of its members and those of the best variant, the one of least
            log-loss alone; None for that one itself.
    """

    variant: str
    alone: Score
    without: Score | None
    beside_best: Score | None


@dataclass(frozen=True)
class Contributions:
    """How the variants of an ensemble work together.

    Attributes:
        variants: each one's contribution, in the configuration's order.
        together: the mean of all members.
        best: the variant with the least log-loss alone.
        error_overlap, disagreement: int `[v, v]`, of pairs of variants, see `count_pairs`.
    """

    variants: list[Contribution]
    together: Score
    best: Contribution
    error_overlap: np.ndarray
    disagreement: np.ndarray

    def frame(self) -> pd.DataFrame:
        """Returns errors and log-loss of each mean, a row per variant, unrounded."""
        columns: dict[str, Any] = {"variant": [part.variant for part in self.variants]}
        for name in ("alone", "without", "beside_best"):
            scores = [getattr(part, name) for part in self.variants]
            errors = [reached and reached.errors for reached in scores]
            columns[f"{name}_errors"] = pd.array(errors, "Int64")  # whole, beside empty cells too
            losses = [reached.log_loss if reached else np.nan for reached in scores]
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
    """Counts how alike some predictors err.

    Args:
        votes: the classes `[v, n]` that each of v predictors gives n rows.
        labels: the true ones `[n]`.

    Returns:
        int `[v, v]` each: how many rows both of a pair get wrong, on the diagonal how many each
        does; and for how many rows they predict different classes.
    """
    wrong = votes != labels
    both_wrong = [[np.count_nonzero(one & other) for other in wrong] for one in wrong]
    different = [[np.count_nonzero(one != other) for other in votes] for one in votes]
    return np.array(both_wrong), np.array(different)
