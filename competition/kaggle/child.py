"""The process in which the official Kaggle client does one action; `client.py` starts it.

What the client prints is shown only if it ends without a result.
"""

import json
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from competition.kaggle import PAGE
from competition.kaggle.credentials import sources
from competition.kaggle.errors import describe, without_secrets
from competition.kaggle.protocol import (
    ASKING,
    CONFIRMING,
    DOWNLOADING,
    PUSHING,
    SIGNING_IN,
    UPLOADING,
    read_notes,
    write_note,
)
from competition.paths import COMPETITION, NOTEBOOK, NOTEBOOK_METADATA, NOTEBOOK_RESULTS
from competition.system import end_with

DOWNLOAD_RETRIES = 2  # by the client itself, after 2 and 4 seconds

FIRST_POLL_SECONDS, LONGEST_POLL_SECONDS = 1.0, 15.0
LISTED = 100  # latest submissions
# A notebook takes minutes or hours; the client's process has to show signs of life meanwhile.
FIRST_LOOK_SECONDS, LONGEST_LOOK_SECONDS = 1.0, 30.0
UNFINISHED = ("queued", "running", "new_script", "cancel_requested")
LOG_LINES = 10
NO_TIME = "1970-01-01T00:00:00+00:00"

Note = Callable[..., None]


def main(notes: str, parent: str, action: str, *arguments: str) -> None:
    """Signs in, does one action, and writes down its result or problem."""
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
    """Returns the client's API, which writes down what it is doing."""
    from kaggle.api.kaggle_api_extended import KaggleApi, ResumableUploadResult

    class NotedApi(KaggleApi):
        """The client, with a note of each stage that it reaches."""

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
    """Fetches the archive into `folder`, or continues a partial one there."""
    api.competition_download_files(COMPETITION, folder, force=False, quiet=True)
    return {}


def _submit(api: Any, note: Note, file: str, message: str) -> dict[str, Any]:
    response = api.competition_submit(file, message, COMPETITION, quiet=True)
    return {"reference": response.ref or None, "message": without_secrets(response.message or "")}


def _wait_for_score(api: Any, note: Note, reference: str, seconds: str) -> dict[str, Any]:
    """Asks until the submission is scored or the time is over."""
    start, pause = time.monotonic(), FIRST_POLL_SECONDS
    while True:
        found = _list_submissions(api, note)["submissions"].get(reference)
        waited = time.monotonic() - start
        if waited + pause > float(seconds) or (found and found["status"] != "pending"):
            return {"submission": found}
        note(waited=waited)
        time.sleep(pause)
        pause = min(1.5 * pause, LONGEST_POLL_SECONDS)


def _list_submissions(api: Any, note: Note) -> dict[str, Any]:
    listed = api.competition_submissions(COMPETITION, page_size=LISTED) or []
    submissions = {
        str(each.ref): {
            "status": each.status.name.lower(),
            "public_score": each.public_score or "",
            "error_description": each.error_description or "",
            "file": each.file_name or "",
            "time": each.date.replace(tzinfo=UTC).isoformat() if each.date else NO_TIME,
        }
        for each in listed
        if each
    }
    return {"submissions": submissions}


def _inspect(api: Any, note: Note, folder: str) -> dict[str, Any]:
    """Checks for `doctor` whether the data can be read, and how many submissions are left."""
    found = {"username": api.config_values.get("username", "")}
    try:
        api.competition_download_file(COMPETITION, "sample_submission.csv", folder, quiet=True)
        found["access"] = {"problem": None}
    except Exception as error:
        found["access"] = describe(error, ASKING, sources())
    try:
        limits = api.competition_get_submission_limits(COMPETITION)
        # All are zero for a user without a team, as before a first submission.
        is_known = limits.num_allowed_now or limits.num_today or limits.num_total
        found["left_today"] = limits.num_allowed_now if is_known else None
    except Exception:  # not every version of the API has it
        found["left_today"] = None
    return found


def _push_notebook(api: Any, note: Note, folder: str, accelerator: str) -> dict[str, Any]:
    """Sends a notebook, in the name of the account, which its metadata does not know."""
    metadata = json.loads(Path(folder, NOTEBOOK_METADATA).read_text(encoding="utf-8"))
    metadata["id"] = f"{api.config_values['username']}/{metadata['id'].rpartition('/')[2]}"
    with TemporaryDirectory(prefix="notebook-") as copy:
        shutil.copy(Path(folder, NOTEBOOK), copy)
        Path(copy, NOTEBOOK_METADATA).write_text(json.dumps(metadata), encoding="utf-8")
        note(stage=PUSHING)
        answer = api.kernels_push(copy, acc=accelerator if metadata["enable_gpu"] else None)
    refused = answer.error
    if not refused and answer.invalid_competition_sources:
        unread = ", ".join(answer.invalid_competition_sources)
        refused = f"it cannot read {unread}; accept the rules at {PAGE}/rules"
    return {
        "refused": without_secrets(refused).rstrip("."),
        "notebook": metadata["id"],
        "version": answer.version_number,
    }


def _find_notebook(api: Any, note: Note, slug: str) -> dict[str, Any]:
    """Returns when the account's notebook of this name ran last; empty if it is not there."""
    name = f"{api.config_values['username']}/{slug}"
    listed = api.kernels_list(mine=True, search=slug, sort_by="dateRun") or []
    times = [each.last_run_time for each in listed if each and each.ref.strip("/").endswith(name)]
    ran: datetime | None = times[0] if times else None
    return {"notebook": name, "ran": ran.replace(tzinfo=UTC).isoformat() if ran else ""}


def _wait_for_notebook(api: Any, note: Note, notebook: str, seconds: str) -> dict[str, Any]:
    """Asks until a notebook has finished or the time is over; fetches the log of a failed one."""
    start, pause = time.monotonic(), FIRST_LOOK_SECONDS
    while True:
        answer = api.kernels_status(notebook)
        state, waited = answer.status.name.lower(), time.monotonic() - start
        note(state=state, waited=waited)
        if waited + pause > float(seconds) or state not in UNFINISHED:
            break
        time.sleep(pause)
        pause = min(1.5 * pause, LONGEST_LOOK_SECONDS)
    log = _log_lines(api.kernels_logs(notebook)) if state == "error" else []
    return {"state": state, "failure": without_secrets(answer.failure_message), "log": log}


def _log_lines(log: str) -> list[str]:
    """Returns the last lines of a log: JSON of pieces of output, or plain text."""
    with suppress(ValueError, TypeError, KeyError):
        log = "".join(piece["data"] for piece in json.loads(log))
    return [without_secrets(line) for line in log.splitlines() if line.strip()][-LOG_LINES:]


def _fetch_notebook(api: Any, note: Note, notebook: str, folder: str) -> dict[str, Any]:
    """Fetches what a finished notebook collected."""
    pattern = f"^{NOTEBOOK_RESULTS.replace('.', '[.]')}$"
    api.kernels_output(notebook, folder, file_pattern=pattern, force=True)
    return {}


ACTIONS: dict[str, Callable[..., dict[str, Any]]] = {
    "download": _download,
    "submit": _submit,
    "wait for score": _wait_for_score,
    "list submissions": _list_submissions,
    "inspect": _inspect,
    "push notebook": _push_notebook,
    "find notebook": _find_notebook,
    "wait for notebook": _wait_for_notebook,
    "fetch notebook": _fetch_notebook,
}


if __name__ == "__main__":
    main(*sys.argv[1:])
