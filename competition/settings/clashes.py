"""Settings of a training that exclude each other, and how to mend that."""

from collections.abc import Iterator
from typing import Any

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
    alone = [*_rates(training), *_of_resampling(training), *_of_teacher(training)]
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


def _of_teacher(training: Any) -> Iterator[tuple[str, str]]:
    if training.teacher is None:
        return
    if getattr(training, "search_space", None):
        yield (
            "teacher",
            "trials of a search learn labels alone; leave teacher or search_space out",
        )
    if (name := training.resampling.name) != "none":
        yield (
            "resampling",
            f"{name} counts labels, and the rows that {training.teacher} teaches have shares of "
            "all classes; leave teacher or resampling out",
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
