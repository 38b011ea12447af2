"""A user, a working folder and a stand-in server, and cases of what can happen to them.

Commands run inside this process, which is quick; the real Kaggle client runs in a process of its
own, as it always does.
"""

import fcntl
import hashlib
import io
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from kaggle_server import Answer, KaggleServer

from competition import paths
from competition.__main__ import main
from competition.kaggle import client, download
from competition.kaggle.submissions import read_history
from competition.paths import COMPETITION
from competition.submission import HEADER

TOKEN = "KGAT_that-nobody-may-read"  # noqa: S105
KEY = "0123456789abcdef0123456789abcdef"
SECRETS = (TOKEN, TOKEN[5:], KEY, "opens-everything", "proxy-password", "another-token")
KEY_FILE = json.dumps({"username": "somebody", "key": KEY})
LOGIN_FILE = json.dumps(
    {
        "refresh_token": "another-token",
        "access_token": TOKEN,
        "access_token_expiration": "2100-01-01T00:00:00+00:00",
        "username": "somebody",
    }
)

PIXELS = [f"pixel{number}" for number in range(784)]
TRAIN_ROWS, TEST_ROWS = 10, 3
# Seconds until a test's command gives up; a busy machine needs some of them to start the client.
PATIENCE = 5
WORKAROUND = "Workaround: download the archive in the browser"


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


def files_below(folder: Path) -> set[str]:
    """Returns the files below a folder, and its empty folders."""
    leaves = (path for path in folder.rglob("*") if not (path.is_dir() and any(path.iterdir())))
    return {str(path.relative_to(folder)) for path in leaves}


@dataclass
class World:
    """What a case may change before its command runs: the server, the user's home and folder."""

    server: KaggleServer
    home: Path
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture

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
        folder = paths.DataPaths(COMPETITION).folder
        folder.mkdir(parents=True)
        for name, content in (files or competition_files()).items():
            (folder / name).write_bytes(content)

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

    def run(self, *command: str) -> tuple[int, str]:
        """Runs a command and returns its exit code and all that it printed.

        Whatever happens, no secret is printed or kept, and no file is left elsewhere.
        """
        code = main(list(command))
        output, errors = self.capsys.readouterr()
        printed = output + errors
        assert [secret for secret in SECRETS if secret in printed] == []
        kept = b"".join(file.read_bytes() for file in Path.cwd().rglob("*") if file.is_file())
        assert [secret for secret in SECRETS if secret.encode() in kept] == []
        assert "Traceback" not in printed
        assert ("error: " in errors) == (code == 1)
        is_failed_fetch = code == 1 and command[0] == "download" and "--zip" not in command
        assert (WORKAROUND in printed) == is_failed_fetch
        assert files_below(Path(tempfile.gettempdir())) == set()
        assert not list(self.home.parent.rglob("escaped.txt"))
        return code, printed


Arrange = Callable[[World], object]


def is_told(texts: str, printed: str) -> bool:
    """Returns whether texts, with " ... " for anything between them, are there in this order.

    The spaces between the columns of a table do not matter.
    """
    texts, printed = (re.sub(" {2,}", " ", text) for text in (texts, printed))
    pattern = ".*?".join(map(re.escape, texts.split(" ... ")))
    return re.search(pattern, printed, re.DOTALL) is not None


@dataclass
class Case:
    """One thing that can happen, and all that a user may see of it."""

    arrange: Arrange  # what is different from a world in which all is well
    texts: str  # printed, see `is_told`
    code: int  # the exit code
    command: tuple[str, ...] = ("download",)
    input: set[str] = field(default_factory=set)  # the files below `input/` afterwards
    # Reference, status and public score of each entry of the history afterwards; None where it
    # cannot be read.
    history: tuple[tuple[str, str, str], ...] | None = ()
    asked: dict[str, int] = field(default_factory=dict)  # how often the server was asked
    is_open: bool = False  # whether a record stays of a submission that Kaggle may have

    def check(self, world: World) -> None:
        self.arrange(world)
        submissions = files_below(paths.SUBMISSIONS) - {paths.SENDING.name}
        code, printed = world.run(*self.command)
        assert code == self.code, printed
        assert is_told(self.texts, printed), printed
        assert {name: world.server.count(name) for name in self.asked} == self.asked
        if not paths.INPUT.is_symlink():
            assert files_below(paths.INPUT) == self.input
        if self.input == INSTALLED:
            folder = paths.DataPaths(COMPETITION).folder
            found = {file.name: file.read_bytes() for file in folder.glob("*.csv")}
            assert found == competition_files()
        if self.history is not None:
            entries = read_history()[["reference", "status", "public_score"]]
            assert tuple(entries.itertuples(index=False, name=None)) == self.history
            added = {"history.csv"} if self.history else set()
            added |= {paths.SENDING.name} if self.is_open else set()
            assert files_below(paths.SUBMISSIONS) == submissions | added


