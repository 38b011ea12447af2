"""`make download`: the real Kaggle client against a stand-in server, archives at hand, disks."""

import json
import zipfile
from functools import partial
from pathlib import Path

import pytest
from kaggle_server import Answer, redirect, refusal, stored, wait
from kaggle_world import (
    ARCHIVE,
    INSTALLED,
    LOGIN_FILE,
    PART,
    PATIENCE,
    TOKEN,
    Arrange,
    Case,
    World,
    all_of,
    answering,
    as_it_is,
    changed,
    competition_files,
    fails,
    files_below,
    held,
    interrupted,
    setting,
    works,
    zipped,
)

from competition import paths, system
from competition.errors import UserError
from competition.kaggle import client, download
from competition.paths import COMPETITION

CUT = 1_200_000
PAGE = b"<html>Please sign in</html>"
UNSAFE = zipped({**competition_files(), "../../escaped.txt": b"never extracted"})


def a_part(world: World) -> None:
    """A part of the archive is there, with the client's own mark of what it is a part of."""
    folder = paths.DataPaths(COMPETITION).download
    folder.mkdir(parents=True)
    (folder / f"{COMPETITION}.zip").write_bytes(ARCHIVE[:1_000_000])
    mark = {"validator": dict(stored(ARCHIVE).headers)["ETag"], "size": len(ARCHIVE)}
    (folder / f"{COMPETITION}.zip.kaggle-partial").write_text(json.dumps(mark))


def expired_login(world: World) -> None:
    world.without_token()
    expired = json.loads(LOGIN_FILE) | {"access_token": None}
    world.keep(".kaggle/credentials.json", json.dumps(expired))
    world.answer("GenerateAccessToken", refusal(401, ""))


def full_disk(world: World) -> None:
    """The archive is written to a device that is always full."""
    folder = paths.DataPaths(COMPETITION).download
    folder.mkdir(parents=True)
    (folder / f"{COMPETITION}.zip").symlink_to("/dev/full")


def free_bytes(count: int) -> Arrange:
    return lambda world: world.monkeypatch.setattr(system, "free_bytes", lambda folder: count)


gets = partial(works, input=INSTALLED)
FORCE = ("download", "--force")
INTROSPECT, DOWNLOAD, STORAGE = "IntrospectToken", "DownloadDataFiles", "archive.zip"
ONCE_MORE = "fetching it once more, from the start"
WAITS_LONGER = "DIGITS_KAGGLE_TIMEOUT_FACTOR=3 waits three times as long"
IMPATIENT = setting(DIGITS_KAGGLE_TIMEOUT_FACTOR=f"{PATIENCE / client.ANSWER_SECONDS}")

# With the real client.
FETCHED = {
    "all is well": gets(
        as_it_is,
        "input/digit-recognizer: installed ... downloading digit-recognizer.zip",
        asked={STORAGE: 1},
    ),
    # The client looks at the whole file first, and then asks for the rest.
    "a part is there": gets(a_part, "installed ... 1.0 MB are here already", asked={STORAGE: 2}),
    "data and a part are there, FORCE": gets(
        all_of(World.install, a_part), "installed", command=FORCE, asked={STORAGE: 1}
    ),
    "no credentials": fails(World.without_token, "finds no credentials", asked={INTROSPECT: 0}),
    "a token unknown to introspection": fails(
        answering(INTROSPECT, refusal(403, "")),
        "refused the credentials in the environment variable KAGGLE_API_TOKEN:",
    ),
    "an expired login": fails(
        expired_login,
        "~/.kaggle/credentials.json of ... Run `.venv/bin/kaggle auth login` again",
    ),
    "a token with a line end": fails(
        setting(KAGGLE_API_TOKEN=f"{TOKEN}\r"), "Copy the token again"
    ),
    "429, then all is well": gets(
        answering(DOWNLOAD, [wait("1"), redirect(STORAGE)]),
        "installed ... Kaggle asks to wait 1 s (429), waiting",
        asked={DOWNLOAD: 2},
    ),
    "429 for longer than we wait": fails(
        answering(DOWNLOAD, wait("1200")),
        "too many requests from this account (429). Try again in 20 min, as it asks",
        asked={DOWNLOAD: 1},
    ),
    "429 without an end": fails(
        all_of(changed(client, MOST_TRIES=2), answering(DOWNLOAD, wait("1"))),
        "Kaggle asks to wait ... too many requests",
        asked={DOWNLOAD: 2},
    ),
    "a home that nobody can write to": gets(setting(HOME="/proc"), "installed"),
    "a sign-in page answers": fails(
        answering(INTROSPECT, Answer(200, PAGE)), "Something else answers in Kaggle's place"
    ),
    "silence": fails(
        all_of(answering(INTROSPECT, None), IMPATIENT),
        f"did not answer for {PATIENCE} s; the client was signing in ... {WAITS_LONGER}",
    ),
    "not a zip": fails(
        answering(STORAGE, Answer(200, PAGE)),
        f"{ONCE_MORE} ... digit-recognizer.zip is not a whole zip archive",
        asked={STORAGE: 2},
    ),
    "not a zip at first": gets(
        answering(STORAGE, [stored(PAGE), stored(ARCHIVE)]),
        f"installed ... {ONCE_MORE}",
        asked={STORAGE: 2},
    ),
}
LONG = {
    "slow": fails(
        all_of(
            changed(download, DOWNLOAD_SECONDS=PATIENCE),
            answering(STORAGE, stored(ARCHIVE, pause=0.5)),
        ),
        f"not finished after {PATIENCE} s. What arrived is kept ... {WAITS_LONGER}",
        input=PART,
    ),
    "cut once": gets(
        answering(STORAGE, [stored(ARCHIVE, cut=CUT), stored(ARCHIVE)]),
        "installed",
        asked={STORAGE: 2},
    ),
    "cut each time": fails(
        answering(STORAGE, stored(ARCHIVE, cut=CUT)),
        "broke off several times; what arrived is kept ... continues from there",
        input=PART,
        asked={STORAGE: 3},
    ),
    "full disk": fails(full_disk, "No space left on device", input=PART),
}


