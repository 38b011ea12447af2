"""The values that tuning searches; each of them would be valid in the variant itself."""

from decimal import Decimal
from math import isfinite
from typing import Any, cast, get_origin

from pydantic import BaseModel, Field, ValidationError, model_validator

from competition.config import registry
from competition.config.base import Section, nearest, refuse, wording
from competition.config.registry import Component

Number = int | float
Value = bool | int | float | str

# The rounding error, in steps, that a range may have as a whole number of steps.
ROUNDING = 1e-6

# Up to here floats represent every integer, and all of them fit into Optuna's arrays.
LARGEST = 2**53


class Parameter(Section):
    """The values of one setting: numbers from `low` to `high`, or `choices`.

    Attributes:
        low, high: both included; integers for an integer setting.
        log: draws uniformly on a logarithmic scale, which suits a learning rate.
        step: the distance between values; without one, all between low and high are possible.
    """

    low: Number | None = None
    high: Number | None = None
    log: bool = False
    step: Number | None = Field(None, gt=0)
    choices: list[Value] | None = None

    @model_validator(mode="after")
    def _is_consistent(self):
        if problem := self._problem_of_choices() or self._problem_of_range():
            raise ValueError(problem)
        return self

    def _problem_of_choices(self) -> str | None:
        if self.choices is None:
            return None
        if self.model_dump(exclude_defaults=True).keys() != {"choices"}:
            return "choices exclude low, high, log and step"
        if len(set(self.choices)) != len(self.choices) or len(self.choices) < 2:
            return f"choices must be two or more different values, not {self.choices}"
        return None

    def _problem_of_range(self) -> str | None:
        if self.choices is not None:
            return None
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
        if self.step is not None:
            steps = (self.high - self.low) / self.step
            if not isfinite(steps) or abs(steps - max(1, round(steps))) >= ROUNDING:
                return f"steps of {self.step} lead from {self.low} past {self.high}"
        return None

    @property
    def bounds(self) -> tuple[Number, Number]:
        """The low and high end of a range; choices have none."""
        if self.low is None or self.high is None:
            raise ValueError("choices have no bounds")
        return self.low, self.high

    def edges(self) -> dict[str, Value]:
        """Returns each choice, or both ends of the range, by its path below the parameter."""
        if self.choices is not None:
            return {f"choices.{place}": choice for place, choice in enumerate(self.choices)}
        low, high = self.bounds
        return {"low": low, "high": high}

    def lowest(self) -> Value:
        """Returns the low end, or the first choice."""
        return next(iter(self.edges().values()))

    def count(self) -> int | None:
        """Returns the number of possible values, or None for a continuous range."""
        if self.choices is not None:
            return len(self.choices)
        low, high = self.bounds
        if self.step is None and not isinstance(low, int):
            return None
        return round((high - low) / (self.step or 1)) + 1

    def values(self) -> list[Value]:
        """Returns every possible value of a discrete parameter."""
        if self.choices is not None:
            return self.choices
        low, _ = self.bounds
        first, step = Decimal(str(low)), Decimal(str(self.step or 1))
        return [type(low)(first + number * step) for number in range(self.count() or 0)]

    def as_floats(self) -> "Parameter":
        """Returns the same range with floats as bounds; choices stay as they are."""
        if self.choices is not None:
            return self
        low, high = self.bounds
        return self.model_copy(update={"low": float(low), "high": float(high)})


