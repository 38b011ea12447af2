"""What can be configured, with its defaults; a file of `configs/` is a diff on these models.

`load_config` refuses every mistake at once, before any work, each with its path and the nearest
valid name.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_validator,
    model_validator,
)

from competition import paths
from competition.errors import UserError
from competition.settings.about import About
from competition.settings.clashes import clashes
from competition.settings.components import (
    Architecture,
    Augmentation,
    Callback,
    Component,
    Resampling,
    Schedule,
)
from competition.settings.ensemble import Ensemble
from competition.settings.folds import Folds
from competition.settings.search_space import Parameter, checked_space, with_values
from competition.settings.section import (
    Name,
    Section,
    Seed,
    Share,
    each_once,
    explanation,
    refuse,
)
from competition.settings.tuning import Tuning, misfits
from competition.settings.yaml_input import apply_override, nearest, read_yaml

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


class Training(Section):
    """How a variant is trained. Every value may stand in `defaults:` or in a variant."""

    epochs: int = Field(12, ge=1, description="passes over the training rows")
    batch_size: int = Field(128, ge=1, description="rows a step")
    learning_rate: float = Field(3e-3, gt=0, description="the highest, after the warm-up")
    warm_up: Share = Field(0.125, description="share of the steps in which the rate rises")
    final_learning_rate: Share = Field(0.01, description="the last rate, as a share of the highest")
    schedule: Schedule = Schedule(name="one_cycle")
    callbacks: list[Callback] = Field([], description="what looks at the held-out rows each epoch")
    weight_decay: float = Field(0.01, ge=0, description="decoupled, as AdamW has it")
    label_smoothing: Share = Field(0.0, description="share of each label given to all classes")
    augmentation: Augmentation = Augmentation(name="warp")
    resampling: Resampling = Resampling(name="none")
    teacher: str | None = Field(
        None, description="a YAML file, whose nets say what the unlabelled rows are, to learn them"
    )
    teacher_confidence: Share = Field(
        0.99, description="learnt are the rows whose likeliest class has so much, by the teacher"
    )
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    test_time_shift: int = Field(
        1, ge=0, le=4, description="pixels; predictions average so shifted images"
    )
    test_time_directions: Literal[4, 8] = Field(4, description="of the shifts; 8: diagonals, too")
    test_time_draws: int = Field(0, ge=0, description="drawn images that predictions average, too")
    test_time_augmentation: Augmentation = Field(
        Augmentation(
            name="warp", rotation=6.0, zoom=0.06, shear=3.0, shift=0.04, displacement=0.009
        ),
        description="what draws them: milder than in training",
    )
    validate_every: int = Field(1, ge=1, description="epochs between points of the curve")
    seeds: Annotated[list[Seed], each_once("seed")] = Field(
        [0], min_length=1, description="one member a seed"
    )
    all_rows_seeds: Annotated[list[Seed], each_once("seed")] = Field(
        [], description="one more net a seed, trained on every row, for the test rows only"
    )

    @model_validator(mode="after")
    def _fits_together(self):
        if found := clashes(self):
            refuse(found)
        return self

    @property
    def is_selected(self) -> bool:
        """Whether rows that are held out to judge a training have a part in it."""
        return bool(self.callbacks)


# Which members there are, how often they are looked at, what else might be tried with them and
# what is said of them changes no trained weight; of a teacher, its jobs count, not its file's name.
NOT_IDENTITY = {"seeds", "all_rows_seeds", "validate_every", "search_space", "about", "teacher"}

# All trials of a study look at the same views: they are made once.
NOT_SEARCHED = NOT_IDENTITY | {"test_time_draws", "test_time_augmentation"}


class Variant(Training):
    """An architecture and its training. Without `architecture`, the variant's name is taken."""

    architecture: Architecture
    about: About = About()
    search_space: dict[str, Parameter] = Field({}, description="what `tune` searches")

    @field_validator("search_space", mode="wrap")
    @classmethod
    def _can_be_configured(
        cls, space: Any, handler: ValidatorFunctionWrapHandler, info: ValidationInfo
    ) -> dict[str, Parameter]:
        given = {name: value for name, value in info.data.items() if name not in NOT_SEARCHED}
        return checked_space(space, handler, cls, given)

    def identity(self) -> dict[str, Any]:
        """Returns the values that differ from the defaults of this module."""
        fields = {k: v for k, v in type(self).model_fields.items() if k not in NOT_IDENTITY}
        return {
            key: _plain(value)
            for key, field in fields.items()
            if (value := getattr(self, key)) != field.default
        }

    def with_values(self, values: dict[str, Any]) -> "Variant":
        """Returns this variant with other values of its search space, and without the space."""
        settings = self.model_dump(exclude={"search_space"})
        return Variant.model_validate(with_values(settings, values))


def _plain(value: Any) -> Any:
    """Returns a setting as JSON values."""
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value.identity() if isinstance(value, Component) else value


class Config(Section):
    """A whole run. `name` names its folders and submissions: by default, the file's stem."""

    name: Annotated[Name, AfterValidator(_not_reserved)]
    data: Name = "digit-recognizer"
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
        own = [one for one in error.errors() if not _repeats_defaults(one, error.errors(), raw)]
        lines = [_explain(one) for one in own]
        raise UserError(f"{path} cannot be used:\n" + "\n".join(lines)) from None


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


def _repeats_defaults(error: dict, errors: list[dict], raw: dict) -> bool:
    """Says whether a variant's error only repeats one that `defaults:` has already."""
    match error["loc"]:
        case ("variants", variant, key, *_) if key not in (raw["variants"][variant] or {}):
            place = ("defaults", *error["loc"][2:])
            return (place, error["msg"]) in [(each["loc"], each["msg"]) for each in errors]
    return False


def _explain(error: dict) -> str:
    *parents, last = error["loc"]
    path = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"  {path}: unknown key{nearest(str(last), _fields_at(parents))}"
    return f"  {path}: {explanation(error)}"


def _fields_at(location: list) -> list[str]:
    """Returns the keys that the section at `location` accepts."""
    model: Any = Config
    for part in location:
        if get_origin(model) is dict:
            model = get_args(model)[1]
        elif isinstance(model, type) and issubclass(model, BaseModel):
            model = model.model_fields[part].annotation
    return list(model.model_fields)
