"""What the nets of a teacher say of rows, for those whom they teach."""

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from competition.data.pool import Pool
from competition.data.run import Run
from competition.digits import CLASSES
from competition.errors import UserError
from competition.probabilities import mean_of
from competition.results import Job, read_predictions, require_complete
from competition.training.fold import Taught


class UnreadableTeacherError(UserError):
    """What a teacher said is damaged: those whom it teaches fail, and the other jobs go on."""


def require_teachers(run: Run, jobs: Collection[Job]) -> None:
    """Raises UserError, naming every job of a teacher whose result some jobs lack."""
    for path, teacher in run.teachers.items():
        pupils = [job for job in jobs if run.config.variants[job.variant].teacher == path]
        try:
            require_complete(
                {job: known for pupil in pupils for job, known in run.teaching(pupil).items()}
            )
        except UserError as error:
            raise UserError(f"{teacher.config.name} ({path}) is to teach, but {error}") from None


def taught(run: Run, job: Job, pool: Pool) -> Taught | None:
    """Returns the rows that a job learns from its teacher; None where it has none.

    Args:
        run: with the teacher's results on disk.
        job: who is taught.
        pool: of its labelled rows; the unlabelled ones are varied in the same way.

    Raises:
        UnreadableTeacherError: when a result of the teacher is damaged.
    """
    teachers = run.teaching(job)
    if not teachers:
        return None
    confidence = run.config.variants[job.variant].teacher_confidence
    unlabelled, (_, held_out) = run.data_set.test, run.folds.split(job.split)
    answers = _answers(teachers, "test", unlabelled.ids)
    of_held_out = _answers(teachers, "out_of_fold", run.data_set.train.ids[held_out])
    are_sure = _are_sure(of_held_out, confidence)
    return Taught(
        unlabelled,
        replace(pool, part="test"),
        np.flatnonzero(_are_sure(answers, confidence)),
        answers,
        held_out[are_sure],
        of_held_out[are_sure],
    )


def _answers(teachers: Collection[Job], part: str, ids: np.ndarray) -> np.ndarray:
    """Returns the mean of what teachers say of the rows with these ids, `[n, 10]`."""
    if not len(ids):
        return np.empty((0, CLASSES), np.float32)
    try:
        said = mean_of([read_predictions(teacher, part) for teacher in teachers])
    except UserError as error:
        raise UnreadableTeacherError(str(error)) from None
    return said.aligned_to(ids).values


def _are_sure(answers: np.ndarray, confidence: float) -> np.ndarray:
    return answers.max(axis=1) >= confidence
