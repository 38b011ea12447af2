"""`make export`: which net, its files, each compared with the net before it is put into place."""

import zlib
from collections.abc import Callable, Iterable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from competition import paths
from competition.console import with_progress
from competition.data.augmented_epochs import pools_at_hand
from competition.data.run import Run
from competition.deployment.distillation import (
    STUDENT,
    StudentRun,
    judge,
    student_data,
    student_epochs,
)
from competition.deployment.file_formats import stock_net, write_file
from competition.deployment.model_card import files_table, net_card, student_card
from competition.deployment.pruning import FINE_TUNING_EPOCHS, prune
from competition.deployment.runtimes import answers
from competition.digits import CLASSES, Digits, positions
from competition.ensemble.comparison import EnsembleResult
from competition.errors import UserError
from competition.metrics import score
from competition.paths import EXPORTED
from competition.results import ALL_ROWS, Job, job_status, read_predictions
from competition.storage import atomic_folder
from competition.system import core_count
from competition.tables import Table
from competition.training.predict import load_model, predict
from competition.training.resources import start_keras

# The modules that write and read each format; `requirements-deploy.txt` installs them.
NEEDED: dict[str, tuple[str, ...]] = {
    "keras": (),
    "onnx": ("onnx", "tf2onnx", "onnxruntime"),
    "litert": ("ai_edge_litert", "ai_edge_quantizer"),
}

# Training digits that int8 takes its ranges from, and others that each file is compared on.
CALIBRATED, COMPARED = 1000, 1000

# How far a file's probabilities may be from the net's: the mean over the digits of the total
# variation distance. Rounding from bfloat16 to float32 was seen to move them by up to 0.0012 in
# nets that have learnt nothing, int8 by 0.0026.
TOLERATED = {"keras": 0.01, "onnx": 0.01, "litert": 0.02}


def require_libraries(formats: Iterable[str]) -> None:
    """Raises UserError naming all that the formats need and that is not installed."""
    needed = [name for each in formats for name in NEEDED[each]]
    if missing := [name for name in needed if find_spec(name) is None]:
        raise UserError(
            f"{', '.join(missing)} is missing, which this export needs; run: "
            ".venv/bin/pip install -r requirements-deploy.txt"
        )


def export_student(
    result: EnsembleResult, students: StudentRun, formats: tuple[str, ...], sparsity: float
) -> tuple[Path, Table]:
    """Exports the student that learnt from every row; returns the folder and a table of its files.

    Args:
        formats: keys of `EXPORTED`.
        sparsity: the share of the weights to prune, from 0 to below 1.

    Raises:
        UserError: when it is not trained, its net is not on this disk, or a file does not answer
            as the net does.
    """
    done = job_status(students.identities).done
    nets = [job for job in done if (job.folder() / paths.MODEL).exists()]
    folds = [job for job in nets if job.split != ALL_ROWS]
    chosen = _require_student(students, done, nets)
    start_keras(core_count())

    def model_of(job: Job):
        model = load_model(job)
        if sparsity:
            variant = students.config.variants[STUDENT]
            prune(model, sparsity, variant, student_data(students, job))
        return model

    needed = dict.fromkeys(student_epochs(students).parts, FINE_TUNING_EPOCHS if sparsity else 0)
    with pools_at_hand(needed, students.data_set, core_count()):
        judged = judge_files(students, folds, formats, model_of) if folds else None
        model = model_of(chosen)
    figures = None if done == [chosen] else judge(result, students)
    return write_export(
        students,
        model,
        formats,
        partial(files_table, judged=judged, sparsity=sparsity),
        partial(student_card, students, figures, model.count_params()),
    )


def _require_student(students: StudentRun, done: list[Job], nets: list[Job]) -> Job:
    """Returns the student to use, if its net is on this disk."""
    name, chosen = students.config.name, next(iter(students.identities))
    if chosen not in done:
        raise UserError(
            f"'{name}' has no trained student; run `make distil` with the same CONFIG and SET, or "
            "export one of its nets with VARIANT=name"
        )
    if chosen not in nets:
        raise UserError(
            f"{chosen.folder()} has no {paths.MODEL}; a clone has only predictions and the "
            f"finished export. Remove {paths.OutputPaths(name).students}/, and `make distil` "
            "trains it again"
        )
    return chosen


