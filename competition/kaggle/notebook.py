"""A notebook that trains a configuration on Kaggle's machines, and brings the finished jobs home.

The notebook carries this package. It runs by hand in Kaggle's editor as well.
"""

import base64
import io
import json
import lzma
import re
import shutil
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from competition import paths
from competition.config.loading import Config
from competition.console import count_of, duration
from competition.data.run import Run
from competition.errors import UserError
from competition.kaggle.child import UNFINISHED
from competition.kaggle.client import call, timeout
from competition.kaggle.download import DOWNLOAD_SECONDS, FileProgress
from competition.kaggle.errors import KaggleError
from competition.kaggle.protocol import PUSHING
from competition.kaggle.submissions import CLOCKS_DIFFER
from competition.results import (
    Job,
    by_variant,
    checked_file,
    job_status,
    read_history,
    read_manifest,
    read_predictions,
)
from competition.storage import DAMAGED_ARCHIVE, atomic_folder, only_one, parse_json, write_text

PACKAGE = Path(__file__).parents[1]
# Kaggle keeps the whole text of a notebook, and refuses more.
LARGEST_NOTEBOOK = 1_000_000
# In `ACCELERATOR=`, for Kaggle's processors.
NO_ACCELERATOR = "none"
# A session there ends after 12 hours, and may be queued before.
SESSION_SECONDS = 13 * 3600.0
# A result of a net; the largest shipped one has 22 MB.
LARGEST_FILE = 500_000_000

# Modules that a run needs and the packages that have them: an image may lack some.
NEEDED = {
    "albumentations": "albumentations==2.0.8",
    "imblearn": "imbalanced-learn",
    "jinja2": "jinja2",
    "numba": "numba",
    "optuna": "optuna",
    "pyarrow": "pyarrow",
    "pydantic": "pydantic",
    "rich": "rich",
}

ABOUT = """\
# Digit Recognizer: train `{name}`

1. *Add input*, *Competitions*, *Digit Recognizer*, if it is not attached yet; accept the rules.
2. Choose an accelerator and let the internet be on, which missing packages need.
3. *Run all*. Training goes on where it stopped if you run the cells of one session again.

The outputs are `submissions/{name}.csv`, pages in `output/{name}/`, and `results.zip`: unpacked at
the top of a checkout, its jobs count as trained there.
"""
UNPACK = """\
# The package and the configuration.
import base64, importlib.util, io, shutil, subprocess, sys, tarfile

PACKAGE = "{package}"
with tarfile.open(fileobj=io.BytesIO(base64.b85decode(PACKAGE)), mode="r:xz") as archive:
    archive.extractall(filter="data")
"""
INSTALL = """\
# What the image lacks.
def run(*command):
    command = [sys.executable, "-m", *command]
    streams = dict(stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    with subprocess.Popen(command, **streams) as process:
        for line in process.stdout:
            print(line, end="")
    if process.returncode:
        raise SystemExit(f"{{' '.join(command)}} ended with exit code {{process.returncode}}")

needed = {needed}
missing = [needed[module] for module in needed if importlib.util.find_spec(module) is None]
if missing:
    run("pip", "install", "--quiet", *missing)
"""
TRAIN = """\
for command in ("download", "train-folds", "ensemble", "gallery", "report"):
    run("competition", command, "--config", "configs/{name}.yaml")
"""
COLLECT = """\
# What comes home, without caches and the package.
run("competition", "clean")
shutil.make_archive("results", "zip", ".", "output/{name}/jobs")
shutil.rmtree("competition")
"""


@dataclass(frozen=True)
class FetchedJob(Job):
    """A job's result as the notebook brought it, before it is checked and put into place."""

    made_by: ClassVar[str] = "make kaggle-notebook PUSH=1"

    def folder(self) -> Path:
        return fetched_folder(self.config) / super().folder()


def fetched_folder(name: str) -> Path:
    """Returns where a notebook's results are until they are in place; `clean` knows the name."""
    kaggle = paths.OutputPaths(name).kaggle
    return kaggle / f"{paths.NOTEBOOK_RESULTS}.partial-download"


class Pushed(BaseModel):
    """A notebook that was sent, or is being sent: then it has no version yet."""

    model_config = ConfigDict(strict=True)

    time: str
    notebook: str = ""
    version: int = 0  # 0: not known, the latest

    @property
    def name(self) -> str:
        """As Kaggle's client takes it."""
        return f"{self.notebook}/{self.version}" if self.version else self.notebook

    @property
    def page(self) -> str:
        return f"https://www.kaggle.com/code/{self.notebook}"


