"""How a search space is searched, and whether that suits the variants and the folds."""

import re
from math import prod
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from competition import catalogue
from competition.settings.components import Pruner, Sampler
from competition.settings.folds import Folds
from competition.settings.search_space import Parameter
from competition.settings.section import Section, Seed, each_once

# Samplers that go through every value, of which there must not be endlessly many.
EXHAUSTIVE = {"grid", "brute_force"}

# Optuna lists all of them for each trial, in memory; no study would come to their end.
MOST_COMBINATIONS = 100_000

FoldNumbers = Annotated[list[int], each_once("split"), Field(min_length=1)]


def _is_url(storage: str) -> str:
    if not re.match(r"[a-z][a-z0-9+]*://", storage):
        raise ValueError("expected a URL, such as postgresql://user@host/name")
    if re.fullmatch(r"sqlite(\+\w+)?:///?(:memory:)?", storage):
        raise ValueError("a database in memory reaches no other process; expected a file")
    return storage


class Tuning(Section):
    """How `tune` searches; nothing of it changes what a training does.

    Attributes:
        sampler: draws the values of each trial.
        pruner: ends trials that will not win: by epochs `median` and `hyperband`, by folds
            `wilcoxon`, or `none`.
        folds: numbers of the folds on which trials are judged.
        final_folds: of the folds on which the best trial is judged again; by default all others.
        objective: what is to be small, the log-loss or the number of errors.
        trials: how many there are to be in the whole study.
        hours: after which one call begins no further trial.
        storage: URL of a database that takes the place of the journal file. It may hold a
            password, and is shown and written nowhere.
        seed: of the sampler.
    """

    sampler: Sampler = Sampler(name="tpe")
    pruner: Pruner = Pruner(name="median")
    folds: FoldNumbers = Field([0])
    final_folds: FoldNumbers | None = None
    objective: Literal["log_loss", "errors"] = "log_loss"
    trials: int = Field(40, ge=1)
    hours: float | None = Field(None, gt=0)
    storage: Annotated[str, AfterValidator(_is_url)] | None = Field(None, exclude=True, repr=False)
    seed: Seed = 0

    @property
    def pruned_by(self) -> Literal["epochs", "folds"] | None:
        """What the pruner compares."""
        kinds = {"none": None, "wilcoxon": "folds"}
        return kinds.get(self.pruner.name, "epochs")

    def folds_left(self, numbers: list[int]) -> list[int]:
        """Returns which of the folds that there are make the figures that count."""
        others = [number for number in numbers if number not in self.folds]
        return others if self.final_folds is None else self.final_folds


def misfits(tuning: Tuning, folds: Folds, variants: dict[str, Any]) -> dict[str, str]:
    """Returns what of these settings cannot work with the rest of a configuration, by path.

    Without a search space and with the default settings, nothing is checked.

    Args:
        tuning: the settings.
        folds: which rows are held out.
        variants: each `Variant` by name; only those with a search space matter.
    """
    searched = {name: variant for name, variant in variants.items() if variant.search_space}
    if not searched and tuning == Tuning():
        return {}
    return {
        **_folds_problem(tuning, folds),
        **_sampler_problem(tuning, searched),
        **(_pruner_problem(tuning, searched) if searched else {}),
    }


def _folds_problem(tuning: Tuning, folds: Folds) -> dict[str, str]:
    known = folds.numbers
    given = {"folds": tuning.folds, "final_folds": tuning.final_folds or []}
    found = {
        name: f"there is no split {min(strange)}; there are: {', '.join(map(str, known))}"
        for name, numbers in given.items()
        if (strange := set(numbers) - set(known))
    }
    if not found and (shared := set(tuning.folds) & set(tuning.final_folds or [])):
        found["final_folds"] = f"split {min(shared)} is one that trials are judged on"
    if not found and not tuning.folds_left(known):
        found["folds"] = _none_left(folds)
    return found


def _none_left(folds: Folds) -> str:
    count = len(folds.numbers)
    which = "this is the only split" if count == 1 else f"these are all of the {count} splits"
    cause, mend = "", ""
    if folds.only is not None:
        cause = " that folds.only leaves"
        mend = "; leave folds.only out, or name more splits in it"
    return (
        f"{which}{cause}; at least one must be left for the figures that count, as those of a "
        f"study's own splits are too good{mend}"
    )


def _sampler_problem(tuning: Tuning, searched: dict[str, Any]) -> dict[str, str]:
    name = tuning.sampler.name
    return _too_many_values(name, searched) if name in EXHAUSTIVE else {}


def _too_many_values(sampler: str, searched: dict[str, Any]) -> dict[str, str]:
    endless = [
        f"variants.{variant}.search_space.{path}"
        for variant, settings in searched.items()
        for path, parameter in settings.search_space.items()
        if parameter.count() is None
    ]
    if endless:
        return {"sampler": f"{sampler} needs a step, or choices, for {', '.join(endless)}"}
    for variant, settings in searched.items():
        if (count := combinations(settings.search_space)) > MOST_COMBINATIONS:
            return {
                "sampler": f"{sampler} goes through every combination, of which variants.{variant}."
                f"search_space has {count:,}; expected at most {MOST_COMBINATIONS:,}"
            }
    return {}


def combinations(space: dict[str, Parameter]) -> int:
    """Returns how many different trials a space has, of which there must be an end."""
    return prod(parameter.count() for parameter in space.values())


def _pruner_problem(tuning: Tuning, searched: dict[str, Any]) -> dict[str, str]:
    if tuning.pruned_by == "folds":
        return _too_few_folds(tuning)
    blind = [
        name
        for name, variant in searched.items()
        if longest_epochs(variant) <= variant.validate_every
    ]
    if tuning.pruned_by == "epochs" and blind:
        return {
            "pruner": f"{tuning.pruner.name} compares trials by their epochs, but variants."
            f"{blind[0]} is validated after its last one only; set a smaller "
            "validate_every, more epochs, or the pruner none"
        }
    return {}


def _too_few_folds(tuning: Tuning) -> dict[str, str]:
    """A trial that is worse on each of n folds has the one-sided p-value 1 / 2**n (F. Wilcoxon,
    Biometrics Bulletin 1, 1945); pruned after its last fold, it would save nothing."""
    defaults = catalogue.parameters(Pruner.choices["wilcoxon"])
    threshold = tuning.pruner.parameters.get("p_threshold", defaults["p_threshold"][1])
    if 0 < threshold <= 1 and 0.5 ** (len(tuning.folds) - 1) < threshold:
        return {}
    return {
        "pruner": f"wilcoxon with a p_threshold of {threshold:g} can end no trial before the last "
        f"of {len(tuning.folds)} folds, as a trial that is worse on n folds has the p-value "
        "1 / 2^n; set more tuning.folds, a higher p_threshold, or another pruner"
    }


def longest_epochs(variant: Any) -> int:
    """Returns the epochs of the longest training in a variant's search space."""
    parameter = variant.search_space.get("epochs")
    return max(parameter.edges().values()) if parameter else variant.epochs
