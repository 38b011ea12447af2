"""Troubles on the way to Kaggle: what each changes in a world in which all is well."""

import json
from pathlib import Path

from kaggle_server import Answer, refusal, stored
from kaggle_world import (
    ARCHIVE,
    KEY,
    KEY_FILE,
    TOKEN,
    Arrange,
    World,
    all_of,
    answering,
    competition_files,
    setting,
)

from competition import paths, system
from competition.kaggle.limits import ANSWER, DOWNLOAD
from competition.paths import COMPETITION

HANGS_UP = Answer(200, b"{}", cut=0)
# Seconds that a test waits; a busy machine needs some of them to start the client.
PATIENCE = 5


def wait(seconds: str) -> Answer:
    return Answer(429, headers=(("Retry-After", seconds),))


def silent_at(name: str) -> Arrange:
    return all_of(setting(**{ANSWER: f"{PATIENCE}"}), answering(name, None))


def misplaced_key(world: World) -> None:
    world.without_token()
    world.keep("Downloads/kaggle.json", KEY_FILE)


def empty_token_file(world: World) -> None:
    world.set(KAGGLE_API_TOKEN=str(world.keep("token", "")))


def expired_login(world: World) -> None:
    world.without_token()
    world.keep(".kaggle/credentials.json", json.dumps({"refresh_token": KEY}))
    world.answer("GenerateAccessToken", refusal(401, ""))


def unreadable_token(world: World) -> None:
    """As some editors and shells of Windows write it."""
    world.without_token()
    world.keep(".kaggle/access_token", "").write_bytes(TOKEN.encode("utf-16"))


def refused_key(world: World) -> None:
    world.without_token()
    world.keep(".kaggle/kaggle.json", KEY_FILE)
    world.answer("DownloadDataFiles", refusal(401, ""))


def misplaced_token(world: World) -> None:
    world.without_token()
    world.keep(".config/kaggle/access_token", TOKEN)


def broken_key(world: World) -> None:
    world.without_token()
    world.keep(".kaggle/kaggle.json", '{"username": "somebody"')


def shadowed_key(world: World) -> None:
    world.keep(".kaggle/kaggle.json", KEY_FILE)
    world.answer("IntrospectToken", refusal(401, f"no such token: {TOKEN}"))


def tunnel(variable: str, scheme: str = "http", **variables: str) -> Arrange:
    """The client calls the real, encrypted address, through the stand-in as the proxy."""

    def arrange(world: World) -> None:
        for name in ("KAGGLE_API_ENVIRONMENT", "http_proxy"):
            world.monkeypatch.delenv(name)
        address = world.server.address.replace("http", scheme)
        world.set(**{variable: address}, **variables)
        world.answer("api.kaggle.com:443", Answer(407))

    return arrange


def slow_network(world: World) -> None:
    world.set(**{DOWNLOAD: f"{PATIENCE}"})
    world.answer("archive.zip", stored(ARCHIVE, pause=0.5))


def little_disk(world: World) -> None:
    world.monkeypatch.setattr(system, "free_bytes", lambda folder: 3_000_000)


def full_disk(world: World) -> None:
    """The archive is written to a device that is always full."""
    folder = paths.download_folder(COMPETITION)
    folder.mkdir(parents=True)
    (folder / f"{COMPETITION}.zip").symlink_to("/dev/full")


def read_only_disk(world: World) -> None:
    """Nobody, not even root, makes a folder below /sys."""
    world.monkeypatch.setattr(system, "free_bytes", lambda folder: 10**12)
    Path("input").symlink_to("/sys")


def a_part(world: World) -> None:
    """A part of the archive is there, with the client's own mark of what it is a part of."""
    folder = paths.download_folder(COMPETITION)
    folder.mkdir(parents=True)
    (folder / f"{COMPETITION}.zip").write_bytes(ARCHIVE[:1_000_000])
    mark = {"validator": dict(stored(ARCHIVE).headers)["ETag"], "size": len(ARCHIVE)}
    (folder / f"{COMPETITION}.zip.kaggle-partial").write_text(json.dumps(mark))


def a_part_of_another(world: World) -> None:
    a_part(world)
    marker = paths.download_folder(COMPETITION) / f"{COMPETITION}.zip.kaggle-partial"
    marker.write_text(json.dumps({"validator": "another", "size": len(ARCHIVE)}))


def data_with_rows_missing(world: World) -> None:
    world.install({**competition_files(), "train.csv": competition_files(7)["train.csv"]})


def data_with_another_sample(world: World) -> None:
    world.install({**competition_files(), "sample_submission.csv": b"ImageId,Label\n1,0\n"})


def damaged() -> bytes:
    content = bytearray(ARCHIVE)
    # The first member's data begins after 30 bytes of header and its name.
    content[30 + len("train.csv")] = 0xFF  # a kind of block that there is not
    return bytes(content)


def at_hand(content: bytes) -> Arrange:
    return lambda world: Path("mine.zip").write_bytes(content)
