"""The sections of a configuration: the type, default and limits of each setting."""

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

from competition import paths
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

# The validation context that allows settings to contradict each other.
MAY_CLASH = {"may clash": True}


class Training(Section):
    """How a variant is trained. Every value can be in `defaults:` or in a variant."""

    epochs: int = Field(12, ge=1, description="passes over the training rows")
    batch_size: int = Field(128, ge=1, description="rows per step")
    learning_rate: float = Field(3e-3, gt=0, description="the peak, after the warm-up")
    warm_up: Share = Field(0.125, description="share of the steps in which the rate rises")
    final_learning_rate: Share = Field(0.01, description="the last rate, as a share of the highest")
    schedule: Schedule = Schedule(name="one_cycle")
    callbacks: list[Callback] = Field([], description="these look at the held-out rows each epoch")
    weight_decay: float = Field(0.01, ge=0, description="decoupled, as in AdamW")
    label_smoothing: Share = Field(0.0, description="share of each label given to all classes")
    augmentation: Augmentation = Augmentation(name="warp")
    resampling: Resampling = Resampling(name="none")
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    test_time_shift: int = Field(
        1, ge=0, le=4, description="pixels; predictions average images shifted by it"
    )
    test_time_directions: Literal[4, 8] = Field(4, description="of the shifts; 8 adds diagonals")
    test_time_draws: int = Field(0, ge=0, description="random images that predictions also average")
    test_time_augmentation: Augmentation = Field(
        Augmentation(
            name="warp", rotation=6.0, zoom=0.06, shear=3.0, shift=0.04, displacement=0.009
        ),
        description="the policy of these draws: milder than in training",
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
        """Yields settings that are valid alone but contradict another one, and why."""
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
                "smote makes new rows, which have no augmented images; set augmentation: none",
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
                f"a net trained on all rows holds none out for {callbacks} to look at; leave "
                "all_rows_seeds or callbacks out",
            )
        if "reduce_on_plateau" in names and self.schedule.name != "constant":
            yield (
                "schedule",
                f"reduce_on_plateau and {self.schedule.name} both change the learning rate; set "
                "schedule: constant",
            )


class About(Section):
    """Texts for the table of baselines; they do not affect training.

    A `claim` is the accuracy that the authors report, in their words. `mean_title` and `mean_claim`
    are for the mean of a variant's seeds, if it has several.
    """

    title: str = ""
    claim: str = ""
    mean_title: str = ""
    mean_claim: str = ""


def claimed_percentage(claim: str) -> Fraction | None:
    """Returns the exact percentage at the start of a claim such as `"≈ 98.7%"`, or None."""
    found = re.match(r"[≈~]?\s*(\d+(?:\.\d+)?)\s*%", claim)
    return Fraction(found[1]) if found else None


# Settings that change no trained weight: the members, how often they are validated, what tuning
# tries, and texts.
NOT_IDENTITY = {"seeds", "all_rows_seeds", "validate_every", "search_space", "about"}

# Settings without effect while another one is 0.
USED_BY = {
    "test_time_directions": "test_time_shift",
    "test_time_augmentation": "test_time_draws",
}

# What has an effect on learners that are not nets.
OF_LEARNERS = {"architecture", "resampling"}

# All trials of a study share the images of test-time augmentation, which are made once.
NOT_SEARCHED = NOT_IDENTITY | {"test_time_draws", "test_time_augmentation"}


