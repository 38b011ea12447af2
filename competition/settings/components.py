"""What a configuration names: a function of the catalogue, with the arguments to call it with."""

import math
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, model_validator

from competition import catalogue
from competition.errors import UserError
from competition.settings.yaml_input import nearest


class Component(BaseModel):
    """A function of the catalogue by name, and the keyword arguments it is to be called with.

    In YAML either the name alone or a mapping: `{name: residual, width: 48}`.
    """

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)
    kind: ClassVar[str]
    choices: ClassVar[dict[str, str]]

    name: str

    @model_validator(mode="before")
    @classmethod
    def _canonical(cls, value: Any) -> Any:
        """Brings what means the same to the same form: then it is the same identity and pool."""
        if isinstance(value, str):
            return {"name": value}
        if not isinstance(value, dict) or str(value.get("name")) not in cls.choices:
            return value
        known = catalogue.parameters(cls.choices[value["name"]])
        given = {key: _as_float_if(key, given, known) for key, given in value.items()}
        return {k: v for k, v in given.items() if k not in known or not _same(v, known[k][1])}

    @model_validator(mode="after")
    def _exists(self):
        if self.name not in self.choices:
            raise ValueError(f"there is no {self.kind} '{self.name}'" + self._what_it_is())
        problems = [self._problem(key, value) for key, value in self.parameters.items()]
        if any(problems):
            raise ValueError("; ".join(filter(None, problems)))
        return self

    def _what_it_is(self) -> str:
        others = (kind for kind in Component.__subclasses__() if self.name in kind.choices)
        other = next(others, None)
        return f"; it is a {other.kind}" if other else nearest(self.name, self.choices)

    def _problem(self, key: str, value: Any) -> str | None:
        known = catalogue.parameters(self.choices[self.name])
        if key not in known:
            return f"'{self.name}' has no parameter '{key}'" + nearest(key, known)
        annotation, _ = known[key]
        if type(value).__name__ != annotation:
            return f"'{key}' must be of type {annotation}, not {value!r}"
        is_finite = annotation != "float" or math.isfinite(value)
        return None if is_finite else f"'{key}' must be finite, not {value!r}"

    @property
    def parameters(self) -> dict[str, Any]:
        """The keyword arguments that differ from the function's own defaults."""
        return dict(self.model_extra)

    def function(self) -> Callable:
        """Imports the function and returns it with its parameters filled in."""
        return partial(catalogue.resolve(self.choices[self.name]), **self.parameters)

    def build(self, *arguments: Any) -> Any:
        """Imports the function and returns what it makes.

        Args:
            arguments: what the function takes besides its parameters.

        Raises:
            UserError: when the function refuses its parameters.
        """
        try:
            return self.function()(*arguments)
        except ValueError as error:
            raise UserError(
                f"the {self.kind} '{self.name}' cannot be built with {self.parameters}: {error}"
            ) from error

    def identity(self) -> dict[str, Any]:
        """Returns the name and the parameters that differ from the function's own defaults."""
        return {"name": self.name, **self.parameters}


def _as_float_if(key: str, value: Any, known: dict) -> Any:
    """Takes a whole number for the float that the parameter is."""
    is_whole = type(value) is int and abs(value) <= sys.float_info.max
    return float(value) if is_whole and key in known and known[key][0] == "float" else value


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and one == other


class Architecture(Component):
    kind = "architecture"
    choices = catalogue.ARCHITECTURES


class Augmentation(Component):
    kind = "augmentation"
    choices = catalogue.AUGMENTATIONS


class Schedule(Component):
    kind = "schedule"
    choices = catalogue.SCHEDULES


class Resampling(Component):
    kind = "resampling"
    choices = catalogue.RESAMPLINGS


class Callback(Component):
    kind = "callback"
    choices = catalogue.CALLBACKS


class Method(Component):
    kind = "ensemble method"
    choices: ClassVar = {
        **catalogue.ENSEMBLE_METHODS,
        catalogue.RECOMMENDED: "competition.ensemble.comparison:recommended",
    }


class Sampler(Component):
    kind = "sampler"
    choices = catalogue.SAMPLERS


class Pruner(Component):
    kind = "pruner"
    choices = catalogue.PRUNERS
