"""Which jobs are still to do, and doing them through joblib; a finished one is never lost."""

import fcntl
import os
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

from joblib import Parallel, delayed

from competition import paths
from competition.atomic import atomic_file, remove_partials
from competition.config import Config
from competition.data.pool import Pool, make_pools
from competition.data.run import Run
from competition.errors import UserError
from competition.progress import ProgressDisplay, duration
from competition.results import Job, survey
from competition.training.progress_board import ProgressBoard
from competition.training.runtime import core_count
from competition.training.worker import Failure, Place, estimate_job, pool_of, run_job
from competition.version import code_version


def train_folds(run: Run, workers: int) -> list[Failure]:
    """Trains every job of the run that has no result that fits, and says what it does.

    Args:
        run: configuration, data and folds.
        workers: how many jobs run side by side; they share the cores equally.

    Returns:
        The jobs that failed; the others are done.

    Raises:
        UserError: before any work, when the same configuration is being trained by another
            process or a variant cannot be built; later, when the system ends a worker.
    """
    with _only_one(run.config.name), _workers_may_end():
        remove_partials(paths.jobs_folder(run.config.name))
        _write_resolved(run.config)
        jobs = _announce(run)
        if not jobs:
            return []
        return _train(run, jobs, workers)


@contextmanager
def _only_one(config_name: str) -> Iterator[None]:
    """Holds a lock that the system lets go of when the process ends, however it ends."""
    path = paths.lock_file(config_name)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"another process is training '{config_name}' in this folder; wait for it, or "
                'train under another name with SET="name=…"'
            ) from None
        yield


@contextmanager
def _workers_may_end() -> Iterator[None]:
    """Tells in a sentence what a worker's sudden end means."""
    try:
        yield
    except BrokenProcessPool:
        raise UserError(
            "the system ended a worker process, most likely for want of memory; finished jobs "
            "are kept: run it again with a smaller JOBS"
        ) from None


def _write_resolved(config: Config) -> None:
    with atomic_file(paths.resolved_config_file(config.name)) as partial:
        partial.write_text(config.to_yaml())


def _announce(run: Run) -> list[Job]:
    """Says what is done, stale and missing, and returns what is to do in training order."""
    found = survey(run.identities)
    print(f"{run.config.name}: {len(run.identities)} jobs, {len(found.done)} done already")
    for job, difference in found.stale.items():
        print(f"  {job} was trained otherwise and is trained again ({difference})")
    to_do = {*found.missing, *found.stale}
    return [job for job in run.identities if job in to_do]


def _epochs_needed(run: Run, jobs: list[Job]) -> dict[Pool, int]:
    needed: dict[Pool, int] = {}
    for job in jobs:
        pool = pool_of(run, job)
        needed[pool] = max(needed.get(pool, 0), run.config.variants[job.variant].epochs)
    return needed


def _train(run: Run, jobs: list[Job], workers: int) -> list[Failure]:
    with ProgressBoard.on_disk(len(jobs)) as board:
        # As many threads a job whatever is left to do: their number moves the last digits.
        threads = max(1, core_count() // workers)
        place = Place(workers, threads, os.getpid(), board, code_version())
        parallel = Parallel(workers, return_as="generator_unordered")
        seconds = _estimated_seconds(run.config, jobs, parallel, place)
        print(f"about {duration(sum(seconds) / workers)} for {len(jobs)} jobs on this machine")
        make_pools(_epochs_needed(run, jobs), run.data_set.train, core_count())
        calls = (
            delayed(run_job)(run.config, job, number, place) for number, job in enumerate(jobs)
        )
        display = ProgressDisplay("training", sum(seconds))
        with display, board.shown_on(display, seconds):
            return list(_failures(parallel(calls), display))


def _estimated_seconds(
    config: Config, jobs: list[Job], parallel: Parallel, place: Place
) -> list[float]:
    """Times the first steps of each variant, in the processes that will train; one value a job."""
    first = {job.variant: job for job in reversed(jobs)}
    estimates = dict(parallel(delayed(estimate_job)(config, job, place) for job in first.values()))
    return [estimates[job.variant] for job in jobs]


def _failures(outcomes: Iterator, display: ProgressDisplay) -> Iterator[Failure]:
    """Says how each job ended, as it ends, and passes on the failures."""
    for job, failure in outcomes:
        display.say(f"{job}: FAILED, {failure.message}" if failure else f"{job}: done")
        if failure:
            yield failure
