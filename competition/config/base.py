"""Shared by all parts of the configuration: strict sections, wording of errors, YAML."""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from math import inf
from pathlib import Path
from reprlib import Repr
from typing import Annotated, Any, get_args, get_origin

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from competition.errors import UserError

Share = Annotated[float, Field(ge=0, le=1)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
LONGEST_NAME = 100
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=LONGEST_NAME)]

# No sensible configuration is longer, or has more values once its aliases are written out.
LONGEST_FILE, MOST_VALUES = 1_000_000, 100_000

# Of given values in messages.
SHORT = Repr()
SHORT.maxstring = SHORT.maxother = 100

# The type of our own errors, whose messages already include the given value.
MISFIT = "misfit"


class Section(BaseModel):
    """A section of the configuration: unknown keys and wrong types are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def refuse(problems: Iterable[tuple[str, str]]) -> None:
    """Raises all problems, if any, in a validator: pairs of path below the section and text."""
    details = [
        InitErrorDetails(
            type=PydanticCustomError(MISFIT, "{problem}", {"problem": problem}),
            loc=(path,),
            input=None,
        )
        for path, problem in problems
    ]
    if details:
        raise ValidationError.from_exception_data("section", details) from None


def each_once(noun: str) -> AfterValidator:
    """Returns a validator that refuses a list with repeated values."""

    def check(values: list) -> list:
        if len(set(values)) != len(values):
            raise ValueError(f"each {noun} is expected once, not {values}")
        return values

    return AfterValidator(check)


def wording(error: ErrorDetails, model: type[BaseModel]) -> str:
    """Returns the message for one of pydantic's errors about `model`, without its path."""
    if error["type"] == "extra_forbidden":
        *parents, key = error["loc"]
        return f"unknown key{nearest(str(key), _fields_at(model, parents))}"
    message = error["msg"].removeprefix("Value error, ")
    message = re.sub(r"a valid dictionary.*", "'key: value' lines", message)
    given = f", not {SHORT.repr(error['input'])}"
    is_complete = error["type"] in ("value_error", "missing", MISFIT)
    if is_complete or "://" in given:  # a URL may hold a password
        given = ""
    return f"{message[0].lower()}{message[1:]}{given}"


def _fields_at(model: Any, location: Iterable[int | str]) -> list[str]:
    """Returns the keys that the section at a location below `model` accepts."""
    for part in location:
        if get_origin(model) is dict:
            model = get_args(model)[1]
        elif isinstance(model, type) and issubclass(model, BaseModel):
            model = model.model_fields[str(part)].annotation
    return list(model.model_fields)


def nearest(name: str, names: Iterable[str]) -> str:
    """Returns the end of an error message: the most similar of some names, or all of them."""
    names = list(names)
    if close := get_close_matches(name, names, n=1):
        return f"; did you mean '{close[0]}'?"
    return f"; there are: {', '.join(names)}" if names else ""


def read_yaml(path: Path) -> dict:
    """Reads a YAML file of `key: value` lines, perhaps an empty one; refuses keys given twice."""
    try:
        if path.is_dir():
            raise UserError(f"'{path}' is a folder, not a configuration{_file_meant(path)}")
        if path.stat().st_size > LONGEST_FILE:
            raise UserError(f"{path} is too long for a configuration; is it another file?")
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"there is no configuration {path}{_file_meant(path)}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read as a text file: {error}") from None
    raw = _parse_yaml(text, str(path)) or {}
    if not isinstance(raw, dict):
        raise UserError(f"{path} must hold 'key: value' lines, not a {type(raw).__name__}")
    return raw


def _file_meant(path: Path) -> str:
    """Returns the end of the message about a missing file: which one was probably meant."""
    if " " in str(path) and all(map(Path.exists, map(Path, str(path).split()))):
        return "; expected one file: only `ensemble`, `compare` and `baselines` take several"
    others = sorted({*path.parent.glob("[!.]*.yaml"), *Path("configs").glob("*.yaml")})
    same_stem = [f"; did you mean '{other}'?" for other in others if other.stem == path.stem]
    return same_stem[0] if same_stem else nearest(str(path), map(str, others))


def apply_override(raw: dict, override: str) -> None:
    """Sets one value of nested mappings, as `folds.count=3` or `variants.plain.epochs=2`."""
    key, separator, value = override.partition("=")
    if not separator or not key:
        raise UserError(
            f"the override '{override}' must look like key=value, such as folds.count=3, without "
            "spaces"
        )
    *parents, last = key.split(".")
    section = raw
    for parent in parents:
        found = section.get(parent)
        if isinstance(found, str):  # `architecture: plain` becomes a mapping
            found = {"name": found}
        # A copy: an alias in the YAML puts the same mapping into several places.
        section[parent] = dict(found) if isinstance(found, dict) else {}
        section = section[parent]
    section[last] = _parse_yaml(value, f"the override of {key}")


class _StrictLoader(yaml.SafeLoader):
    """Safe YAML that refuses a key given twice: the usual loader silently drops the first.

    It also refuses aliases that stand for too much: a few lines of them can mean 10^9 values.
    """

    def construct_document(self, node):
        sizes: dict[int, float] = {}

        def size(part) -> float:
            if id(part) not in sizes:
                sizes[id(part)] = inf  # found again below itself
                content = part.value if isinstance(part.value, list) else []
                parts = (
                    each
                    for item in content
                    for each in (item if isinstance(item, tuple) else (item,))
                )
                sizes[id(part)] = 1 + sum(map(size, parts))
            return sizes[id(part)]

        if size(node) > MOST_VALUES:
            raise yaml.YAMLError(f"it stands for more than {MOST_VALUES:,} values")
        return super().construct_document(node)

    def construct_mapping(self, node, deep=False):
        # A mapping's own keys override what `<<` merges, so these may be repeated.
        own = [key for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        keys = [self.construct_object(key, deep=True) for key in own]
        problems = [f"key given twice: {key}" for key in set(map(str, keys)) if keys.count(key) > 1]
        problems += [f"a key must be text, not {key!r}" for key in keys if not isinstance(key, str)]
        if problems:
            raise yaml.MarkedYAMLError(problem=problems[0], problem_mark=node.start_mark)
        return super().construct_mapping(node, deep)


# PyYAML reads YAML 1.1, where 3e-3 is text, as it has no point; YAML 1.2 fixed that.
_StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]+[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def _parse_yaml(text: str, source: str) -> Any:
    try:
        return yaml.load(text, Loader=_StrictLoader)  # noqa: S506, it derives from SafeLoader
    except yaml.MarkedYAMLError as error:
        # Not the line itself, which may hold a password.
        context = f"{error.context}, " if error.context else ""
        mark = error.problem_mark
        place = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise UserError(f"{source} is not valid YAML: {context}{error.problem}{place}") from None
    except (yaml.YAMLError, TypeError, ValueError, LookupError, RecursionError) as error:
        raise UserError(f"{source} is not valid YAML: {error}") from None
