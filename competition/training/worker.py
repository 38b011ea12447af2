"""What happens in a worker process: one job from its folder's absence to its result."""

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from competition.config import Config
from competition.data.folds import fold_number
from competition.data.pool import Pool
from competition.data.run import Run, load_run
from competition.errors import UserError, disk_trouble
from competition.probabilities import Probabilities
from competition.processes import end_with
from competition.results import Job, write_result
from competition.training.estimate import estimate_seconds
from competition.training.one_fold import Fold, predict, train_one_fold
from competition.training.progress_board import ProgressBoard
from competition.training.runtime import machine_name, start_keras
from competition.version import library_versions


@dataclass(frozen=True)
class Place:
    """Where a job runs, and how it tells how far it is.

    Attributes:
        workers: how many jobs run side by side.
        threads: that TensorFlow may use in each.
        command: process id of the command, with which its workers end.
        board: the progress of all jobs.
        code_version: of the command when it began, whatever is edited while it runs.
    """

    workers: int
    threads: int
    command: int
    board: ProgressBoard
    code_version: str


@dataclass(frozen=True)
class Failure:
    """A job that raised, with what to show of it."""

    job: Job
    message: str


def run_job(config: Config, job: Job, number: int, place: Place) -> tuple[Job, Failure | None]:
    """Trains a job and writes its result.

    Args:
        config: the whole configuration; the data is read here, so that no arrays travel.
        job: which of its jobs.
        number: the job's place on the progress board.
        place: threads and progress board.

    Returns:
        The job, and its failure if it failed.
    """
    end_with(place.command)
    try:
        start_keras(place.threads)
        _train_and_write(load_run(config), job, number, place)
    except UserError as error:
        return job, Failure(job, str(error))
    except OSError as error:
        return job, Failure(job, str(disk_trouble(error) or traceback.format_exc()))
    except Exception:  # a bug keeps its traceback, and the other jobs go on
        return job, Failure(job, traceback.format_exc())
    return job, None


def estimate_job(config: Config, job: Job, place: Place) -> tuple[str, float]:
    """Returns the job's variant, and the seconds that one training of it will take here."""
    end_with(place.command)
    start_keras(place.threads)
    run = load_run(config)
    variant = config.variants[job.variant]
    variant.augmentation.build()  # like the architecture, it is refused before any work
    return job.variant, estimate_seconds(variant, _fold(run, job), len(run.data_set.test))


def pool_of(run: Run, job: Job) -> Pool:
    """Returns the pool of augmented epochs that a job draws from."""
    return Pool(run.config.variants[job.variant].augmentation, job.seed, run.fingerprint)


def _train_and_write(run: Run, job: Job, number: int, place: Place) -> None:
    import keras

    keras.utils.clear_session()
    variant, fold = run.config.variants[job.variant], _fold(run, job)
    wall, cpu = time.perf_counter(), time.process_time()
    on_step = _share_teller(number, place, variant.epochs * fold.steps(variant))
    model, history = train_one_fold(variant, fold, job.seed, on_step)
    train, test = run.data_set.train, run.data_set.test
    held_out = fold.validation_rows
    predictions = {
        "out_of_fold": Probabilities(train.ids[held_out], predict(model, train.images[held_out])),
        "test": Probabilities(test.ids, predict(model, test.images)),
    }
    manifest = {
        "identity": run.identities[job],
        "minutes": round((time.perf_counter() - wall) / 60, 3),
        "cpu_minutes": round((time.process_time() - cpu) / 60, 3),
        **_circumstances(model, place),
    }
    write_result(job, manifest, history, predictions, model.save)


def _circumstances(model, place: Place) -> dict[str, Any]:
    """What a result was made with and does not say of itself, as JSON values."""
    return {
        "parameters": model.count_params(),
        "precision": model.dtype_policy.compute_dtype,
        "workers": place.workers,
        "threads": place.threads,
        "machine": machine_name(),
        "versions": library_versions("tensorflow", "keras", "numpy", "albumentations"),
        "code_version": place.code_version,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _fold(run: Run, job: Job) -> Fold:
    training, validation = run.folds.split(job.split)
    number = fold_number(job.split)
    return Fold(run.data_set.train, training, validation, pool_of(run, job), number)


def _share_teller(number: int, place: Place, steps: int) -> Callable[[int], None]:
    """Returns what is to be called after each step with the number of steps done."""
    shares = place.board.shares()

    def tell(step: int) -> None:
        shares[number] = step / steps

    return tell
