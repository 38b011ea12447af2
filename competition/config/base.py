"""A section of the configuration, and how what is wrong with one is said."""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, NoReturn

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from competition.errors import UserError

Share = Annotated[float, Field(ge=0, le=1)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
LONGEST_NAME = 100
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=LONGEST_NAME)]

# The type of an error that tells by itself what was given.
MISFIT = "misfit"


class Section(BaseModel):
    """A section of the configuration: unknown keys and wrong types are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def refuse(problems: dict[str, str], others: ValidationError | None = None) -> NoReturn:
    """Raises, inside a validator, all problems of a section at once.

    Args:
        problems: what is wrong, by the path below the section.
        others: errors of the section that pydantic found already.
    """
    found = [
        InitErrorDetails(
            type=PydanticCustomError(MISFIT, "{what}", {"what": what}), loc=(path,), input=None
        )
        for path, what in problems.items()
    ]
    raise ValidationError.from_exception_data("section", [*_details(others), *found]) from None


def _details(error: ValidationError | None) -> list[InitErrorDetails]:
    return [
        InitErrorDetails(type=e["type"], loc=e["loc"], input=e["input"], ctx=e.get("ctx", {}))
        for e in (error.errors() if error else [])
    ]


def each_once(what: str) -> AfterValidator:
    """Returns a validator of lists of `what`, in which none may come again."""

    def check(numbers: list[int]) -> list[int]:
        if len(set(numbers)) != len(numbers):
            raise ValueError(f"each {what} is expected once, not {numbers}")
        return numbers

    return AfterValidator(check)


def explanation(error: Any) -> str:
    """Returns the message of one of pydantic's errors, in the words of this project."""
    message = error["msg"].removeprefix("Value error, ")
    message = re.sub(r"a valid dictionary.*", "'key: value' lines", message)
    return f"{message[0].lower()}{message[1:]}{_given(error)}"


def _given(error: Any) -> str:
    """Returns what was given instead, unless it holds a URL, and so perhaps a password."""
    given = f", not {error['input']!r}"
    is_told = error["type"] in ("value_error", "missing", MISFIT)
    return "" if is_told or "://" in given else given


def read_yaml(path: Path) -> dict:
    """Reads a YAML mapping; an empty file is an empty one.

    Raises:
        UserError: when the file is missing (naming the nearest one), unreadable, not YAML, holds
            a key twice, or holds something other than `key: value` lines.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"there is no configuration {path}{_other_file(path)}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read as a text file: {error}") from None
    raw = _parse_yaml(text, str(path)) or {}
    if not isinstance(raw, dict):
        raise UserError(f"{path} must hold 'key: value' lines, not a {type(raw).__name__}")
    return raw


def _other_file(path: Path) -> str:
    """Returns the end of an error message: what may have been meant by a file that is not there."""
    if " " in str(path) and all(map(Path.exists, map(Path, str(path).split()))):
        return "; one is expected here: several are for `ensemble` and `baselines`"
    others = sorted({*path.parent.glob("*.yaml"), *Path("configs").glob("*.yaml")})
    same = [f"; did you mean '{other}'?" for other in others if other.stem == path.stem]
    return same[0] if same else nearest(str(path), map(str, others))


def apply_override(raw: dict, override: str) -> None:
    """Sets one value of nested mappings, as `folds.count=3` or `variants.plain.epochs=2`.

    Raises:
        UserError: when the override is not of the form key=value, or the value is not YAML.
    """
    key, separator, value = override.partition("=")
    if not separator or not key:
        raise UserError(
            f"the override '{override}' must look like key=value, such as folds.count=3, without "
            "spaces"
        )
    *parents, last = key.split(".")
    section = raw
    for parent in parents:
        section[parent] = _own_mapping(section.get(parent))
        section = section[parent]
    section[last] = _parse_yaml(value, f"the override of {key}")


def _own_mapping(found: Any) -> dict:
    """Returns a copy, as an alias in the YAML may have the same mapping stand elsewhere, too."""
    if isinstance(found, str):  # `architecture: plain` becomes a mapping
        return {"name": found}
    return dict(found) if isinstance(found, dict) else {}


def nearest(name: str, names: Iterable[str]) -> str:
    """Returns the end of an error message: the name that was probably meant, or all there are."""
    names = list(names)
    close = get_close_matches(name, names, n=1)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; there are: {', '.join(names)}" if names else ""


# How YAML calls the key `<<`.
MERGE = "tag:yaml.org,2002:merge"


class _StrictLoader(yaml.SafeLoader):
    """Safe YAML that refuses a key given twice, of which the usual loader drops the first."""

    def construct_mapping(self, node, deep=False):
        own = [key for key, _ in node.value if key.tag != MERGE]  # what is merged gives way to them
        keys = [self.construct_object(key, deep=True) for key in own]
        problems = [f"key given twice: {key}" for key in set(map(str, keys)) if keys.count(key) > 1]
        problems += [f"a key must be text, not {key!r}" for key in keys if not isinstance(key, str)]
        if problems:
            raise yaml.MarkedYAMLError(problem=problems[0], problem_mark=node.start_mark)
        return super().construct_mapping(node, deep)


# YAML 1.1, which PyYAML speaks, takes 3e-3 for text, as it has no point; YAML 1.2 mended that.
_StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]+[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def _parse_yaml(text: str, source: str) -> Any:
    try:
        return yaml.load(text, Loader=_StrictLoader)  # noqa: S506, it derives from SafeLoader
    except yaml.MarkedYAMLError as error:
        raise UserError(f"{source} is not valid YAML: {_told(error)}") from None
    except (yaml.YAMLError, TypeError, ValueError, LookupError, RecursionError) as error:
        raise UserError(f"{source} is not valid YAML: {error}") from None


def _told(error: yaml.MarkedYAMLError) -> str:
    """Returns what is wrong and where, without the lines themselves: one may hold a password."""
    context = f"{error.context}, " if error.context else ""
    mark = error.problem_mark
    return f"{context}{error.problem} in line {mark.line + 1}, column {mark.column + 1}"
