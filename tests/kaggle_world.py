"""A user, a working folder and a stand-in server, and cases of what can happen to them."""

import hashlib
import io
import json
import random
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from kaggle_server import Answer, KaggleServer

from competition import paths
from competition.paths import COMPETITION
from competition.submission import HEADER

TOKEN = "KGAT_that-nobody-may-read"  # noqa: S105
KEY = "0123456789abcdef0123456789abcdef"
SECRETS = (TOKEN, TOKEN[5:], KEY, "opens-everything", "proxy-password")
KEY_FILE = json.dumps({"username": "somebody", "key": KEY})

PIXELS = [f"pixel{number}" for number in range(784)]
TRAIN_ROWS, TEST_ROWS = 10, 3


def csv_bytes(header: list[str], rows: list[list]) -> bytes:
    lines = [header, *rows]
    return "".join(",".join(map(str, line)) + "\n" for line in lines).encode()


def image(ink: int) -> list[int]:
    return [0] * 400 + [ink] + [0] * 383


def competition_files(train_rows: int = TRAIN_ROWS) -> dict[str, bytes]:
    """Returns the three files by name, in the competition's format but for their size."""
    rows = [[number, *image(number + 1)] for number in range(train_rows)]
    return {
        "train.csv": csv_bytes(["label", *PIXELS], rows),
        "test.csv": csv_bytes(PIXELS, [image(ink) for ink in (7, 80, 255)]),
        "sample_submission.csv": csv_bytes(HEADER, [[1, 0], [2, 0], [3, 0]]),
    }


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in files.items():
            opened.writestr(name, content)
    return buffer.getvalue()


# The client writes what it gets by the megabyte, so only a larger archive can be cut and continued.
FILLING = {"filling.bin": random.Random(0).randbytes(1_300_000)}  # noqa: S311
ARCHIVE = zipped(competition_files() | FILLING)
SUBMISSION = csv_bytes(HEADER, [[1, 7], [2, 0], [3, 9]])
SUBMISSION_HASH = hashlib.sha256(SUBMISSION).hexdigest()

# What may stand below input/ afterwards.
GIVEN = {f"{COMPETITION}/{name}" for name in competition_files()}
INSTALLED = GIVEN | {f"{COMPETITION}/cache/{name}.npz" for name in ("train", "test")}
PART = {f"{COMPETITION}.partial-download/{COMPETITION}.zip{end}" for end in ("", ".kaggle-partial")}


@dataclass
class World:
    """What a case may change before its command runs: the server, the user's home and folder."""

    server: KaggleServer
    home: Path
    monkeypatch: pytest.MonkeyPatch

    def answer(self, name: str, answer: Answer | list | None) -> None:
        self.server.answers[name] = answer

    def set(self, **variables: str) -> None:
        for name, value in variables.items():
            self.monkeypatch.setenv(name, value)

    def without_token(self) -> None:
        self.monkeypatch.delenv("KAGGLE_API_TOKEN")

    def keep(self, name: str, content: str) -> Path:
        """Writes a file of the user's home that nobody else may read, and returns it."""
        file = self.home / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(0o600)
        file.write_text(content)
        return file

    def install(self, files: dict[str, bytes] | None = None) -> None:
        folder = paths.data_folder(COMPETITION)
        folder.mkdir(parents=True)
        for name, content in (files or competition_files()).items():
            (folder / name).write_bytes(content)

    def put(self, name: str, content: bytes) -> None:
        """Replaces a file of the installed data."""
        (paths.data_folder(COMPETITION) / name).write_bytes(content)

    def make_submission(self, content: bytes = SUBMISSION, **provenance: Any) -> None:
        """Writes a submission of the configuration, with a provenance beside it."""
        known = {
            "message": "default: 6 nets",
            "data_set": COMPETITION,
            "config": {"name": "default"},
            "out_of_fold": {"accuracy": 0.995, "rows": 42_000},
        }
        file = paths.submission_csv("default")
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(content)
        paths.provenance_json(file).write_text(json.dumps(known | provenance))

    def at_startup(self, code: str) -> None:
        """Lets every Python process that is started from now on run this first."""
        (self.home / "sitecustomize.py").write_text(code)
        self.set(PYTHONPATH=f"{ROOT}:{self.home}")


Arrange = Callable[[World], object]


@dataclass
class Case:
    """One thing that can happen, and all that a user may see of it.

    Attributes:
        arrange: what is different from a world in which all is well.
        printed: each of these is printed.
        code: the exit code.
        command: its arguments.
        input: the files below `input/` afterwards.
        history: reference, status and public score of each entry of the history afterwards; None
            where it cannot be read.
        asked: how often the server was asked for each of these.
    """

    arrange: Arrange
    printed: tuple[str, ...]
    code: int
    command: tuple[str, ...] = ("download",)
    input: set[str] = field(default_factory=set)
    history: tuple[tuple[str, str, str], ...] | None = ()
    asked: dict[str, int] = field(default_factory=dict)


def works(arrange: Arrange, *printed: str, **more: Any) -> Case:
    return Case(arrange, printed, 0, **more)


def fails(arrange: Arrange, *printed: str, **more: Any) -> Case:
    return Case(arrange, printed, 1, **more)


def as_it_is(world: World) -> None:
    """All is well."""


def all_of(*steps: Arrange) -> Arrange:
    return lambda world: [step(world) for step in steps]


def setting(**variables: str) -> Arrange:
    return lambda world: world.set(**variables)


def answering(name: str, answer: Answer | list | None) -> Arrange:
    return lambda world: world.answer(name, answer)


def without_proxy(function: str, error: str) -> Arrange:
    """Lets the client find no proxy, and a function of `socket` raise an error."""

    def arrange(world: World) -> None:
        world.monkeypatch.delenv("http_proxy")
        failing = f"def failing(*_, **__): raise {error}\n"
        world.at_startup(f"import socket\n{failing}{function} = failing\n")

    return arrange


no_network = without_proxy("socket.socket.connect", "ConnectionRefusedError(111, 'refused')")
no_name_service = without_proxy("socket.getaddrinfo", "socket.gaierror(-2, 'Name not known')")
