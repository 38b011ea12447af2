"""What a table of systems says of a variant: words, which change nothing that is trained."""

import re
from collections.abc import Iterable, Iterator
from fractions import Fraction
from math import prod
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_validator,
    model_validator,
)

from competition.config import registry
from competition.config.base import Name, Section, Seed, Share, each_once, nearest, refuse
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
)
from competition.config.search_space import Parameter, checked_space, with_values


class About(Section):
    """A variant's description, and that of the mean of its seeds if it has several.

    Attributes:
        title, mean_title: what it is.
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


# What belongs to the schedule one_cycle alone.
OF_ONE_CYCLE = ("warm_up", "final_learning_rate")

# Resamplings whose rows are in no data set, and so in no augmented epoch.
MAKING_ROWS = ("smote",)


def clashes(training: Any) -> dict[str, str]:
    """Returns a complaint for each setting that contradicts another one, by its name.

    Args:
        training: a `Training` whose values are valid each by itself.
    """
    of_callbacks = _of_callbacks(training) if training.callbacks else []
    alone = [*_rates(training), *_of_resampling(training)]
    return dict([*alone, *of_callbacks])


def _rates(training: Any) -> Iterator[tuple[str, str]]:
    schedule, fields = training.schedule.name, type(training).model_fields
    for name in OF_ONE_CYCLE:
        if schedule != "one_cycle" and getattr(training, name) != fields[name].default:
            yield name, f"{name} belongs to the schedule one_cycle, not to {schedule}; leave it out"


def _of_resampling(training: Any) -> Iterator[tuple[str, str]]:
    name = training.resampling.name
    if name in MAKING_ROWS and training.augmentation.name != "none":
        yield (
            "augmentation",
            f"{name} makes rows of its own, of which there are no augmented images; set "
            "augmentation: none",
        )


def _of_callbacks(training: Any) -> Iterator[tuple[str, str]]:
    names = [callback.name for callback in training.callbacks]
    if training.validate_every != 1:
        yield (
            "validate_every",
            f"validate_every is {training.validate_every}, but callbacks ({', '.join(names)}) look "
            "at the held-out rows after every epoch; set it to 1",
        )
    if training.all_rows_seeds:
        yield (
            "all_rows_seeds",
            f"a net of all rows holds none out that callbacks ({', '.join(names)}) could look at; "
            "leave all_rows_seeds or callbacks out",
        )
    if "reduce_on_plateau" in names and training.schedule.name != "constant":
        yield (
            "schedule",
            f"reduce_on_plateau changes the learning rate, which {training.schedule.name} does as "
            "well; set schedule: constant",
        )


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
# what is said of them changes no trained weight.
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

    def problems(self, variants: dict[str, Any], folds: list[int]) -> Iterator[str]:
        """Yields what the lists name and the configuration does not have.

        Args:
            variants: each `Variant` by name.
            folds: the numbers of those that are trained.
        """
        yield from _unknown("variants", "variant", self.variants, variants)
        chosen = [v for name, v in variants.items() if name in (self.variants or variants)]
        seeds = dict.fromkeys(seed for variant in chosen for seed in variant.seeds)
        if chosen:
            yield from _unknown("seeds", "seed", self.seeds, seeds)
            yield from self._without_seeds(variants)
        yield from _unknown("folds", "split", self.folds, folds)

    def _without_seeds(self, variants: dict[str, Any]) -> Iterator[str]:
        for name in self.variants or []:
            own = variants[name].seeds if name in variants else []
            if self.seeds and own and not {*self.seeds} & {*own}:
                listed = ", ".join(map(str, own))
                yield f"variants: '{name}' has none of the seeds that are named; it has {listed}"


def _unknown(key: str, noun: str, named: list | None, known: Iterable) -> Iterator[str]:
    for value in named or []:
        if value not in known:
            yield f"{key}: there is no {noun} '{value}'{nearest(str(value), map(str, known))}"


# More would leave no room for the number that stands for all rows in random seeds.
MOST_FOLDS = 50

# What belongs to some schemes alone.
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
        """A share, or what the data holds out, is held out once unless `count` says how often."""
        is_other = isinstance(given, dict) and given.get("scheme", "kfold") != "kfold"
        return {"count": 1, **given} if is_other else given

    @field_validator("count")
    @classmethod
    def _fits_the_scheme(cls, count: int, info: ValidationInfo) -> int:
        match info.data.get("scheme"), count:
            case "kfold", 1:
                raise ValueError("there are at least 2 folds, not 1; with one split, use holdout")
            case "given", several if several > 1:
                raise ValueError(f"the data itself has one split, not {several}")
        return count

    @field_validator(*OF_SCHEMES)
    @classmethod
    def _is_used(cls, value: float, info: ValidationInfo) -> float:
        scheme, name = info.data.get("scheme"), info.field_name
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


# Samplers that go through every value, of which there must not be endlessly many.
EXHAUSTIVE = {"grid", "brute_force"}

# Optuna lists all of them for each trial, in memory; no study would come to their end.
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
        kinds = {"none": None, "wilcoxon": "folds"}
        return kinds.get(self.pruner.name, "epochs")

    def folds_left(self, numbers: list[int]) -> list[int]:
        """Returns which of the folds that there are make the figures that count."""
        others = [number for number in numbers if number not in self.folds]
        return others if self.final_folds is None else self.final_folds


def misfits(tuning: Tuning, folds: Folds, variants: dict[str, Any]) -> dict[str, str]:
    """Returns what of these settings cannot work with the rest of a configuration, by path.

    Without a search space and with the default settings, nothing is checked.

    Args:
        tuning: the settings.
        folds: which rows are held out.
        variants: each `Variant` by name; only those with a search space matter.
    """
    searched = {name: variant for name, variant in variants.items() if variant.search_space}
    if not searched and tuning == Tuning():
        return {}
    return {
        **_folds_problem(tuning, folds),
        **_sampler_problem(tuning, searched),
        **(_pruner_problem(tuning, searched) if searched else {}),
    }


def _folds_problem(tuning: Tuning, folds: Folds) -> dict[str, str]:
    known = folds.numbers
    given = {"folds": tuning.folds, "final_folds": tuning.final_folds or []}
    found = {
        name: f"there is no split {min(strange)}; there are: {', '.join(map(str, known))}"
        for name, numbers in given.items()
        if (strange := set(numbers) - set(known))
    }
    if not found and (shared := set(tuning.folds) & set(tuning.final_folds or [])):
        found["final_folds"] = f"split {min(shared)} is one that trials are judged on"
    if not found and not tuning.folds_left(known):
        found["folds"] = _none_left(folds)
    return found


def _none_left(folds: Folds) -> str:
    count = len(folds.numbers)
    which = "this is the only split" if count == 1 else f"these are all of the {count} splits"
    cause, mend = "", ""
    if folds.only is not None:
        cause = " that folds.only leaves"
        mend = "; leave folds.only out, or name more splits in it"
    return (
        f"{which}{cause}; at least one must be left for the figures that count, as those of a "
        f"study's own splits are too good{mend}"
    )


def _sampler_problem(tuning: Tuning, searched: dict[str, Any]) -> dict[str, str]:
    name = tuning.sampler.name
    return _too_many_values(name, searched) if name in EXHAUSTIVE else {}


def _too_many_values(sampler: str, searched: dict[str, Any]) -> dict[str, str]:
    endless = [
        f"variants.{variant}.search_space.{path}"
        for variant, settings in searched.items()
        for path, parameter in settings.search_space.items()
        if parameter.count() is None
    ]
    if endless:
        return {"sampler": f"{sampler} needs a step, or choices, for {', '.join(endless)}"}
    for variant, settings in searched.items():
        if (count := combinations(settings.search_space)) > MOST_COMBINATIONS:
            return {
                "sampler": f"{sampler} goes through every combination, of which variants.{variant}."
                f"search_space has {count:,}; expected at most {MOST_COMBINATIONS:,}"
            }
    return {}


def combinations(space: dict[str, Parameter]) -> int:
    """Returns how many different trials a space has, of which there must be an end."""
    return prod(parameter.count() for parameter in space.values())


def _pruner_problem(tuning: Tuning, searched: dict[str, Any]) -> dict[str, str]:
    if tuning.pruned_by == "folds":
        return _too_few_folds(tuning)
    blind = [
        name
        for name, variant in searched.items()
        if longest_epochs(variant) <= variant.validate_every
    ]
    if tuning.pruned_by == "epochs" and blind:
        return {
            "pruner": f"{tuning.pruner.name} compares trials by their epochs, but variants."
            f"{blind[0]} is validated after its last one only; set a smaller "
            "validate_every, more epochs, or the pruner none"
        }
    return {}


def _too_few_folds(tuning: Tuning) -> dict[str, str]:
    """A trial that is worse on each of n folds has the one-sided p-value 1 / 2**n (F. Wilcoxon,
    Biometrics Bulletin 1, 1945); pruned after its last fold, it would save nothing."""
    defaults = registry.parameters(Pruner.choices["wilcoxon"])
    threshold = tuning.pruner.parameters.get("p_threshold", defaults["p_threshold"][1])
    if 0 < threshold <= 1 and 0.5 ** (len(tuning.folds) - 1) < threshold:
        return {}
    return {
        "pruner": f"wilcoxon with a p_threshold of {threshold:g} can end no trial before the last "
        f"of {len(tuning.folds)} folds, as a trial that is worse on n folds has the p-value "
        "1 / 2^n; set more tuning.folds, a higher p_threshold, or another pruner"
    }


def longest_epochs(variant: Any) -> int:
    """Returns the epochs of the longest training in a variant's search space."""
    parameter = variant.search_space.get("epochs")
    return max(parameter.edges().values()) if parameter else variant.epochs
