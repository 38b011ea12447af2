"""What digits come in, whatever the format: images and labels of two parts, train and test."""

from pathlib import Path
from typing import Any

from competition.errors import UserError

# A part, `train` or `test`, and a kind, `images` or `labels`.
Key = tuple[str, str]

PARTS = {"train": "train", "training": "train", "test": "test", "testing": "test", "t10k": "test"}
KINDS = {
    **dict.fromkeys(("x", "image", "images"), "images"),
    **dict.fromkeys(("y", "label", "labels"), "labels"),
}
REQUIRED = {("train", "images"), ("train", "labels"), ("test", "images")}


def chosen(path: Path, named: list[tuple[str, Key | None, Any]], expected: str) -> dict[Key, Any]:
    """Returns what there is of digits, by part and kind.

    Args:
        path: where it is.
        named: the name of each thing there, its part and kind (None: no digits), and its values.
        expected: what to call such things.

    Raises:
        UserError: when one is missing or there twice.
    """
    found: dict[Key, Any] = {}
    names: dict[Key, str] = {}
    for name, key, values in named:
        if key in found:
            what, twice = f"{key[1]} of {key[0]}", f"'{names[key]}' and '{name}'"
            raise UserError(f"{path} holds the {what} twice, as {twice}; leave one")
        if key is not None:
            found[key], names[key] = values, name
    missing = sorted(REQUIRED - found.keys())
    if missing:
        absent = ", ".join(f"{kind} of {part}" for part, kind in missing)
        there = ", ".join(name for name, _, _ in named) or "nothing"
        raise UserError(f"{path} has no {absent}; expected {expected}; it holds {there}")
    return found