def write_notebook(config: Config, accelerator: str) -> Path:
    """Writes the notebook and its metadata for Kaggle's client; returns their folder.

    The same configuration and code give the same bytes.

    Args:
        accelerator: as Kaggle's client names it, such as NvidiaTeslaT4; or `none`.
    """
    name, folder = config.name, paths.OutputPaths(config.name).kaggle
    package = base64.b85encode(lzma.compress(_package(config))).decode()
    cells = [
        {"cell_type": "markdown", "metadata": {}, "source": ABOUT.format(name=name)},
        *map(
            _code_cell,
            (
                UNPACK.format(package=package),
                INSTALL.format(needed=json.dumps(NEEDED)),
                TRAIN.format(name=name),
                COLLECT.format(name=name),
            ),
        ),
    ]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook = {
        "cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 4
    }  # fmt: skip
    text = json.dumps(notebook, indent=1) + "\n"
    if len(text) > LARGEST_NOTEBOOK:
        raise UserError(
            f"the notebook of '{name}' would have {len(text):,} bytes, of which the package is the "
            f"most; Kaggle takes {LARGEST_NOTEBOOK:,}"
        )
    metadata = {
        "id": f"your-name/{_slug(name)}",
        "title": _title(name),
        "code_file": paths.NOTEBOOK,
        "language": "python",
        "kernel_type": "notebook",
        "is_private": True,
        "enable_gpu": accelerator != NO_ACCELERATOR,
        "enable_internet": True,
        "competition_sources": [paths.COMPETITION] if config.data == paths.COMPETITION else [],
    }
    write_text(folder / paths.NOTEBOOK, text)
    write_text(folder / paths.NOTEBOOK_METADATA, json.dumps(metadata, indent=2) + "\n")
    return folder


def _code_cell(source: str) -> dict[str, Any]:
    return {
        "cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [],
        "source": source,
    }  # fmt: skip


def _package(config: Config) -> bytes:
    """Returns this package and the configuration, with its marks, as a tar archive."""
    files = {
        file.relative_to(PACKAGE.parent).as_posix(): file.read_bytes()
        for file in sorted(PACKAGE.rglob("*"))
        if file.is_file() and "__pycache__" not in file.parts
    }
    files[f"configs/{config.name}.yaml"] = config.to_yaml().encode()
    if config.marks:
        files[config.marks] = Path(config.marks).read_bytes()
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as opened:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            opened.addfile(member, io.BytesIO(content))
    return archive.getvalue()


def train_on_kaggle(run: Run, folder: Path, accelerator: str) -> list[Job]:
    """Sends the notebook unless it was sent before, waits for it, and puts its jobs into place;
    returns these jobs, none while it is still running.

    Raises:
        UserError: when Kaggle does not take it, it fails there, or brings no good result.
    """
    name = run.config.name
    with only_one(folder, f"training '{name}' on Kaggle"):
        status = job_status(run.identities)
        if not status.missing:
            other = f"; {len(status.stale)} have other settings: train them under another name"
            print(f"{name}: no job is missing, so nothing is sent{other if status.stale else ''}")
            return []
        pushed = _sent_before(name) or _push(name, folder, accelerator)
        print(f"{pushed.page} trains '{name}'")
        if not _is_finished(pushed, name):
            return []
        _fetch(pushed, name)
        placed = _place(run, status.missing)
        (folder / paths.PUSHED).unlink()
        shutil.rmtree(fetched_folder(name))
    return placed


def _sent_before(name: str) -> Pushed | None:
    """Returns the notebook that is on Kaggle already; asks there if its sending had no end."""
    path = paths.OutputPaths(name).kaggle / paths.PUSHED
    try:
        pushed = Pushed(**parse_json(path.read_bytes(), Pushed))
        earliest = datetime.fromisoformat(pushed.time) - CLOCKS_DIFFER
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise UserError(
            f"{path} is damaged ({error}); look at https://www.kaggle.com/code whether the "
            "notebook runs, and remove the file"
        ) from None
    if pushed.notebook:
        return pushed
    found = call("find notebook", _slug(name))
    is_there = found["ran"] and datetime.fromisoformat(found["ran"]) >= earliest
    outcome = "Kaggle has it" if is_there else "Kaggle does not have it"
    print(f"the sending of a notebook at {pushed.time} was cut off; {outcome}", file=sys.stderr)
    if not is_there:
        path.unlink()
        return None
    return _noted(name, pushed.model_copy(update={"notebook": found["notebook"]}))


def _title(name: str) -> str:
    return f"Digit Recognizer {name}"


def _slug(name: str) -> str:
    """Returns the title as Kaggle writes it into an address."""
    return re.sub("[^a-z0-9]+", "-", _title(name).lower()).strip("-")


def _noted(name: str, pushed: Pushed) -> Pushed:
    write_text(
        paths.OutputPaths(name).kaggle / paths.PUSHED, pushed.model_dump_json(indent=2) + "\n"
    )
    return pushed


