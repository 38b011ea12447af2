"""A section of the configuration, and how what is wrong with one is said."""

import re
from typing import Annotated, Any, NoReturn

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

Share = Annotated[float, Field(ge=0, le=1)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
LONGEST_NAME = 100
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=LONGEST_NAME)]

# The type of an error that tells by itself what was given.
MISFIT = "misfit"


class Section(BaseModel):
    """A section of the configuration: unknown keys and wrong types are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def refuse(problems: dict[str, str], others: ValidationError | None = None) -> NoReturn:
    """Raises, inside a validator, all problems of a section at once.

    Args:
        problems: what is wrong, by the path below the section.
        others: errors of the section that pydantic found already.
    """
    found = [
        InitErrorDetails(
            type=PydanticCustomError(MISFIT, "{what}", {"what": what}), loc=(path,), input=None
        )
        for path, what in problems.items()
    ]
    raise ValidationError.from_exception_data("section", [*_details(others), *found]) from None


def _details(error: ValidationError | None) -> list[InitErrorDetails]:
    return [
        InitErrorDetails(type=e["type"], loc=e["loc"], input=e["input"], ctx=e.get("ctx", {}))
        for e in (error.errors() if error else [])
    ]


def each_once(what: str) -> AfterValidator:
    """Returns a validator of lists of `what`, in which none may come again."""

    def check(numbers: list[int]) -> list[int]:
        if len(set(numbers)) != len(numbers):
            raise ValueError(f"each {what} is expected once, not {numbers}")
        return numbers

    return AfterValidator(check)


def explanation(error: Any) -> str:
    """Returns the message of one of pydantic's errors, in the words of this project."""
    message = error["msg"].removeprefix("Value error, ")
    message = re.sub(r"a valid dictionary.*", "'key: value' lines", message)
    return f"{message[0].lower()}{message[1:]}{_given(error)}"


def _given(error: Any) -> str:
    """Returns what was given instead, unless it holds a URL, and so perhaps a password."""
    given = f", not {error['input']!r}"
    is_told = error["type"] in ("value_error", "missing", MISFIT)
    return "" if is_told or "://" in given else given
