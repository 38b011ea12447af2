"""The submission goes out: checked against the real competition first, confirmed by a reference."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from competition.console import ProgressDisplay
from competition.errors import UserError
from competition.kaggle import PAGE
from competition.kaggle.answers import KaggleError
from competition.kaggle.archive import good_sample
from competition.kaggle.client import call
from competition.kaggle.history import (
    Entry,
    alone,
    append_entry,
    new_entry,
    read_history,
    update_entries,
)
from competition.kaggle.limits import SCORE, limit
from competition.kaggle.notes import CONFIRMING, UPLOADING
from competition.paths import COMPETITION
from competition.submission import check_submission, file_hash, read_provenance

WAY_ROUND = f"The way round: upload the file in the browser at {PAGE}/submit."
MAYBE_TAKEN = (
    f"It may have been taken nevertheless: look at {PAGE}/submissions before you send it again."
)


def send(file: Path, message: str, force: bool = False) -> Entry:
    """Submits a CSV to the competition, and keeps that in the history.

    Args:
        file: the submission.
        message: the note beside it on Kaggle.
        force: send it even if the same bytes were sent before.

    Raises:
        UserError: when the file is not what the competition asks for, was submitted before, or
            Kaggle did not take it.
    """
    _check(file)
    with alone(), _copied(file) as copy:
        entry = replace(new_entry(file), sha256=file_hash(copy))
        same = [before for before in read_history() if before.sha256 == entry.sha256]
        if same and not force:
            raise UserError(_sent_before(entry, same[-1]))
        entry = replace(entry, reference=_reference(file, copy, message))
        _keep(entry)
    return entry


def wait_for_score(entry: Entry) -> Entry:
    """Asks for a submission's score until it is there, the time is over, or Ctrl-C.

    Returns:
        The entry as the history has it now, perhaps still pending.

    Raises:
        UserError: when Kaggle could not score it.
    """
    try:
        found = _ask_for_score(entry.reference)
    except KeyboardInterrupt:
        print("\nno longer waiting; the submission stays", file=sys.stderr)
        return entry
    except KaggleError as trouble:
        print(f"the score could not be asked for. {trouble}", file=sys.stderr)
        return entry
    try:
        with alone():
            update_entries({entry.reference: found})
    except UserError as trouble:
        print(f"the score is not in the history yet: {trouble}", file=sys.stderr)
    if found.get("status") == "error":
        raise UserError(
            f"Kaggle could not score submission {entry.reference}: "
            f"{found['error_description'] or 'it gives no reason'}; see {PAGE}/submissions"
        )
    return replace(entry, **found)


def command_line(file: Path, message: str) -> str:
    """Returns the plain Kaggle command that submits a file."""
    return f'kaggle competitions submit -c {COMPETITION} -f {file} -m "{message}"'


def _check(file: Path) -> None:
    made_from = read_provenance(file).get("data_set", COMPETITION)
    if made_from != COMPETITION:
        raise UserError(
            f"{file} was made from the data set '{made_from}', but Kaggle asks for the test rows "
            f"of '{COMPETITION}'; submit one that was made from those"
        )
    check_submission(file, good_sample())


@contextmanager
def _copied(file: Path) -> Iterator[Path]:
    """Yields a copy under the same name: an ensemble may replace the file while it is sent."""
    with TemporaryDirectory(prefix="submission-") as folder:
        yield Path(shutil.copy(file, folder))


def _sent_before(entry: Entry, before: Entry) -> str:
    score = f", public score {before.public_score}" if before.public_score else ""
    return (
        f"{entry.file} was submitted already, with the same content: {before.file} at "
        f"{before.time} (reference {before.reference}{score}); FORCE=1 sends it again"
    )


def _keep(entry: Entry) -> None:
    """Writes an entry into the history; if the disk refuses, the user has to know what was sent."""
    try:
        append_entry(entry)
    except OSError as error:
        raise UserError(
            f"Kaggle has {entry.file} as submission {entry.reference}, but the history could not "
            f"be written ({error.strerror}), so `make scores` will not know of it. Do not send it "
            f"again; its score comes up at {PAGE}/submissions."
        ) from None


def _reference(file: Path, copy: Path, message: str) -> str:
    """Sends a file, by its copy, and returns Kaggle's reference of it."""
    print(f"sending {file} to Kaggle", file=sys.stderr)
    seen: dict[str, Any] = {}
    try:
        outcome = call("submit", str(copy), message, watch=seen.update)
    except KeyboardInterrupt:
        if seen.get("stage") == CONFIRMING:
            raise KeyboardInterrupt(f"interrupted. {MAYBE_TAKEN}") from None
        raise
    except KaggleError as trouble:
        raise UserError(f"{trouble}\n{_what_next(trouble.outcome)}") from None
    # A refused upload raises nothing in the client; only a reference says that it was taken.
    if not outcome["reference"]:
        raise UserError(_not_taken(file, outcome))
    return str(outcome["reference"])


def _what_next(outcome: dict[str, Any]) -> str:
    refused = 400 <= (outcome.get("status") or 500) < 500
    is_unclear = outcome.get("stage") == CONFIRMING and not refused
    return MAYBE_TAKEN if is_unclear else f"Nothing was submitted. {WAY_ROUND}"


def _not_taken(file: Path, outcome: dict[str, Any]) -> str:
    if outcome["stage"] == UPLOADING:
        return (
            f"The upload of {file} to Kaggle's storage failed, so nothing was submitted; try "
            f"again.\n{WAY_ROUND}"
        )
    words = outcome["message"].rstrip(".") or "it gives no reason"
    return f"Kaggle did not take {file}: {words}. Nothing was submitted. {WAY_ROUND}"


def _ask_for_score(reference: str) -> dict[str, str]:
    """Returns what changed in a submission's entry, nothing if Kaggle does not list it."""
    seconds = limit(SCORE)
    with ProgressDisplay("waiting for the score, Ctrl-C stops", seconds) as display:

        def watch(notes: dict[str, Any]) -> None:
            display.update(notes.get("waited", 0.0))

        outcome = call("wait for score", reference, str(seconds), watch=watch)
    return outcome["submission"] or {}
