"""Which configuration's nets may teach those of another one."""

from collections.abc import Iterator

from competition.config import Config
from competition.data.folds import FoldAssignment, trained_splits
from competition.errors import UserError


def require_fitting_teacher(path: str, teacher: Config, pupil: Config) -> None:
    """Checks all but the folds of a teacher.

    Args:
        path: the teacher's file, as the pupil names it.
        teacher, pupil: configurations.

    Raises:
        UserError: when the teacher has one itself, which might be the pupil, when its nets were
            selected by held-out rows, or when both are of different data.
    """
    for objection in _objections(teacher, pupil):
        raise UserError(f"the teacher {path} {objection}")


def _objections(teacher: Config, pupil: Config) -> Iterator[str]:
    if any(variant.teacher for variant in teacher.variants.values()):
        yield "has a teacher itself; name one that learns labels"
    if any(variant.is_selected for variant in teacher.variants.values()):
        yield (
            "has callbacks, which look at the rows that are held out to judge by, and would pass "
            "that on; name one without"
        )
    if teacher.data != pupil.data:
        yield f"has learnt {teacher.data}, and {pupil.name} learns {pupil.data}; give both the same"


def require_fitting_folds(
    path: str,
    teacher: Config,
    teacher_folds: FoldAssignment,
    pupil: Config,
    pupil_folds: FoldAssignment,
) -> None:
    """Checks that a teacher holds out the pupil's rows, and trains a net for each of its splits.

    Raises:
        UserError: when it holds out others; naming the splits that it trains no net for.
    """
    if teacher_folds.fingerprint() != pupil_folds.fingerprint():
        raise UserError(
            f"the teacher {path} holds out other rows than {pupil.name}: so it would tell of rows "
            "that are held out to judge by; give both the same folds"
        )
    trained = trained_splits(teacher.folds)
    untaught = [split for split in trained_splits(pupil.folds) if split not in trained]
    if untaught:
        raise UserError(
            f"the teacher {path} trains no net for {', '.join(untaught)}, as its folds.only says; "
            "expected one for each that is taught"
        )
