"""All jobs of a configuration: which are left, and training them side by side with joblib."""

from collections.abc import Collection
from typing import Any

from joblib import Parallel, delayed

from competition import paths, storage
from competition.config.loading import Config
from competition.console import count_of
from competition.data.augmented_epochs import pools_at_hand
from competition.data.label_marks import label_errors_in_words
from competition.data.run import Run
from competition.errors import UserError
from competition.results import Job, by_variant, job_status, read_manifest
from competition.storage import remove_partials, write_text
from competition.system import workers_may_end
from competition.training.progress import ProgressBoard
from competition.training.resources import Plan, chosen_plan
from competition.training.training_data import epochs_needed
from competition.training.worker import (
    Failure,
    Prepare,
    WorkerContext,
    less_memory,
    prepare_fold,
    run_job,
    trial_build,
)


def train_folds(
    run: Run, workers: int | None, wanted: Collection[Job] | None = None, force: bool = False
) -> list[Failure]:
    """Trains every job of the run without a valid result, and returns the failures.

    Args:
        workers: how many jobs run side by side; None: as many as suit the machine.
        wanted: the jobs to train; None: all of the run.
        force: also train jobs that have a result; the new result replaces it when complete.

    Raises:
        UserError: before any work, when another process trains this configuration, a variant
            cannot be trained or the disk is too small for the augmented images; later, when the
            system ends a worker.
    """
    name = run.config.name
    with storage.exclusive(paths.OutputPaths(name).lock) as is_free:
        if not is_free:
            raise UserError(
                f"another process is training '{name}' in this folder; wait for it, or train with "
                'another name: SET="name=…"'
            )
        remove_partials(paths.OutputPaths(name).jobs)
        write_text(paths.OutputPaths(name).resolved_config, run.config.to_yaml())
        jobs = jobs_left(run, run.identities if wanted is None else wanted, force)
        if not jobs:
            return []
        plan = chosen_plan(len(run.identities), len(jobs), workers)
        with workers_may_end(f"finished jobs are kept: {less_memory(plan)}"):
            return train_jobs(run, jobs, plan, plan.parallel())


def jobs_left(run: Run, wanted: Collection[Job], force: bool) -> list[Job]:
    """Prints which jobs are done or stale, and returns those left, in training order."""
    codes = {job: run.codes[job.variant] for job in wanted}
    status = job_status({job: run.identities[job] for job in wanted}, codes)
    print(f"{run.config.name}: {count_of(len(wanted), 'job')}, {len(status.done)} done already")
    if run.config.marks:
        print(f"{run.config.marks}: {label_errors_in_words(run.label_errors)}")
    remark = "was trained differently and is trained again"
    stale = {job: f"{remark} ({reason})" for job, reason in status.stale.items()}
    if not force:
        _require_same_source(run, status.stale)
    for line in by_variant(stale):
        print(line)
    if force:
        print("all of them are trained again")
    elif status.other_code:
        print(status.other_code_in_words())
    left = {*wanted} if force else {*status.missing, *status.stale}
    return [job for job in run.identities if job in left]


# What a training learns from, by the keys of its identity; only students have a teacher.
SOURCES = ("data", "folds", "teacher")


def _require_same_source(run: Run, stale: dict[Job, str]) -> None:
    """Refuses to replace results of other data, folds or teachers: a fault may have changed these.

    Results of other settings are replaced: somebody changed these, and can change them back.
    """
    others = {
        job: f"{' and '.join(changed)} changed since it was trained ({reason})"
        for job, reason in stale.items()
        if (changed := _changed_sources(read_manifest(job)["identity"], run.identities[job]))
    }
    if others:
        job = next(iter(others))
        raise UserError(
            "\n".join(by_variant(others)) + f"\n`{job.made_by} FORCE=1` replaces these results; "
            f"to keep them, copy {paths.OutputPaths(job.config).folder}/ first"
        )


def _changed_sources(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    return [name for name in SOURCES if before.get(name) != now.get(name)]


def train_jobs(
    run: Run, jobs: list[Job], plan: Plan, parallel: Parallel, prepare: Prepare = prepare_fold
) -> list[Failure]:
    """Trains jobs as planned, shows their progress, and returns the failures."""
    needed = epochs_needed(run, jobs)
    with ProgressBoard.on_disk(len(jobs)) as board:
        context = WorkerContext(plan, board)
        require_trainable(jobs, run.config, parallel, context)
        print(f"{count_of(len(jobs), 'job')} on this machine ({plan})")
        with (
            pools_at_hand(needed, run.data_set, plan.threads),
            board.shown("training") as display,
        ):
            shares, failures = board.shares(), []
            calls = (
                delayed(run_job)(run.config, job, number, context, prepare)
                for number, job in enumerate(jobs)
            )
            for job, failure in parallel(calls):
                shares[jobs.index(job)] = 1  # done, even if it ended before its last epoch
                display.say(f"{job}: FAILED, {failure.message}" if failure else f"{job}: done")
                failures += [failure] if failure else []
            return failures


def require_trainable(
    jobs: list[Job], config: Config, parallel: Parallel, context: WorkerContext
) -> None:
    """Builds each variant once, in the processes that will train; raises UserError naming every
    variant that cannot be trained.
    """
    first = {job.variant: job for job in reversed(jobs)}.values()
    outcomes = parallel(delayed(trial_build)(config, job, context) for job in first)
    failures = [failure for failure in outcomes if failure]
    if refused := [failure for failure in failures if failure.cannot_be_trained]:
        messages = (f"{failure.job} cannot be trained: {failure.message}" for failure in refused)
        raise UserError("\n".join(messages))
    for failure in failures:
        print(f"{failure.job} could not be built, and may fail: {failure.message}")
