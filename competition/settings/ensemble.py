"""How an ensemble is made, and whether the members that it names exist."""

from collections.abc import Iterable, Iterator
from typing import Annotated, Any

from pydantic import Field

from competition.catalogue import RECOMMENDED
from competition.settings.components import Method
from competition.settings.section import Name, Section, Seed, each_once
from competition.settings.yaml_input import nearest


class Ensemble(Section):
    """How the members are combined, and which they are; without a list, all that there are.

    It is not part of any result's identity, so it may change freely.
    """

    method: Method = Field(
        Method(name=RECOMMENDED), description="a method, or recommended: what the figures say"
    )
    variants: Annotated[list[Name], Field(min_length=1), each_once("variant")] | None = None
    seeds: Annotated[list[Seed], Field(min_length=1), each_once("seed")] | None = None
    folds: Annotated[list[int], Field(min_length=1), each_once("split")] | None = None

    def problems(self, variants: dict[str, Any], folds: list[int]) -> Iterator[str]:
        """Yields what the lists name and the configuration does not have.

        Args:
            variants: each `Variant` by name.
            folds: the numbers of those that are trained.
        """
        yield from _unknown("variants", "variant", self.variants, variants)
        chosen = [v for name, v in variants.items() if name in (self.variants or variants)]
        seeds = dict.fromkeys(seed for variant in chosen for seed in variant.seeds)
        if chosen:
            yield from _unknown("seeds", "seed", self.seeds, seeds)
            yield from self._without_seeds(variants)
        yield from _unknown("folds", "split", self.folds, folds)

    def _without_seeds(self, variants: dict[str, Any]) -> Iterator[str]:
        for name in self.variants or []:
            own = variants[name].seeds if name in variants else []
            if self.seeds and own and not {*self.seeds} & {*own}:
                listed = ", ".join(map(str, own))
                yield f"variants: '{name}' has none of the seeds that are named; it has {listed}"


def _unknown(key: str, noun: str, named: list | None, known: Iterable) -> Iterator[str]:
    for value in named or []:
        if value not in known:
            yield f"{key}: there is no {noun} '{value}'{nearest(str(value), map(str, known))}"
