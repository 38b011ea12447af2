"""The methods of the registry side by side on the same members, and which one to take."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from competition import paths
from competition.config.registry import ENSEMBLE_METHODS, RECOMMENDED, Method
from competition.data.run import Run
from competition.ensemble.members import MemberPredictions, load_member_predictions
from competition.ensemble.methods import Fitted
from competition.errors import UserError
from competition.metrics import (
    McNemar,
    Score,
    bootstrap_intervals,
    expected_calibration_error,
    log_losses,
    mcnemar,
    score,
)
from competition.probabilities import Probabilities


def nested(
    method: Callable[[np.ndarray, np.ndarray], Fitted],
    members: np.ndarray,
    labels: np.ndarray,
    folds: np.ndarray,
) -> np.ndarray:
    """Combines every row with what the method fitted without the rows of its fold.

    The members' probabilities are out of fold already. Those of the other folds come from nets
    that have seen this fold's rows, as in all stacking; the few values that a method fits to them
    hardly carry that over, but they cannot be said to know nothing of it.

    Args:
        method: see `fitted.py`.
        members: float64 `[m, n, 10]`, out-of-fold probabilities.
        labels: uint8 `[n]`.
        folds: int `[n]`, the fold in which each row is held out; at least two of them.

    Returns:
        float64 `[n, 10]`.
    """
    combined = np.empty(members.shape[1:])
    for fold in np.unique(folds):
        held_out = folds == fold
        fitted = method(members[:, ~held_out], labels[~held_out])
        combined[held_out] = fitted.combine(members[:, held_out])
    return combined


# In nats: the same mean computed in two ways differs by less, in all rows and so significantly.
NEGLIGIBLE = 1e-9


class LossGap(NamedTuple):
    """How far a log-loss is above another one, in nats, with the 95 % interval of that."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class MethodResult:
    """One method on a panel.

    Attributes:
        method: its name and parameters.
        fitted: to all rows, for the test rows.
        out_of_fold: float64 `[n, 10]`, nested.
        score: of the out-of-fold probabilities.
        calibration_error: of the same, expected, from 0 to 1.
        vs_mean: against the plain mean.
        gap_to_best: its log-loss beside the lowest of all methods.
    """

    method: Method
    fitted: Fitted
    out_of_fold: np.ndarray
    score: Score
    calibration_error: float
    vs_mean: McNemar
    gap_to_best: LossGap


@dataclass(frozen=True)
class Comparison:
    """All methods on a panel.

    Attributes:
        methods: the simplest first.
        left_out: names of methods that cannot be judged on this panel.
        named: the method that the configuration names, or "recommended".
    """

    methods: list[MethodResult]
    left_out: list[str]
    named: str

    @property
    def mean(self) -> MethodResult:
        """The plain mean, which every method is measured by."""
        return self._of("mean")

    @property
    def chosen(self) -> MethodResult:
        """The method that makes the submission."""
        return self.recommended if self.named == RECOMMENDED else self._of(self.named)

    def _of(self, name: str) -> MethodResult:
        return next(each for each in self.methods if each.method.name == name)

    @cached_property
    def lowest(self) -> MethodResult:
        """The method of least log-loss, the simplest of them if they are level."""
        return min(self.methods, key=lambda each: each.score.log_loss)

    @cached_property
    def recommended(self) -> MethodResult:
        """The method that the figures recommend; see the function of this name."""
        return recommended(self.methods)

    def recommendation(self) -> str:
        """Returns in a sentence which method is recommended, and why."""
        best, lowest = self.recommended.method.name, self.lowest.method.name
        count = len(self.methods)
        if best == lowest:
            others = ", and those of all simpler ones are significantly above it"
            return (
                f"`{best}` is recommended: its log-loss is the lowest of {count} methods"
                f"{'' if self.recommended is self.methods[0] else others}."
            )
        above, low, high = self.recommended.gap_to_best
        return (
            f"`{best}` is recommended, the simplest of {count} methods whose log-loss is not "
            f"significantly above the lowest, that of `{lowest}` ({above:+.5f}, 95 % interval "
            f"{low:+.5f} to {high:+.5f}, paired bootstrap over rows)."
        )

    def choice_of(self, method: MethodResult) -> str:
        """Returns in a sentence how a method came to make a submission, and what that means."""
        name = method.method.name
        if self.named == name:
            return f"`{name}` makes the submission, as the configuration names it."
        if method is self.chosen:
            return (
                f"`{name}` makes the submission; it was chosen on the same rows among "
                f"{len(self.methods)} methods, so its figures are slightly optimistic."
            )
        return f"`{name}` is kept beside `{self.chosen.method.name}`, to compare."


