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

What a [configuration](settings.md) can name: a name alone, as in `architecture: residual`, or with
the parameters that differ from these defaults, as in `architecture: {name: residual, width: 48}`.
[`registry.py`](../competition/config/registry.py) lists the functions with their modules.
"""

# The page's sections: title, the settings that name such a component, and its kind.
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
    """Returns the page in Markdown, without importing the components."""
    parts = [INTRODUCTION]
    for title, place, kind in SECTIONS:
        rows = [row(name, location) for name, location in kind.choices.items()]
        header = "| name | parameters | what it is |\n| --- | --- | --- |"
        parts.append("\n".join([f"## {title}\n\nIn {place}:\n\n{header}", *rows, ""]))
    return "\n".join(parts)


def row(name: str, location: str) -> str:
    """Returns a component's line: its parameters with defaults, and a summary of its docstring."""
    known = parameters(location)
    defaults = ", ".join(f"{key}: {as_yaml(default)}" for key, (_, default) in known.items())
    summary, arguments = documentation(location)
    texts = [summary, *(f"`{key}`: {arguments[key]}" for key in known if key in arguments)]
    return f"| `{name}` | {f'`{defaults}`' if known else '–'} | {' '.join(texts)} |"


def as_yaml(value: bool | int | float | str) -> str:
    """Returns a default as written in YAML; a text that looks like a number is quoted."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and "e" in repr(value):  # YAML 1.1 takes 1e-05 for text
        return f"{value:.12f}".rstrip("0")
    is_numeric_text = isinstance(value, str) and re.fullmatch(r"[\d.]+", value)
    return f'"{value}"' if is_numeric_text else f"{value}"


def documentation(location: str) -> tuple[str, dict[str, str]]:
    """Returns a docstring's first paragraph, and its description of each argument."""
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
