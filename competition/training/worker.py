"""A worker process: one job, from loading its rows to writing its result, or why it failed."""

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np

from competition import paths
from competition.config.loading import Config
from competition.config.schema import Variant
from competition.data.augmented_epochs import Part
from competition.data.run import Run, load_run
from competition.digits import Digits
from competition.errors import UserError, as_the_disk_allows, disk_trouble, is_out_of_memory
from competition.probabilities import Probabilities
from competition.results import CLASS_COUNTS, CODE, Job, write_result
from competition.system import Command, code_version, interruptible, library_versions, machine_name
from competition.training.predict import predict_tta, tta_views
from competition.training.progress import JobProgress, ProgressBoard
from competition.training.resources import Plan, forget_models, start_keras, use_precision
from competition.training.tensorboard import write_log
from competition.training.train import callback_list, compiled_model, train_one_fold
from competition.training.training_data import (
    TrainingData,
    training_data,
    tta_epochs,
    unbalanced_data,
)


@dataclass(frozen=True)
class WorkerContext:
    """What a command tells the jobs in its worker processes.

    Attributes:
        code_version: at the command's start, even if the code is edited while it runs.
        machine: its name, for the manifest.
    """

    plan: Plan
    board: ProgressBoard
    command: Command = field(default_factory=Command)
    code_version: str = field(default_factory=code_version)
    machine: str = field(default_factory=machine_name)


@dataclass(frozen=True)
class Failure:
    """A job that failed, the message to show, and whether its variant can be trained at all."""

    job: Job
    message: str
    cannot_be_trained: bool = False


# From a configuration and a job, in the worker: the run, and what the job trains on.
Prepare = Callable[[Config, Job], tuple[Run, TrainingData]]


def prepare_fold(config: Config, job: Job) -> tuple[Run, TrainingData]:
    """Reads the data of a job here, so that no arrays are sent to the worker."""
    run = load_run(config)
    return run, training_data(run, job)


def run_job(
    config: Config, job: Job, number: int, context: WorkerContext, prepare: Prepare = prepare_fold
) -> tuple[Job, Failure | None]:
    """Trains a job and writes its result; returns the job, and its failure if it failed.

    Args:
        number: the job's place on the progress board.
    """
    try:
        with interruptible():
            context.command.join()
            start(config.variants[job.variant], context.plan)
            train_and_write(*prepare(config, job), job, number, context)
    except Exception as error:  # must not stop the other jobs
        return job, Failure(job, explain(error, context.plan))
    return job, None


def start(variant: Variant, plan: Plan) -> None:
    """Starts Keras with the plan's threads, and frees earlier models, if the variant is a net."""
    if variant.is_net:
        start_keras(plan.threads)
        forget_models()


def train_and_write(
    run: Run, data: TrainingData, job: Job, number: int, context: WorkerContext
) -> None:
    """Trains a job, predicts its held-out rows and the test rows, and writes its result folder."""
    variant = run.config.variants[job.variant]
    code = run.codes[job.variant]  # read now: somebody may edit it during the training
    wall, cpu = time.perf_counter(), time.process_time()
    rows = len(run.data_set.test) + len(data.validation_rows)
    progress = JobProgress(context.board, number, variant, data.steps_per_epoch(variant), rows)

    model, history = train_one_fold(variant, data, job.seed, progress.trained)
    predictions = predict_parts(model, variant, run, job, progress)

    manifest: dict[str, Any] = {
        "identity": run.identities[job],
        CODE: code,
        "minutes": round((time.perf_counter() - wall) / 60, 3),
        "cpu_minutes": round((time.process_time() - cpu) / 60, 3),
    }
    if variant.resampling.name != "none":
        before = unbalanced_data(run, job).class_counts()
        manifest[CLASS_COUNTS] = {"before": before, "after": data.class_counts()}
    manifest |= {
        "parameters": model.count_params(),
        "precision": model.dtype_policy.compute_dtype if variant.is_net else "float32",
        "workers": context.plan.workers,
        "threads": context.plan.threads,
        "machine": context.machine,
        "versions": library_versions(),
        "code_version": context.code_version,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    file = paths.MODEL if variant.is_net else paths.LEARNER
    write_result(job, manifest, history, predictions, model.save, file)
    if variant.is_net:
        with as_the_disk_allows():  # the result is complete without the log
            write_log(job, history)


def predict_parts(
    model, variant: Variant, run: Run, job: Job, progress: JobProgress
) -> dict[str, Probabilities]:
    """Returns a trained model's predictions for the test rows and for the held-out rows, if any."""
    train, test = run.data_set.train, run.data_set.test
    _, held_out = run.folds.split(job.split)
    parts: list[tuple[str, Part, Digits, np.ndarray]]
    parts = [("test", "test", test, np.arange(len(test)))]
    if len(held_out):
        parts.append(("out_of_fold", "train", train, held_out))
    predictions = {}
    for name, part, digits, rows in parts:
        drawn = tta_epochs(variant, job.seed, run.fingerprint, part)
        views = progress.counted(tta_views(variant, digits, rows, drawn))
        predictions[name] = Probabilities(digits.ids[rows], predict_tta(model, views))
    return predictions


def trial_build(config: Config, job: Job, context: WorkerContext) -> Failure | None:
    """Builds a job's net and data without training, so that mistakes show before any work.

    Returns the failure, if it failed. Wrong settings and bugs would fail all jobs of the variant; a
    full disk or too little memory may not.
    """
    try:
        with interruptible():
            context.command.join()
            variant = config.variants[job.variant]
            start(variant, context.plan)
            data = training_data(load_run(config), job)
            if not variant.is_net:
                variant.architecture.build()
                return None
            use_precision(variant.precision)
            model = compiled_model(variant, data.steps_per_epoch(variant) * variant.epochs)
            callback_list(variant, model)
            variant.augmentation.build()
            if variant.test_time_draws:
                variant.test_time_augmentation.build()
    except Exception as error:
        return Failure(job, explain(error, context.plan), not is_transient(error))
    return None


def explain(error: Exception, plan: Plan) -> str:
    """Returns the message to show for an error of a job."""
    if isinstance(error, UserError):
        return str(error)
    if is_out_of_memory(error):
        return f"there was too little memory; {less_memory(plan)}"
    if isinstance(error, OSError) and (trouble := disk_trouble(error)):
        return str(trouble)
    return "".join(traceback.format_exception(error)).rstrip()  # a bug keeps its traceback


def is_transient(error: Exception) -> bool:
    """Whether the error is transient (memory, disk), so that a retry may succeed."""
    return is_out_of_memory(error) or isinstance(error, OSError)


def less_memory(plan: Plan) -> str:
    """Returns the advice for a plan that ran out of memory."""
    if plan.workers > 1:
        return f"run it again with JOBS={plan.workers // 2}"
    return "run it again with a smaller batch_size or a narrower net, or where more memory is free"
