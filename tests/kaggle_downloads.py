"""What can happen to `make download`: each case with all that a user may see of it."""

from functools import partial
from pathlib import Path

from kaggle_server import Answer, redirect, refusal, stored
from kaggle_troubles import (
    HANGS_UP,
    PATIENCE,
    a_part,
    a_part_of_another,
    at_hand,
    broken_key,
    damaged,
    data_with_another_sample,
    data_with_rows_missing,
    empty_token_file,
    expired_login,
    full_disk,
    little_disk,
    misplaced_key,
    misplaced_token,
    read_only_disk,
    refused_key,
    shadowed_key,
    silent_at,
    slow_network,
    tunnel,
    unreadable_token,
    wait,
)
from kaggle_world import (
    ARCHIVE,
    INSTALLED,
    KEY,
    PART,
    TOKEN,
    World,
    all_of,
    answering,
    as_it_is,
    competition_files,
    fails,
    no_name_service,
    no_network,
    setting,
    works,
    zipped,
)

from competition.kaggle.limits import ANSWER, DOWNLOAD, RATE_LIMIT

CUT = 1_200_000
PAGE = b"<html>Please sign in</html>"
UNSAFE = zipped({**competition_files(), "../../escaped.txt": b"never extracted"})
ONCE_MORE = "fetching it once more, from the start"
TWICE = {"archive.zip": 2}
UNASKED = {"IntrospectToken": 0}

gets = partial(works, input=INSTALLED)
with_zip = partial(fails, command=("download", "--zip", "mine.zip"), asked=UNASKED)

