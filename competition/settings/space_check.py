"""Whether a search space holds only what the variant itself could have, every mistake at once."""

from collections.abc import Callable, Iterable
from itertools import chain, combinations, product, starmap
from typing import Any

from pydantic import BaseModel, ValidationError

from competition.settings.components import Component
from competition.settings.search_space import (
    Parameter,
    flattened,
    is_list,
    searchable,
    with_values,
)
from competition.settings.section import explanation, refuse
from competition.settings.yaml_input import nearest


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