def damaged() -> bytes:
    content = bytearray(ARCHIVE)
    # The first member's data begins after 30 bytes of header and its name.
    content[30 + len("train.csv")] = 0xFF  # a kind of block that there is not
    return bytes(content)


def at_hand(content: bytes) -> Arrange:
    return lambda world: Path("mine.zip").write_bytes(content)


def with_rows_missing(world: World) -> None:
    world.install({**competition_files(), "train.csv": competition_files(7)["train.csv"]})


def with_another_sample(world: World) -> None:
    world.install({**competition_files(), "sample_submission.csv": b"ImageId,Label\n1,0\n"})


def in_folder(files: dict[str, bytes], name: str = "digit-recognizer") -> dict[str, bytes]:
    return {f"{name}/{file}": content for file, content in files.items()}


def unpacked(*parents: str) -> Arrange:
    """The archive was unpacked in the browser; ZIP= names the folder."""

    def arrange(world: World) -> None:
        folder = Path("mine.zip", *parents)
        folder.mkdir(parents=True)
        for name, content in competition_files().items():
            (folder / name).write_bytes(content)
        Path("mine.zip", "notes.txt").touch()

    return arrange


def many_members(world: World) -> None:
    Path("mine.zip").write_bytes(zipped({f"{n}.txt": b"" for n in range(20_000)}))


no_client = {"asked": {INTROSPECT: 0}}
unzips = partial(works, command=("download", "--zip", "mine.zip"), input=INSTALLED, **no_client)
refuses = partial(fails, command=("download", "--zip", "mine.zip"), **no_client)

# The client is not started for these.
WITHOUT_CLIENT = {
    "good data is there": gets(World.install, "complete already, nothing done", **no_client),
    "a zip": unzips(at_hand(ARCHIVE), "installed"),
    "a zip for rows missing": unzips(all_of(at_hand(ARCHIVE), with_rows_missing), "installed"),
    "a folder inside": unzips(at_hand(zipped(in_folder(competition_files()))), "installed"),
    "a folder inside, and others": unzips(
        at_hand(
            zipped(
                in_folder({"train.csv": b""}, "drafts")
                | in_folder(competition_files(), "my data")
                | in_folder({"._train.csv": b""}, "__MACOSX")
            )
        ),
        "installed",
    ),
    "a folder inside without a file": refuses(
        at_hand(zipped(in_folder({"train.csv": b"", "test.csv": b""}))),
        "mine.zip has no sample_submission.csv; expected the archive",
    ),
    "an unpacked archive": unzips(unpacked(), "installed"),
    "an unpacked archive with a folder inside": unzips(unpacked("digit-recognizer"), "installed"),
    "twenty thousand members": refuses(many_members, "mine.zip has 20,000 members"),
    "no such zip": refuses(as_it_is, "there is no archive mine.zip"),
    "a folder": refuses(lambda world: Path("mine.zip").mkdir(), "mine.zip has no train.csv and no"),
    "a page": refuses(
        at_hand(PAGE), "mine.zip is not a whole zip archive ... Download it again at https://www"
    ),
    "a damaged zip": refuses(at_hand(damaged()), "mine.zip is not a whole zip archive"),
    "an unsafe name": refuses(
        at_hand(UNSAFE), "mine.zip has a member with the unsafe name '../../escaped.txt'"
    ),
    "an unsafe name of Windows": refuses(
        at_hand(zipped({**competition_files(), "C:\\escaped.txt": b""})), "the unsafe name 'C:"
    ),
    "a large member": refuses(
        all_of(at_hand(ARCHIVE), changed(download, LARGEST_TOTAL=1_000_000)),
        "mine.zip unpacks to more than 1.0 MB",
    ),
    "a zip with rows missing": refuses(
        at_hand(zipped(competition_files(9))), "mine.zip: train.csv has 9 rows, expected 10"
    ),
    "a zip of something else": refuses(
        at_hand(zipped({"train.csv": b""})), "has no test.csv and no sample_submission.csv"
    ),
    "little disk": fails(
        free_bytes(3_000_000),
        "input/digit-recognizer/ needs 250.0 MB of free disk, but there are only 3",
        **no_client,
    ),
    "read-only disk": fails(  # nobody, not even root, makes a folder below /sys
        all_of(free_bytes(10**12), lambda world: Path("input").symlink_to("/sys")),
        "the disk refused at input/",
        **no_client,
    ),
    "a factor that is none": fails(
        setting(DIGITS_KAGGLE_TIMEOUT_FACTOR="soon"),
        "DIGITS_KAGGLE_TIMEOUT_FACTOR is 'soon', expected a number above 0, such as 3",
        **no_client,
    ),
}
LONG_CASES = [pytest.param(case, marks=pytest.mark.long, id=name) for name, case in LONG.items()]
CASES = [pytest.param(case, id=name) for name, case in (FETCHED | WITHOUT_CLIENT).items()]


