"""The real Kaggle client against a stand-in server: what a user sees in every case, and what stays.

Commands run inside this process, which is quick; the client runs in a process of its own, as it
always does.
"""

import base64
import csv
import fcntl
import io
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from math import sqrt
from pathlib import Path

import pytest
from conftest import ROOT
from kaggle_downloads import DOWNLOADS
from kaggle_server import REFERENCE, KaggleServer, listing, stored
from kaggle_submissions import ENQUIRIES, SUBMISSIONS
from kaggle_world import (
    ARCHIVE,
    INSTALLED,
    KEY,
    KEY_FILE,
    SECRETS,
    SUBMISSION,
    SUBMISSION_HASH,
    TEST_ROWS,
    TOKEN,
    TRAIN_ROWS,
    Case,
    World,
    competition_files,
    csv_bytes,
)

from competition import paths
from competition.__main__ import main
from competition.kaggle import archive, submit
from competition.kaggle.history import read_history
from competition.kaggle.scoreboard import PUBLIC_ROWS, difference, standard_errors_apart
from competition.kaggle.submit import send, wait_for_score
from competition.paths import COMPETITION
from competition.submission import HEADER

WAY_ROUND = "make download ZIP=path/to/digit-recognizer.zip"
MEGABYTE = 2**20
MESSAGE = 'five folds, "wide" – 99 %'
CASES = {**DOWNLOADS, **SUBMISSIONS, **ENQUIRIES}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A user with a token, an empty home and an empty working folder with a configuration.

    Every Kaggle client of the test talks to the stand-in server.
    """
    for name in [*os.environ]:
        if name.startswith(("KAGGLE_", "XDG_", "DIGITS_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    for name in ("home", "temporary", "work/configs"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setattr(archive, "TRAIN_ROWS", TRAIN_ROWS)
    monkeypatch.setattr(archive, "TEST_ROWS", TEST_ROWS)
    Path("configs/default.yaml").write_text("variants: {plain: }")
    with KaggleServer(ARCHIVE) as server:
        made = World(server, tmp_path / "home", monkeypatch)
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


def files_below(folder: Path) -> set[str]:
    """Returns the files below a folder, and its empty folders."""
    leaves = (path for path in folder.rglob("*") if not (path.is_dir() and any(path.iterdir())))
    return {str(path.relative_to(folder)) for path in leaves}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_case(case: Case, world: World, capsys: pytest.CaptureFixture):
    case.arrange(world)
    submissions = files_below(paths.SUBMISSIONS)
    code = main(list(case.command))

    assert_told(case, code, *capsys.readouterr())
    assert {name: world.server.count(name) for name in case.asked} == case.asked
    assert_left_as_expected(case, submissions)
    assert not list(world.home.parent.rglob("escaped.txt"))
    assert files_below(Path(tempfile.gettempdir())) == set()
    kept = b"".join(file.read_bytes() for file in Path.cwd().rglob("*") if file.is_file())
    assert [secret for secret in SECRETS if secret.encode() in kept] == []


def assert_told(case: Case, code: int, output: str, errors: str) -> None:
    printed = output + errors
    assert code == case.code, printed
    assert [text for text in case.printed if text not in printed] == [], printed
    assert [secret for secret in SECRETS if secret in printed] == []
    assert "Traceback" not in printed
    assert ("error: " in errors) == (code == 1)
    failed_download = code == 1 and case.command[0] == "download" and "--zip" not in case.command
    assert (WAY_ROUND in printed) == failed_download


def assert_left_as_expected(case: Case, submissions_before: set[str]) -> None:
    if not paths.INPUT.is_symlink():
        assert files_below(paths.INPUT) == case.input
    if case.input == INSTALLED:
        folder = paths.data_folder(COMPETITION)
        found = {file.name: file.read_bytes() for file in folder.glob("*.csv")}
        assert found == competition_files()
    if case.history is not None:
        entries = tuple((e.reference, e.status, e.public_score) for e in read_history())
        assert entries == case.history
        added = {"history.csv"} if case.history else set()
        assert files_below(paths.SUBMISSIONS) == submissions_before | added


BEARER = f"Bearer {TOKEN}"
BASIC = "Basic " + base64.b64encode(f"somebody:{KEY}".encode()).decode()
LOGIN = json.dumps(
    {
        "refresh_token": "another",
        "access_token": TOKEN,
        "access_token_expiration": "2100-01-01T00:00:00+00:00",
        "username": "somebody",
    }
)


@pytest.mark.parametrize(
    ("variables", "files", "expected", "name"),
    [
        ({"KAGGLE_API_TOKEN": TOKEN}, {}, BEARER, "variable KAGGLE_API_TOKEN"),
        ({"KAGGLE_API_TOKEN": "token"}, {"../work/token": TOKEN}, BEARER, "the file token, which"),
        ({}, {".kaggle/access_token": f"{TOKEN}\n"}, BEARER, "~/.kaggle/access_token"),
        ({}, {".kaggle/access_token.txt": TOKEN}, BEARER, "~/.kaggle/access_token.txt"),
        ({}, {".kaggle/kaggle.json": KEY_FILE}, BASIC, "~/.kaggle/kaggle.json"),
        ({}, {".config/kaggle/kaggle.json": KEY_FILE}, BASIC, "~/.config/kaggle/kaggle.json"),
        ({"KAGGLE_USERNAME": "somebody", "KAGGLE_KEY": KEY}, {}, BASIC, "KAGGLE_KEY"),
        ({}, {".kaggle/credentials.json": LOGIN}, BEARER, "`kaggle auth login`"),
        (
            {"KAGGLE_KEY": KEY},
            {".kaggle/kaggle.json": '{"username": "somebody"}'},
            BASIC,
            "~/.kaggle/kaggle.json with the environment variable KAGGLE_KEY",
        ),
        (
            {"KAGGLE_KEY": KEY},
            {".kaggle/kaggle.json": KEY_FILE},
            BASIC,
            "~/.kaggle/kaggle.json with the environment variable KAGGLE_KEY",
        ),
        (
            {"KAGGLE_API_TOKEN": TOKEN},
            {".kaggle/kaggle.json": KEY_FILE, ".kaggle/access_token": "another"},
            BEARER,
            "variable KAGGLE_API_TOKEN",
        ),
    ],
)
def test_every_kind_of_credentials_is_used_and_named(
    world: World, capsys, variables: dict, files: dict, expected: str, name: str
):
    world.without_token()
    world.set(**variables)
    for file, content in files.items():
        world.keep(file, content)
    world.install()
    assert main(["doctor"]) == 0
    assert world.server.received("DownloadDataFile").headers["Authorization"] == expected
    printed = capsys.readouterr().out
    assert name in next(line for line in printed.splitlines() if "the client uses those" in line)
    assert [secret for secret in (*SECRETS, "another") if secret in printed] == []


def test_a_submission_is_sent_unchanged_and_kept_in_the_history(world: World):
    world.install()
    world.make_submission()
    assert main(["submit", "--message", MESSAGE]) == 0
    assert world.server.received("upload").body == SUBMISSION
    sent = json.loads(world.server.received("CreateSubmission").body)
    assert sent["competitionName"] == COMPETITION
    assert sent["submissionDescription"] == MESSAGE
    (entry,) = read_history()
    known = asdict(entry)
    taken = datetime.fromisoformat(known.pop("time"))
    assert timedelta(0) <= datetime.now(UTC) - taken < timedelta(minutes=1)
    assert known == {
        "file": "submissions/default.csv",
        "sha256": SUBMISSION_HASH,
        "config": "default",
        "out_of_fold": "0.995",
        "reference": str(REFERENCE),
        "public_score": "0.99000",
        "status": "complete",
        "error_description": "",
        "out_of_fold_rows": "42000",
    }


def test_the_plain_command_is_that_of_the_client():
    words = shlex.split(submit.command_line(Path("submissions/fast.csv"), "fast: 6 nets"))
    assert words[:4] == ["kaggle", "competitions", "submit", "-c"]
    assert words[4:] == [COMPETITION, "-f", "submissions/fast.csv", "-m", "fast: 6 nets"]


def test_a_file_that_is_replaced_while_it_is_sent_changes_nothing(world: World, monkeypatch):
    """As a `make ensemble` elsewhere does."""
    world.install()
    world.make_submission()
    original = submit.call

    def replaced_meanwhile(*arguments, **settings):
        Path("submissions/default.csv").write_text("another one")
        return original(*arguments, **settings)

    monkeypatch.setattr(submit, "call", replaced_meanwhile)
    assert main(["submit", "--message", MESSAGE]) == 0
    assert world.server.received("upload").body == SUBMISSION
    assert read_history()[0].sha256 == SUBMISSION_HASH


def test_the_message_comes_from_the_provenance(world: World):
    world.install()
    world.make_submission()
    assert main(["submit"]) == 0
    sent = json.loads(world.server.received("CreateSubmission").body)
    assert sent["submissionDescription"] == "default: 6 nets"


def test_the_plain_kaggle_command_sends_the_same_file(world: World):
    world.make_submission()
    command = [sys.executable, "-m", "kaggle", "competitions", "submit", "-c", COMPETITION]
    command += ["-f", "submissions/default.csv", "-m", MESSAGE]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    assert world.server.received("upload").body == SUBMISSION


def interrupted(command: str, moment: Callable[[], bool]) -> subprocess.CompletedProcess:
    """Starts a command, presses Ctrl-C when the moment has come, and waits."""
    process = subprocess.Popen(
        [sys.executable, "-m", "competition", command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # Commands in the background, this test perhaps, ignore Ctrl-C and so does what they start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    deadline = time.monotonic() + 20
    while not moment() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    output, errors = process.communicate(timeout=20)
    return subprocess.CompletedProcess(command, process.returncode, output, errors)


def test_an_interrupted_download_goes_on_where_it_stopped(world: World, capsys):
    world.answer("archive.zip", stored(ARCHIVE, pause=0.15))
    part = paths.download_folder(COMPETITION) / f"{COMPETITION}.zip"
    stopped = interrupted("download", lambda: part.exists() and part.stat().st_size > 0)
    assert stopped.returncode == 130
    assert "run it again to go on" in stopped.stderr
    assert 0 < part.stat().st_size < len(ARCHIVE)

    world.answer("archive.zip", stored(ARCHIVE))
    assert main(["download"]) == 0
    assert "are here already" in capsys.readouterr().err
    assert world.server.requests[-1].headers["Range"] == f"bytes={MEGABYTE}-"
    assert files_below(paths.INPUT) == INSTALLED


def install_full_size(world: World) -> None:
    """A submission of the real size, for a process of its own, which knows of no smaller one."""
    rows = csv_bytes(HEADER, [[number, 0] for number in range(1, 28_001)])
    world.install({**competition_files(), "sample_submission.csv": rows})
    world.make_submission(rows)


def test_an_interrupted_wait_for_the_score_keeps_the_submission(world: World):
    install_full_size(world)
    world.answer("ListSubmissions", listing("PENDING"))
    stopped = interrupted("submit", lambda: world.server.count("ListSubmissions") > 0)
    assert "no longer waiting; the submission stays" in stopped.stderr
    assert "`make scores` asks again" in stopped.stdout
    assert stopped.returncode == 0
    assert [(entry.reference, entry.status) for entry in read_history()] == [
        (str(REFERENCE), "pending")
    ]


def test_an_interrupted_confirmation_may_have_been_taken(world: World):
    install_full_size(world)
    world.answer("CreateSubmission", None)
    stopped = interrupted("submit", lambda: world.server.count("CreateSubmission") > 0)
    assert stopped.returncode == 130
    assert "It may have been taken nevertheless" in stopped.stderr
    assert "run it again" not in stopped.stderr
    assert read_history() == []


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Holds a folder as another process would."""
    descriptor = os.open(folder, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    yield
    os.close(descriptor)


def test_two_downloads_at_once_do_not_meet(world: World, capsys):
    paths.INPUT.mkdir()
    with held(paths.INPUT):
        assert main(["download"]) == 1
    assert "another process is downloading; wait until it has ended" in capsys.readouterr().err
    assert world.server.requests == []


def test_a_score_that_comes_while_another_process_submits_is_shown(world: World, capsys):
    world.install()
    world.make_submission()
    sent = send(paths.submission_csv("default"), MESSAGE)
    with held(paths.SUBMISSIONS):
        assert wait_for_score(sent).public_score == "0.99000"
    assert "the score is not in the history yet: another process" in capsys.readouterr().err
    assert [entry.status for entry in read_history()] == ["pending"]
    assert main(["scores"]) == 0
    assert [entry.public_score for entry in read_history()] == ["0.99000"]


def test_a_difference_is_measured_in_standard_errors_of_both_accuracies():
    assert PUBLIC_ROWS == 28_000
    spread = sqrt(0.995 * 0.005 * (1 / 42_000 + 1 / 28_000))
    assert standard_errors_apart(0.995, 42_000, 0.995 + 2 * spread) == pytest.approx(2)
    assert standard_errors_apart(0.995, 42_000, 0.995) == 0
    wider = sqrt(0.995 * 0.005 * (1 / 8_400 + 1 / 28_000))
    assert standard_errors_apart(0.995, 8_400, 0.995 - wider) == pytest.approx(-1)


def test_the_history_keeps_how_many_rows_a_submission_held_out(world: World):
    world.install()
    world.make_submission(out_of_fold={"accuracy": 0.995, "rows": 8_400})
    assert main(["submit"]) == 0
    assert [entry.out_of_fold_rows for entry in read_history()] == ["8400"]


def test_a_selected_figure_is_marked_and_promises_nothing(world: World, capsys):
    world.install()
    accuracy = {"accuracy": 0.995, "rows": 42_000, "selected": "by callbacks"}
    world.make_submission(out_of_fold=accuracy)
    assert main(["submit"]) == 0
    (entry,) = read_history()
    assert entry.out_of_fold == "0.995 (selected)"
    assert entry.public_score
    assert difference(entry) == ""
    assert "standard errors" not in capsys.readouterr().out


def test_the_history_opens_in_a_spreadsheet(world: World):
    """Descriptions of errors may hold commas, quotes and line ends."""
    world.install()
    world.make_submission()
    reason = 'row 3, "Label":\nnot a number'
    world.answer("ListSubmissions", listing("ERROR", errorDescription=reason))
    assert main(["submit"]) == 1
    rows = list(csv.DictReader(io.StringIO(paths.submission_history_csv().read_text())))
    assert [row["error_description"] for row in rows] == [reason]
