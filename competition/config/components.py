"""`docs/components.md`: what a configuration can name, from signatures and docstrings."""

import ast
import re
import textwrap

from competition.config.registry import (
    Architecture,
    Augmentation,
    Callback,
    Component,
    Method,
    Pruner,
    Resampling,
    Sampler,
    Schedule,
    parameters,
    syntax_tree,
)

INTRODUCTION = """\
# Components and their parameters

Back to the [README](../README.md). `make docs` writes this page from signatures and docstrings.

What a [configuration](settings.md) can name. Each is a name, or a name with those parameters that
are to differ from these defaults: `architecture: residual`, or
`architecture: {name: residual, width: 48}`. The functions stand in
[`registry.py`](../competition/config/registry.py), with the module of each.
"""

# The sections of the page: title, where such a component stands in a configuration, and its kind.
SECTIONS: list[tuple[str, str, type[Component]]] = [
    ("Architectures", "`architecture`", Architecture),
    ("Augmentation policies", "`augmentation`, `test_time_augmentation`", Augmentation),
    ("Schedules", "`schedule`", Schedule),
    ("Callbacks", "`callbacks`", Callback),
    ("Resampling", "`resampling`", Resampling),
    ("Ensemble methods", "`ensemble: {method: …}`", Method),
    ("Samplers", "`tuning: {sampler: …}`", Sampler),
    ("Pruners", "`tuning: {pruner: …}`", Pruner),
]


def components_page() -> str:
    """Returns the page in Markdown; nothing is imported but what is read here."""
    parts = [INTRODUCTION]
    for title, place, kind in SECTIONS:
        rows = [row(name, location) for name, location in kind.choices.items()]
        header = "| name | parameters | what it is |\n| --- | --- | --- |"
        parts.append("\n".join([f"## {title}\n\nIn {place}:\n\n{header}", *rows, ""]))
    return "\n".join(parts)


def row(name: str, location: str) -> str:
    """Returns a component's line: its parameters with defaults, and its docstring in short."""
    known = parameters(location)
    defaults = ", ".join(f"{key}: {as_yaml(default)}" for key, (_, default) in known.items())
    summary, arguments = documentation(location)
    told = [summary, *(f"`{key}`: {arguments[key]}" for key in known if key in arguments)]
    return f"| `{name}` | {f'`{defaults}`' if known else '–'} | {' '.join(told)} |"


def as_yaml(value: bool | int | float | str) -> str:
    """Returns a default as a YAML file has it; text that YAML would read as a number is quoted."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and "e" in repr(value):  # YAML 1.1 takes 1e-05 for text
        return f"{value:.12f}".rstrip("0")
    is_numeric_text = isinstance(value, str) and re.fullmatch(r"[\d.]+", value)
    return f'"{value}"' if is_numeric_text else f"{value}"


def documentation(location: str) -> tuple[str, dict[str, str]]:
    """Returns a docstring's first paragraph, and what it says of each argument."""
    module, function = location.split(":")
    nodes = (node for node in syntax_tree(module).body if isinstance(node, ast.FunctionDef))
    text = ast.get_docstring(next(node for node in nodes if node.name == function)) or ""
    summary = " ".join(text.partition("\n\n")[0].split())
    _, _, described = text.partition("Args:\n")
    block = textwrap.dedent(described.partition("\n\n")[0])
    arguments = re.findall(r"^(\w[\w, ]*): (.*(?:\n .*)*)", block, re.MULTILINE)
    return summary, {
        name: " ".join(words.split()) for names, words in arguments for name in names.split(", ")
    }
