"""Rows with their predictions by members and ensemble, and figures of each row."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from competition.analysis.classes import confusion_counts
from competition.config.loading import Ensemble
from competition.data.run import Run
from competition.digits import Digits, positions
from competition.ensemble.comparison import Comparison, EnsembleResult
from competition.ensemble.contributions import count_pairs
from competition.ensemble.members import MemberPredictions, load_member_predictions
from competition.metrics import entropies, log_losses, marked


@dataclass(frozen=True)
class PredictedDigits:
    """Digits with the probabilities of the members and the ensemble, in one order.

    Attributes:
        digits: n of them, labelled or not.
        folds: int8 `[n]`, the fold that held each row out; None for test rows.
        ensemble: float32 `[n, 10]`.
        members: float32 `[m, n, 10]`.
    """

    digits: Digits
    folds: np.ndarray | None
    ensemble: np.ndarray
    members: np.ndarray

    def __len__(self):
        return len(self.digits)

    @cached_property
    def predictions(self) -> np.ndarray:
        """The ensemble's likeliest class, int `[n]`."""
        return self.ensemble.argmax(axis=1)

    @cached_property
    def runners_up(self) -> np.ndarray:
        """The ensemble's second likeliest class, int `[n]`."""
        return self.best_other_than(self.predictions)

    @cached_property
    def margins(self) -> np.ndarray:
        """Probability of the likeliest class minus that of the next, float `[n]`."""
        first, second = map(self.class_probabilities, (self.predictions, self.runners_up))
        return first - second

    @cached_property
    def losses(self) -> np.ndarray:
        """Log-loss of each row in nats, float64 `[n]`."""
        return log_losses(self.ensemble, self.digits.labels)

    @cached_property
    def votes(self) -> np.ndarray:
        """Each member's likeliest class, int `[m, n]`."""
        return self.members.argmax(axis=2)

    @cached_property
    def disagreements(self) -> np.ndarray:
        """Jensen-Shannon divergence of the members in nats, float64 `[n]`; 0 if they are equal.

        It is the entropy of their mean minus the mean of their entropies (J. Lin, IEEE Transactions
        on Information Theory 37, 1991).
        """
        members = self.members.astype(np.float64)
        return (entropies(members.mean(axis=0)) - entropies(members).mean(axis=0)).clip(0)

    @cached_property
    def wrong(self) -> np.ndarray:
        """Whether the ensemble's prediction differs from the label, bool `[n]`."""
        return self.predictions != self.digits.labels

    @cached_property
    def unanimous(self) -> np.ndarray:
        """Whether all members vote for the same class, bool `[n]`."""
        return (self.votes == self.votes[0]).all(axis=0)

    @cached_property
    def unanimous_against_label(self) -> np.ndarray:
        """Whether all members vote for the same class, and not for the label, bool `[n]`."""
        return self.unanimous & (self.votes[0] != self.digits.labels)

    def class_probabilities(self, classes: np.ndarray) -> np.ndarray:
        """Returns the ensemble's probability of one class per row, float32 `[n]`."""
        return self.ensemble[np.arange(len(self)), classes]

    def best_other_than(self, classes: np.ndarray) -> np.ndarray:
        """Returns the likeliest class other than the given one per row, int `[n]`."""
        others = self.ensemble.copy()
        others[np.arange(len(self)), classes] = -1
        return others.argmax(axis=1)

    def confusion(self) -> np.ndarray:
        """Counts mistakes, int `[10, 10]`, by label (first) and prediction."""
        counts = confusion_counts(self.digits.labels, self.predictions)
        np.fill_diagonal(counts, 0)
        return counts

    def take(self, rows: np.ndarray) -> "PredictedDigits":
        """Returns the rows at these positions, in the order given."""
        return PredictedDigits(
            self.digits.take(rows),
            None if self.folds is None else self.folds[rows],
            self.ensemble[rows],
            self.members[:, rows],
        )