DOWNLOADS = {
    "all is well": gets(
        as_it_is,
        "downloading digit-recognizer.zip",
        "input/digit-recognizer: installed",
        asked={"archive.zip": 1},
    ),
    "good data is there": gets(
        World.install, "good data is there already, nothing done", asked=UNASKED
    ),
    "good data is there, FORCE": gets(
        World.install, "installed", command=("download", "--force"), asked={"archive.zip": 1}
    ),
    "data with rows missing is there": gets(data_with_rows_missing, "installed"),
    "data with another sample is there": gets(data_with_another_sample, "installed"),
    # The client looks at the whole file first, and then asks for the rest.
    "a part is there": gets(a_part, "1.0 MB are here already", "installed", asked=TWICE),
    "a part of another archive is there": gets(a_part_of_another, "installed"),
    "a part is there, FORCE": gets(
        a_part, "installed", command=("download", "--force"), asked={"archive.zip": 1}
    ),
    "no credentials": fails(
        World.without_token,
        "finds no credentials",
        "https://www.kaggle.com/settings",
        "~/.kaggle/access_token",
        asked=UNASKED,
    ),
    "misplaced kaggle.json": fails(
        misplaced_key, "~/Downloads/kaggle.json is not where the client looks; move it to"
    ),
    "misplaced token": fails(misplaced_token, "looks; move it to ~/.kaggle/access_token"),
    "empty token file": fails(
        empty_token_file, "The file ~/token, which KAGGLE_API_TOKEN names, is empty"
    ),
    "broken kaggle.json": fails(broken_key, '~/.kaggle/kaggle.json is not {"username": …'),
    "token refused, shadows a key": fails(
        shadowed_key,
        "in the environment variable KAGGLE_API_TOKEN (401)",
        "it comes before ~/.kaggle/kaggle.json, which was not tried",
    ),
    "key refused": fails(
        refused_key,
        "in ~/.kaggle/kaggle.json (401)",
        "Create a new token at https://www.kaggle.com/settings, and put it into ~/.kaggle/access",
    ),
    "token is the name of no file": fails(
        all_of(
            setting(KAGGLE_API_TOKEN="~/tokens/kaggle"),  # noqa: S106
            answering("IntrospectToken", refusal(401, "")),
        ),
        "looks like a path, but there is no such file",
    ),
    "token unknown to introspection": fails(
        answering("IntrospectToken", refusal(403, "")),
        "refused the credentials in the environment variable KAGGLE_API_TOKEN:",
    ),
    "login expired": fails(
        expired_login,
        "in ~/.kaggle/credentials.json of `kaggle auth login`",
        "Run `.venv/bin/kaggle auth login` again",
    ),
    "token with a line end": fails(setting(KAGGLE_API_TOKEN=f"{TOKEN}\r"), "Copy the token again"),
    "token too long": fails(setting(KAGGLE_API_TOKEN=TOKEN * 20), "Copy the token again"),
    "token file of another encoding": fails(unreadable_token, "Copy the token again"),
    "401": fails(
        answering("DownloadDataFiles", refusal(401, "")), "refused the credentials", "(401)"
    ),
    "403": fails(
        answering("DownloadDataFiles", refusal(403, "You must accept this competition's rules")),
        "(403: You must accept this competition's rules)",
        "https://www.kaggle.com/competitions/digit-recognizer/rules",
        "phone number",
        "mistyped name",
    ),
    "403 that quotes the token": fails(
        answering("DownloadDataFiles", refusal(403, f"{TOKEN} may not")), "(403: … may not)"
    ),
    "404": fails(
        answering("DownloadDataFiles", refusal(404, "")), "does not know what was asked for (404)"
    ),
    "429, then all is well": gets(
        answering("DownloadDataFiles", [wait("1"), redirect("archive.zip")]),
        "Kaggle asks to wait 1 s (429), waiting",
        "installed",
        asked={"DownloadDataFiles": 2},
    ),
    "429 for longer than we wait": fails(
        answering("DownloadDataFiles", wait("1200")),
        "too many requests from this account (429). Try again in 20 min, as it asks",
        asked={"DownloadDataFiles": 1},
    ),
    "429 until a date": fails(
        answering("DownloadDataFiles", wait("Fri, 01 Jan 2100 00:00:00 GMT")), "Try again in"
    ),
    "429 without an end": fails(
        all_of(setting(**{RATE_LIMIT: "2"}), answering("IntrospectToken", wait("1"))),
        "Kaggle asks to wait",
        "too many requests",
    ),
    "500": fails(
        answering("DownloadDataFiles", refusal(500, "Oops")),
        "Kaggle itself has an error (500: Oops)",
    ),
    "418": fails(
        answering("DownloadDataFiles", refusal(418, "I am a teapot")),
        "refused it (418: I am a teapot)",
    ),
    "no DNS": fails(no_name_service, "cannot be looked up", "no DNS"),
    "no network": fails(no_network, "Kaggle cannot be reached"),
    "no proxy there": fails(
        setting(http_proxy="http://me:proxy-password@127.0.0.1:1"),
        "The proxy that http_proxy names",
    ),
    "a proxy that is no address": fails(
        all_of(
            World.without_token,
            setting(KAGGLE_USERNAME="me", KAGGLE_KEY=KEY),
            setting(http_proxy="http://me:proxy-password@proxy:port"),
        ),
        "The proxy that http_proxy names",
    ),
    "the proxy wants a password": fails(
        answering("IntrospectToken", Answer(407)), "name and a password (407)"
    ),
    "the proxy wants a password for a tunnel": fails(
        tunnel("https_proxy"), "name and a password (407)"
    ),
    "the proxy makes no tunnel": fails(
        all_of(tunnel("ALL_PROXY"), answering("api.kaggle.com:443", Answer(403))),
        "The proxy that ALL_PROXY names does not let the Kaggle client through",
    ),
    "a SOCKS proxy": fails(
        tunnel("ALL_PROXY", "socks5"), "ALL_PROXY names a SOCKS proxy", "pip install pysocks"
    ),
    "no such certificates": fails(
        tunnel("https_proxy", REQUESTS_CA_BUNDLE="no-such.pem"),
        "REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE names a file of certificates that is not there",
    ),
    "a sign-in page answers": fails(
        answering("IntrospectToken", Answer(200, PAGE)), "Something else answers in Kaggle's place"
    ),
    "the server hangs up": fails(
        answering("IntrospectToken", HANGS_UP), "The connection to Kaggle broke off"
    ),
    "silent at the door": fails(
        silent_at("IntrospectToken"),
        f"did not answer for {PATIENCE} s; the client was signing in",
        ANSWER,
    ),
    "silent in the storage": fails(
        silent_at("archive.zip"), f"did not answer for {PATIENCE} s; the client was asking"
    ),
    "slow": fails(
        slow_network, f"not finished after {PATIENCE} s. What came is kept", DOWNLOAD, input=PART
    ),
    "cut once": gets(
        answering("archive.zip", [stored(ARCHIVE, cut=CUT), stored(ARCHIVE)]),
        "installed",
        asked=TWICE,
    ),
    "cut for good": fails(
        answering("archive.zip", stored(ARCHIVE, cut=CUT)),
        "broke off several times; what came is kept",
        "goes on from there",
        input=PART,
        asked={"archive.zip": 3},
    ),
    "not a zip": fails(
        answering("archive.zip", Answer(200, PAGE)),
        "digit-recognizer.zip is not a whole zip archive",
        ONCE_MORE,
        asked=TWICE,
    ),
    "not a zip at first": gets(
        answering("archive.zip", [stored(PAGE), stored(ARCHIVE)]),
        ONCE_MORE,
        "installed",
        asked=TWICE,
    ),
    "damaged": fails(
        answering("archive.zip", stored(damaged())), "is not a whole zip", ONCE_MORE, asked=TWICE
    ),
    "rows missing": fails(
        answering("archive.zip", stored(zipped(competition_files(9)))),
        "digit-recognizer.zip: train.csv has 9 rows, expected 10",
        ONCE_MORE,
        asked=TWICE,
    ),
    "little disk": fails(
        little_disk,
        "input/digit-recognizer/ needs 250 MB of free disk, but there are only 3",
        asked=UNASKED,
    ),
    "full disk": fails(full_disk, "No space left on device", input=PART),
    "read-only disk": fails(read_only_disk, "the disk refused at input/", asked=UNASKED),
    "a limit that is none": fails(
        setting(**{ANSWER: "soon"}), "is 'soon', expected a number of seconds above 0"
    ),
    "zip at hand": gets(at_hand(ARCHIVE), "installed", command=("download", "--zip", "mine.zip")),
    "zip at hand is missing": with_zip(as_it_is, "there is no archive mine.zip"),
    "zip at hand is a folder": with_zip(
        lambda world: Path("mine.zip").mkdir(), "mine.zip is a folder"
    ),
    "zip at hand is a page": with_zip(
        at_hand(PAGE), "mine.zip is not a whole zip archive", "Download it again at https://www"
    ),
    "zip at hand is damaged": with_zip(at_hand(damaged()), "mine.zip is not a whole zip archive"),
    "zip at hand has an unsafe name": with_zip(
        at_hand(UNSAFE), "mine.zip has a member with the unsafe name '../../escaped.txt'"
    ),
    "zip at hand is of something else": with_zip(
        at_hand(zipped({"train.csv": b""})), "has no test.csv and no sample_submission.csv"
    ),
}