works = partial(Case, code=0)
fails = partial(Case, code=1)


def as_it_is(world: World) -> None:
    """All is well."""


def all_of(*steps: Arrange) -> Arrange:
    return lambda world: [step(world) for step in steps]


def setting(**variables: str) -> Arrange:
    return lambda world: world.set(**variables)


def answering(name: str, answer: Answer | list | None) -> Arrange:
    return lambda world: world.answer(name, answer)


def changed(module: Any, **constants: float) -> Arrange:
    return lambda world: [
        world.monkeypatch.setattr(module, name, value) for name, value in constants.items()
    ]


def silent_at(name: str) -> Arrange:
    return all_of(changed(client, ANSWER_SECONDS=PATIENCE), answering(name, None))


def no_network(world: World) -> None:
    """Lets every Python process that is started from now on find neither proxy nor network."""
    world.monkeypatch.delenv("http_proxy")
    world.set(PYTHONPATH=f"{ROOT}:{world.home}")
    (world.home / "sitecustomize.py").write_text(
        "import socket\n"
        "def refuse(*_): raise ConnectionRefusedError(111, 'refused')\n"
        "socket.socket.connect = refuse\n"
    )


@contextmanager
def made_world(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> Iterator[World]:
    """Yields a user with a token, an empty home and a working folder with a configuration.

    Every Kaggle client that is started meanwhile talks to the stand-in server.
    """
    for name in [*os.environ]:
        if name.startswith(("KAGGLE_", "XDG_", "DIGITS_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    for name in ("home", "temporary", "work/configs"):
        (folder / name).mkdir(parents=True)
    monkeypatch.setattr(tempfile, "tempdir", str(folder / "temporary"))
    monkeypatch.chdir(folder / "work")
    monkeypatch.setattr(download, "TRAIN_ROWS", TRAIN_ROWS)
    monkeypatch.setattr(download, "TEST_ROWS", TEST_ROWS)
    Path("configs/default.yaml").write_text("variants: {plain: }")
    with KaggleServer(ARCHIVE) as server:
        made = World(server, folder / "home", monkeypatch, capsys)
        made.set(
            HOME=str(made.home),
            KAGGLE_API_ENVIRONMENT="LOCALHOST",
            KAGGLE_API_TOKEN=TOKEN,
            PYTHONPATH=str(ROOT),
            http_proxy=server.address,
            no_proxy="",  # either of them might except localhost from the proxy
            NO_PROXY="",
        )
        yield made


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Holds a folder as another process would."""
    folder.mkdir(exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    yield
    os.close(descriptor)


def interrupted(
    command: str,
    moment: Callable[[], bool],
    number: int = signal.SIGINT,
    options: tuple[str, ...] = (),
) -> subprocess.CompletedProcess:
    """Starts a command, ends it and its children when the moment has come, and waits.

    By default as Ctrl-C does.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "competition", command, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # Commands in the background, this test perhaps, ignore Ctrl-C and so does what they start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    deadline = time.monotonic() + 60
    while not moment():
        assert time.monotonic() < deadline, f"{command} did not come to the moment in 60 s"
        time.sleep(0.05)
    os.killpg(process.pid, number)  # as a terminal does
    output, errors = process.communicate(timeout=60)
    return subprocess.CompletedProcess(command, process.returncode, output, errors)
