"""What a report looks at: out-of-fold probabilities with a name, of the ensemble or a variant."""

from dataclasses import dataclass, replace

import numpy as np

from competition.config import Ensemble
from competition.data.run import Run
from competition.ensemble.blend import Blend
from competition.ensemble.comparison import Comparison
from competition.ensemble.members import Panel, load_panel
from competition.errors import UserError
from competition.inspection.evaluation.cases import Cases, labelled_cases
from competition.selected import marked
from competition.yaml_input import nearest

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
    panel: Panel
    cases: Cases
    comparison: Comparison | None

    @property
    def title(self) -> str:
        """The name, with a mark if the figures are selected."""
        return marked(self.name, self.panel.is_selected)

    @property
    def variant(self) -> str | None:
        """The variant that is looked at; None for the ensemble."""
        return None if self.comparison else self.name

    @property
    def method(self) -> str:
        """The name of the method that combined the members."""
        return self.comparison.chosen.method.name if self.comparison else "mean"


def ensemble_subject(run: Run, blend: Blend) -> Subject:
    """Returns what the chosen method makes of all members, nested if it fits anything."""
    cases = labelled_cases(run, blend.panel, blend.out_of_fold.values)
    return Subject(ENSEMBLE, run, blend.panel, cases, blend.comparison)


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
    panel = load_panel([narrowed])
    values = panel.out_of_fold.mean(axis=0).astype(np.float32)
    return Subject(variant, run, panel, labelled_cases(run, panel, values), None)
