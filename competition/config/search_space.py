"""The values among which tuning searches, each of which could stand in the variant itself."""

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from itertools import chain, combinations, product, starmap
from math import isfinite
from typing import Any, get_origin

from pydantic import BaseModel, Field, ValidationError, model_validator

from competition.config import registry
from competition.config.base import Section, explanation, nearest, refuse
from competition.config.registry import Component

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
            known = registry.parameters(component.choices[component.name])
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


def checked_space(
    raw: Any,
    validate: Callable[[Any], dict[str, Parameter]],
    model: type[BaseModel],
    given: dict[str, Any],
    invalid: set[str],
) -> dict[str, Parameter]:
    """Returns the search space of a variant, inside pydantic's validation of it.

    Args:
        raw: the space as YAML has it.
        validate: turns a space by full names into parameters.
        model: of the variant.
        given: those of its fields that can be searched and are valid.
        invalid: fields that are refused already; what would be searched of them is unknown.

    Raises:
        ValidationError: naming all at once that is no parameter or could not be configured.
    """
    space, kinds = flattened({} if raw is None else raw), searchable(model, given)
    unknown = _unsearchable(space, model, kinds, invalid)
    parameters, misshapen = _validated(_without(space, unknown), validate)
    known = {name: parameter for name, parameter in parameters.items() if name in kinds}
    is_complete = not any(model.model_fields[name].is_required() for name in invalid)
    found = _problems(known, kinds, model, given) if is_complete else {}
    if unknown or found or misshapen:
        refuse(unknown | found, misshapen)
    return {
        name: parameter.as_floats() if kinds.get(name) == "float" else parameter
        for name, parameter in parameters.items()
    }


def _unsearchable(
    space: Any, model: type[BaseModel], kinds: dict[str, str], invalid: set[str]
) -> dict[str, str]:
    """Returns why some names of a space cannot be searched, however their values are written."""
    names = [
        name
        for name in (space if isinstance(space, dict) else [])
        if name not in kinds and str(name).partition(".")[0] not in invalid
    ]
    listed = ", as it is a list; another one can stand in a variant of its own"
    reasons = {name: listed if is_list(model, name) else nearest(name, kinds) for name in names}
    return {name: f"this cannot be searched{reason}" for name, reason in reasons.items()}


def _without(space: Any, names: Iterable[str]) -> Any:
    """Returns a space without some of its names; what is no mapping has none, and stays."""
    return {k: v for k, v in space.items() if k not in names} if isinstance(space, dict) else space


def _validated(
    space: Any, validate: Callable[[Any], dict[str, Parameter]]
) -> tuple[dict[str, Parameter], ValidationError | None]:
    """Returns the parameters of a space that are well-formed, and the errors of the others."""
    try:
        return validate(space), None
    except ValidationError as error:
        bad = {location[0] for one in error.errors() if (location := one["loc"])}
        return validate(_without(space, bad) if bad else {}), error


def _problems(
    space: dict[str, Parameter],
    kinds: dict[str, str],
    model: type[BaseModel],
    given: dict[str, Any],
) -> dict[str, str]:
    """Returns, by path, what of a space of searchable names could not be configured."""
    settings = {
        name: value.identity() if isinstance(value, Component) else value
        for name, value in given.items()
    }
    found: dict[str, str] = {}
    for path, parameter in space.items():
        if wrong_type := _wrong_type(parameter, kinds[path]):
            found[path] = wrong_type
        elif any(other.startswith(f"{path}.") for other in space):
            found[path] = f"{path} is chosen as a whole, so nothing of it can be searched besides"
        else:
            found |= _refused(path, parameter, model, settings)
    return found or _refused_together(space, model, settings)


def _wrong_type(parameter: Parameter, kind: str) -> str | None:
    if parameter.choices is not None:
        return None
    if kind not in ("int", "float"):
        return "this is not a number: expected choices"
    numbers = {"low": parameter.low, "high": parameter.high, "step": parameter.step}
    broken = [name for name, number in numbers.items() if isinstance(number, float)]
    if kind == "int" and broken:
        return f"{broken[0]} must be a whole number, not {numbers[broken[0]]}"
    return None


def _refused(
    path: str, parameter: Parameter, model: type[BaseModel], settings: dict[str, Any]
) -> dict[str, str]:
    """Returns the ends of a range, or the choices, that the variant itself would not take."""
    complaints = {
        f"{path}.{place}": _complaint(model, with_values(settings, {path: value}))
        for place, value in parameter.edges().items()
    }
    return {place: complaint for place, complaint in complaints.items() if complaint}


def _refused_together(
    space: dict[str, Parameter], model: type[BaseModel], settings: dict[str, Any]
) -> dict[str, str]:
    """Returns which ends or choices of two parameters the variant would not take together."""
    edges = [
        [(path, place, value) for place, value in parameter.edges().items()]
        for path, parameter in space.items()
    ]
    found = {}
    for one, other in chain.from_iterable(starmap(product, combinations(edges, 2))):
        values = {path: value for path, _, value in (one, other)}
        if complaint := _complaint(model, with_values(settings, values)):
            beside = f"with {'.'.join(other[:2])}, {other[2]}"
            found[".".join(one[:2])] = f"{complaint} ({beside})"
    return found


def _complaint(model: type[BaseModel], settings: dict[str, Any]) -> str | None:
    """Returns why settings cannot be configured, None if they can."""
    try:
        model.model_validate(settings)
    except ValidationError as error:
        return explanation(error.errors()[0])
    return None
