"""Credentials, as the Kaggle client finds them, and what the user is told when something fails."""

import base64
import json
import socket
import subprocess
import sys

import pytest
import requests
from kaggle_server import Answer, refusal, wait
from kaggle_world import (
    KEY,
    KEY_FILE,
    LOGIN_FILE,
    SECRETS,
    TOKEN,
    Arrange,
    World,
    all_of,
    as_it_is,
    is_told,
    setting,
)

from competition.kaggle.credentials import overlooked, sources
from competition.kaggle.errors import describe, no_credentials
from competition.kaggle.protocol import ASKING, DOWNLOADING, SIGNING_IN

NAME, ITS_KEY = {"KAGGLE_USERNAME": "somebody"}, {"KAGGLE_KEY": KEY}
BOTH = NAME | ITS_KEY
FILE, TOKEN_FILE = "~/.kaggle/kaggle.json", "~/.kaggle/access_token"
IN_VARIABLES = "the environment variables KAGGLE_USERNAME and KAGGLE_KEY"
WITH_NAME = f"{FILE} with the environment variable KAGGLE_USERNAME"
WITH_KEY = f"{FILE} with the environment variable KAGGLE_KEY"
NO_NAME = "KAGGLE_USERNAME and KAGGLE_KEY only work together, and KAGGLE_USERNAME is not set"
NO_KEY = "KAGGLE_USERNAME and KAGGLE_KEY only work together, and KAGGLE_KEY is not set"
NO_PAIR = f'{FILE} is not {{"username": …, "key": …}}; download it again'
VARIABLE = "the environment variable KAGGLE_API_TOKEN"
NAMED = "the file ../home/token, which KAGGLE_API_TOKEN names"
NOTEBOOK = dict.fromkeys(("KAGGLE_KERNEL_RUN_TYPE", "KAGGLE_DATA_PROXY_URL"), "set")


def keys(content: str, **others: str) -> dict[str, str]:
    return {".kaggle/kaggle.json": content, **others}


NAME_FILE, ITS_KEY_FILE = keys('{"username": "somebody"}'), keys(f'{{"key": "{KEY}"}}')
BOTH_FILE, BROKEN_FILE = keys(KEY_FILE), keys('{"username": "somebody"')
BASIC = "Basic " + base64.b64encode(f"somebody:{KEY}".encode()).decode()
BEARER, OTHER = f"Bearer {TOKEN}", "Bearer another-token"