def _push(name: str, folder: Path, accelerator: str) -> Pushed:
    print(f"sending {folder / paths.NOTEBOOK} to Kaggle", file=sys.stderr)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    pushed = _noted(name, Pushed(time=now))  # should this process end meanwhile
    try:
        answer = call("push notebook", str(folder), accelerator)
    except KaggleError as error:
        is_refused = 400 <= (error.outcome.get("status") or 500) < 500
        if is_refused or error.outcome.get("stage") != PUSHING:
            (folder / paths.PUSHED).unlink()
        raise
    if answer["refused"]:
        (folder / paths.PUSHED).unlink()
        advice = "; ACCELERATOR=none trains on processors" if "quota" in answer["refused"] else ""
        raise UserError(f"Kaggle did not take the notebook: {answer['refused']}{advice}")
    known = {"notebook": answer["notebook"], "version": answer["version"]}
    return _noted(name, pushed.model_copy(update=known))


def _is_finished(pushed: Pushed, name: str) -> bool:
    """Waits for a notebook until it has finished, the time is over, or Ctrl-C.

    Raises:
        UserError: when it failed or was cancelled.
    """
    seconds = timeout(SESSION_SECONDS)
    print("waiting for it; Ctrl-C stops only the waiting", file=sys.stderr)
    try:
        found = call("wait for notebook", pushed.name, str(seconds), watch=_Told().update)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"no longer waiting; {pushed.page} goes on, and the same command waits again"
        ) from None
    if found["state"] in UNFINISHED:
        print(
            f"after {duration(seconds)} it is still {found['state']}; the same command waits again"
        )
        return False
    if found["state"] != "complete":
        (paths.OutputPaths(name).kaggle / paths.PUSHED).unlink()
        log = "".join(f"\n  {line}" for line in found["log"])
        raise UserError(
            f"the notebook ended on Kaggle as '{found['state']}'"
            f"{': ' + found['failure'] if found['failure'] else ''}; see {pushed.page}. The same "
            f"command sends it again.{' Its log ends with:' + log if log else ''}"
        )
    return True


class _Told:
    """Says once when a notebook's state changes; the waiting itself is a sign of life."""

    def __init__(self) -> None:
        self.state = ""

    def update(self, notes: dict[str, Any]) -> None:
        if notes.get("state", self.state) != self.state:
            self.state = notes["state"]
            print(f"the notebook is {self.state}", file=sys.stderr)


def _fetch(pushed: Pushed, name: str) -> None:
    """Brings the results home: the files of expected jobs, as they are named, and nothing else."""
    folder = fetched_folder(name)
    folder.mkdir(exist_ok=True)
    archive = folder / paths.NOTEBOOK_RESULTS
    with FileProgress(archive) as progress:
        call(
            "fetch notebook", pushed.name, str(folder),
            watch=progress.update, seconds=DOWNLOAD_SECONDS,
        )  # fmt: skip
    if not archive.exists():
        raise UserError(f"the notebook left no {archive.name}; see {pushed.page}/output")


def _place(run: Run, missing: list[Job]) -> list[Job]:
    """Puts the missing jobs that were fetched into place, each whole and checked; returns them."""
    archive = fetched_folder(run.config.name) / paths.NOTEBOOK_RESULTS
    fetched = {FetchedJob(job.config, job.variant, job.seed, job.split): job for job in missing}
    try:
        with zipfile.ZipFile(archive) as opened:
            sizes = {member.filename: member.file_size for member in opened.infolist()}
            for foreign, job in fetched.items():
                for file in (job.folder() / name for name in _files(run, job)):
                    if sizes.get(file.as_posix(), LARGEST_FILE) < LARGEST_FILE:
                        foreign.folder().mkdir(parents=True, exist_ok=True)
                        (foreign.folder() / file.name).write_bytes(opened.read(file.as_posix()))
    except DAMAGED_ARCHIVE as error:
        archive.unlink(missing_ok=True)
        raise UserError(
            f"{archive.name} of the notebook is damaged ({error}); the same command fetches it "
            "again"
        ) from None
    status = job_status({foreign: run.identities[job] for foreign, job in fetched.items()})
    for line in by_variant(status.stale):
        print(f"trained differently, and not taken:{line}", file=sys.stderr)
    placed = {foreign: job for foreign, job in fetched.items() if foreign in status.done}
    if not placed:
        raise UserError(f"the notebook brought none of the {count_of(len(missing), 'missing job')}")
    for foreign, job in placed.items():
        _require_whole(run, foreign)
        with atomic_folder(job.folder()) as partial:
            shutil.copytree(foreign.folder(), partial, dirs_exist_ok=True)
    return [*placed.values()]


def _files(run: Run, job: Job) -> list[str]:
    model = run.config.variants[job.variant].model_file
    return [paths.MANIFEST, paths.HISTORY, paths.PROBABILITIES, model]


def _require_whole(run: Run, job: Job) -> None:
    """Raises UserError unless a fetched job has all files as it wrote them."""
    files = [name for name in _files(run, job) if name != paths.MANIFEST]
    if unknown := sorted({*files} - read_manifest(job).get("files", {}).keys()):
        raise UserError(f"{job.folder()} has no checksum of {', '.join(unknown)}")
    for name in files:
        if not checked_file(job, name).exists():
            raise UserError(f"{job.folder()} has no {name}; `{job.made_by}` fetches it again")
    read_history(job)
    read_predictions(job, "test")
