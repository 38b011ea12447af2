"""The ensemble of one run or of several: its members combined, and scored out of fold."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from competition import paths
from competition.data.run import Run
from competition.ensemble.comparison import Compared, Comparison, compare
from competition.ensemble.members import Panel, load_panel
from competition.probabilities import Probabilities


@dataclass(frozen=True)
class Blend:
    """The members of an ensemble, and what they say together.

    Attributes:
        runs: whose members they are; `ensemble.method` and `ensemble.folds` are the first one's.
        panel: the members, side by side.
        comparison: every method on them, and the one that was chosen.
    """

    runs: list[Run]
    panel: Panel
    comparison: Comparison

    @property
    def name(self) -> str:
        """The name of the run; of several, all names joined."""
        return paths.blend_name([run.config.name for run in self.runs])

    @property
    def chosen(self) -> Compared:
        """The method that makes the submission."""
        return self.comparison.chosen

    @cached_property
    def out_of_fold(self) -> Probabilities:
        """The labelled rows of the folds that count, by the chosen method, nested."""
        return Probabilities(self.panel.ids, self.chosen.out_of_fold.astype(np.float32))

    @cached_property
    def test(self) -> Probabilities:
        """Every test row, by the chosen method."""
        return self.test_by(self.chosen)

    def test_by(self, method: Compared) -> Probabilities:
        """Returns every test row by one of the compared methods."""
        values = method.fitted.combine(self.panel.test)
        return Probabilities(self.panel.test_ids, values.astype(np.float32))


def blend(runs: list[Run]) -> Blend:
    """Combines the members of one run, or of several, by every method of the catalogue.

    Raises:
        UserError: when the runs differ in data or folds; naming every job that is missing or
            stale; when the method that is named cannot be judged.
    """
    panel = load_panel(runs)
    return Blend(runs, panel, compare(panel, runs[0].config.ensemble.method))