class Variant(Training):
    """An architecture and its training. `architecture` is by default the variant's name."""

    architecture: Architecture
    about: About = About()
    search_space: dict[str, Parameter] = Field({}, description="what `tune` searches")

    @field_validator("search_space", mode="before")
    @classmethod
    def _can_be_configured(cls, space: Any, info: ValidationInfo) -> dict[str, Parameter]:
        given = {name: value for name, value in info.data.items() if name not in NOT_SEARCHED}
        invalid = cls.model_fields.keys() - info.data.keys() - {"search_space"}
        return checked_space(space, cls, given, invalid)

    @model_validator(mode="after")
    def _can_be_weighted(self):
        if not self.is_net and self.resampling.name == "class_weights":
            problem = f"{self.architecture.name} cannot weight rows; only nets can"
            refuse([("resampling", problem)])
        return self

    @property
    def is_net(self) -> bool:
        """Whether it is a Keras net, and not another learner."""
        return self.architecture.is_net

    @property
    def model_file(self) -> str:
        """The name of the file that keeps what it has learnt."""
        return paths.MODEL if self.is_net else paths.LEARNER

    @property
    def is_selected(self) -> bool:
        """Whether held-out rows influence the training, so that scores on them are optimistic."""
        return self.is_net and bool(self.callbacks)

    def identity(self) -> dict[str, Any]:
        """Returns the values that differ from the defaults of this module and have an effect."""
        unused = NOT_IDENTITY | {
            name for name, used_by in USED_BY.items() if not getattr(self, used_by)
        }
        if not self.is_net:
            unused |= type(self).model_fields.keys() - OF_LEARNERS
        fields = {k: v for k, v in type(self).model_fields.items() if k not in unused}
        return {
            key: _as_json(value)
            for key, field in fields.items()
            if (value := getattr(self, key)) != field.default
        }

    def with_values(self, values: dict[str, Any], may_clash: bool = False) -> "Variant":
        """Returns this variant with other values and without its search space.

        Args:
            values: by full name, such as `epochs` or `augmentation.rotation`.
            may_clash: allows values that exclude one another, in a variant that is never trained.
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
    """Returns a SHA-256 of the code of a variant's net or other learner and of its augmentation, 64
    hexadecimal digits.

    It covers whole modules, as their functions use each other, and the layers that nets share, but
    no comments and docstrings.
    """
    components: list[Component] = [variant.architecture]
    components += [variant.augmentation] if variant.is_net else []
    modules = {each.choices[each.name].partition(":")[0] for each in components}
    if variant.is_net and any(module.startswith("competition.models.") for module in modules):
        modules.add("competition.models.layers")
    code = "\n".join(code_of(module) for module in sorted(modules))
    return hashlib.sha256(code.encode()).hexdigest()


# More would reach the number that means "all rows" in random seeds.
MOST_FOLDS = 50

# Settings that only some schemes use.
OF_SCHEMES = {"share": ("holdout",), "seed": ("kfold", "holdout")}


class Folds(Section):
    """Which labelled rows are held out, always stratified by class.

    `kfold` holds out each row once, in one of `count` folds; `holdout` a random `share` of the
    rows, `count` times; `given` those of the data's own split. `only` leaves out splits without
    changing the rows of the others.
    """

    scheme: Literal["kfold", "holdout", "given"] = "kfold"
    count: int = Field(5, ge=1, le=MOST_FOLDS, description="splits; by default 5 folds, or else 1")
    share: float = Field(0.2, gt=0, lt=1, description="held out by each split of `holdout`")
    seed: Seed = 0
    only: Annotated[list[int], Field(min_length=1), each_once("split")] | None = Field(
        None, description="numbers of the splits to train; by default, all of them"
    )

    @property
    def numbers(self) -> list[int]:
        """The numbers of the splits that are trained and evaluated."""
        return list(range(self.count)) if self.only is None else self.only

    @model_validator(mode="before")
    @classmethod
    def _once(cls, given: Any) -> Any:
        """The default count is 1 for all schemes but `kfold`."""
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
        if unknown := set(only or []) - set(known):
            raise ValueError(f"there is no split {min(unknown)}; they are 0 to {known[-1]}")
        return only


class Ensemble(Section):
    """How members are combined, and which ones: each list selects some; by default, all.

    It is not part of any result's identity, so it may change freely.
    """

    method: Method = Field(
        Method(name=RECOMMENDED), description="a method, or recommended: the best by the comparison"
    )
    variants: Annotated[list[Name], Field(min_length=1), each_once("variant")] | None = None
    seeds: Annotated[list[Seed], Field(min_length=1), each_once("seed")] | None = None
    folds: Annotated[list[int], Field(min_length=1), each_once("split")] | None = None
    test: Literal["both", "folds", "all_rows"] = Field(
        "both", description="which nets predict the test rows: of the folds, of all rows, or both"
    )

    def problems(self, folds: Folds, variants: dict[str, Variant]) -> Iterator[tuple[str, str]]:
        """Yields what the lists name but the rest of the configuration lacks: paths and texts."""
        yield from _unknown("variants", "variant", self.variants, variants)
        chosen = {k: v for k, v in variants.items() if k in (self.variants or variants)}
        if chosen:
            seeds = dict.fromkeys(seed for variant in chosen.values() for seed in variant.seeds)
            yield from _unknown("seeds", "seed", self.seeds, seeds)
        yield from _unknown("folds", "split", self.folds, folds.numbers)
        lacking = [name for name, variant in chosen.items() if not variant.all_rows_seeds]
        if self.test == "all_rows" and lacking:
            yield (
                "test",
                f"all_rows needs trainings on all rows, which {', '.join(lacking)} has not; set "
                "all_rows_seeds, or test: both",
            )
        for name, variant in chosen.items():
            if self.variants and self.seeds and not {*self.seeds} & {*variant.seeds}:
                own = ", ".join(map(str, variant.seeds))
                yield "variants", f"'{name}' has none of the listed seeds; it has {own}"


def _unknown(
    path: str, noun: str, named: list | None, known: Iterable
) -> Iterator[tuple[str, str]]:
    for value in named or []:
        if value not in known:
            yield path, f"there is no {noun} '{value}'{nearest(str(value), map(str, known))}"


# Optuna lists all combinations of a grid in memory for each trial; no study would finish more.
MOST_COMBINATIONS = 100_000

FoldNumbers = Annotated[list[int], each_once("split"), Field(min_length=1)]


def _is_url(storage: str) -> str:
    if not re.match(r"[a-z][a-z0-9+]*://", storage):
        raise ValueError("expected a URL, such as postgresql://user@host/name")
    if re.fullmatch(r"sqlite(\+\w+)?:///?(:memory:)?", storage):
        raise ValueError(
            "other processes cannot reach a database in memory; leave storage out, or give the URL "
            "of a PostgreSQL database"
        )
    return storage


class Tuning(Section):
    """How `tune` searches; it does not affect training.

    Attributes:
        pruner: ends poor trials early: by epochs (`median`, `hyperband`) or folds (`wilcoxon`).
        folds: numbers of the folds on which trials are evaluated.
        final_folds: numbers of the folds for the final evaluation; by default all others.
        objective: what to minimise.
        trials: their total number in the study.
        hours: after which one call starts no further trial.
        storage: URL of a database instead of the journal file. It may hold a password, so it is
            never shown or written.
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
        """Which parts of trials the pruner compares."""
        if self.pruner.name == "none":
            return None
        return "folds" if self.pruner.name == "wilcoxon" else "epochs"

    def folds_left(self, numbers: list[int]) -> list[int]:
        """Returns the folds for the final evaluation, out of `numbers`."""
        others = [number for number in numbers if number not in self.folds]
        return others if self.final_folds is None else self.final_folds

    def problems(self, folds: Folds, variants: dict[str, Variant]) -> Iterator[tuple[str, str]]:
        """Yields what does not fit the rest of the configuration: paths and texts.

        Nothing is checked without a search space and with default settings.
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
                    "validated only after its last one; set a smaller validate_every, more "
                    "epochs, or the pruner none",
                )

    def _problems_of_folds(self, folds: Folds) -> Iterator[tuple[str, str]]:
        known, final = folds.numbers, self.final_folds or []
        listed = ", ".join(map(str, known))
        if unknown := set(self.folds) - set(known):
            yield "folds", f"there is no split {min(unknown)}; there are: {listed}"
        elif not self.folds_left(known):
            cause = "" if folds.only is None else ", as folds.only leaves the others out"
            yield (
                "folds",
                f"trials are evaluated on every split ({listed}){cause}; one more is needed for "
                "the final evaluation, as scores on a study's own splits are optimistic",
            )
        if unknown := set(final) - set(known):
            yield "final_folds", f"there is no split {min(unknown)}; there are: {listed}"
        elif shared := set(self.folds) & set(final):
            yield "final_folds", f"split {min(shared)} is in tuning.folds as well"


def _problems_of_grid(path: str, variant: Variant) -> Iterator[tuple[str, str]]:
    space = variant.search_space
    continuous = [f"{path}.{key}" for key, parameter in space.items() if parameter.count() is None]
    if continuous:
        yield "sampler", f"grid needs a step, or choices, for {', '.join(continuous)}"
    elif (count := combinations(space)) > MOST_COMBINATIONS:
        yield (
            "sampler",
            f"grid tries every combination, but {path} has {count:,}; expected at most "
            f"{MOST_COMBINATIONS:,}",
        )


def combinations(space: dict[str, Parameter]) -> int:
    """Returns how many different trials a space of discrete parameters has."""
    return prod(parameter.count() or 0 for parameter in space.values())


def longest_epochs(variant: Variant) -> int:
    """Returns the epochs of the longest training in a variant's search space."""
    parameter = variant.search_space.get("epochs")
    return max(map(int, parameter.edges().values())) if parameter else variant.epochs
