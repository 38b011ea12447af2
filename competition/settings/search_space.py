"""The values among which tuning searches, each of which could stand in the variant itself."""

from collections.abc import Iterator
from decimal import Decimal
from math import isfinite
from typing import Any, get_origin

from pydantic import BaseModel, Field, model_validator

from competition import catalogue
from competition.settings.components import Component
from competition.settings.section import Section

Number = int | float
Value = bool | int | float | str

# How far a range may miss a whole number of steps, in steps: what rounding in binary leaves.
ROUNDING = 1e-6

# Up to here a float tells whole numbers apart, and all of them fit into Optuna's arrays.
LARGEST = 2**53


class Parameter(Section):
    """The values of one setting: numbers from `low` to `high`, or `choices`.

    Attributes:
        low, high: both belong to the range; of a setting that is a whole number, whole numbers.
        log: whether the logarithm is drawn evenly, as suits a learning rate.
        step: the distance between the values; without one, any between low and high.
        choices: a list of values, in place of all the others.
    """

    low: Number | None = None
    high: Number | None = None
    log: bool = False
    step: Number | None = Field(None, gt=0)
    choices: list[Value] | None = None

    @model_validator(mode="after")
    def _is_consistent(self):
        problem = self._problem_of_choices() if self.choices is not None else self._problem()
        if problem:
            raise ValueError(problem)
        return self

    def _problem_of_choices(self) -> str | None:
        others = self.model_dump(exclude_defaults=True).keys() - {"choices"}
        if others:
            return "choices stand alone, without low, high, log and step"
        if len(set(self.choices)) != len(self.choices) or len(self.choices) < 2:
            return f"choices must be two or more different values, not {self.choices}"
        return None

    def _problem(self) -> str | None:
        if self.low is None or self.high is None:
            return "expected low and high, or choices"
        if not self.low < self.high:
            return f"low must be less than high, not {self.low} and {self.high}"
        if max(abs(self.low), abs(self.high)) > LARGEST:
            return f"low and high must be between -{LARGEST} and {LARGEST}"
        if self.log and self.low <= 0:
            return f"low must be greater than 0 where log is true, not {self.low}"
        if self.log and self.step is not None:
            return "log and step exclude each other"
        if self.step is not None and not _are_steps((self.high - self.low) / self.step):
            return f"steps of {self.step} lead from {self.low} past {self.high}"
        return None

    def edges(self) -> dict[str, Value]:
        """Returns each choice, or the ends of the range, by the place where it is written."""
        if self.choices is not None:
            return {f"choices.{place}": choice for place, choice in enumerate(self.choices)}
        return {"low": self.low, "high": self.high}

    def lowest(self) -> Value:
        """Returns the low end, or the first choice."""
        return next(iter(self.edges().values()))

    def count(self) -> int | None:
        """Returns how many values can be drawn, or None where there is no end of them."""
        if self.choices is not None:
            return len(self.choices)
        if self.step is None and not isinstance(self.low, int):
            return None
        return round((self.high - self.low) / (self.step or 1)) + 1

    def values(self) -> list[Value]:
        """Returns every value that can be drawn, of which there must be an end."""
        if self.choices is not None:
            return self.choices
        low, step = Decimal(str(self.low)), Decimal(str(self.step or 1))
        return [type(self.low)(low + number * step) for number in range(self.count())]

    def as_floats(self) -> "Parameter":
        """Returns the same range of a setting that is not a whole number, however it is written."""
        if self.choices is not None:
            return self
        bounds = {"low": float(self.low), "high": float(self.high)}
        return self.model_copy(update=bounds)


def flattened(space: Any) -> Any:
    """Returns a space by full names: `architecture: {dropout: …}` is `architecture.dropout: …`.

    Both may be written, as only the nested form can be reached by an override.
    """
    if not isinstance(space, dict):
        return space
    flat: dict[str, Any] = {}
    for name, given in space.items():
        for path, parameter in _unfolded(name, given):
            before = flat.get(path)
            is_change = isinstance(before, dict) and isinstance(parameter, dict)
            flat[path] = {**before, **parameter} if is_change else parameter
    return flat


def _unfolded(name: str, given: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(given, dict) and given and all(isinstance(v, dict) for v in given.values()):
        yield from ((f"{name}.{inner}", parameter) for inner, parameter in given.items())
    else:
        yield name, given


def with_values(settings: dict[str, Any], values: dict[str, Value]) -> dict[str, Any]:
    """Returns a variant's settings with some of them changed.

    Args:
        settings: as YAML has them, components as mappings.
        values: the new ones by full name, such as `epochs` or `augmentation.rotation`.
    """
    changed = dict(settings)
    for path, value in values.items():
        section, _, name = path.partition(".")
        changed[section] = {**changed[section], name: value} if name else value
    return changed


def searchable(model: type[BaseModel], given: dict[str, Any]) -> dict[str, str]:
    """Returns what can be searched: full names, each with its type or `choice`.

    Args:
        model: of a variant.
        given: its fields, among them its components.
    """
    kinds = {
        name: _kind(model.model_fields[name].annotation)
        for name in given
        if not is_list(model, name)
    }
    for name, component in given.items():
        if isinstance(component, Component):
            known = catalogue.parameters(component.choices[component.name])
            kinds |= {f"{name}.{inner}": kind for inner, (kind, _) in known.items()}
    return kinds


def is_list(model: type[BaseModel], path: str) -> bool:
    """Says whether a field of a variant, or the one that a parameter belongs to, is a list."""
    field = model.model_fields.get(path.partition(".")[0])
    return field is not None and get_origin(field.annotation) is list


def _kind(annotation: Any) -> str:
    return annotation.__name__ if annotation in (int, float) else "choice"


def _are_steps(quotient: float) -> bool:
    """Says whether a number of steps is a whole one, from 1."""
    return isfinite(quotient) and abs(quotient - max(1, round(quotient))) < ROUNDING
