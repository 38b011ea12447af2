"""The sections of a configuration: each setting with its type, its default and its limits."""

import hashlib
import re
from collections.abc import Iterable, Iterator
from fractions import Fraction
from math import prod
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from competition.config.base import Name, Section, Seed, Share, each_once, nearest, refuse, wording
from competition.config.registry import (
    RECOMMENDED,
    Architecture,
    Augmentation,
    Callback,
    Component,
    Method,
    Pruner,
    Resampling,
    Sampler,
    Schedule,
    code_of,
)
from competition.config.search_space import Parameter, checked_space, with_values
from competition.errors import UserError

# A context of the validation of settings that may contradict each other.
MAY_CLASH = {"may clash": True}


class Training(Section):
    """How a variant is trained. Every value may stand in `defaults:` or in a variant."""

    epochs: int = Field(12, ge=1, description="passes over the training rows")
    batch_size: int = Field(128, ge=1, description="rows per step")
    learning_rate: float = Field(3e-3, gt=0, description="the highest, after the warm-up")
    warm_up: Share = Field(0.125, description="share of the steps in which the rate rises")
    final_learning_rate: Share = Field(0.01, description="the last rate, as a share of the highest")
    schedule: Schedule = Schedule(name="one_cycle")
    callbacks: list[Callback] = Field([], description="what looks at the held-out rows each epoch")
    weight_decay: float = Field(0.01, ge=0, description="decoupled, as AdamW has it")
    label_smoothing: Share = Field(0.0, description="share of each label given to all classes")
    augmentation: Augmentation = Augmentation(name="warp")
    resampling: Resampling = Resampling(name="none")
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
        [0], min_length=1, description="one member per seed"
    )
    all_rows_seeds: Annotated[list[Seed], each_once("seed")] = Field(
        [], description="one more net per seed, trained on every row, for the test rows only"
    )

    @model_validator(mode="after")
    def _fits_together(self, info: ValidationInfo):
        if info.context is not MAY_CLASH:
            refuse(self._clashes())
        return self

    def _clashes(self) -> Iterator[tuple[str, str]]:
        """Yields settings that are valid by themselves and contradict another one, and why."""
        schedule = self.schedule.name
        for name in ("warm_up", "final_learning_rate"):
            is_default = getattr(self, name) == type(self).model_fields[name].default
            if schedule != "one_cycle" and not is_default:
                yield (
                    name,
                    f"{name} belongs to the schedule one_cycle, not to {schedule}; leave it out",
                )
        if self.resampling.name == "smote" and self.augmentation.name != "none":
            yield (
                "augmentation",
                "smote makes rows of its own, of which there are no augmented images; set "
                "augmentation: none",
            )
        if self.callbacks:
            yield from self._clashes_with_callbacks()

    def _clashes_with_callbacks(self) -> Iterator[tuple[str, str]]:
        names = [callback.name for callback in self.callbacks]
        callbacks = f"callbacks ({', '.join(names)})"
        if self.validate_every != 1:
            yield (
                "validate_every",
                f"validate_every is {self.validate_every}, but {callbacks} look at the held-out "
                "rows after every epoch; set it to 1",
            )
        if self.all_rows_seeds:
            yield (
                "all_rows_seeds",
                f"a net of all rows holds none out that {callbacks} could look at; leave "
                "all_rows_seeds or callbacks out",
            )
        if "reduce_on_plateau" in names and self.schedule.name != "constant":
            yield (
                "schedule",
                f"reduce_on_plateau changes the learning rate, which {self.schedule.name} does as "
                "well; set schedule: constant",
            )

    @property
    def is_selected(self) -> bool:
        """Whether rows that are held out to judge a training have a part in it."""
        return bool(self.callbacks)


class About(Section):
    """Texts for the table of baselines; they do not affect training.

    Attributes:
        title, mean_title: what the variant is, and the mean of its seeds if it has several.
        claim, mean_claim: the accuracy that its authors report, in their words.
    """

    title: str = ""
    claim: str = ""
    mean_title: str = ""
    mean_claim: str = ""