# Variables and files of the home; the sources by name, what is told about the rest, and what the
# real client sends, if anything.
CREDENTIALS = [
    ({}, {}, [], [], None),
    ({}, NAME_FILE, [], [NO_PAIR], None),
    ({}, ITS_KEY_FILE, [], [NO_PAIR], None),
    ({}, BOTH_FILE, [FILE], [], BASIC),
    ({}, BROKEN_FILE, [], [NO_PAIR], None),
    (NAME, {}, [], [NO_KEY], None),
    (NAME, NAME_FILE, [], [NO_KEY, NO_PAIR], None),
    (NAME, ITS_KEY_FILE, [WITH_NAME], [], BASIC),
    (NAME, BOTH_FILE, [WITH_NAME], [], BASIC),
    (NAME, BROKEN_FILE, [], [NO_KEY, NO_PAIR], None),
    (ITS_KEY, {}, [], [NO_NAME], None),
    (ITS_KEY, NAME_FILE, [WITH_KEY], [], BASIC),
    (ITS_KEY, ITS_KEY_FILE, [], [NO_NAME, NO_PAIR], None),
    (ITS_KEY, BOTH_FILE, [WITH_KEY], [], BASIC),
    (ITS_KEY, BROKEN_FILE, [], [NO_NAME, NO_PAIR], None),
    (BOTH, {}, [IN_VARIABLES], [], BASIC),
    (BOTH, NAME_FILE, [IN_VARIABLES, FILE], [], BASIC),
    (BOTH, ITS_KEY_FILE, [IN_VARIABLES, FILE], [], BASIC),
    (BOTH, BOTH_FILE, [IN_VARIABLES, FILE], [], BASIC),
    (BOTH, BROKEN_FILE, [IN_VARIABLES], [NO_PAIR], BASIC),
    ({"KAGGLE_API_TOKEN": TOKEN}, {}, [VARIABLE], [], BEARER),
    ({"KAGGLE_API_TOKEN": TOKEN, **BOTH}, {}, [VARIABLE, IN_VARIABLES], [], BEARER),
    ({"KAGGLE_API_TOKEN": "../home/token"}, {"token": TOKEN}, [NAMED], [], BEARER),
    ({}, {".kaggle/access_token": f"{TOKEN}\n"}, [TOKEN_FILE], [], BEARER),
    ({}, {".kaggle/access_token.txt": TOKEN}, [f"{TOKEN_FILE}.txt"], [], BEARER),
    (BOTH, {".kaggle/access_token": TOKEN}, [TOKEN_FILE, IN_VARIABLES], [], BEARER),
    ({}, {".kaggle/access_token": TOKEN, **BOTH_FILE}, [TOKEN_FILE, FILE], [], BEARER),
    (
        {"KAGGLE_API_TOKEN": TOKEN},
        {".kaggle/access_token": "another-token"},
        [VARIABLE, TOKEN_FILE],
        [],
        BEARER,
    ),
    (
        {"KAGGLE_API_TOKEN": "../home/token"},
        {"token": "", ".kaggle/access_token": TOKEN},
        [],
        ["The file ../home/token, which KAGGLE_API_TOKEN names, is empty"],
        None,
    ),
    (
        {**NOTEBOOK, "KAGGLE_API_V1_TOKEN": "../home/token", "KAGGLE_API_TOKEN": TOKEN},
        {"token": "another-token"},
        ["the token of this Kaggle notebook", VARIABLE],
        [],
        OTHER,
    ),
    (
        {},
        {".kaggle/credentials.json": LOGIN_FILE},
        ["~/.kaggle/credentials.json of `kaggle auth login`"],
        [],
        BEARER,
    ),
    (
        {},
        {"Downloads/kaggle.json": KEY_FILE, ".config/kaggle/access_token": TOKEN},
        [],
        [
            f"~/Downloads/kaggle.json is not where the client looks; move it to {FILE}",
            f"~/.config/kaggle/access_token is not where the client looks; move it to {TOKEN_FILE}",
        ],
        None,
    ),
]


@pytest.mark.parametrize(("variables", "files", "names", "told", "sent"), CREDENTIALS)
def test_credentials_are_found_and_the_rest_is_told(
    world: World, variables: dict, files: dict, names: list, told: list, sent: str | None
):
    (world.home / ".kaggle").mkdir()
    world.without_token()
    world.set(**variables)
    for name, content in files.items():
        world.keep(name, content)
    assert ([source.name for source in sources()], overlooked()) == (names, told)
    assert bool(names) == bool(sent)


@pytest.mark.parametrize(
    ("token", "remark"),
    [
        (TOKEN, ""),
        (f"{TOKEN}\r", "a carriage return"),
        (f"“{TOKEN}”", "quotation marks"),
        (f'"{TOKEN}"', "quotation marks"),
        (f"\ufeff{TOKEN}", "a byte order mark"),
        (f"\ufeff‘{TOKEN}’\r", "a byte order mark and quotation marks and a carriage return"),
        (f"Bearer {TOKEN}", "a space"),
        (f"{TOKEN}\n{TOKEN}", "a line break"),
    ],
)
def test_what_an_editor_adds_to_a_token_is_told(world: World, token: str, remark: str):
    told = f" It has {remark} in it, which no token has; write it again without." if remark else ""
    world.without_token()
    world.keep(".kaggle/access_token", token)
    (source,) = sources()
    # The client itself passes over a line end.
    assert source.remark == (
        "" if token == f"{TOKEN}\r" else told.replace(" and a carriage return", "")
    )
    world.set(KAGGLE_API_TOKEN=token)
    assert sources()[0].remark == told
    assert TOKEN not in told


@pytest.mark.parametrize(
    ("content", "stray"),
    [
        (f"\ufeff{KEY_FILE}", " (it has a byte order mark in it)"),
        (KEY_FILE.replace('"', "”"), " (it has quotation marks in it)"),
        (KEY_FILE[:-1], ""),
    ],
)
def test_what_an_editor_adds_to_a_key_file_is_told(world: World, content: str, stray: str):
    world.without_token()
    world.keep(".kaggle/kaggle.json", content)
    assert overlooked() == [NO_PAIR.replace("; download", f"{stray}; download")]


