"""Which jobs are still to do, and doing them through joblib; a finished one is never lost."""

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from joblib import Parallel, delayed

from competition import paths, storage
from competition.config.loading import Config
from competition.console import ProgressDisplay, count_of
from competition.data.augmented_epochs import pools_at_hand
from competition.data.label_marks import label_errors_in_words
from competition.data.run import Run
from competition.errors import UserError
from competition.results import Job, by_variant, job_status
from competition.storage import remove_partials, write_text
from competition.system import workers_may_end
from competition.training.progress import ProgressBoard
from competition.training.resources import Plan, chosen_plan
from competition.training.training_data import pools_needed
from competition.training.worker import Failure, WorkerContext, less_memory, run_job, trial_build


def require_trainable(jobs: list[Job], config: Config, parallel: Parallel, context: WorkerContext):
    """Builds each variant once, in the processes that will train, and reports what fails.

    Raises:
        UserError: naming every variant that cannot be trained.
    """
    first = {job.variant: job for job in reversed(jobs)}.values()
    outcomes = parallel(delayed(trial_build)(config, job, context) for job in first)
    failures = [failure for failure in outcomes if failure]
    if refused := [failure for failure in failures if failure.cannot_be_trained]:
        messages = (f"{failure.job} cannot be trained: {failure.message}" for failure in refused)
        raise UserError("\n".join(messages))
    for failure in failures:
        print(f"{failure.job} could not be built, and may fail: {failure.message}")


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
    with _only_one(run.config.name):
        remove_partials(paths.jobs_folder(run.config.name))
        write_text(paths.resolved_config_file(run.config.name), run.config.to_yaml())
        jobs = _announce(run, run.identities if wanted is None else wanted)
        if not jobs:
            return []
        plan = chosen_plan(len(run.identities), len(jobs), workers)
        with workers_may_end(f"finished jobs are kept: {less_memory(plan)}"):
            return _train(run, jobs, plan)


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
    found = job_status({job: run.identities[job] for job in wanted})
    print(f"{run.config.name}: {count_of(len(wanted), 'job')}, {len(found.done)} done already")
    if run.config.marks:
        print(f"{run.config.marks}: {label_errors_in_words(run.label_errors)}")
    remark = "was trained differently and is trained again"
    for line in by_variant({job: f"{remark} ({why})" for job, why in found.stale.items()}):
        print(line)
    to_do = {*found.missing, *found.stale}
    return [job for job in run.identities if job in to_do]


def _train(run: Run, jobs: list[Job], plan: Plan) -> list[Failure]:
    needed = pools_needed(run, jobs)
    with ProgressBoard.on_disk(len(jobs)) as board:
        context = WorkerContext(plan, os.getpid(), board)
        parallel = plan.parallel()
        require_trainable(jobs, run.config, parallel, context)
        print(f"{count_of(len(jobs), 'job')} on this machine ({plan})")
        with pools_at_hand(needed, run.data_set, plan.threads):
            return _run_jobs(run.config, jobs, parallel, context)


def _run_jobs(
    config: Config,
    jobs: list[Job],
    parallel: Parallel,
    context: WorkerContext,
) -> list[Failure]:
    calls = (delayed(run_job)(config, job, number, context) for number, job in enumerate(jobs))
    display = ProgressDisplay("training", len(jobs))
    with display, context.board.shown_on(display):
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