def claimed_percentage(claim: str) -> Fraction | None:
    """Returns the percentage that a claim begins with, as `"≈ 98.7 %"` does, exactly, or None."""
    found = re.match(r"[≈~]?\s*(\d+(?:\.\d+)?)\s*%", claim)
    return Fraction(found[1]) if found else None


# These change no trained weight: which members there are, how often they are validated, what
# tuning might try and the texts.
NOT_IDENTITY = {"seeds", "all_rows_seeds", "validate_every", "search_space", "about"}

# What has no effect where another setting is left out or 0.
USED_BY = {
    "test_time_directions": "test_time_shift",
    "test_time_augmentation": "test_time_draws",
}

# All trials of a study look at the same views, which are made once.
NOT_SEARCHED = NOT_IDENTITY | {"test_time_draws", "test_time_augmentation"}


class Variant(Training):
    """An architecture and its training. Without `architecture`, the variant's name is taken."""

    architecture: Architecture
    about: About = About()
    search_space: dict[str, Parameter] = Field({}, description="what `tune` searches")

    @field_validator("search_space", mode="before")
    @classmethod
    def _can_be_configured(cls, space: Any, info: ValidationInfo) -> dict[str, Parameter]:
        given = {name: value for name, value in info.data.items() if name not in NOT_SEARCHED}
        invalid = cls.model_fields.keys() - info.data.keys() - {"search_space"}
        return checked_space(space, cls, given, invalid)

    def identity(self) -> dict[str, Any]:
        """Returns the values that differ from the defaults of this module, and have an effect."""
        unused = NOT_IDENTITY | {
            name for name, used_by in USED_BY.items() if not getattr(self, used_by)
        }
        fields = {k: v for k, v in type(self).model_fields.items() if k not in unused}
        return {
            key: _as_json(value)
            for key, field in fields.items()
            if (value := getattr(self, key)) != field.default
        }

    def with_values(self, values: dict[str, Any], may_clash: bool = False) -> "Variant":
        """Returns this variant with other values of its search space, and without the space.

        Args:
            values: by full name, such as `epochs` or `augmentation.rotation`.
            may_clash: whether they may exclude one another; such a variant is not to be trained.

        Raises:
            UserError: when they exclude one another.
        """
        settings = with_values(self.model_dump(exclude={"search_space"}), values)
        try:
            return Variant.model_validate(settings, context=MAY_CLASH if may_clash else None)
        except ValidationError as error:
            problems = "; ".join(wording(one, Variant) for one in error.errors())
            raise UserError(f"the values {values} exclude one another: {problems}") from None


def _as_json(value: Any) -> Any:
    if isinstance(value, list):
        return [_as_json(each) for each in value]
    return value.identity() if isinstance(value, Component) else value


def code_hash(variant: Variant) -> str:
    """Returns a SHA-256 of the code of a variant's net and augmentation, as 64 hexadecimal digits.

    It covers the whole modules, as their functions use each other, and the layers that nets share;
    comments and docstrings do not count.
    """
    modules = {
        component.choices[component.name].partition(":")[0]
        for component in (variant.architecture, variant.augmentation)
    }
    if any(module.startswith("competition.models.") for module in modules):
        modules.add("competition.models.layers")
    code = "\n".join(code_of(module) for module in sorted(modules))
    return hashlib.sha256(code.encode()).hexdigest()


# More would leave no room for the number that stands for all rows in random seeds.
MOST_FOLDS = 50

# What belongs to some schemes only.
OF_SCHEMES = {"share": ("holdout",), "seed": ("kfold", "holdout")}


