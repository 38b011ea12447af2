"""The real Kaggle client against a stand-in server: what comes in, what goes out, what is said."""

import io
import json
import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import ROOT
from kaggle_server import REFERENCE, Answer, KaggleServer, json_answer, refusal

from competition import paths
from competition.errors import UserError
from competition.kaggle import COMPETITION
from competition.kaggle import download as downloading
from competition.kaggle.client import ANSWERS, NO_CREDENTIALS
from competition.kaggle.download import download
from competition.kaggle.submit import submit

TOKEN = "KGAT_that-nobody-may-read"  # noqa: S105
MESSAGE = 'five folds, "wide" – 99 %'
PIXELS = [f"pixel{number}" for number in range(784)]


def csv_bytes(header: list[str], rows: list[list[int]]) -> bytes:
    lines = [header, *rows]
    return "".join(",".join(map(str, line)) + "\n" for line in lines).encode()


def image(ink: int) -> list[int]:
    return [0] * 400 + [ink] + [0] * 383


def competition_files() -> dict[str, bytes]:
    """Returns the three files by name, in the competition's format but for their size."""
    return {
        "train.csv": csv_bytes(["label", *PIXELS], [[n, *image(n + 1)] for n in range(10)]),
        "test.csv": csv_bytes(PIXELS, [image(ink) for ink in (7, 80, 255)]),
        "sample_submission.csv": csv_bytes(["ImageId", "Label"], [[1, 0], [2, 0], [3, 0]]),
    }


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.fixture
def kaggle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KaggleServer]:
    """A server that every Kaggle client of this test talks to, as a user with a token.

    The test runs in an empty working folder, and its user has an empty home.
    """
    for name in [name for name in os.environ if name.startswith(("KAGGLE_", "XDG_"))]:
        monkeypatch.delenv(name)
    for name in ("home", "work"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "work")
    with KaggleServer(zipped(competition_files())) as server:
        environment = {
            "HOME": str(tmp_path / "home"),
            "KAGGLE_API_ENVIRONMENT": "LOCALHOST",
            "KAGGLE_API_TOKEN": TOKEN,
            "PYTHONPATH": str(ROOT),
            "http_proxy": server.address,
            # Either of them might except localhost from the proxy.
            "no_proxy": "",
            "NO_PROXY": "",
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        yield server


@pytest.fixture
def submission() -> Path:
    """A good submission, beside the sample that it is checked against."""
    sample = paths.sample_submission_csv(COMPETITION)
    sample.parent.mkdir(parents=True)
    sample.write_bytes(competition_files()["sample_submission.csv"])
    file = Path("mine.csv")
    file.write_bytes(csv_bytes(["ImageId", "Label"], [[1, 7], [2, 0], [3, 9]]))
    return file


def error_of(action: Callable, *arguments: object) -> str:
    """Returns what the user is told when an action fails; never may that be the token."""
    with pytest.raises(UserError) as caught:
        action(*arguments)
    assert TOKEN not in str(caught.value)
    return str(caught.value)


def left_over() -> list[Path]:
    """Returns everything below `input/`, half-written files and folders included."""
    return list(paths.INPUT.rglob("*"))


def test_download_installs_the_files_unchanged_and_only_once(kaggle: KaggleServer):
    assert download(None) is True
    folder = paths.data_folder(COMPETITION)
    assert {file.name: file.read_bytes() for file in folder.glob("*.csv")} == competition_files()
    request = kaggle.received("DownloadDataFiles")
    assert json.loads(request.body) == {"competitionName": COMPETITION}
    assert request.headers["Authorization"] == f"Bearer {TOKEN}"

    kaggle.requests.clear()
    assert download(None) is False
    assert kaggle.requests == []


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refused_download_says_how_to_mend_it(kaggle: KaggleServer, status: int):
    kaggle.answers["DownloadDataFiles"] = refusal(status, "Permission denied")
    message = error_of(download, None)
    assert message.startswith(ANSWERS[status])
    assert "ZIP=" in message
    assert left_over() == []


@pytest.mark.parametrize("status", [401, 429])
def test_a_token_that_is_refused_at_the_door(kaggle: KaggleServer, status: int):
    kaggle.answers["IntrospectToken"] = refusal(status, "Unauthenticated")
    assert error_of(download, None).startswith(ANSWERS[status])


@pytest.mark.parametrize("token", [f"{TOKEN}\r", TOKEN * 20], ids=["line end", "too long"])
def test_a_malformed_token_stays_secret(
    kaggle: KaggleServer, monkeypatch: pytest.MonkeyPatch, token: str
):
    monkeypatch.setenv("KAGGLE_API_TOKEN", token)
    error_of(download, None)


def test_an_archive_that_is_no_zip_leaves_nothing(kaggle: KaggleServer):
    kaggle.answers["archive.zip"] = Answer(200, b"<html>Please sign in</html>")
    assert "is not a whole zip archive" in error_of(download, None)
    assert left_over() == []


def test_a_damaged_archive_leaves_nothing(kaggle: KaggleServer):
    archive = bytearray(zipped(competition_files()))
    # The first member's data begins after 30 bytes of header and its name.
    archive[30 + len("train.csv")] = 0xFF  # a kind of block that there is not
    kaggle.answers["archive.zip"] = Answer(200, bytes(archive))
    assert "is not a whole zip archive" in error_of(download, None)
    assert left_over() == []


def test_a_silent_server_is_given_up(kaggle: KaggleServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(downloading, "DOWNLOAD_SECONDS", 4.0)
    kaggle.answers["IntrospectToken"] = None
    assert "did not answer within 4 seconds" in error_of(download, None)
    assert left_over() == []


def test_submit_sends_the_file_and_returns_the_reference(kaggle: KaggleServer, submission: Path):
    assert submit(submission, MESSAGE) == str(REFERENCE)
    assert kaggle.received("upload").body == submission.read_bytes()
    sent = json.loads(kaggle.received("CreateSubmission").body)
    assert sent["competitionName"] == COMPETITION
    assert sent["submissionDescription"] == MESSAGE


@pytest.mark.parametrize(
    ("step", "answer", "reason"),
    [
        ("upload", Answer(400), "Could not submit"),
        ("CreateSubmission", json_answer({"message": "Limit reached"}), "Limit reached"),
        ("CreateSubmission", refusal(400, "Deadline has passed"), "Deadline has passed"),
        ("CreateSubmission", refusal(403, "Permission denied"), ANSWERS[403]),
    ],
)
def test_a_submission_that_kaggle_does_not_take_is_an_error(
    kaggle: KaggleServer, submission: Path, step: str, answer: Answer, reason: str
):
    kaggle.answers[step] = answer
    assert reason in error_of(submit, submission, MESSAGE)


def test_without_credentials_nothing_is_asked(
    kaggle: KaggleServer, submission: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    assert error_of(submit, submission, MESSAGE) == NO_CREDENTIALS
    assert kaggle.requests == []


def test_a_download_without_credentials_names_the_way_round(
    kaggle: KaggleServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    message = error_of(download, None)
    assert message.startswith(NO_CREDENTIALS)
    assert "credentials" in message
    assert "ZIP=" in message
    assert kaggle.requests == []
    assert left_over() == []
