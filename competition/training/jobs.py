"""Which jobs are still to do, and doing them through joblib; a finished one is never lost."""

import os
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from statistics import fmean

from joblib import Parallel, delayed

from competition import paths, storage
from competition.config.loading import Config
from competition.console import ProgressDisplay, count_of, duration
from competition.data.augmented_epochs import Pool, pools_at_hand
from competition.data.label_marks import label_errors_in_words
from competition.data.run import Run
from competition.errors import UserError
from competition.results import Job, by_variant, survey
from competition.storage import remove_partials, write_text
from competition.system import core_count, workers_may_end
from competition.training.progress import Estimate, ProgressBoard, makespan
from competition.training.resources import Plan, chosen_plan
from competition.training.training_data import pools_needed, require_teachers
from competition.training.worker import Failure, WorkerContext, estimate_job, less_memory, run_job


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


def train_folds(
    run: Run, workers: int | None, wanted: Collection[Job] | None = None
) -> list[Failure]:
    """Trains every job of the run that has no result that fits, and says what it does.

    Args:
        run: configuration, data and folds.
        workers: how many jobs run side by side; None leaves it to the machine.
        wanted: the only ones of its jobs that are to be trained; None means all.

    Returns:
        The jobs that failed; the others are done.

    Raises:
        UserError: before any work, when the same configuration is being trained by another
            process, a variant cannot be trained or the disk is too small for the augmented
            images; later, when the system ends a worker.
    """
    began = time.monotonic()
    with _only_one(run.config.name):
        remove_partials(paths.jobs_folder(run.config.name))
        write_text(paths.resolved_config_file(run.config.name), run.config.to_yaml())
        jobs = _announce(run, run.identities if wanted is None else wanted)
        if not jobs:
            return []
        require_teachers(run, jobs)
        plan = chosen_plan(len(run.identities), len(jobs), workers)
        with workers_may_end(f"finished jobs are kept: {less_memory(plan)}"):
            return _train(run, jobs, plan, began)


@contextmanager
def _only_one(config_name: str) -> Iterator[None]:
    with storage.exclusive(paths.lock_file(config_name)) as is_free:
        if not is_free:
            raise UserError(
                f"another process is training '{config_name}' in this folder; wait for it, or "
                'train under another name with SET="name=…"'
            )
        yield


def _announce(run: Run, wanted: Collection[Job]) -> list[Job]:
    """Says what is done, stale and missing, and returns what is to do in training order."""
    found = survey({job: run.identities[job] for job in wanted})
    print(f"{run.config.name}: {count_of(len(wanted), 'job')}, {len(found.done)} done already")
    if run.config.marks:
        print(f"{run.config.marks}: {label_errors_in_words(run.label_errors)}")
    remark = "was trained differently and is trained again"
    for line in by_variant({job: f"{remark} ({why})" for job, why in found.stale.items()}):
        print(line)
    to_do = {*found.missing, *found.stale}
    return [job for job in run.identities if job in to_do]


def _train(run: Run, jobs: list[Job], plan: Plan, began: float) -> list[Failure]:
    needed = pools_needed(run, jobs)
    with ProgressBoard.on_disk(len(jobs)) as board:
        context = WorkerContext(plan, os.getpid(), board)
        parallel = plan.parallel()
        estimates = estimated(run.config, jobs, parallel, context)
        seconds = training_seconds(jobs, estimates)
        print(time_in_words(run, jobs, needed, plan, estimates, time.monotonic() - began))
        with pools_at_hand(needed, run.data_set, plan.threads):
            return _run_jobs(run.config, jobs, seconds, parallel, context)


def _run_jobs(
    config: Config,
    jobs: list[Job],
    seconds: list[float],
    parallel: Parallel,
    context: WorkerContext,
) -> list[Failure]:
    calls = (delayed(run_job)(config, job, number, context) for number, job in enumerate(jobs))
    display = ProgressDisplay("training", sum(seconds))
    with display, context.board.shown_on(display, seconds):
        return list(_failures(_ended(parallel(calls), jobs, context.board), display))


def _ended(outcomes: Iterator, jobs: list[Job], board: ProgressBoard) -> Iterator:
    """Passes outcomes on, and counts each job as done, even if it ended before its last epoch."""
    shares = board.shares()
    for job, failure in outcomes:
        shares[jobs.index(job)] = 1
        yield job, failure


def _failures(outcomes: Iterator, display: ProgressDisplay) -> Iterator[Failure]:
    """Says how each job ended, as it ends, and passes on the failures."""
    for job, failure in outcomes:
        display.say(f"{job}: FAILED, {failure.message}" if failure else f"{job}: done")
        if failure:
            yield failure
