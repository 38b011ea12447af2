"""Sends a checked submission, and fetches its score; `submissions/history.csv` records both."""

import codecs
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from math import sqrt
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from competition import paths
from competition.console import ProgressDisplay
from competition.errors import UserError
from competition.kaggle import PAGE
from competition.kaggle.client import call, timeout
from competition.kaggle.download import checked_sample
from competition.kaggle.errors import KaggleError
from competition.kaggle.protocol import CONFIRMING, UPLOADING
from competition.metrics import SELECTED, marked
from competition.paths import COMPETITION
from competition.storage import atomic_file, file_hash, only_one, write_text
from competition.submission import check_submission, read_provenance
from competition.tables import filled_rows, read_csv

if TYPE_CHECKING:
    import pandas as pd

SCORE_SECONDS = 300.0  # to wait for a score
PENDING = "pending"
BUSY = "submitting, or asking for scores"  # only one process at a time changes the history

# How many of the 28,000 test rows the public score counts: all of them, it seems. Kaggle's API does
# not tell, but public scores such as 0.99689 are multiples of 1/28,000, not of the 1/7,000 that a
# quarter of the rows would give.
PUBLIC_ROWS = 28_000

WORKAROUND = f"Workaround: upload the file in the browser at {PAGE}/submit."
MAYBE_TAKEN = (
    f"Kaggle may have accepted it nevertheless: see {PAGE}/submissions; the next `make submit` or "
    "`make scores` asks."
)
CLOCKS_DIFFER = timedelta(hours=1)  # at most, this machine's and Kaggle's
DIFFERENCE_NOTE = (
    "Difference: public minus out of fold, in standard errors; from -2 to +2 is chance, and a "
    "little above 0 is expected, as the nets of all folds together predict the test rows."
)


@dataclass(frozen=True)
class Entry:
    """One submission of the history; every value is text, empty where unknown.

    Attributes:
        time: UTC, ISO 8601.
        file: its path as given.
        out_of_fold: its out-of-fold accuracy, from 0 to 1, with a mark if that was selected.
        reference: Kaggle's number of the submission.
        public_score: the accuracy on the public leaderboard, from 0 to 1.
        status: `pending`, `complete` or `error`.
        error_description: Kaggle's reason for an error.
        out_of_fold_rows: the number of rows of the out-of-fold accuracy.
    """

    time: str
    file: str
    sha256: str
    config: str = ""
    out_of_fold: str = ""
    reference: str = ""
    public_score: str = ""
    status: str = PENDING
    error_description: str = ""
    out_of_fold_rows: str = ""


SCORE = ("status", "public_score", "error_description")
COLUMNS = [field.name for field in fields(Entry)]
NEVER_EMPTY = ["time", "file", "sha256", "reference", "status"]


def send(file: Path, message: str, force: bool = False) -> Entry:
    """Submits a CSV to the competition, and records it in the history.

    Args:
        message: the description shown on Kaggle.
        force: send it even if the same bytes were sent before.

    Raises:
        UserError: when the file is not what the competition asks for, was submitted before, or
            Kaggle did not accept it.
    """
    provenance, beside = read_provenance(file), paths.provenance_json(file)
    if not provenance and beside.exists():
        print(f"{beside} belongs to another content of {file}, so it is not used", file=sys.stderr)
    made_from = provenance.get("data_set", COMPETITION)
    if made_from != COMPETITION:
        raise UserError(
            f"{file} was made from the data set '{made_from}', but Kaggle asks for the test rows "
            f"of '{COMPETITION}'; submit a file made from that data set"
        )
    check_submission(file, checked_sample())
    with only_one(paths.SUBMISSIONS, BUSY), _copied(file) as copy:
        _finish_cut_off()
        history, entry = read_history(), _new_entry(file, copy)
        same = history[history["sha256"] == entry.sha256]
        if len(same) and not force:
            before = Entry(*same.iloc[-1])
            score = f", public score {before.public_score}" if before.public_score else ""
            raise UserError(
                f"{file} was submitted already, with the same content: {before.file} at "
                f"{before.time} (reference {before.reference}{score}); FORCE=1 sends it again"
            )
        write_text(paths.SENDING, json.dumps(asdict(entry)))  # should this process end meanwhile
        try:
            entry = replace(entry, reference=_reference(file, copy, message))
        except (UserError, KeyboardInterrupt) as error:
            if MAYBE_TAKEN not in str(error):
                paths.SENDING.unlink()
            raise
        try:
            add_to_history(entry)
        except OSError as error:  # the user must know that it was sent
            raise UserError(
                f"Kaggle has {file} as submission {entry.reference}, but the history could not be "
                f"written ({error.strerror}). Free space, and `make scores` writes it. Do not send "
                f"it again; its score will be at {PAGE}/submissions."
            ) from None
        paths.SENDING.unlink()
    return entry