def checked_space(
    raw: Any, model: type[BaseModel], given: dict[str, Any], invalid: set[str]
) -> dict[str, Parameter]:
    """Returns the search space of a variant; refuses all problems at once, for pydantic.

    Each end of a range and each choice must be valid in the variant itself. Two values may exclude
    one another: such a trial fails and is recorded.

    Args:
        raw: the space as read from YAML.
        model: the class of the variant.
        given: the variant's valid and searchable fields.
        invalid: fields that are refused already; their parameters are unknown.
    """
    space = flattened({} if raw is None else raw)
    if not isinstance(space, dict):
        return space  # pydantic refuses it next
    kinds = searchable(model, given)
    parameters: dict[str, Parameter] = {}
    problems: dict[str, str] = {}
    for path, value in space.items():
        if path not in kinds and path.partition(".")[0] not in invalid:
            problems[path] = f"this cannot be searched{_why_not(path, model, kinds)}"
            continue
        try:
            parameter = Parameter.model_validate(value)
        except ValidationError as error:
            places = {".".join([path, *map(str, e["loc"])]): e for e in error.errors()}
            problems |= {place: wording(e, Parameter) for place, e in places.items()}
            continue
        kind = kinds.get(path)
        parameters[path] = parameter.as_floats() if kind == "float" else parameter
        if kind is None:
            continue
        if problem := _wrong_type(parameter, kind):
            problems[path] = problem
        elif any(other.startswith(f"{path}.") for other in space):
            problems[path] = (
                f"{path} is chosen as a whole, so its parameters cannot be searched as well"
            )
        else:
            problems |= _refused_edges(path, parameter, model, given)
    refuse(problems.items())
    return parameters


def flattened(space: Any) -> Any:
    """Returns a space by full names: `architecture: {dropout: …}` is `architecture.dropout: …`.

    Both forms are allowed, as `--set` can only reach the nested one.
    """
    if not isinstance(space, dict):
        return space
    flat: dict[str, Any] = {}
    for name, given in space.items():
        is_nested = isinstance(given, dict) and all(isinstance(v, dict) for v in given.values())
        unfolded = {f"{name}.{inner}": value for inner, value in given.items()} if is_nested else {}
        for path, value in (unfolded or {name: given}).items():
            before = flat.get(path)
            is_change = isinstance(before, dict) and isinstance(value, dict)
            flat[path] = before | value if is_change else value
    return flat


def searchable(model: type[BaseModel], given: dict[str, Any]) -> dict[str, str]:
    """Returns the full names that can be searched in a variant's fields, with type or `choice`."""
    kinds = {}
    for name, value in given.items():
        annotation = model.model_fields[name].annotation
        if get_origin(annotation) is not list:
            kinds[name] = {int: "int", float: "float"}.get(cast(type, annotation), "choice")
        if isinstance(value, Component):
            known = registry.parameters(value.choices[value.name])
            kinds |= {f"{name}.{inner}": kind for inner, (kind, _) in known.items()}
    return kinds


def _why_not(path: str, model: type[BaseModel], kinds: dict[str, str]) -> str:
    field = model.model_fields.get(path.partition(".")[0])
    if field is not None and get_origin(field.annotation) is list:
        return ", as it is a list; another one can stand in a variant of its own"
    return nearest(path, kinds)


def _wrong_type(parameter: Parameter, kind: str) -> str | None:
    if parameter.choices is not None:
        return None
    if kind not in ("int", "float"):
        return "this is not a number: expected choices"
    numbers = {"low": parameter.low, "high": parameter.high, "step": parameter.step}
    for name, number in numbers.items():
        if kind == "int" and isinstance(number, float):
            return f"{name} must be a whole number, not {number}"
    return None


def _refused_edges(
    path: str, parameter: Parameter, model: type[BaseModel], given: dict[str, Any]
) -> dict[str, str]:
    """Returns the ends of a range, or choices, that are invalid in the variant itself, and why."""
    settings = {
        name: value.identity() if isinstance(value, Component) else value
        for name, value in given.items()
    }
    known = _complaints(model, settings)  # these are reported elsewhere
    found: dict[str, str] = {}
    for place, value in parameter.edges().items():
        complaints = _complaints(model, with_values(settings, {path: value}))
        new = [complaint for complaint in complaints if complaint not in known]
        found |= {f"{path}.{place}": complaint for complaint in new[:1]}
    return found


def _complaints(model: type[BaseModel], settings: dict[str, Any]) -> list[str]:
    try:
        model.model_validate(settings)
    except ValidationError as error:
        return [wording(one, model) for one in error.errors()]
    return []


def with_values(settings: dict[str, Any], values: dict[str, Value]) -> dict[str, Any]:
    """Returns a variant's settings, in YAML's form, with new values by full name.

    A full name is for example `epochs` or `augmentation.rotation`.
    """
    changed = dict(settings)
    for path, value in values.items():
        section, _, name = path.partition(".")
        changed[section] = {**changed[section], name: value} if name else value
    return changed
