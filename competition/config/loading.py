"""The configuration of a whole run: a file of `configs/` overrides the defaults in `schema.py`.

`load_config` reports all mistakes at once, before any work, each with its path and the nearest
valid name.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import ErrorDetails

from competition import paths
from competition.config.base import (
    Name,
    Section,
    apply_override,
    nearest,
    read_yaml,
    refuse,
    wording,
)
from competition.config.registry import Component
from competition.config.schema import Ensemble, Folds, Training, Tuning, Variant
from competition.errors import UserError

# Each is built before any training, and has columns and lines in every report.
MOST_VARIANTS = 200

# Increase it when the meaning of a default changes: then every finished job is stale.
RECIPE_VERSION = 2


def _not_reserved(name: str) -> str:
    reserved = {
        paths.POOLS.name: "where augmented images are kept",
        paths.COMPARISON.name: "where runs are compared",
        paths.SUBMISSION_HISTORY.stem: "where submissions are noted",
    }
    if name.endswith(suffix := paths.mean_name("")):
        reserved[name] = f"where the plain mean of '{name.removesuffix(suffix)}' goes"
    if name in reserved:
        raise ValueError(f"'{name}' is {reserved[name]}; choose another name")
    return name


class Config(Section):
    """A whole run. Its folders and submissions have its `name`: by default, the file's stem."""

    name: Annotated[Name, AfterValidator(_not_reserved)]
    data: Name = paths.COMPETITION
    folds: Folds = Folds()
    marks: str | None = Field(
        None, description="a gallery's marks; training leaves out or relabels their label errors"
    )
    defaults: Training = Training()
    variants: dict[Name, Variant] = Field(min_length=1, max_length=MOST_VARIANTS)
    ensemble: Ensemble = Ensemble()
    tuning: Tuning = Field(Tuning(), validate_default=True)

    @field_validator("ensemble", "tuning")
    @classmethod
    def _fits_the_rest(cls, section: Any, info: ValidationInfo) -> Any:
        if {"variants", "folds"} <= info.data.keys():  # else they are invalid themselves
            refuse(section.problems(info.data["folds"], info.data["variants"]))
        return section

    def with_trials(self, trials: int) -> "Config":
        """Returns this configuration with another total number of trials."""
        tuning = self.tuning.model_copy(update={"trials": trials})
        return self.model_copy(update={"tuning": tuning})

    def require_variant(self, name: str) -> None:
        """Raises UserError if no variant has this name."""
        if name not in self.variants:
            raise UserError(f"'{self.name}' has no variant '{name}'{nearest(name, self.variants)}")

    def to_yaml(self) -> str:
        """Returns the whole configuration, including every default."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)


def load_config(path: Path, overrides: Iterable[str] = ()) -> Config:
    """Reads a YAML file and `key=value` overrides, such as `variants.plain.epochs=3`.

    Raises:
        UserError: naming every unknown key, wrong type and impossible value at once.
    """
    raw = read_yaml(path)
    for override in overrides:
        apply_override(raw, override)
    raw = {"name": path.stem} | {key: value for key, value in raw.items() if value is not None}
    try:
        return Config.model_validate(_with_defaults(raw))
    except ValidationError as error:
        lines = [_line(one, raw) for one in _without_inherited(error.errors(), raw)]
        raise UserError(f"{path} cannot be used:\n" + "\n".join(lines)) from None


def load_configs(files: list[Path], overrides: Iterable[str] = ()) -> list[Config]:
    """Reads several files (or none), the first one with `overrides`.

    Raises:
        UserError: as `load_config`, or if two have the same name.
    """
    changes = [overrides, *[()] * (len(files) - 1)]
    configs = [*map(load_config, files, changes)]
    names = [config.name for config in configs]
    if len(set(names)) != len(names):
        raise UserError(
            f"each configuration needs a name of its own, not {', '.join(names)}: its results' "
            "folder has that name; leave one out, or change its `name:`"
        )
    return configs


# The default of each setting that names a component, as in YAML.
STANDARD = {
    name: field.default.identity()
    for name, field in Training.model_fields.items()
    if isinstance(field.default, Component)
}


def _with_defaults(raw: dict) -> dict:
    """Applies `defaults:` to the variants, and fills in each one's architecture."""
    defaults: Any = raw.get("defaults", {})
    if isinstance(defaults, dict):
        changed = {
            key: _complete_component(defaults[key], standard)
            for key, standard in STANDARD.items()
            if key in defaults
        }
        defaults = defaults | changed
    full = raw | ({"defaults": defaults} if "defaults" in raw else {})
    if isinstance(variants := raw.get("variants"), dict):
        full["variants"] = {
            name: _full_variant(name, own, defaults) for name, own in variants.items()
        }
    return full


def _full_variant(name: str, own: Any, defaults: Any) -> Any:
    if own is None:
        own = {}
    if not isinstance(own, dict):
        return own
    shared = defaults if isinstance(defaults, dict) else {}
    fallbacks = {**STANDARD, **shared, "architecture": name}
    components = {
        key: _complete_component(own.get(key), fallbacks[key])
        for key in (*STANDARD, "architecture")
    }
    return {**fallbacks, **own, **components}


def _complete_component(own: Any, fallback: Any) -> Any:
    """A mapping without a name changes parameters of the fallback component."""
    if own is None:
        return fallback
    if not isinstance(own, dict) or "name" in own:
        return own
    return {**(fallback if isinstance(fallback, dict) else {"name": fallback}), **own}


def _without_inherited(errors: list[ErrorDetails], raw: dict) -> list[ErrorDetails]:
    """Leaves out errors that variants inherit from `defaults:`, where they are reported once."""
    reported = {(error["loc"], error["msg"]) for error in errors}

    def is_inherited(error: ErrorDetails) -> bool:
        if error["loc"][:1] != ("variants",) or len(error["loc"]) < 3:
            return False
        _, variant, key, *_ = error["loc"]
        own = raw["variants"][variant]
        has_own = isinstance(own, dict) and key in own
        return not has_own and (("defaults", *error["loc"][2:]), error["msg"]) in reported

    return [error for error in errors if not is_inherited(error)]


def _line(error: ErrorDetails, raw: dict) -> str:
    """Returns an error with its path; for a key in the wrong place, names its section."""
    path, text = ".".join(map(str, error["loc"])), wording(error, Config)
    if error["type"] == "extra_forbidden" and len(error["loc"]) == 1:
        sections = {"defaults": Training.model_fields, "variants": raw.get("variants")}
        meant = [name for name, keys in sections.items() if isinstance(keys, dict) and path in keys]
        if meant:
            text = f"unknown key; did you mean '{meant[0]}.{path}'?"
    return f"  {path}: {text}"