def recommended(methods: list[MethodResult]) -> MethodResult:
    """Returns the simplest method whose log-loss is not significantly above the lowest.

    That is the first in the registry's order whose 95 % interval does not lie above 0.
    """
    return next(each for each in methods if each.gap_to_best.low < NEGLIGIBLE)


def compare(member_predictions: MemberPredictions, named: Method) -> Comparison:
    """Fits every method of the registry, and scores it nested.

    Args:
        panel: the members, side by side.
        named: the method that the configuration names, which is compared with its parameters; all
            others are with their defaults.

    Raises:
        UserError: when the method that is named fits something, but there is only one fold.
    """
    methods = [named if named.name == name else Method(name=name) for name in ENSEMBLE_METHODS]
    fitted = {
        each: each.function()(member_predictions.out_of_fold, member_predictions.labels)
        for each in methods
    }
    left_out = [
        each.name for each in methods if fitted[each].settings and not member_predictions.can_nest
    ]
    if named.name in left_out:
        raise UserError(
            f"'{named.name}' is fitted to some folds and judged on another, so ensemble.folds "
            "needs at least two; name another method or more folds"
        )
    judged = {
        each: _out_of_fold(member_predictions, each)
        for each in methods
        if each.name not in left_out
    }
    return Comparison(_compared(member_predictions, fitted, judged), left_out, named.name)


def _out_of_fold(member_predictions: MemberPredictions, method: Method) -> np.ndarray:
    """Combines the labelled rows, nested even where nothing is said to be fitted: it is safer."""
    function = method.function()
    if member_predictions.can_nest:
        return nested(
            function,
            member_predictions.out_of_fold,
            member_predictions.labels,
            member_predictions.folds,
        )
    return function(member_predictions.out_of_fold, member_predictions.labels).combine(
        member_predictions.out_of_fold
    )


def _compared(
    member_predictions: MemberPredictions,
    fitted: dict[Method, Fitted],
    judged: dict[Method, np.ndarray],
) -> list[MethodResult]:
    labels = member_predictions.labels
    mean_values = next(values for method, values in judged.items() if method.name == "mean")
    losses = np.array([log_losses(values, labels) for values in judged.values()])
    above = losses - losses[losses.mean(axis=1).argmin()]
    ends = bootstrap_intervals(above)
    return [
        MethodResult(
            method,
            fitted[method],
            values,
            score(values, labels),
            expected_calibration_error(values, labels),
            mcnemar(values, mean_values, labels),
            LossGap(float(rows.mean()), float(low), float(high)),
        )
        for (method, values), rows, (low, high) in zip(judged.items(), above, ends, strict=True)
    ]


@dataclass(frozen=True)
class EnsembleResult:
    """The members of an ensemble, and what they say together.

    Attributes:
        runs: whose members they are; `ensemble.method` and `ensemble.folds` are the first one's.
        panel: the members, side by side.
        comparison: every method on them, and the one that was chosen.
    """

    runs: list[Run]
    member_predictions: MemberPredictions
    comparison: Comparison

    @property
    def name(self) -> str:
        """The name of the run; of several, all names joined."""
        return paths.ensemble_name([run.config.name for run in self.runs])

    @property
    def chosen(self) -> MethodResult:
        """The method that makes the submission."""
        return self.comparison.chosen

    @cached_property
    def out_of_fold(self) -> Probabilities:
        """The labelled rows of the folds that count, by the chosen method, nested."""
        return Probabilities(
            self.member_predictions.ids, self.chosen.out_of_fold.astype(np.float32)
        )

    @cached_property
    def test(self) -> Probabilities:
        """Every test row, by the chosen method."""
        return self.test_by(self.chosen)

    def test_by(self, method: MethodResult) -> Probabilities:
        """Returns every test row by one of the compared methods."""
        values = method.fitted.combine(self.member_predictions.test)
        return Probabilities(self.member_predictions.test_ids, values.astype(np.float32))


def combine(runs: list[Run]) -> EnsembleResult:
    """Combines the members of one run, or of several, by every method of the registry.

    Raises:
        UserError: when the runs differ in data or folds; naming every job that is missing or
            stale; when the method that is named cannot be judged.
    """
    member_predictions = load_member_predictions(runs)
    return EnsembleResult(
        runs, member_predictions, compare(member_predictions, runs[0].config.ensemble.method)
    )
