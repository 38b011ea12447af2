"""Rows of a run with all that is said of them, and the figures of each; draws nothing."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from competition.data.run import Run
from competition.digits import Digits, positions
from competition.ensemble.blend import Blend
from competition.ensemble.members import Panel
from competition.inspection.evaluation.per_class import confusion_counts
from competition.scores import entropies, log_losses


@dataclass(frozen=True)
class Cases:
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
        return self.of_class(self.predictions) - self.of_class(self.runners_up)

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

    def of_class(self, classes: np.ndarray) -> np.ndarray:
        """Returns the ensemble's probability of one class a row, float32 `[n]`."""
        return self.ensemble[np.arange(len(self)), classes]

    def best_other_than(self, classes: np.ndarray) -> np.ndarray:
        """Returns the likeliest class besides the given one of each row, int `[n]`."""
        return _without(self.ensemble, classes).argmax(axis=1)

    def confusion(self) -> np.ndarray:
        """Counts the mistakes, int `[10, 10]`, by label (first) and prediction."""
        return confusion_counts(self.digits.labels[self.wrong], self.predictions[self.wrong])

    def take(self, rows: np.ndarray) -> "Cases":
        """Returns the cases at these positions, in their order."""
        return Cases(
            self.digits.take(rows),
            None if self.folds is None else self.folds[rows],
            self.ensemble[rows],
            self.members[:, rows],
        )


def out_of_fold_cases(run: Run, blend: Blend) -> Cases:
    """Returns the labelled rows of the folds that count, as nets see them that never saw them."""
    return labelled_cases(run, blend.panel, blend.out_of_fold.values)


def labelled_cases(run: Run, panel: Panel, values: np.ndarray) -> Cases:
    """Returns the same rows with other probabilities, `[n, 10]`, than an ensemble's."""
    train = run.data_set.train
    members = np.stack([member.out_of_fold.values for member in panel.members])
    return Cases(train.take(positions(train.ids, panel.ids)), panel.folds, values, members)


def test_cases(run: Run, blend: Blend) -> Cases:
    """Returns every test row."""
    members = np.stack([member.test.values for member in blend.panel.members])
    return Cases(run.data_set.test, None, blend.test.values, members)


def _without(values: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Returns a copy in which no row's given class can be the likeliest."""
    others = values.copy()
    others[np.arange(len(values)), classes] = -1
    return others
