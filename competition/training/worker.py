"""One job, from its rows to its result, or the reason why it failed: a function of its task."""

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from competition.config.schema import Variant, code_hash
from competition.data.augmented_epochs import AugmentedEpochs, Part
from competition.data.run import Run
from competition.digits import Digits
from competition.errors import UserError, disk_trouble, is_out_of_memory
from competition.probabilities import Probabilities
from competition.results import CLASS_COUNTS, CODE, Job
from competition.system import Command, interruptible, library_versions, machine_name
from competition.training.predict import predict_tta, tta_views
from competition.training.progress import JobProgress, ProgressBoard
from competition.training.resources import Plan, forget_models, start_keras, use_precision
from competition.training.tensorboard import log_of
from competition.training.train import callback_list, compiled_model, train_one_fold
from competition.training.training_data import (
    TrainingData,
    epochs_needed,
    training_data,
    tta_epochs,
    unbalanced_data,
)


@dataclass(frozen=True)
class WorkerContext:
    """What a command tells the processes that work for it."""

    plan: Plan
    board: ProgressBoard
    command: Command = field(default_factory=Command)


@dataclass(frozen=True)
class Task:
    """All that the function of a job depends on, wherever it runs.

    Attributes:
        run: of which at least the variants and splits of the job are there; without its digits,
            they are read by the data set's name.
    """

    run: Run
    plan: Plan

    def epochs(self) -> dict[AugmentedEpochs, int]:
        """Returns which augmented epochs the job reads, and how many."""
        raise NotImplementedError


# Makes what a job trains on, of its run.
Prepare = Callable[[Any, Job], TrainingData]

# Is told which share of a job is done, from 0 to 1.
Report = Callable[[float], None]


@dataclass(frozen=True)
class JobTask(Task):
    """The training of one job."""

    job: Job
    prepare: Prepare = training_data

    @property
    def variant(self) -> Variant:
        return self.run.config.variants[self.job.variant]

    def epochs(self) -> dict[AugmentedEpochs, int]:
        return epochs_needed(self.run, [self.job])


@dataclass(frozen=True)
class Result:
    """What a job gives back; the command alone writes it.

    Attributes:
        manifest: what only the job knows of it, JSON values.
        history: one row per epoch.
        predictions: as of `predict_parts`.
        model: the content of the model's file.
        log: the content of TensorBoard's file, empty if the variant is not a net.
    """

    job: Job
    manifest: dict[str, Any]
    history: list[dict[str, Any]]
    predictions: dict[str, Probabilities]
    model: bytes
    log: bytes


@dataclass(frozen=True)
class Failure:
    """A job that failed, the message to show, and whether its variant can be trained at all."""

    job: Job
    message: str
    cannot_be_trained: bool = False


def run_job(task: JobTask, number: int, context: WorkerContext) -> Result | Failure:
    """Trains a job; returns its result, or why it failed.

    Args:
        number: the job's place on the progress board.
    """
    try:
        with interruptible(context.board.reporter(number)) as report:
            context.command.join()
            return context.plan.call(train_job, task, report)
    except Exception as error:  # must not stop the other jobs
        return Failure(task.job, explain(error, context.plan))


def start(variant: Variant, plan: Plan) -> None:
    """Starts Keras with the plan's threads, and frees earlier models, if the variant is a net."""
    if variant.is_net:
        start_keras(plan.threads)
        forget_models()


def train_job(task: JobTask, report: Report) -> Result:
    """Trains a job, and predicts its held-out rows and the test rows; writes nothing."""
    job, variant = task.job, task.variant
    start(variant, task.plan)
    run = task.run.with_data()
    data = task.prepare(run, job)
    code = code_hash(variant)  # now: somebody may edit it during the training
    wall, cpu = time.perf_counter(), time.process_time()
    rows = len(run.data_set.test) + len(data.validation_rows)
    progress = JobProgress(report, variant, data.steps_per_epoch(variant), rows)

    model, history = train_one_fold(variant, data, job.seed, progress.trained)
    predictions = predict_parts(model, variant, run, job, progress)

    manifest: dict[str, Any] = {
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
        "workers": task.plan.workers,
        "threads": task.plan.threads,
        "machine": machine_name(),
        "versions": library_versions(),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    log = log_of(history) if variant.is_net else b""
    return Result(job, manifest, history, predictions, saved(model, variant.model_file), log)


def saved(model, name: str) -> bytes:
    """Returns the content of a model's file, which its library writes to a path only."""
    with TemporaryDirectory(prefix="model-") as folder:
        path = Path(folder, name)
        model.save(path)
        return path.read_bytes()


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


def trial_build(task: JobTask, context: WorkerContext) -> Failure | None:
    """Builds a job's net and data without training, so that mistakes show before any work.

    Returns the failure, if it failed. Wrong settings and bugs would fail all jobs of the variant; a
    full disk or too little memory may not.
    """
    try:
        with interruptible():
            context.command.join()
            context.plan.call(build, task, lambda share: None)
    except Exception as error:
        return Failure(task.job, explain(error, context.plan), not is_transient(error))
    return None


def build(task: JobTask, report: Report) -> None:
    """Builds a job's net, or other learner, and its data."""
    variant = task.variant
    start(variant, task.plan)
    data = training_data(task.run.with_data(), task.job)
    if not variant.is_net:
        variant.architecture.build()
        return
    use_precision(variant.precision)
    model = compiled_model(variant, data.steps_per_epoch(variant) * variant.epochs)
    callback_list(variant, model)
    variant.augmentation.build()
    if variant.test_time_draws:
        variant.test_time_augmentation.build()


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
        return f"run it again with {plan.fewer()}"
    return "run it again with a smaller batch_size or a narrower net, or where more memory is free"
