"""The process in which the official Kaggle client runs; `client.py` starts it and listens.

It imports `kaggle`, does one action, and writes down the result. What the client prints is shown
only if it ends before that.
"""

import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from competition.kaggle.credentials import sources
from competition.kaggle.errors import describe, without_secrets
from competition.kaggle.protocol import (
    ASKING,
    CONFIRMING,
    DOWNLOADING,
    SIGNING_IN,
    UPLOADING,
    read_notes,
    write_note,
)
from competition.paths import COMPETITION
from competition.system import end_with

# The client tries again by itself where a download broke off, after 2 and 4 seconds.
DOWNLOAD_RETRIES = 2

FIRST_POLL_SECONDS, LONGEST_POLL_SECONDS = 1.0, 15.0
LISTED = 100

Note = Callable[..., None]


def main(notes: str, parent: str, action: str, *arguments: str) -> None:
    """Signs in, does one action, and notes its result or its problem."""
    end_with(int(parent))
    credentials = sources()  # before the client signs in: it removes a login that has expired
    note = partial(write_note, Path(notes))
    note(stage=SIGNING_IN)
    try:
        api = _signed_in(note)
        note(stage=ASKING)
        note(problem=None, **ACTIONS[action](api, note, *arguments))
    except (Exception, SystemExit) as error:
        note(**describe(error, read_notes(Path(notes))["stage"], credentials))


def _signed_in(note: Note) -> Any:
    """Returns the client's API, with notes of what it is doing."""
    from kaggle.api.kaggle_api_extended import KaggleApi, ResumableUploadResult

    class NotedApi(KaggleApi):
        """The client, which notes when a download, an upload and its confirmation begin."""

        def download_file(self, response, *arguments, **options):
            size = int(response.headers.get("Content-Length") or 0)
            note(stage=DOWNLOADING, total=size)
            options["max_retries"] = DOWNLOAD_RETRIES
            return super().download_file(response, *arguments, **options)

        def upload_complete(self, *arguments, **options):
            note(stage=UPLOADING)
            result = super().upload_complete(*arguments, **options)
            if result == ResumableUploadResult.COMPLETE:
                note(stage=CONFIRMING)
            return result

    api = NotedApi()
    api.authenticate()
    return api


def _download(api: Any, note: Note, folder: str) -> dict[str, Any]:
    """Fetches the archive into `folder`; a partial one there is continued."""
    api.competition_download_files(COMPETITION, folder, force=False, quiet=True)
    return {}


def _submit(api: Any, note: Note, file: str, message: str) -> dict[str, Any]:
    response = api.competition_submit(file, message, COMPETITION, quiet=True)
    return {"reference": response.ref or None, "message": without_secrets(response.message or "")}


def _wait_for_score(api: Any, note: Note, reference: str, seconds: str) -> dict[str, Any]:
    """Asks until the submission is scored or the seconds are over; it may still be pending then."""
    began, pause = time.monotonic(), FIRST_POLL_SECONDS
    while True:
        found = _list_submissions(api, note)["submissions"].get(reference)
        waited = time.monotonic() - began
        if waited + pause > float(seconds) or (found and found["status"] != "pending"):
            return {"submission": found}
        note(waited=waited)
        time.sleep(pause)
        pause = min(1.5 * pause, LONGEST_POLL_SECONDS)


def _list_submissions(api: Any, note: Note) -> dict[str, Any]:
    """Returns the latest submissions by reference."""
    listed = api.competition_submissions(COMPETITION, page_size=LISTED) or []
    submissions = {
        str(one.ref): {
            "status": one.status.name.lower(),
            "public_score": one.public_score or "",
            "error_description": one.error_description or "",
        }
        for one in listed
        if one
    }
    return {"submissions": submissions}


def _inspect(api: Any, note: Note, folder: str) -> dict[str, Any]:
    """Finds what `doctor` wants to know: the right to read the data, and the submissions left."""
    found = {"username": api.config_values.get("username", "")}
    try:
        api.competition_download_file(COMPETITION, "sample_submission.csv", folder, quiet=True)
        found["access"] = {"problem": None}
    except Exception as error:
        found["access"] = describe(error, ASKING, sources())
    try:
        limits = api.competition_get_submission_limits(COMPETITION)
        # All are zero for those who are in no team yet, as before a first submission.
        is_told = limits.num_allowed_now or limits.num_today or limits.num_total
        found["left_today"] = limits.num_allowed_now if is_told else None
    except Exception:  # not every version of the API tells
        found["left_today"] = None
    return found


ACTIONS: dict[str, Callable[..., dict[str, Any]]] = {
    "download": _download,
    "submit": _submit,
    "wait for score": _wait_for_score,
    "list submissions": _list_submissions,
    "inspect": _inspect,
}


if __name__ == "__main__":
    main(*sys.argv[1:])