class Folds(Section):
    """Which labelled rows are held out, always with equal shares of each class.

    `kfold` holds out each row once, in one of `count` folds; `holdout` a random `share` of the
    rows, `count` times; `given` those that the data itself has for it. With `only`, some of these
    splits are left out, and the others hold out the same rows as without it.
    """

    scheme: Literal["kfold", "holdout", "given"] = "kfold"
    count: int = Field(5, ge=1, le=MOST_FOLDS, description="splits; by default 1, or 5 folds")
    share: float = Field(0.2, gt=0, lt=1, description="held out by each split of `holdout`")
    seed: Seed = 0
    only: Annotated[list[int], Field(min_length=1), each_once("split")] | None = Field(
        None, description="numbers of the splits that are trained; by default, all of them"
    )

    @property
    def numbers(self) -> list[int]:
        """The numbers of the splits that are trained and judged."""
        return list(range(self.count)) if self.only is None else self.only

    @model_validator(mode="before")
    @classmethod
    def _once(cls, given: Any) -> Any:
        """Splits that are no folds are made once unless `count` says how often."""
        is_other = isinstance(given, dict) and given.get("scheme", "kfold") != "kfold"
        return {"count": 1, **given} if is_other else given

    @field_validator("count")
    @classmethod
    def _fits_the_scheme(cls, count: int, info: ValidationInfo) -> int:
        scheme = info.data.get("scheme")
        if scheme == "kfold" and count == 1:
            raise ValueError("there are at least 2 folds, not 1; with one split, use holdout")
        if scheme == "given" and count > 1:
            raise ValueError(f"the data itself has one split, not {count}")
        return count

    @field_validator(*OF_SCHEMES)
    @classmethod
    def _is_used(cls, value: float, info: ValidationInfo) -> float:
        scheme, name = info.data.get("scheme"), str(info.field_name)
        is_given = value != cls.model_fields[name].default
        if is_given and scheme and scheme not in OF_SCHEMES[name]:
            schemes = " and ".join(OF_SCHEMES[name])
            raise ValueError(f"{name} belongs to {schemes}, not to {scheme}; leave it out")
        return value

    @field_validator("only")
    @classmethod
    def _is_there(cls, only: list[int] | None, info: ValidationInfo) -> list[int] | None:
        known = range(info.data.get("count", MOST_FOLDS))
        if strange := set(only or []) - set(known):
            raise ValueError(f"there is no split {min(strange)}; they are 0 to {known[-1]}")
        return only


class Ensemble(Section):
    """How the members are combined, and which they are; without a list, all that there are.

    It is not part of any result's identity, so it may change freely.
    """

    method: Method = Field(
        Method(name=RECOMMENDED), description="a method, or recommended: what the figures say"
    )
    variants: Annotated[list[Name], Field(min_length=1), each_once("variant")] | None = None
    seeds: Annotated[list[Seed], Field(min_length=1), each_once("seed")] | None = None
    folds: Annotated[list[int], Field(min_length=1), each_once("split")] | None = None

    def problems(self, folds: Folds, variants: dict[str, Variant]) -> Iterator[tuple[str, str]]:
        """Yields what the lists name and the rest of a configuration does not have, by path."""
        yield from _unknown("variants", "variant", self.variants, variants)
        chosen = {k: v for k, v in variants.items() if k in (self.variants or variants)}
        if chosen:
            seeds = dict.fromkeys(seed for variant in chosen.values() for seed in variant.seeds)
            yield from _unknown("seeds", "seed", self.seeds, seeds)
        yield from _unknown("folds", "split", self.folds, folds.numbers)
        for name, variant in chosen.items():
            if self.variants and self.seeds and not {*self.seeds} & {*variant.seeds}:
                own = ", ".join(map(str, variant.seeds))
                yield "variants", f"'{name}' has none of the seeds that are named; it has {own}"


def _unknown(
    path: str, noun: str, named: list | None, known: Iterable
) -> Iterator[tuple[str, str]]:
    for value in named or []:
        if value not in known:
            yield path, f"there is no {noun} '{value}'{nearest(str(value), map(str, known))}"


# Of a grid: Optuna lists all of them for each trial, in memory; no study would come to their end.
MOST_COMBINATIONS = 100_000

FoldNumbers = Annotated[list[int], each_once("split"), Field(min_length=1)]


def _is_url(storage: str) -> str:
    if not re.match(r"[a-z][a-z0-9+]*://", storage):
        raise ValueError("expected a URL, such as postgresql://user@host/name")
    if re.fullmatch(r"sqlite(\+\w+)?:///?(:memory:)?", storage):
        raise ValueError("a database in memory reaches no other process; expected a file")
    return storage


