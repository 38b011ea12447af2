"""All ensemble methods compared on the same members, and which one to choose."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import pandas as pd

from competition import paths
from competition.config.registry import ENSEMBLE_METHODS, RECOMMENDED, Method
from competition.data.run import Run
from competition.ensemble.members import MemberPredictions, load_member_predictions
from competition.ensemble.methods import Fitted
from competition.errors import UserError
from competition.metrics import (
    LossGap,
    McNemar,
    Score,
    bootstrap_intervals,
    expected_calibration_error,
    log_losses,
    mcnemar,
    score,
)
from competition.probabilities import Probabilities

# In nats. Rounding makes equal methods differ by less, but in every row alike, hence significantly.
NEGLIGIBLE = 1e-9
# The usual bound of a p-value, below which a difference counts as more than chance.
SIGNIFICANT = 0.05


@dataclass(frozen=True)
class MethodResult:
    """One method on the members.

    Attributes:
        fitted: fitted to all labelled rows, to predict the test rows.
        out_of_fold: float64 `[n, 10]`, nested: each row by a method fitted to the other folds.
        score, calibration_error: of the out-of-fold probabilities.
        vs_mean: compared with the plain mean.
        gap_to_best: compared with the lowest log-loss of all methods.
    """

    method: Method
    fitted: Fitted
    out_of_fold: np.ndarray
    score: Score
    calibration_error: float
    vs_mean: McNemar
    gap_to_best: LossGap


def recommended(methods: list[MethodResult]) -> MethodResult:
    """The simplest method whose log-loss is not significantly above the lowest: the first in the
    registry's order whose gap has a 95% interval that does not lie above 0.
    """
    return next(each for each in methods if each.gap_to_best.low < NEGLIGIBLE)


@dataclass(frozen=True)
class Comparison:
    """All methods on the same members.

    Attributes:
        methods: the simplest first.
        left_out: names of methods that cannot be scored on these members.
        named: the method that the configuration names, or "recommended".
    """

    methods: list[MethodResult]
    left_out: list[str]
    named: str

    def _by_name(self, name: str) -> MethodResult:
        return next(each for each in self.methods if each.method.name == name)

    @property
    def mean(self) -> MethodResult:
        """The plain mean, the baseline of every method."""
        return self._by_name("mean")

    @cached_property
    def best(self) -> MethodResult:
        """The method with the lowest log-loss, the simplest one if several are equal."""
        return min(self.methods, key=lambda each: each.score.log_loss)

    @cached_property
    def recommended(self) -> MethodResult:
        """The method that the function `recommended` picks."""
        return recommended(self.methods)

    @property
    def chosen(self) -> MethodResult:
        """The method that makes the submission."""
        return self.recommended if self.named == RECOMMENDED else self._by_name(self.named)

    def explain_choice(self, method: MethodResult) -> str:
        """Returns one sentence on why a method makes a submission."""
        name, chosen = method.method.name, self.chosen.method.name
        if name != chosen:
            return f"`{name}` is kept beside `{chosen}`, to compare."
        if len(self.methods) == 1:
            return f"`{name}` makes the submission; other methods need several members."
        gap, rank = method.gap_to_best, f"the lowest of {len(self.methods)} methods"
        if method is not self.best:
            within = f"{gap.mean:.5f} ({gap.low:.5f} … {gap.high:.5f}) above"
            if gap.low < NEGLIGIBLE:
                within = "within chance of"
            rank = f"{within} {rank}, that of `{self.best.method.name}`"
        if self.named != RECOMMENDED:
            return (
                f"`{name}` makes the submission, as the configuration names it; its log-loss is "
                f"{rank}."
            )
        return (
            f"`{name}` makes the submission, as the simplest method whose log-loss is {rank}; it "
            "was chosen on the rows that it is scored on, so its figures are slightly optimistic."
        )

    def frame(self) -> pd.DataFrame:
        """Returns the figures, one row per method, unrounded."""
        rows = []
        for each in self.methods:
            low, high = each.score.interval()
            rows.append(
                {
                    "method": each.method.name,
                    "rows": each.score.rows,
                    "errors": each.score.errors,
                    "accuracy": each.score.accuracy,
                    "log_loss": each.score.log_loss,
                    "calibration_error": each.calibration_error,
                    "accuracy_low": low,
                    "accuracy_high": high,
                    "log_loss_above_lowest": each.gap_to_best.mean,
                    "log_loss_above_lowest_low": each.gap_to_best.low,
                    "log_loss_above_lowest_high": each.gap_to_best.high,
                    "gained_on_mean": each.vs_mean.gained,
                    "lost_to_mean": each.vs_mean.lost,
                    "mcnemar_p": each.vs_mean.p_value,
                }
            )
        return pd.DataFrame(rows)


@dataclass(frozen=True)
class EnsembleResult:
    """The members of an ensemble, and what they predict together.

    `ensemble.method` and `ensemble.folds` are those of the first run.
    """

    runs: list[Run]
    member_predictions: MemberPredictions
    comparison: Comparison

    @property
    def name(self) -> str:
        """The run's name; for several runs, their names joined."""
        return paths.ensemble_name([run.config.name for run in self.runs])

    @property
    def chosen(self) -> MethodResult:
        """The method that makes the submission."""
        return self.comparison.chosen

    @cached_property
    def out_of_fold(self) -> Probabilities:
        """The chosen method's nested predictions of the labelled rows."""
        values = self.chosen.out_of_fold.astype(np.float32)
        return Probabilities(self.member_predictions.ids, values)

    @cached_property
    def test(self) -> Probabilities:
        """The chosen method's predictions of the test rows."""
        return self.test_by(self.chosen)

    @cached_property
    def best_member(self) -> tuple[int, Score]:
        """The place and the score of the member with the fewest errors."""
        members = self.member_predictions
        scores = [score(values, members.labels) for values in members.out_of_fold]
        return min(enumerate(scores), key=lambda each: (each[1].errors, each[1].log_loss))

    def beside_best_member(self) -> str:
        """Returns a sentence on the ensemble beside its member with the fewest errors."""
        members, (best, alone) = self.member_predictions, self.best_member
        test = mcnemar(self.chosen.out_of_fold, members.out_of_fold[best], members.labels)
        chance = "within chance" if test.p_value >= SIGNIFICANT else "more than chance"
        return (
            f"its best member alone ({members.members[best]}) makes {alone.errors}: the "
            f"difference is {chance} (McNemar's test, p = {test.p_value:.2g})"
        )

    def test_by(self, method: MethodResult) -> Probabilities:
        """Returns a compared method's predictions of the test rows."""
        values = method.fitted.combine(self.member_predictions.test)
        return Probabilities(self.member_predictions.test_ids, values.astype(np.float32))


