"""Which labelled rows are held out to judge by, as a configuration says it."""

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from competition.settings.section import Section, Seed, each_once

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
