"""The names that YAML files can use, and their functions, which are imported when needed.

To add an architecture, a policy or an ensemble method, write its function and add a line here.
"""

import ast
import importlib
import importlib.util
import math
import sys
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, model_validator

from competition.config.base import nearest
from competition.errors import UserError

ARCHITECTURES = {
    "plain": "competition.models.plain:plain",
    "residual": "competition.models.residual:residual",
    "large_kernel": "competition.models.large_kernel:large_kernel",
    "two_convolutions": "competition.models.classic:two_convolutions",
    "four_convolutions": "competition.models.classic:four_convolutions",
    "deotte": "competition.models.classic:deotte",
    "lenet5": "competition.models.classic:lenet5",
    "perceptron": "competition.models.classic:perceptron",
    "resnet": "competition.models.residual:resnet",
    "capsules": "competition.models.capsules:capsules",
}

# Learners that are not nets; a variant names one in place of an architecture.
LEARNERS = {
    "gradient_svm": "competition.models.classical:gradient_svm",
    "distortion_neighbours": "competition.models.classical:distortion_neighbours",
}

AUGMENTATIONS = {
    "none": "competition.data.augmentation:none",
    "affine": "competition.data.augmentation:affine",
    "affine_elastic": "competition.data.augmentation:affine_elastic",
    "warp": "competition.data.augmentation:warp",
}

SCHEDULES = {
    "one_cycle": "competition.training.schedules:one_cycle",
    "cosine": "competition.training.schedules:cosine",
    "exponential": "competition.training.schedules:exponential",
    "step_decay": "competition.training.schedules:step_decay",
    "constant": "competition.training.schedules:constant",
}

RESAMPLINGS = {
    "none": "competition.training.training_data:none",
    "random_over": "competition.training.training_data:random_over",
    "smote": "competition.training.training_data:smote",
    "class_weights": "competition.training.training_data:class_weights",
}

# Each of them looks at the held-out rows, so scores on these rows are marked as selected.
CALLBACKS = {
    "early_stopping": "competition.training.callbacks:early_stopping",
    "reduce_on_plateau": "competition.training.callbacks:reduce_on_plateau",
    "best_checkpoint": "competition.training.callbacks:best_checkpoint",
}

# From simple to complex, by what each fits to m members: nothing (three methods), m - 1 weights,
# m - 1 weights by a search, m weights, m + 1 temperatures, 10 (10 m + 1) weights. Of methods that
# are equally good, the program recommends the first.
ENSEMBLE_METHODS = {
    "mean": "competition.ensemble.methods:mean",
    "geometric_mean": "competition.ensemble.methods:geometric_mean",
    "majority_vote": "competition.ensemble.methods:majority_vote",
    "weighted_mean": "competition.ensemble.methods:weighted_mean",
    "hill_climbing": "competition.ensemble.methods:hill_climbing",
    "logarithmic_pool": "competition.ensemble.methods:logarithmic_pool",
    "temperature": "competition.ensemble.methods:temperature",
    "stacking": "competition.ensemble.methods:stacking",
}

# In place of a method, it leaves the choice to the comparison of all methods.
RECOMMENDED = "recommended"

SAMPLERS = {
    "tpe": "competition.tuning.samplers:tpe",
    "random": "competition.tuning.samplers:random",
    "grid": "competition.tuning.samplers:grid",
    "gp": "competition.tuning.samplers:gp",
}

PRUNERS = {
    "none": "competition.tuning.samplers:none",
    "median": "competition.tuning.samplers:median",
    "hyperband": "competition.tuning.samplers:hyperband",
    "wilcoxon": "competition.tuning.samplers:wilcoxon",
}


def resolve(location: str) -> Callable:
    """Returns the function at `"module:function"`, importing its module."""
    module, function = location.split(":")
    return getattr(importlib.import_module(module), function)


@lru_cache
def parameters(location: str) -> dict[str, tuple[str, Any]]:
    """Returns annotation (as text) and default of each parameter that has one, by name.

    The signature of `"module:function"` is read from the source, so that a configuration can be
    checked without importing Keras, which takes seconds.
    """
    module, function = location.split(":")
    definitions = (n for n in syntax_tree(module).body if isinstance(n, ast.FunctionDef))
    arguments = next(d.args for d in definitions if d.name == function)
    with_default = arguments.args[len(arguments.args) - len(arguments.defaults) :]
    return {
        argument.arg: (_type_name(location, argument), ast.literal_eval(default))
        for argument, default in zip(with_default, arguments.defaults, strict=True)
    }


def syntax_tree(module: str) -> ast.Module:
    """Returns a module's source as a syntax tree, without importing it."""
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"there is no source file of {module}")
    return ast.parse(Path(spec.origin).read_text(encoding="utf-8"))