def export_variant(run: Run, variant: str, formats: tuple[str, ...]) -> tuple[Path, Table]:
    """Exports the first net of a variant that is on this disk; returns as `export_student`.

    Raises:
        UserError: when it is not a net, there is none, or a file does not answer as the net does.
    """
    run.config.require_variant(variant)
    if not run.config.variants[variant].is_net:
        raise UserError(f"'{variant}' is not a net; only nets can be exported")
    jobs = [job for job in job_status(run.identities).done if job.variant == variant]
    nets = [job for job in jobs if (job.folder() / paths.MODEL).exists()]
    if not nets:
        raise UserError(
            f"no net of '{variant}' is on this disk; a clone has only predictions. Train your own "
            'under another name: add SET="name=mine" to `make train-folds`, and the same here'
        )
    start_keras(core_count())
    job, held_out = nets[0], None
    if job.split != ALL_ROWS:
        found = read_predictions(job, "out_of_fold")
        held_out = score(found.values, run.data_set.train.labels_of(found.ids))
    model = load_model(job)
    card = partial(net_card, run, job, held_out, model.count_params())
    return write_export(run, model, formats, files_table, card)


def write_export(
    run: Run,
    model,
    formats: tuple[str, ...],
    table: Callable[[pd.DataFrame], Table],
    card: Callable[[Table], str],
) -> tuple[Path, Table]:
    """Writes the export's folder, complete or not at all; returns it and the table of its files.

    Args:
        model: from images to logits.
        table, card: make the table from the files' sizes, and the model card from the table.
    """
    path = paths.OutputPaths(run.config.name).export
    calibration, compared = _two_samples(run.data_set.train)
    with atomic_folder(path) as folder:
        net, expected = stock_net(model), predict(model, compared)
        for form in formats:
            write_file(net, form, folder / EXPORTED[form], calibration)
            require_same(form, answers(folder / EXPORTED[form], compared), expected)
        files = table(_sizes(folder, formats))
        (folder / paths.MODEL_CARD).write_text(card(files), encoding="utf-8")
    return path, files


def _two_samples(digits: Digits) -> tuple[np.ndarray, np.ndarray]:
    """Returns images to calibrate on and others to compare on, uint8 `[n, 28, 28]`."""
    order = np.random.default_rng(0).permutation(len(digits))
    calibrated = min(CALIBRATED, len(order) // 2)
    rows = order[:calibrated], order[calibrated : calibrated + COMPARED]
    return digits.images[rows[0]], digits.images[rows[1]]


def _sizes(folder: Path, formats: tuple[str, ...]) -> pd.DataFrame:
    """Returns a row per file: its size and what is left of it when compressed, in bytes."""
    contents = {form: (folder / EXPORTED[form]).read_bytes() for form in formats}
    return pd.DataFrame(
        {
            "format": form,
            "file": EXPORTED[form],
            "bytes": len(content),
            "compressed": len(zlib.compress(content, 9)),
        }
        for form, content in contents.items()
    )


def require_same(form: str, found: np.ndarray, expected: np.ndarray) -> None:
    """Raises UserError if a file's probabilities `[n, 10]` are not those of the net."""
    distance = np.abs(found - expected).sum(axis=1).mean() / 2
    if found.shape != (len(expected), CLASSES) or not distance <= TOLERATED[form]:
        raise UserError(
            f"{EXPORTED[form]} does not answer as the net does: over {len(expected):,} digits "
            f"their probabilities are {distance:.4f} apart, expected at most {TOLERATED[form]}; "
            "nothing was exported"
        )


def judge_files(
    students: StudentRun, jobs: list[Job], formats: tuple[str, ...], model_of: Callable
) -> pd.DataFrame:
    """Returns how each format does out of fold: the students of folds exported and judged.

    A row per format: rows, errors, log_loss, and other_answers than the net before pruning and
    rounding.

    Args:
        jobs: students of folds, whose nets are on this disk.
        model_of: from a job to its model.
    """
    train = students.data_set.train
    found: dict[str, list[np.ndarray]] = {form: [] for form in formats}
    calibration, _ = _two_samples(train)
    before = [read_predictions(job, "out_of_fold") for job in jobs]
    for job, known in with_progress("judging files", list(zip(jobs, before, strict=True))):
        net = stock_net(model_of(job))
        images = train.images[positions(train.ids, known.ids)]
        with TemporaryDirectory() as folder:
            for form in formats:
                write_file(net, form, Path(folder, EXPORTED[form]), calibration)
                found[form].append(answers(Path(folder, EXPORTED[form]), images))
    labels = np.concatenate([train.labels_of(known.ids) for known in before])
    said = np.concatenate([known.predictions() for known in before])
    rows = []
    for form, parts in found.items():
        values = np.concatenate(parts)
        reached, others = score(values, labels), np.count_nonzero(values.argmax(axis=1) != said)
        rows.append(
            {
                "format": form,
                "rows": reached.rows,
                "errors": reached.errors,
                "log_loss": reached.log_loss,
                "other_answers": others,
            }
        )
    return pd.DataFrame(rows)