def _finish_cut_off() -> None:
    """Asks Kaggle for the submission whose sending had no end, if there is one, and records it.

    Kaggle's list does not tell a file's content. Its name and a time that fits must do: if another
    one was meant, FORCE=1 sends it.
    """
    try:
        entry = TypeAdapter(Entry).validate_json(paths.SENDING.read_bytes())
        earliest = datetime.fromisoformat(entry.time) - CLOCKS_DIFFER
    except FileNotFoundError:
        return
    except (ValueError, TypeError):
        raise UserError(
            f"{paths.SENDING} is damaged: a submission's sending was cut off; look at "
            f"{PAGE}/submissions whether Kaggle has it, and remove the file"
        ) from None
    history = read_history()
    if (history["time"] == entry.time).any():  # all but this record was finished
        paths.SENDING.unlink()
        return
    taken = [
        reference
        for reference, found in call("list submissions")["submissions"].items()
        if reference not in set(history["reference"])
        and found["file"] == Path(entry.file).name
        and datetime.fromisoformat(found["time"]) >= earliest
    ]
    if taken:
        add_to_history(replace(entry, reference=taken[-1]))  # the list begins with the latest
        outcome = f"Kaggle has it as submission {taken[-1]}"
    else:
        outcome = "Kaggle does not have it"
    print(f"the sending of {entry.file} at {entry.time} was cut off; {outcome}", file=sys.stderr)
    paths.SENDING.unlink()


def wait_for_score(entry: Entry) -> Entry:
    """Asks for a submission's score until it is there, the time is over, or Ctrl-C; returns the
    updated entry, which may still be pending.

    Raises:
        UserError: when Kaggle could not score it.
    """
    seconds = timeout(SCORE_SECONDS)
    try:
        with ProgressDisplay("waiting for the score, Ctrl-C stops", seconds) as display:
            outcome = call(
                "wait for score",
                *(entry.reference, str(seconds)),
                watch=lambda notes: display.update(notes.get("waited", 0.0)),
            )
    except KeyboardInterrupt:
        print("\nno longer waiting; the submission stays", file=sys.stderr)
        return entry
    except KaggleError as error:
        print(f"the score could not be asked for. {error}", file=sys.stderr)
        return entry
    found = outcome["submission"] or {}  # nothing if Kaggle does not list it
    try:
        _update_history({entry.reference: found})
    except UserError as error:
        print(f"the score is not in the history yet: {error}", file=sys.stderr)
    if found.get("status") == "error":
        raise UserError(
            f"Kaggle could not score submission {entry.reference}: "
            f"{found['error_description'] or 'it gives no reason'}; see {PAGE}/submissions"
        )
    return replace(entry, **_score(found))


def refresh_scores() -> None:
    """Fetches the scores of pending submissions into the history.

    Raises:
        UserError: when Kaggle does not answer, or the history is damaged or locked.
    """
    if paths.SENDING.exists():
        with only_one(paths.SUBMISSIONS, BUSY):
            _finish_cut_off()
    history = read_history()
    pending = set(history["reference"][history["status"] == PENDING])
    if pending:
        listed = call("list submissions")["submissions"]
        _update_history({name: found for name, found in listed.items() if name in pending})


def scoreboard(history: "pd.DataFrame") -> "pd.DataFrame":
    """Returns the history as a table to read, with out-of-fold beside public scores."""
    import pandas as pd

    status = (history["status"] + " " + history["error_description"]).str.split().str.join(" ")
    return pd.DataFrame(
        {
            "submitted": history["time"].str.replace("T", " ").str.removesuffix("+00:00"),
            "file": history["file"],
            "config": history["config"],
            "out of fold": history["out_of_fold"],
            "public": history["public_score"],
            "difference in standard errors": [difference(Entry(*row)) for row in history.values],
            "status": status,
        }
    )


