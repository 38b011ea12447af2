"""All jobs of a configuration: which are left, and training them side by side with joblib."""

from collections.abc import Collection
from typing import Any

from joblib import delayed

from competition import paths, storage
from competition.console import count_of
from competition.data.label_marks import label_errors_in_words
from competition.data.run import Run
from competition.errors import UserError, as_the_disk_allows
from competition.results import Job, by_variant, job_status, read_manifest, write_result
from competition.storage import atomic_folder, remove_partials, write_text
from competition.system import code_version, workers_may_end
from competition.training.progress import ProgressBoard
from competition.training.resources import Plan, Runner, Workers, chosen_plan
from competition.training.tensorboard import LOG
from competition.training.training_data import epochs_needed, training_data
from competition.training.worker import (
    Failure,
    JobTask,
    Prepare,
    Result,
    WorkerContext,
    explain,
    less_memory,
    run_job,
    trial_build,
)


def train_folds(
    run: Run, workers: Workers, wanted: Collection[Job] | None = None, force: bool = False
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
            return train_jobs(run, jobs, plan)


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
    run: Run,
    jobs: list[Job],
    plan: Plan,
    prepare: Prepare = training_data,
) -> list[Failure]:
    """Trains jobs as planned, writes their results, and returns the failures.

    Args:
        prepare: makes what a job trains on.
    """
    needed, version, parallel = epochs_needed(run, jobs), code_version(), plan.parallel()
    tasks = [JobTask(run, plan, job, prepare) for job in jobs]
    with ProgressBoard.on_disk(len(jobs)) as board:
        context = WorkerContext(plan, board)
        require_trainable(tasks, parallel, context)
        print(f"{count_of(len(jobs), 'job')} on {plan.place} ({plan})")
        with (
            plan.epochs_at_hand(needed, run.data_set),
            board.shown("training") as display,
        ):
            shares, failures = board.shares(), []
            calls = (delayed(run_job)(task, number, context) for number, task in enumerate(tasks))
            for outcome in parallel(calls):
                done = (
                    outcome if isinstance(outcome, Failure) else keep(run, outcome, plan, version)
                )
                shares[jobs.index(outcome.job)] = 1  # even if it ended before its last epoch
                display.say(f"{outcome.job}: " + (f"FAILED, {done.message}" if done else "done"))
                failures += [done] if done else []
            return failures


def keep(run: Run, result: Result, plan: Plan, version: str) -> Failure | None:
    """Writes a job's result, complete or not at all; returns the failure if the disk refuses."""
    job, net = result.job, run.config.variants[result.job.variant]
    manifest = {"identity": run.identities[job], **result.manifest, "code_version": version}
    try:
        write_result(
            job, manifest, result.history, result.predictions,
            lambda path: path.write_bytes(result.model), net.model_file,
        )  # fmt: skip
    except OSError as error:
        return Failure(job, explain(error, plan))
    if result.log:
        folder = paths.OutputPaths(job.config).tensorboard(job.variant, job.seed, job.split)
        with as_the_disk_allows(), atomic_folder(folder) as partial:
            (partial / LOG).write_bytes(result.log)  # the result is complete without it
    return None


def require_trainable(tasks: list[JobTask], parallel: Runner, context: WorkerContext) -> None:
    """Builds each variant once, in the processes that will train; raises UserError naming every
    variant that cannot be trained.
    """
    first = {task.job.variant: task for task in reversed(tasks)}.values()
    outcomes = parallel(delayed(trial_build)(task, context) for task in first)
    failures = [failure for failure in outcomes if failure]
    if refused := [failure for failure in failures if failure.cannot_be_trained]:
        messages = (f"{failure.job} cannot be trained: {failure.message}" for failure in refused)
        raise UserError("\n".join(messages))
    for failure in failures:
        print(f"{failure.job} could not be built, and may fail: {failure.message}")