def test_the_real_client_uses_the_credentials_that_are_named_first(world: World):
    """One process tries all of them, as the client's import takes longest."""
    (world.home / ".kaggle").mkdir()
    code = f"""
import os, pathlib, requests
from kaggle.api.kaggle_api_extended import KaggleApi
home = pathlib.Path.home()
for variables, files in {[row[:2] for row in CREDENTIALS]!r}:
    for name in [*os.environ]:
        if name.startswith("KAGGLE_") and name != "KAGGLE_API_ENVIRONMENT":
            del os.environ[name]
    os.environ.update(variables)
    for name, content in files.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(content)
    api = KaggleApi()
    try:
        api.authenticate()
        api.competition_submissions("some")
    except SystemExit:
        requests.get("http://localhost/Nothing")
    for name in files:
        (home / name).unlink()
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    asked = [one for one in world.server.requests if one.name in ("ListSubmissions", "Nothing")]
    assert [one.headers["Authorization"] for one in asked] == [row[-1] for row in CREDENTIALS]


def test_a_token_that_cannot_be_used_is_told(world: World):
    world.set(KAGGLE_API_TOKEN="~/token")  # noqa: S106
    assert sources()[0].remark == " It looks like a path, but there is no such file."
    world.without_token()
    file = world.keep(".kaggle/access_token", "")
    file.write_bytes(TOKEN.encode("utf-16"))  # as some editors and shells of Windows write it
    assert "cannot be read as a line of plain text (UTF-8)" in sources()[0].remark


def test_without_credentials_the_next_step_is_told(world: World):
    world.without_token()
    world.keep(".kaggle/kaggle.json", "{}")
    told = no_credentials()
    assert "finds no credentials" in told
    assert NO_PAIR in told
    assert "https://www.kaggle.com/settings, and put it into ~/.kaggle/access_token" in told


METHOD = "http://localhost/Method"
ENCRYPTED = "https://api.kaggle.com/Method"


def request(address: str = METHOD) -> None:
    """Asks for a JSON answer as the client does."""
    answer = requests.get(address, timeout=5)
    answer.raise_for_status()
    answer.json()


def told_of(address: str = METHOD, stage: str = ASKING) -> str:
    """Returns what the user is told of a request that fails."""
    with pytest.raises(Exception) as raised:  # noqa: PT011, whatever it is, it is told
        request(address)
    notes = describe(raised.value, stage, sources())
    assert [secret for secret in SECRETS if secret in json.dumps(notes)] == []
    return notes["problem"]


HANGS_UP = Answer(200, b"{}", cut=0)


@pytest.mark.parametrize(
    ("answer", "texts"),
    [
        (refusal(401, f"no such token: {TOKEN}"), f"refused the credentials in {VARIABLE} (401)"),
        (
            refusal(403, "You must accept this competition's rules."),
            "(403: You must accept this competition's rules) ... /digit-recognizer/rules ... "
            "phone number ... a mistyped name",
        ),
        (refusal(403, f"{TOKEN} may not"), "(403: … may not)"),
        (refusal(404, ""), "does not know what was asked for (404) ... pip install --upgrade"),
        (Answer(407), "asks for a name and a password (407)"),
        (refusal(418, "I am a teapot"), "refused the request (418: I am a teapot)"),
        (wait("1200"), "requests from this account (429). Try again in 20 min, as it asks"),
        (wait("Fri, 01 Jan 2100 00:00:00 GMT"), "(429). Try again in ... h"),
        (wait("soon"), "(429). Try again in some minutes"),
        (refusal(500, "Oops"), "Kaggle itself has an error (500: Oops) ... try again"),
        (Answer(503, b"<html>"), "Kaggle itself has an error (503)"),
        (Answer(200, b"<html>Please sign in"), "Something else answers in Kaggle's place"),
        (HANGS_UP, "The connection to Kaggle broke off"),
    ],
)
def test_each_answer_has_its_paragraph(world: World, answer: Answer, texts: str):
    world.answer("Method", answer)
    told = told_of()
    assert is_told(texts, told), told


def failing(place: object, function: str, error: OSError) -> Arrange:
    def fail(*_, **__):
        raise error

    return all_of(
        lambda world: world.monkeypatch.delenv("http_proxy"),
        lambda world: world.monkeypatch.setattr(place, function, fail),
    )


def tunnel(variable: str, scheme: str = "http", answer: int = 407, **variables: str) -> Arrange:
    """The encrypted address is asked for, through the stand-in as the proxy."""

    def arrange(world: World) -> None:
        world.monkeypatch.delenv("http_proxy")
        world.set(**{variable: world.server.address.replace("http", scheme)}, **variables)
        world.answer("api.kaggle.com:443", Answer(answer))

    return arrange


@pytest.mark.parametrize(
    ("arrange", "address", "text"),
    [
        (
            failing(socket, "getaddrinfo", socket.gaierror(-2, "Name not known")),
            METHOD,
            "cannot be looked up: there is no network, or no DNS",
        ),
        (
            failing(socket.socket, "connect", ConnectionRefusedError(111, "refused")),
            METHOD,
            "Kaggle cannot be reached: the connection was refused",
        ),
        (
            setting(http_proxy="http://me:proxy-password@127.0.0.1:1"),
            METHOD,
            "The proxy that http_proxy names does not let",
        ),
        (
            setting(http_proxy="http://me:proxy-password@proxy:port"),
            METHOD,
            "The proxy that http_proxy names does not let",
        ),
        (tunnel("https_proxy"), ENCRYPTED, "asks for a name and a password (407)"),
        (tunnel("ALL_PROXY", answer=403), ENCRYPTED, "The proxy that ALL_PROXY names does not let"),
        (
            tunnel("ALL_PROXY", "socks5"),
            ENCRYPTED,
            "ALL_PROXY names a SOCKS proxy, for which the Kaggle client needs one more package",
        ),
        (
            tunnel("https_proxy", REQUESTS_CA_BUNDLE="no-such.pem"),
            ENCRYPTED,
            "REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE names a file of certificates that does not exist",
        ),
        (
            as_it_is,
            "https://localhost:{port}/Method",
            "The encrypted connection to Kaggle was not trusted",
        ),
    ],
)
def test_each_failure_of_the_network_has_its_paragraph(
    world: World, arrange: Arrange, address: str, text: str
):
    arrange(world)
    assert text in told_of(address.format(port=world.server.server_port))


@pytest.mark.parametrize("answer", [HANGS_UP, Answer(200, bytes(1000), cut=500)])
def test_what_arrived_of_a_download_that_is_cut_is_kept(world: World, answer: Answer):
    world.answer("Method", answer)
    assert "what arrived is kept" in told_of(stage=DOWNLOADING)


@pytest.mark.parametrize(
    ("error", "stage", "text"),
    [
        (ModuleNotFoundError("No module named 'kaggle'"), SIGNING_IN, "`make setup` installs it"),
        (SystemExit(1), SIGNING_IN, "Kaggle refused the credentials in the environment variable"),
        (ValueError(f"invalid header 'Bearer {TOKEN}'"), SIGNING_IN, "Copy the token again"),
        (PermissionError(13, "Permission denied"), SIGNING_IN, "Copy the token again"),
        (OSError(28, "No space left on device"), DOWNLOADING, "No space left on device"),
        (ValueError(f"{KEY} in {{braces}}"), ASKING, "failed (ValueError: … in {braces})"),
    ],
)
def test_each_error_of_the_client_has_its_paragraph(
    world: World, error: BaseException, stage: str, text: str
):
    told = describe(error, stage, sources())["problem"]
    assert text in told
    assert [secret for secret in SECRETS if secret in told] == []


def test_a_refused_token_names_the_credentials_that_it_shadows(world: World):
    world.keep(".kaggle/kaggle.json", KEY_FILE)
    world.answer("Method", refusal(401, ""))
    assert f"it comes before {FILE}, which was not tried" in told_of()
    world.without_token()
    assert f"in {FILE} (401)" in told_of()
    assert "https://www.kaggle.com/settings, and put it into ~/.kaggle/access" in told_of()
