"""What each variant contributes to the plain mean, and how alike the variants err."""

from dataclasses import dataclass

import numpy as np

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
    """How the variants of a panel work together.

    Attributes:
        variants: each one's contribution, in the configuration's order.
        together: the mean of all members.
        best: the variant with the least log-loss alone.
        error_overlap: int `[v, v]`, how many rows two variants both get wrong; on the diagonal, how
            many each does.
        disagreement: int `[v, v]`, for how many rows two variants predict different classes.
    """

    variants: list[Contribution]
    together: Score
    best: Contribution
    error_overlap: np.ndarray
    disagreement: np.ndarray


def contributions(member_predictions: MemberPredictions) -> Contributions:
    """Scores the panel's variants out of fold: alone, left out, and added to the best one."""
    names = np.array([member.marked_variant for member in member_predictions.members])
    variants = list(dict.fromkeys(names.tolist()))
    alone = {each: _score_of(member_predictions, names == each) for each in variants}
    best = min(variants, key=lambda each: alone[each].log_loss)
    parts = {
        each: Contribution(
            each,
            alone[each],
            _score_of(member_predictions, names != each) if len(variants) > 1 else None,
            _score_of(member_predictions, np.isin(names, [best, each])) if each != best else None,
        )
        for each in variants
    }
    predictions = np.array(
        [_mean(member_predictions, names == each).argmax(axis=1) for each in variants]
    )
    return Contributions(
        list(parts.values()),
        _score_of(member_predictions, np.full(len(names), True)),
        parts[best],
        count_pairs(predictions != member_predictions.labels, np.logical_and),
        count_pairs(predictions, np.not_equal),
    )


def _mean(member_predictions: MemberPredictions, chosen: np.ndarray) -> np.ndarray:
    return member_predictions.out_of_fold[chosen].mean(axis=0)


def _score_of(member_predictions: MemberPredictions, chosen: np.ndarray) -> Score:
    return score(_mean(member_predictions, chosen), member_predictions.labels)


def count_pairs(rows: np.ndarray, relation: np.ufunc) -> np.ndarray:
    """Returns, int `[v, v]`, for each pair of `[v, n]` in how many columns the relation holds."""
    return np.array([[np.count_nonzero(relation(one, other)) for other in rows] for one in rows])
