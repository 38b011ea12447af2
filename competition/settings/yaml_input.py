"""Reading YAML strictly, and changing single values of it: `key=value` as on the command line."""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from competition.errors import UserError


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