class Tuning(Section):
    """How `tune` searches; nothing of it changes what a training does.

    Attributes:
        sampler: draws the values of each trial.
        pruner: ends trials that will not win: by epochs `median` and `hyperband`, by folds
            `wilcoxon`, or `none`.
        folds: numbers of the folds on which trials are judged.
        final_folds: of the folds on which the best trial is judged again; by default all others.
        objective: what is to be small, the log-loss or the number of errors.
        trials: how many there are to be in the whole study.
        hours: after which one call begins no further trial.
        storage: URL of a database that takes the place of the journal file. It may hold a
            password, and is shown and written nowhere.
        seed: of the sampler.
    """

    sampler: Sampler = Sampler(name="tpe")
    pruner: Pruner = Pruner(name="median")
    folds: FoldNumbers = Field([0])
    final_folds: FoldNumbers | None = None
    objective: Literal["log_loss", "errors"] = "log_loss"
    trials: int = Field(40, ge=1)
    hours: float | None = Field(None, gt=0)
    storage: Annotated[str, AfterValidator(_is_url)] | None = Field(None, exclude=True, repr=False)
    seed: Seed = 0

    @property
    def pruned_by(self) -> Literal["epochs", "folds"] | None:
        """What the pruner compares."""
        if self.pruner.name == "none":
            return None
        return "folds" if self.pruner.name == "wilcoxon" else "epochs"

    def folds_left(self, numbers: list[int]) -> list[int]:
        """Returns which of the folds that there are make the figures that count."""
        others = [number for number in numbers if number not in self.folds]
        return others if self.final_folds is None else self.final_folds

    def problems(self, folds: Folds, variants: dict[str, Variant]) -> Iterator[tuple[str, str]]:
        """Yields what cannot work with the rest of a configuration, by path.

        Without a search space and with the default settings, nothing is checked.
        """
        searched = {name: variant for name, variant in variants.items() if variant.search_space}
        if searched or self != Tuning():
            yield from self._problems_of_folds(folds)
        for name, variant in searched.items():
            if self.sampler.name == "grid":
                yield from _problems_of_grid(f"variants.{name}.search_space", variant)
            if self.pruned_by == "epochs" and longest_epochs(variant) <= variant.validate_every:
                yield (
                    "pruner",
                    f"{self.pruner.name} compares trials by their epochs, but variants.{name} is "
                    "validated after its last one only; set a smaller validate_every, more "
                    "epochs, or the pruner none",
                )

    def _problems_of_folds(self, folds: Folds) -> Iterator[tuple[str, str]]:
        known, final = folds.numbers, self.final_folds or []
        listed = ", ".join(map(str, known))
        if strange := set(self.folds) - set(known):
            yield "folds", f"there is no split {min(strange)}; there are: {listed}"
        elif not self.folds_left(known):
            cause = "" if folds.only is None else ", as folds.only leaves the others out"
            yield (
                "folds",
                f"trials are judged on every split there is ({listed}){cause}; one more is needed "
                "for the figures that count, as those of a study's own splits are too good",
            )
        if strange := set(final) - set(known):
            yield "final_folds", f"there is no split {min(strange)}; there are: {listed}"
        elif shared := set(self.folds) & set(final):
            yield "final_folds", f"split {min(shared)} is one that trials are judged on"


def _problems_of_grid(path: str, variant: Variant) -> Iterator[tuple[str, str]]:
    space = variant.search_space
    endless = [f"{path}.{key}" for key, parameter in space.items() if parameter.count() is None]
    if endless:
        yield "sampler", f"grid needs a step, or choices, for {', '.join(endless)}"
    elif (count := combinations(space)) > MOST_COMBINATIONS:
        yield (
            "sampler",
            f"grid goes through every combination, of which {path} has {count:,}; expected at most "
            f"{MOST_COMBINATIONS:,}",
        )


def combinations(space: dict[str, Parameter]) -> int:
    """Returns how many different trials a space has; none of its parameters may be endless."""
    return prod(parameter.count() or 0 for parameter in space.values())


def longest_epochs(variant: Variant) -> int:
    """Returns the epochs of the longest training in a variant's search space."""
    parameter = variant.search_space.get("epochs")
    return max(map(int, parameter.edges().values())) if parameter else variant.epochs