def _type_name(location: str, argument: ast.arg) -> str:
    """Returns `int`, `float`, `str` or `bool`: what a YAML file can give."""
    name = ast.unparse(argument.annotation) if argument.annotation else "nothing"
    if name not in ("int", "float", "str", "bool"):
        raise TypeError(
            f"{location}: the parameter '{argument.arg}' is annotated with {name}, but a "
            "configuration can only give int, float, str or bool"
        )
    return name


def code_of(module: str) -> str:
    """Returns a module's code without comments, docstrings and layout, and without importing it.

    Unlike a dump of the syntax tree, it is the same in every version of Python.
    """
    tree = syntax_tree(module)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            continue
        if ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)


class Component(BaseModel):
    """The name of a registered function, and its keyword arguments.

    In YAML either the name alone or a mapping: `{name: residual, width: 48}`. Each kind of
    component is a subclass with the functions that it can name.
    """

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)
    kind: ClassVar[str]
    choices: ClassVar[dict[str, str]]

    name: str

    def __init_subclass__(cls, kind: str, choices: dict[str, str], **config: Any):
        super().__init_subclass__(**config)
        cls.kind, cls.choices = kind, choices

    @model_validator(mode="before")
    @classmethod
    def _canonical(cls, value: Any) -> Any:
        """Writes equal settings in the same form, so that they have the same identity and pool."""
        if isinstance(value, str):
            return {"name": value}
        if not isinstance(value, dict) or str(value.get("name")) not in cls.choices:
            return value
        known = parameters(cls.choices[value["name"]])
        canonical = {}
        for key, given in value.items():
            annotation, default = known.get(key, (None, None))
            is_whole = type(given) is int and abs(given) <= sys.float_info.max
            full = float(given) if annotation == "float" and is_whole else given
            if key not in known or (type(full), full) != (type(default), default):
                canonical[key] = full
        return canonical

    @model_validator(mode="after")
    def _exists(self):
        if self.name not in self.choices:
            others = (kind for kind in Component.__subclasses__() if self.name in kind.choices)
            other = next(others, None)
            meant = f"; it is a {other.kind}" if other else nearest(self.name, self.choices)
            raise ValueError(f"there is no {self.kind} '{self.name}'{meant}")
        problems = (self._problem(key, value) for key, value in self.parameters.items())
        if message := "; ".join(filter(None, problems)):
            raise ValueError(message)
        return self

    def _problem(self, key: str, value: Any) -> str | None:
        known = parameters(self.choices[self.name])
        if key not in known:
            return f"'{self.name}' has no parameter '{key}'" + nearest(key, known)
        annotation, _ = known[key]
        if type(value).__name__ != annotation:
            in_quotes = f"; put it in quotes: '{value}'" if annotation == "str" else ""
            return f"'{key}' must be of type {annotation}, not {value!r}{in_quotes}"
        if annotation == "float" and not math.isfinite(value):
            return f"'{key}' must be finite, not {value!r}"
        return None

    @property
    def parameters(self) -> dict[str, Any]:
        """The keyword arguments that differ from the function's defaults."""
        return dict(self.model_extra or {})

    def function(self) -> Callable:
        """Imports the function and returns it with its parameters bound."""
        return partial(resolve(self.choices[self.name]), **self.parameters)

    def build(self, *arguments: Any) -> Any:
        """Imports and calls the function; parameters that it refuses are a UserError."""
        try:
            return self.function()(*arguments)
        except ValueError as error:
            raise UserError(
                f"the {self.kind} '{self.name}' cannot be built with {self.parameters}: {error}"
            ) from error

    def identity(self) -> dict[str, Any]:
        """Returns the name and the parameters that differ from the function's defaults."""
        return {"name": self.name, **self.parameters}


METHODS = {**ENSEMBLE_METHODS, RECOMMENDED: "competition.ensemble.comparison:recommended"}


class Architecture(Component, kind="architecture", choices=ARCHITECTURES | LEARNERS):
    @property
    def is_net(self) -> bool:
        """Whether it is a Keras net, and not another learner."""
        return self.name in ARCHITECTURES


class Augmentation(Component, kind="augmentation", choices=AUGMENTATIONS): ...


class Schedule(Component, kind="schedule", choices=SCHEDULES): ...


class Resampling(Component, kind="resampling", choices=RESAMPLINGS): ...


class Callback(Component, kind="callback", choices=CALLBACKS): ...


class Method(Component, kind="ensemble method", choices=METHODS): ...


class Sampler(Component, kind="sampler", choices=SAMPLERS): ...


class Pruner(Component, kind="pruner", choices=PRUNERS): ...
