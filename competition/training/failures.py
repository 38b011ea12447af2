"""Why a job failed, in a sentence where the user can mend it, with its traceback where we must."""

import traceback
from dataclasses import dataclass

from competition.errors import UserError, disk_trouble
from competition.results import Job
from competition.training.plan import Plan


@dataclass(frozen=True)
class Failure:
    """A job that raised, with what to show of it, and whether its variant can be trained at all."""

    job: Job
    message: str
    cannot_be_trained: bool = False


def explain(error: Exception, plan: Plan) -> str:
    """Returns what to show of an error that a job raised while it ran as planned."""
    if isinstance(error, UserError):
        return str(error)
    if _wants_memory(error):
        return f"there was too little memory; {less_memory(plan)}"
    if isinstance(error, OSError) and (trouble := disk_trouble(error)):
        return str(trouble)
    return "".join(traceback.format_exception(error)).rstrip()  # a bug keeps its traceback


def is_of_the_moment(error: Exception) -> bool:
    """Says whether an error may stay away at another time: it is of the memory or of the disk."""
    return _wants_memory(error) or isinstance(error, OSError)


def less_memory(plan: Plan) -> str:
    """Returns what to try when the memory was too little for a plan."""
    if plan.workers > 1:
        return f"run it again with JOBS={plan.workers // 2}"
    return "run it again with a smaller batch_size or a narrower net, or where more memory is free"


def _wants_memory(error: Exception) -> bool:
    # TensorFlow's error is known by its name: to explain an error, nothing should be imported.
    return isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError"