@pytest.mark.parametrize("case", [*CASES, *LONG_CASES])
def test_case(case: Case, world: World):
    case.check(world)


def test_the_same_member_twice_is_refused(world: World):
    Path("mine.zip").write_bytes(ARCHIVE)
    with zipfile.ZipFile("mine.zip", "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("train.csv", b"another")
    code, printed = world.run("download", "--zip", "mine.zip")
    assert code == 1
    assert "mine.zip has train.csv more than once" in printed


@pytest.mark.parametrize(
    ("arrange", "told"),
    [
        (as_it_is, "`make download`"),
        (with_rows_missing, "train.csv has 7 rows, expected 10; `make download` fetches it again"),
        (with_another_sample, "sample_submission.csv has 1 rows, but .*test.csv asks for 3"),
    ],
)
def test_data_that_is_not_whole_is_told(world: World, arrange: Arrange, told: str):
    arrange(world)
    with pytest.raises(UserError, match=told):
        download.check_installed()


def test_two_downloads_at_once_do_not_meet(world: World):
    with held(paths.INPUT):
        code, printed = world.run("download")
    assert code == 1
    assert "another process is downloading; wait until it has finished" in printed
    assert world.server.requests == []


@pytest.mark.long
def test_an_interrupted_download_continues_where_it_stopped(world: World):
    world.answer("archive.zip", stored(ARCHIVE, pause=0.15))
    part = paths.DataPaths(COMPETITION).download / f"{COMPETITION}.zip"
    stopped = interrupted("download", lambda: part.exists() and part.stat().st_size > 0)
    assert stopped.returncode == 130
    assert "run it again to continue" in stopped.stderr
    assert 0 < part.stat().st_size < len(ARCHIVE)

    world.answer("archive.zip", stored(ARCHIVE))
    code, printed = world.run("download")
    assert code == 0
    assert "are here already" in printed
    assert world.server.requests[-1].headers["Range"] == f"bytes={2**20}-"
    assert files_below(paths.INPUT) == INSTALLED


@pytest.mark.parametrize(
    ("asked", "answer_seconds", "pauses"),
    [
        (1, 0, [1, 2, 4, 8]),
        (0, 0, [10, 10, 10, 10]),  # without a time, the default
        (5, 0, [5, 5, 5, 8]),
        (1, 35, [1, 2, 4]),  # the next would end after two minutes
        (30, 0, [30, 30, 30, 30]),
        (31, 0, [31, 31, 31]),
        (121, 0, []),
    ],
)
def test_waiting_for_kaggle_has_an_end(monkeypatch, capsys, asked, answer_seconds, pauses):
    now, slept = [0.0], []

    def pass_time(seconds: float) -> None:
        now[0] += seconds

    def answer(*_: object) -> dict:
        pass_time(answer_seconds)
        return {"status": 429, "retry_after": asked, "problem": "too many requests"}

    monkeypatch.setattr(client.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(
        client.time, "sleep", lambda seconds: [slept.append(seconds), pass_time(seconds)]
    )
    monkeypatch.setattr(client, "_run", answer)
    with pytest.raises(UserError, match="too many requests"):
        client.call("list submissions")
    assert slept == pauses
    assert now[0] <= client.RATE_LIMIT_SECONDS + client.ANSWER_SECONDS
