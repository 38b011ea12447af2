"""Rows of a run with all that is said of them, and the figures of each; draws nothing."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from competition.analysis.classes import confusion_counts
from competition.config.base import nearest
from competition.config.loading import Ensemble
from competition.data.run import Run
from competition.digits import Digits, positions
from competition.ensemble.comparison import Comparison, EnsembleResult
from competition.ensemble.contributions import count_pairs
from competition.ensemble.members import MemberPredictions, load_member_predictions
from competition.errors import UserError
from competition.metrics import entropies, log_losses, marked


@dataclass(frozen=True)
class PredictedDigits:
    """Digits with what each member and the ensemble say of them, in one order.

    Attributes:
        digits: n of them, labelled or not.
        folds: int8 `[n]`, the fold that each row was held out in; None for test rows.
        ensemble: float32 `[n, 10]`, the ensemble's probabilities.
        members: float32 `[m, n, 10]`, each member's.
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
        """The ensemble's likeliest class but one, int `[n]`."""
        return _without(self.ensemble, self.predictions).argmax(axis=1)

    @cached_property
    def margins(self) -> np.ndarray:
        """How far the likeliest class is ahead of the next one, float `[n]` from 0 to 1."""
        return self.class_probabilities(self.predictions) - self.class_probabilities(
            self.runners_up
        )

    @cached_property
    def losses(self) -> np.ndarray:
        """Log-loss of each row in nats, float64 `[n]`; the run's log-loss is their mean."""
        return log_losses(self.ensemble, self.digits.labels)

    @cached_property
    def votes(self) -> np.ndarray:
        """Each member's likeliest class, int `[m, n]`."""
        return self.members.argmax(axis=2)

    @cached_property
    def disagreements(self) -> np.ndarray:
        """Jensen-Shannon divergence of the members in nats, float64 `[n]`; 0 if all say the same.

        It is the entropy of their mean less the mean of their entropies (J. Lin, IEEE Transactions
        on Information Theory 37, 1991).
        """
        members = self.members.astype(np.float64)
        return (entropies(members.mean(axis=0)) - entropies(members).mean(axis=0)).clip(0)

    @cached_property
    def wrong(self) -> np.ndarray:
        """Whether the ensemble predicts another class than the label, bool `[n]`."""
        return self.predictions != self.digits.labels

    @cached_property
    def unanimous_against_label(self) -> np.ndarray:
        """Whether all members vote for one class, and it is not the label, bool `[n]`."""
        return (self.votes == self.votes[0]).all(axis=0) & (self.votes[0] != self.digits.labels)

    def class_probabilities(self, classes: np.ndarray) -> np.ndarray:
        """Returns the ensemble's probability of one class a row, float32 `[n]`."""
        return self.ensemble[np.arange(len(self)), classes]

    def best_other_than(self, classes: np.ndarray) -> np.ndarray:
        """Returns the likeliest class besides the given one of each row, int `[n]`."""
        return _without(self.ensemble, classes).argmax(axis=1)

    def confusion(self) -> np.ndarray:
        """Counts the mistakes, int `[10, 10]`, by label (first) and prediction."""
        return confusion_counts(self.digits.labels[self.wrong], self.predictions[self.wrong])

    def take(self, rows: np.ndarray) -> "PredictedDigits":
        """Returns the cases at these positions, in their order."""
        return PredictedDigits(
            self.digits.take(rows),
            None if self.folds is None else self.folds[rows],
            self.ensemble[rows],
            self.members[:, rows],
        )


def out_of_fold_predictions(run: Run, ensemble_result: EnsembleResult) -> PredictedDigits:
    """Returns the labelled rows of the folds that count, as nets see them that never saw them."""
    return labelled_predictions(
        run, ensemble_result.member_predictions, ensemble_result.out_of_fold.values
    )


def labelled_predictions(
    run: Run, member_predictions: MemberPredictions, values: np.ndarray
) -> PredictedDigits:
    """Returns the same rows with other probabilities, `[n, 10]`, than an ensemble's."""
    train = run.data_set.train
    members = np.stack([member.out_of_fold.values for member in member_predictions.members])
    return PredictedDigits(
        train.take(positions(train.ids, member_predictions.ids)),
        member_predictions.folds,
        values,
        members,
    )


def test_predictions(run: Run, ensemble_result: EnsembleResult) -> PredictedDigits:
    """Returns every test row."""
    members = np.stack(
        [member.test.values for member in ensemble_result.member_predictions.members]
    )
    return PredictedDigits(run.data_set.test, None, ensemble_result.test.values, members)


def _without(values: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Returns a copy in which no row's given class can be the likeliest."""
    others = values.copy()
    others[np.arange(len(values)), classes] = -1
    return others


ENSEMBLE = "ensemble"


@dataclass(frozen=True)
class Subject:
    """Probabilities that were made out of fold, and what they were made of.

    Attributes:
        name: of a variant, or "ensemble".
        run: the configuration, with data and folds.
        panel: the members that were combined.
        cases: the labelled rows of the folds that count, with these probabilities as `ensemble`.
        comparison: of the ensemble methods; None for a variant.
    """

    name: str
    run: Run
    member_predictions: MemberPredictions
    predicted: PredictedDigits
    comparison: Comparison | None

    @property
    def title(self) -> str:
        """The name, with a mark if the figures are selected."""
        return marked(self.name, self.member_predictions.is_selected)

    @property
    def variant(self) -> str | None:
        """The variant that is looked at; None for the ensemble."""
        return None if self.comparison else self.name

    @property
    def method(self) -> str:
        """The name of the method that combined the members."""
        return self.comparison.chosen.method.name if self.comparison else "mean"


def ensemble_subject(run: Run, ensemble_result: EnsembleResult) -> Subject:
    """Returns what the chosen method makes of all members, nested if it fits anything."""
    predicted = labelled_predictions(
        run, ensemble_result.member_predictions, ensemble_result.out_of_fold.values
    )
    return Subject(
        ENSEMBLE, run, ensemble_result.member_predictions, predicted, ensemble_result.comparison
    )


def variant_subject(run: Run, variant: str) -> Subject:
    """Returns the plain mean of one variant's seeds, whatever is trained of the others.

    Raises:
        UserError: when there is no such variant; naming its jobs that are missing or stale.
    """
    known = run.config.variants
    if variant not in known:
        raise UserError(f"'{run.config.name}' has no variant '{variant}'{nearest(variant, known)}")
    alone = Ensemble(variants=[variant], folds=run.config.ensemble.folds)
    narrowed = replace(run, config=run.config.model_copy(update={"ensemble": alone}))
    member_predictions = load_member_predictions([narrowed])
    values = member_predictions.out_of_fold.mean(axis=0).astype(np.float32)
    return Subject(
        variant,
        run,
        member_predictions,
        labelled_predictions(run, member_predictions, values),
        None,
    )


@dataclass(frozen=True)
class Agreement:
    """The members of an ensemble, m of them, on its labelled rows.

    Attributes:
        rows: int `[m + 1]`, how many rows so many members get right, from none to all.
        rescued: int `[m + 1]`, how many of these rows the ensemble gets right.
        disagreement: int `[m, m]`, for how many rows two members predict different classes.
        both_wrong: int `[m, m]`, how many rows two members both get wrong; on the diagonal, how
            many each does.
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
    steps = len(votes) + 1
    both_wrong, disagreement = count_pairs(votes, labels)
    return Agreement(
        np.bincount(right, minlength=steps),
        np.bincount(right[~predicted.wrong], minlength=steps),
        disagreement,
        both_wrong,
        int((votes == votes[0]).all(axis=0).sum()),
    )
