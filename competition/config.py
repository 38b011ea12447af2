"""What can be configured, with its defaults; a file of `configs/` is a diff on these models.

`load_config` refuses every mistake at once, before any work, each with its path and the nearest
valid name.
"""

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from competition import catalogue
from competition.errors import UserError
from competition.yaml_input import apply_override, nearest, read_yaml

# Raised by hand when the meaning of a default changes: then every finished job is stale.
RECIPE_VERSION = 1

Share = Annotated[float, Field(ge=0, le=1)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]


class Section(BaseModel):
    """A section of the configuration: unknown keys and wrong types are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


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
    def _name_alone(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _exists(self):
        if self.name not in self.choices:
            raise ValueError(
                f"there is no {self.kind} '{self.name}'" + nearest(self.name, self.choices)
            )
        problems = [self._problem(key, value) for key, value in self.parameters.items()]
        if any(problems):
            raise ValueError("; ".join(filter(None, problems)))
        return self

    def _problem(self, key: str, value: Any) -> str | None:
        known = catalogue.parameters(self.choices[self.name])
        if key not in known:
            return f"'{self.name}' has no parameter '{key}'" + nearest(key, known)
        annotation, _ = known[key]
        accepted = {"int": int, "float": (int, float), "str": str, "bool": bool}[annotation]
        if isinstance(value, accepted) and isinstance(value, bool) == (annotation == "bool"):
            return None
        return f"'{key}' must be of type {annotation}, not {value!r}"

    @property
    def parameters(self) -> dict[str, Any]:
        """The keyword arguments as given."""
        return dict(self.model_extra)

    def function(self) -> Callable:
        """Imports the function and returns it with its parameters filled in."""
        return partial(catalogue.resolve(self.choices[self.name]), **self.parameters)

    def identity(self) -> dict[str, Any]:
        """Returns the name and the parameters that differ from the function's own defaults."""
        known = catalogue.parameters(self.choices[self.name])
        changed = {k: v for k, v in self.parameters.items() if v != known[k][1]}
        return {"name": self.name, **changed}


class Architecture(Component):
    kind = "architecture"
    choices = catalogue.ARCHITECTURES


class Augmentation(Component):
    kind = "augmentation"
    choices = catalogue.AUGMENTATIONS


class Method(Component):
    kind = "ensemble method"
    choices = catalogue.ENSEMBLE_METHODS


class Training(Section):
    """How a variant is trained. Every value may stand in `defaults:` or in a variant."""

    epochs: int = Field(12, ge=1, description="passes over the training rows")
    batch_size: int = Field(128, ge=1, description="rows a step")
    learning_rate: float = Field(3e-3, gt=0, description="the highest, after the warm-up")
    warm_up: Share = Field(0.125, description="share of the steps in which the rate rises")
    final_learning_rate: Share = Field(0.01, description="the last rate, as a share of the highest")
    weight_decay: float = Field(0.01, ge=0, description="decoupled, as AdamW has it")
    label_smoothing: Share = Field(0.0, description="share of each label given to all classes")
    augmentation: Augmentation = Augmentation(name="affine")
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    validate_every: int = Field(1, ge=1, description="epochs between points of the curve")
    seeds: list[Seed] = Field([0], min_length=1, description="one member a seed")


# Which members there are, and how often they are looked at, changes no trained weight.
NOT_IDENTITY = {"seeds", "validate_every"}


class Variant(Training):
    """An architecture and its training. Without `architecture`, the variant's name is taken."""

    architecture: Architecture

    def identity(self) -> dict[str, Any]:
        """Returns the values that differ from the defaults of this module."""
        fields = {k: v for k, v in type(self).model_fields.items() if k not in NOT_IDENTITY}
        return {
            key: value.identity() if isinstance(value, Component) else value
            for key, field in fields.items()
            if (value := getattr(self, key)) != field.default
        }


class Folds(Section):
    count: int = Field(5, ge=2, le=50, description="stratified folds")
    seed: Seed = 0


class Ensemble(Section):
    method: Method = Method(name="mean")


class Config(Section):
    """A whole run. `name` names its folders and submissions: by default, the file's stem."""

    name: Name
    data: Name = "digit-recognizer"
    folds: Folds = Folds()
    defaults: Training = Training()
    variants: dict[Name, Variant] = Field(min_length=1)
    ensemble: Ensemble = Ensemble()

    def to_yaml(self) -> str:
        """Returns the whole configuration, every default written out."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)


def load_config(path: Path, overrides: Iterable[str] = ()) -> Config:
    """Reads a YAML file and `key=value` overrides, such as `variants.plain.epochs=3`.

    Raises:
        UserError: naming every unknown key, wrong type and impossible value at once.
    """
    raw = read_yaml(path)
    for override in overrides:
        apply_override(raw, override)
    raw.setdefault("name", path.stem)
    try:
        return Config.model_validate(_with_defaults(raw))
    except ValidationError as error:
        lines = [_explain(e) for e in error.errors() if not _repeats_defaults(e["loc"], raw)]
        raise UserError(f"{path} cannot be used:\n" + "\n".join(lines)) from None


def _with_defaults(raw: dict) -> dict:
    """Spreads `defaults:` over the variants, and names each one's architecture."""
    variants, defaults = raw.get("variants"), raw.get("defaults") or {}
    if not isinstance(variants, dict) or not isinstance(defaults, dict):
        return raw
    full = {
        name: _full_variant(name, own or {}, defaults) if isinstance(own, dict | None) else own
        for name, own in variants.items()
    }
    return {**raw, "variants": full}


def _full_variant(name: str, own: dict, defaults: dict) -> dict:
    standard = Training.model_fields["augmentation"].default.name
    fallbacks = {"augmentation": standard, **defaults, "architecture": name}
    components = {
        key: _complete_component(own.get(key), fallbacks[key])
        for key in ("architecture", "augmentation")
    }
    return {**fallbacks, **own, **components}


def _complete_component(own: Any, fallback: Any) -> Any:
    """A mapping without a name changes parameters of the component that stood there before."""
    if own is None:
        return fallback
    if not isinstance(own, dict) or "name" in own:
        return own
    return {**(fallback if isinstance(fallback, dict) else {"name": fallback}), **own}


def _repeats_defaults(location: tuple, raw: dict) -> bool:
    """Says whether a variant's error only repeats one that `defaults:` has already."""
    match location:
        case ("variants", variant, key, *_):
            return key in (raw.get("defaults") or {}) and key not in (
                raw["variants"][variant] or {}
            )
    return False


def _explain(error: dict) -> str:
    *parents, last = error["loc"]
    path = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"  {path}: unknown key{nearest(str(last), _fields_at(parents))}"
    message = error["msg"].removeprefix("Value error, ")
    given = "" if error["type"] in ("value_error", "missing") else f", not {error['input']!r}"
    return f"  {path}: {message[0].lower()}{message[1:]}{given}"


def _fields_at(location: list) -> list[str]:
    """Returns the keys that the section at `location` accepts."""
    model: Any = Config
    for part in location:
        if get_origin(model) is dict:
            model = get_args(model)[1]
        elif isinstance(model, type) and issubclass(model, BaseModel):
            model = model.model_fields[part].annotation
    return list(model.model_fields)
