"""What the nets of a teacher say of the unlabelled rows, for those whom they teach."""

from collections.abc import Collection
from dataclasses import replace

from competition.data.pool import Pool
from competition.data.run import Run
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
    """Returns the unlabelled rows as a job learns them; None where it has no teacher.

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
    try:
        said = mean_of([read_predictions(teacher, "test") for teacher in teachers])
    except UserError as error:
        raise UnreadableTeacherError(str(error)) from None
    digits = run.data_set.test
    return Taught(digits, said.aligned_to(digits.ids).values, replace(pool, part="test"))