def combine(runs: list[Run], all_methods: bool = False) -> EnsembleResult:
    """Combines the members of one or several runs by the method that the configuration names.

    Args:
        all_methods: for comparison, by every method of the registry.

    Raises:
        UserError: when the runs differ in data or folds, jobs are missing or stale, or the method
            that the configuration names cannot be scored.
    """
    members, named = load_member_predictions(runs), runs[0].config.ensemble.method
    return EnsembleResult(runs, members, compare(members, named, all_methods))


def compare(members: MemberPredictions, named: Method, all_methods: bool = False) -> Comparison:
    """Fits methods, and scores them nested: the mean and the one `named` in the configuration; of
    several members, every one of the registry for `all_methods`, or to recommend one.

    The named one has its parameters from there, all others have the defaults.
    """
    needed = all_methods or named.name == RECOMMENDED
    wanted = ENSEMBLE_METHODS if needed and len(members.members) > 1 else ("mean", named.name)
    methods = [
        named if named.name == name else Method(name=name)
        for name in ENSEMBLE_METHODS
        if name in wanted
    ]
    labels = members.labels
    fitted: dict[Method, Fitted] = {}
    combined: dict[Method, np.ndarray] = {}
    for method in methods:
        function = partial(method.function(), is_net=members.is_net)
        fitted[method] = function(members.out_of_fold, labels)
        if members.can_nest:  # safer, even for methods that say they fit nothing
            combined[method] = nested(function, members.out_of_fold, labels, members.folds)
        elif not fitted[method].settings:
            combined[method] = fitted[method].combine(members.out_of_fold)
    left_out = [method.name for method in methods if method not in combined]
    if named.name in left_out:
        raise UserError(
            f"'{named.name}' is fitted to some folds and scored on another, so ensemble.folds "
            "needs at least two; name another method or more folds"
        )

    mean_values = next(values for method, values in combined.items() if method.name == "mean")
    losses = np.array([log_losses(values, labels) for values in combined.values()])
    gaps = losses - losses[losses.mean(axis=1).argmin()]
    results = [
        MethodResult(
            method,
            fitted[method],
            values,
            score(values, labels),
            expected_calibration_error(values, labels),
            mcnemar(values, mean_values, labels),
            LossGap(float(gap.mean()), float(low), float(high)),
        )
        for (method, values), gap, (low, high) in zip(
            combined.items(), gaps, bootstrap_intervals(gaps), strict=True
        )
    ]
    return Comparison(results, left_out, named.name)


def nested(
    method: Callable[[np.ndarray, np.ndarray], Fitted],
    members: np.ndarray,
    labels: np.ndarray,
    folds: np.ndarray,
) -> np.ndarray:
    """Predicts each fold's rows by the method fitted to the other folds, float64 `[n, 10]`.

    As in all stacking, a small leak stays: the other folds' probabilities, to which the method is
    fitted, come from nets trained on this fold's rows. A few fitted values hardly carry it over.

    Args:
        method: see `methods.py`.
        members: float64 `[m, n, 10]`, out-of-fold probabilities.
        labels: uint8 `[n]`.
        folds: int `[n]`, the fold in which each row is held out; at least two of them.
    """
    combined = np.empty(members.shape[1:])
    for fold in np.unique(folds):
        held_out = folds == fold
        fitted = method(members[:, ~held_out], labels[~held_out])
        combined[held_out] = fitted.combine(members[:, held_out])
    return combined
