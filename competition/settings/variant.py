"""One net with its training, as a configuration says it: every setting with default and limits."""

from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_validator,
    model_validator,
)

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
from competition.settings.search_space import Parameter, with_values
from competition.settings.section import Section, Seed, Share, each_once, refuse
from competition.settings.space_check import checked_space


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
        None,
        min_length=1,
        description="a YAML file, whose nets say what the unlabelled rows are, to learn them",
    )
    teacher_confidence: Share = Field(
        0.99,
        description="a row is learnt only if the teacher gives its likeliest class at least this",
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

# What has no effect where another setting is left out or 0.
USED_BY = {
    "teacher_confidence": "teacher",
    "test_time_directions": "test_time_shift",
    "test_time_augmentation": "test_time_draws",
}

# Trials have no teacher. All of a study look at the same views: they are made once.
NOT_SEARCHED = NOT_IDENTITY | {"teacher_confidence", "test_time_draws", "test_time_augmentation"}


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
        invalid = cls.model_fields.keys() - info.data.keys() - {info.field_name}
        return checked_space(space, handler, cls, given, invalid)

    def identity(self) -> dict[str, Any]:
        """Returns the values that differ from the defaults of this module, and have an effect."""
        unused = NOT_IDENTITY | {
            name for name, used_by in USED_BY.items() if not getattr(self, used_by)
        }
        fields = {k: v for k, v in type(self).model_fields.items() if k not in unused}
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