def out_of_fold_predictions(run: Run, ensemble_result: EnsembleResult) -> PredictedDigits:
    """Returns the held-out rows with out-of-fold predictions."""
    return _labelled(run, ensemble_result.member_predictions, ensemble_result.out_of_fold.values)


def test_predictions(run: Run, ensemble_result: EnsembleResult) -> PredictedDigits:
    """Returns the test rows with their predictions."""
    members = [member.test.values for member in ensemble_result.member_predictions.members]
    return PredictedDigits(run.data_set.test, None, ensemble_result.test.values, np.stack(members))


def _labelled(
    run: Run, member_predictions: MemberPredictions, values: np.ndarray
) -> PredictedDigits:
    """Returns the members' labelled rows; `values`, `[n, 10]`, are the combined probabilities."""
    train = run.data_set.train
    rows = positions(train.ids, member_predictions.ids)
    members = [member.out_of_fold.values for member in member_predictions.members]
    return PredictedDigits(train.take(rows), member_predictions.folds, values, np.stack(members))


ENSEMBLE = "ensemble"


@dataclass(frozen=True)
class Subject:
    """The subject of a report: an ensemble, or one variant.

    Attributes:
        name: of the variant, or "ensemble".
        member_predictions: the members that were combined.
        predicted: the held-out rows; `ensemble` in it holds the subject's own probabilities.
        comparison: of the ensemble methods; None for a variant.
    """

    name: str
    run: Run
    member_predictions: MemberPredictions
    predicted: PredictedDigits
    comparison: Comparison | None

    @property
    def title(self) -> str:
        """The name, marked if the figures are selected."""
        return marked(self.name, self.member_predictions.is_selected)

    @property
    def variant(self) -> str | None:
        """The name of the variant; None for an ensemble."""
        return None if self.comparison else self.name

    @property
    def method(self) -> str:
        """The name of the method that combined the members."""
        return self.comparison.chosen.method.name if self.comparison else "mean"


def ensemble_subject(run: Run, ensemble_result: EnsembleResult) -> Subject:
    """Returns the ensemble by the chosen method, with nested probabilities if it fits anything."""
    return Subject(
        ENSEMBLE,
        run,
        ensemble_result.member_predictions,
        out_of_fold_predictions(run, ensemble_result),
        ensemble_result.comparison,
    )


def variant_subject(run: Run, variant: str) -> Subject:
    """Returns the plain mean of one variant's seeds; the other variants need no results.

    Raises:
        UserError: when there is no such variant, or its jobs are missing or stale.
    """
    run.config.require_variant(variant)
    alone = Ensemble(variants=[variant], folds=run.config.ensemble.folds)
    narrowed = replace(run, config=run.config.model_copy(update={"ensemble": alone}))
    members = load_member_predictions([narrowed])
    values = members.out_of_fold.mean(axis=0).astype(np.float32)
    return Subject(variant, run, members, _labelled(run, members, values), None)


@dataclass(frozen=True)
class Agreement:
    """How the m members of an ensemble agree; every figure counts labelled rows.

    Attributes:
        rows: int `[m + 1]`, rows with 0, 1, … m right members.
        rescued: int `[m + 1]`, those among them with the right prediction of the ensemble.
        disagreement: int `[m, m]`, rows for which two members predict different classes.
        both_wrong: int `[m, m]`, rows for which both members are wrong.
        unanimous: rows for which all members predict the same class.
    """

    rows: np.ndarray
    rescued: np.ndarray
    disagreement: np.ndarray
    both_wrong: np.ndarray
    unanimous: int


def agreement(predicted: PredictedDigits) -> Agreement:
    """Compares the members' predictions of labelled rows."""
    votes, labels = predicted.votes, predicted.digits.labels
    right = (votes == labels).sum(axis=0)
    bins = len(votes) + 1
    both_wrong, disagreement = count_pairs(votes, labels)
    return Agreement(
        np.bincount(right, minlength=bins),
        np.bincount(right[~predicted.wrong], minlength=bins),
        disagreement,
        both_wrong,
        int(predicted.unanimous.sum()),
    )
