"""How long jobs will take, by the first steps of their variants, as far as these can be timed."""

from statistics import fmean

from joblib import Parallel, delayed

from competition.config import Config
from competition.data.pool import Pool
from competition.data.run import Run
from competition.errors import UserError
from competition.machine import core_count
from competition.progress import duration
from competition.results import Job
from competition.training.estimate import Estimate, makespan
from competition.training.failures import Failure
from competition.training.plan import Plan
from competition.training.worker import WorkerContext, estimate_job
from competition.wording import count_of


def estimated(
    config: Config, jobs: list[Job], parallel: Parallel, context: WorkerContext
) -> dict[str, Estimate]:
    """Times the first steps of each job's variant, in the processes that will train.

    Returns:
        An estimate for each variant that could be timed; of the others it says why they could
        not, as their jobs may fail for the same reason.

    Raises:
        UserError: naming every variant that cannot be trained.
    """
    first = {job.variant: job for job in reversed(jobs)}
    outcomes = dict(parallel(delayed(estimate_job)(config, job, context) for job in first.values()))
    failures = [outcome for outcome in outcomes.values() if isinstance(outcome, Failure)]
    if refused := [failure for failure in failures if failure.cannot_be_trained]:
        messages = (f"{failure.job} cannot be trained: {failure.message}" for failure in refused)
        raise UserError("\n".join(messages))
    for failure in failures:
        print(f"{failure.job} could not be timed, and may fail: {failure.message}")
    timed = {job.variant: outcome for job, outcome in outcomes.items()}
    return {name: outcome for name, outcome in timed.items() if isinstance(outcome, Estimate)}


def training_seconds(jobs: list[Job], estimates: dict[str, Estimate]) -> list[float]:
    """Returns each job's time; a variant that could not be timed is taken to be like the others.

    Where none could be timed, a second each: then all jobs share the progress alike.
    """
    known = {name: estimate.training for name, estimate in estimates.items()}
    typical = fmean(known.values()) if known else 1.0
    return [known.get(job.variant, typical) for job in jobs]


def time_in_words(
    run: Run,
    jobs: list[Job],
    needed: dict[Pool, int],
    plan: Plan,
    estimates: dict[str, Estimate],
    spent: float,
) -> str:
    """Says how long jobs will take, with making the augmented images.

    Args:
        run: whose jobs they are.
        jobs: those that are to do.
        needed: how many epochs they need of each pool.
        plan: by which they run.
        estimates: of their variants, as far as these could be timed.
        spent: seconds that went by already.
    """
    which = f"{count_of(len(jobs), 'job')} on this machine ({plan})"
    if not estimates:
        return f"{which}; how long that takes is not known"
    augmenting = _augmenting_seconds(run, needed, estimates)
    whole = spent + augmenting + makespan(training_seconds(jobs, estimates), plan.workers)
    at_most = any(run.config.variants[job.variant].callbacks for job in jobs)
    return (
        f"about {duration(whole)} for {which}, "
        f"{duration(augmenting)} of it for augmented images"
        f"{'; less where callbacks end a training early' if at_most else ''}"
    )


def _augmenting_seconds(run: Run, needed: dict[Pool, int], estimates: dict[str, Estimate]) -> float:
    """Returns how long making the epochs that are not there yet will take on all cores."""
    seconds_an_image = {
        augmentation: seconds
        for estimate in estimates.values()
        for augmentation, seconds in estimate.augmenting.items()
    }
    typical = fmean(seconds_an_image.values())  # for a policy of a variant that could not be timed
    images = {
        pool: len(pool.missing(count)) * len(pool.originals(run.data_set))
        for pool, count in needed.items()
    }
    work = sum(
        count * seconds_an_image.get(pool.augmentation, typical) for pool, count in images.items()
    )
    return work / core_count()
