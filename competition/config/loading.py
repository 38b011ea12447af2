"""A whole run as it can be configured; a file of `configs/` says what differs from the defaults.

The sections, with their defaults and limits, are in `competition/settings/`. `load_config` refuses
every mistake at once, before any work, each with its path and the nearest valid name.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from competition import paths
from competition.config.base import (
    Name,
    Section,
    apply_override,
    explanation,
    nearest,
    read_yaml,
    refuse,
)
from competition.config.registry import Component
from competition.config.schema import Ensemble, Folds, Training, Tuning, Variant, misfits
from competition.errors import UserError

# Raised by hand when the meaning of a default changes: then every finished job is stale.
RECIPE_VERSION = 2


def _not_reserved(name: str) -> str:
    reserved = {
        paths.pools_folder().name: "where augmented images are kept",
        paths.submission_history_csv().stem: "where submissions are noted",
    }
    if name.endswith(suffix := paths.mean_name("")):
        reserved[name] = f"where the plain mean of '{name.removesuffix(suffix)}' goes"
    if name in reserved:
        raise ValueError(f"'{name}' is {reserved[name]}; choose another name")
    return name


class Config(Section):
    """A whole run. `name` names its folders and submissions: by default, the file's stem."""

    name: Annotated[Name, AfterValidator(_not_reserved)]
    data: Name = paths.COMPETITION
    folds: Folds = Folds()
    marks: str | None = Field(
        None, description="a gallery's marks; training leaves out or relabels its label errors"
    )
    defaults: Training = Training()
    variants: dict[Name, Variant] = Field(min_length=1)
    ensemble: Ensemble = Ensemble()
    tuning: Tuning = Field(Tuning(), validate_default=True)

    @field_validator("tuning")
    @classmethod
    def _fits_the_rest(cls, tuning: Tuning, info: ValidationInfo) -> Tuning:
        if {"folds", "variants"} <= info.data.keys() and (
            found := misfits(tuning, info.data["folds"], info.data["variants"])
        ):
            refuse(found)
        return tuning

    def with_trials(self, trials: int) -> "Config":
        """Returns this configuration with another number of trials in a study."""
        tuning = self.tuning.model_copy(update={"trials": trials})
        return self.model_copy(update={"tuning": tuning})

    @field_validator("ensemble")
    @classmethod
    def _names_what_there_is(cls, ensemble: Ensemble, info: ValidationInfo) -> Ensemble:
        if {"variants", "folds"} <= info.data.keys():  # else they have mistakes of their own
            problems = list(ensemble.problems(info.data["variants"], info.data["folds"].numbers))
            if problems:
                raise ValueError("; ".join(problems))
        return ensemble

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
    raw = {"name": path.stem} | {key: value for key, value in raw.items() if value is not None}
    try:
        return Config.model_validate(_with_defaults(raw))
    except ValidationError as error:
        lines = [_explain(one, raw) for one in _told_once(error.errors(), raw)]
        raise UserError(f"{path} cannot be used:\n" + "\n".join(lines)) from None


def load_configs(files: list[Path], overrides: Iterable[str] = ()) -> list[Config]:
    """Reads several files, the first one with `overrides`.

    Raises:
        UserError: as `load_config` does, or when two have one name: their results would share a
            folder.
    """
    first, *others = files
    configs = [load_config(first, overrides), *map(load_config, others)]
    names = [config.name for config in configs]
    if len(set(names)) != len(names):
        raise UserError(
            f"configurations of different names are expected, not {', '.join(names)}: results are "
            "kept by name; leave one out, or give it another name"
        )
    return configs


def _with_defaults(raw: dict) -> dict:
    """Spreads `defaults:` over the variants, and names each one's architecture."""
    variants, defaults = raw.get("variants"), _full_defaults(raw.get("defaults"))
    if not isinstance(variants, dict):
        return raw
    full = {
        name: _full_variant(name, own or {}, defaults) if isinstance(own, dict | None) else own
        for name, own in variants.items()
    }
    return {**raw, "variants": full} | ({"defaults": defaults} if "defaults" in raw else {})


# What stands by default where a variant names a component, as YAML would have it.
STANDARD = {
    name: field.default.identity()
    for name, field in Training.model_fields.items()
    if isinstance(field.default, Component)
}


def _full_defaults(given: Any) -> Any:
    if not isinstance(given, dict):
        return {} if given is None else given
    return given | {
        key: _complete_component(given[key], standard)
        for key, standard in STANDARD.items()
        if key in given
    }


def _full_variant(name: str, own: dict, defaults: Any) -> dict:
    shared = defaults if isinstance(defaults, dict) else {}
    fallbacks = {**STANDARD, **shared, "architecture": name}
    components = {
        key: _complete_component(own.get(key), fallbacks[key])
        for key in (*STANDARD, "architecture")
    }
    return {**fallbacks, **own, **components}


def _complete_component(own: Any, fallback: Any) -> Any:
    """A mapping without a name changes parameters of the component that stood there before."""
    if own is None:
        return fallback
    if not isinstance(own, dict) or "name" in own:
        return own
    return {**(fallback if isinstance(fallback, dict) else {"name": fallback}), **own}


def _told_once(errors: list[Any], raw: dict) -> list[Any]:
    """Leaves out what variants merely inherit from `defaults:`, which has the same errors."""
    told = {(error["loc"], error["msg"]) for error in errors}

    def is_inherited(error: Any) -> bool:
        if error["loc"][:1] != ("variants",) or len(error["loc"]) < 3:
            return False
        _, variant, key, *_ = error["loc"]
        own = raw["variants"][variant]
        has_own = isinstance(own, dict) and key in own
        return not has_own and (("defaults", *error["loc"][2:]), error["msg"]) in told

    return [error for error in errors if not is_inherited(error)]


def _explain(error: dict, raw: dict) -> str:
    *parents, last = error["loc"]
    path = ".".join(str(part) for part in error["loc"])
    if error["type"] != "extra_forbidden":
        return f"  {path}: {explanation(error)}"
    section = None if parents else _section_of(last, raw)
    meant = f"; did you mean '{section}.{last}'?" if section else ""
    return f"  {path}: unknown key{meant or nearest(str(last), _fields_at(parents))}"


def _section_of(key: str, raw: dict) -> str | None:
    """Returns where a key belongs that stands by mistake outside of all sections, if anywhere."""
    if key in Training.model_fields:
        return "defaults"
    variants = raw.get("variants")
    return "variants" if isinstance(variants, dict) and key in variants else None


def _fields_at(location: list) -> list[str]:
    """Returns the keys that the section at `location` accepts."""
    model: Any = Config
    for part in location:
        if get_origin(model) is dict:
            model = get_args(model)[1]
        elif isinstance(model, type) and issubclass(model, BaseModel):
            model = model.model_fields[part].annotation
    return list(model.model_fields)