def difference(entry: Entry) -> str:
    """Returns public minus out-of-fold accuracy, in standard errors.

    If p is the true accuracy, shares of n held-out and m public rows differ with a standard error
    of √(p(1 − p)(1/n + 1/m)). Empty where a figure is unknown, or selected and so optimistic.
    """
    try:
        accuracy, public = float(entry.out_of_fold), float(entry.public_score)
        rows = int(entry.out_of_fold_rows)
        error = sqrt(accuracy * (1 - accuracy) * (1 / rows + 1 / PUBLIC_ROWS))
        return f"{(public - accuracy) / error:+.1f}"
    except (ValueError, ZeroDivisionError):
        return ""


def read_history() -> "pd.DataFrame":
    """Returns one row of text per submission, the oldest first, with the columns of `Entry`.

    Raises:
        UserError: when the file is damaged.
    """
    import pandas as pd

    path = paths.SUBMISSION_HISTORY
    if not path.exists():
        return pd.DataFrame(columns=COLUMNS, dtype=str)
    try:
        history = filled_rows(read_csv(path, COLUMNS, "")).reset_index(drop=True)
        if (history[NEVER_EMPTY] == "").to_numpy().any():
            raise UserError(f"a line has no {', no '.join(NEVER_EMPTY)}")
    except UserError as error:
        raise UserError(
            f"{path} is damaged: expected the columns {', '.join(COLUMNS)}; fix it, or move it "
            f"away to start a new one ({error})"
        ) from None
    return history


def add_to_history(entry: Entry) -> None:
    history = read_history()
    history.loc[len(history)] = asdict(entry)
    _write_history(history)


def _score(found: dict[str, str]) -> dict[str, str]:
    """Returns what Kaggle's list tells of a submission's score, by the columns of the history."""
    return {name: found[name] for name in SCORE if name in found}


def _update_history(changes: dict[str, dict[str, str]]) -> None:
    """Changes the scores of entries, by reference."""
    with only_one(paths.SUBMISSIONS, BUSY):
        history = read_history()
        for reference, found in changes.items():
            for name, value in _score(found).items():
                history.loc[history["reference"] == reference, name] = value
        _write_history(history)


def _write_history(history: "pd.DataFrame") -> None:
    with atomic_file(paths.SUBMISSION_HISTORY) as partial:
        history.to_csv(partial, index=False, lineterminator="\n", encoding="utf-8")


@contextmanager
def _copied(file: Path) -> Iterator[Path]:
    """Yields a copy with the same name: `make ensemble` may replace the file while it is sent.

    It has no byte order mark, which a spreadsheet may have written.
    """
    with TemporaryDirectory(prefix="submission-") as folder:
        copy = Path(folder, file.name)
        copy.write_bytes(file.read_bytes().removeprefix(codecs.BOM_UTF8))
        yield copy


def _new_entry(file: Path, copy: Path) -> Entry:
    provenance = read_provenance(file)
    out_of_fold = provenance.get("out_of_fold", {})
    return Entry(
        time=datetime.now(UTC).isoformat(timespec="seconds"),
        file=str(file),
        sha256=file_hash(copy),
        config=str(provenance.get("config", {}).get("name", "")),
        out_of_fold=marked(str(out_of_fold.get("accuracy", "")), SELECTED in out_of_fold),
        out_of_fold_rows=str(out_of_fold.get("rows", "")),
    )


def _reference(file: Path, copy: Path, message: str) -> str:
    """Sends the copy of a file, and returns Kaggle's reference."""
    print(f"sending {file} to Kaggle", file=sys.stderr)
    seen: dict[str, Any] = {}
    try:
        outcome = call("submit", str(copy), message, watch=seen.update)
    except KeyboardInterrupt:
        if seen.get("stage") == CONFIRMING:
            raise KeyboardInterrupt(f"interrupted. {MAYBE_TAKEN}") from None
        raise
    except KaggleError as error:
        is_refused = 400 <= (error.outcome.get("status") or 500) < 500
        is_unclear = error.outcome.get("stage") == CONFIRMING and not is_refused
        advice = MAYBE_TAKEN if is_unclear else f"Nothing was submitted. {WORKAROUND}"
        raise UserError(f"{error}\n{advice}") from None
    # The client raises nothing when an upload is refused; only a reference confirms it.
    if outcome["reference"]:
        return str(outcome["reference"])
    if outcome["stage"] == UPLOADING:
        raise UserError(
            f"The upload of {file} to Kaggle's storage failed, so nothing was submitted; try "
            f"again.\n{WORKAROUND}"
        )
    reason = outcome["message"].rstrip(".") or "it gives no reason"
    raise UserError(f"Kaggle did not accept {file}: {reason}. Nothing was submitted. {WORKAROUND}")
