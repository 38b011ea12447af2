"""The submission goes out, checked first and confirmed by a reference; its score comes back.

`submissions/history.csv` keeps what was sent, and `make scores` shows it.
"""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from math import sqrt
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

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
from competition.storage import atomic_file, only_one
from competition.submission import check_submission, file_hash, read_provenance

if TYPE_CHECKING:
    import pandas as pd

SCORE_SECONDS = 300.0  # for the score of a submission that was taken
PENDING = "pending"
BUSY = "submitting, or asking for scores"  # only one process at a time changes the history

# How many of the 28,000 test rows the public score counts: all of them, it seems. Kaggle does not
# tell through its API, but public scores such as 0.99689 are multiples of 1/28,000 and not of the
# 1/7,000 that a quarter of the rows would give.
PUBLIC_ROWS = 28_000

WORKAROUND = f"Workaround: upload the file in the browser at {PAGE}/submit."
MAYBE_TAKEN = (
    f"It may have been taken nevertheless: look at {PAGE}/submissions before you send it again."
)
DIFFERENCE_NOTE = (
    "Difference: public less out of fold, in standard errors of both; from -2 to +2 is chance, and "
    "a little above 0 no surprise, as all folds' nets together predict the test rows."
)


@dataclass(frozen=True)
class Entry:
    """One submission of the history; every value is text, empty where it is not known.

    Attributes:
        time: when it was sent, UTC, ISO 8601.
        file: its path as it was given.
        sha256: of the file, 64 hexadecimal digits.
        config: the name of the configuration that made it.
        out_of_fold: its out-of-fold accuracy, from 0 to 1, and a mark if that was selected.
        reference: Kaggle's number of it.
        public_score: the accuracy on the public leaderboard, from 0 to 1.
        status: `pending`, `complete` or `error`.
        error_description: why Kaggle could not score it.
        out_of_fold_rows: how many rows its out-of-fold accuracy is a share of.
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


COLUMNS = [field.name for field in fields(Entry)]
NEVER_EMPTY = ["time", "file", "sha256", "reference", "status"]


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
    made_from = read_provenance(file).get("data_set", COMPETITION)
    if made_from != COMPETITION:
        raise UserError(
            f"{file} was made from the data set '{made_from}', but Kaggle asks for the test rows "
            f"of '{COMPETITION}'; submit one that was made from those"
        )
    check_submission(file, checked_sample())
    with only_one(paths.SUBMISSIONS, BUSY), _copied(file) as copy:
        history, entry = read_history(), _new_entry(file, copy)
        same = history[history["sha256"] == entry.sha256]
        if len(same) and not force:
            raise UserError(_sent_before(entry, Entry(*same.iloc[-1])))
        entry = replace(entry, reference=_reference(file, copy, message))
        try:
            add_to_history(entry)
        except OSError as error:  # the user has to know what was sent
            raise UserError(
                f"Kaggle has {file} as submission {entry.reference}, but the history could not be "
                f"written ({error.strerror}), so `make scores` will not know of it. Do not send it "
                f"again; its score will be at {PAGE}/submissions."
            ) from None
    return entry


def wait_for_score(entry: Entry) -> Entry:
    """Asks for a submission's score until it is there, the time is over, or Ctrl-C.

    Returns:
        The entry as the history has it now, perhaps still pending.

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
    except KaggleError as trouble:
        print(f"the score could not be asked for. {trouble}", file=sys.stderr)
        return entry
    found = outcome["submission"] or {}  # nothing if Kaggle does not list it
    try:
        _update_history({entry.reference: found})
    except UserError as trouble:
        print(f"the score is not in the history yet: {trouble}", file=sys.stderr)
    if found.get("status") == "error":
        raise UserError(
            f"Kaggle could not score submission {entry.reference}: "
            f"{found['error_description'] or 'it gives no reason'}; see {PAGE}/submissions"
        )
    return replace(entry, **found)


def refresh_scores() -> None:
    """Fetches the scores of pending submissions into the history.

    Raises:
        UserError: when Kaggle could not be asked, or the history is damaged or locked.
    """
    history = read_history()
    pending = set(history["reference"][history["status"] == PENDING])
    if pending:
        listed = call("list submissions")["submissions"]
        _update_history({name: found for name, found in listed.items() if name in pending})


def scoreboard(history: "pd.DataFrame") -> "pd.DataFrame":
    """Returns the history as a table to read, out-of-fold beside public scores."""
    import pandas as pd

    sent_at = history["time"].str.replace("T", " ").str.removesuffix("+00:00")
    status = (history["status"] + " " + history["error_description"]).str.split().str.join(" ")
    return pd.DataFrame(
        {
            "submitted": sent_at,
            "file": history["file"],
            "config": history["config"],
            "out of fold": history["out_of_fold"],
            "public": history["public_score"],
            "difference in standard errors": [difference(Entry(*row)) for row in history.values],
            "status": status,
        }
    )


def difference(entry: Entry) -> str:
    """Returns how far an entry's public accuracy is from its out-of-fold one, in standard errors.

    Both count as shares of independent rows of the same kind, n held-out and m public ones, with
    the out-of-fold accuracy p as the true one; then their difference has the standard error
    √(p(1 − p)(1/n + 1/m)). From about ±2 on they disagree by more than luck. It is empty where a
    figure is not known, or was selected and so promises too much.
    """
    try:
        accuracy, public = float(entry.out_of_fold), float(entry.public_score)
        rows = int(entry.out_of_fold_rows)
        error = sqrt(accuracy * (1 - accuracy) * (1 / rows + 1 / PUBLIC_ROWS))
        return f"{(public - accuracy) / error:+.1f}"
    except (ValueError, ZeroDivisionError):
        return ""


def command_line(file: Path, message: str) -> str:
    """Returns the plain Kaggle command that submits a file."""
    return f'kaggle competitions submit -c {COMPETITION} -f {file} -m "{message}"'


def read_history() -> "pd.DataFrame":
    """Returns a row of text per submission, the oldest first, with the columns of `Entry`.

    Raises:
        UserError: when the file is damaged.
    """
    import pandas as pd

    path = paths.SUBMISSION_HISTORY
    try:
        history = pd.read_csv(path, dtype=str, keep_default_na=False)
    except FileNotFoundError:
        return pd.DataFrame(columns=COLUMNS, dtype=str)
    except ValueError:  # it is no text, or no CSV
        history = pd.DataFrame()
    # pandas fills up lines that are too short, and takes cells in excess for row names.
    is_table = list(history.columns) == COLUMNS and isinstance(history.index, pd.RangeIndex)
    if not is_table or (history[NEVER_EMPTY] == "").to_numpy().any():
        raise UserError(
            f"{path} is damaged: expected the columns {', '.join(COLUMNS)}; fix it, or move it "
            "away to begin a new one"
        )
    return history


def add_to_history(entry: Entry) -> None:
    history = read_history()
    history.loc[len(history)] = asdict(entry)
    _write_history(history)


def _update_history(changes: dict[str, dict[str, str]]) -> None:
    """Changes values of the entries with these references."""
    with only_one(paths.SUBMISSIONS, BUSY):
        history = read_history()
        for reference, values in changes.items():
            for name, value in values.items():
                history.loc[history["reference"] == reference, name] = value
        _write_history(history)


def _write_history(history: "pd.DataFrame") -> None:
    with atomic_file(paths.SUBMISSION_HISTORY) as partial:
        history.to_csv(partial, index=False, lineterminator="\n", encoding="utf-8")


@contextmanager
def _copied(file: Path) -> Iterator[Path]:
    """Yields a copy under the same name: an ensemble may replace the file while it is sent."""
    with TemporaryDirectory(prefix="submission-") as folder:
        yield Path(shutil.copy(file, folder))


def _new_entry(file: Path, copy: Path) -> Entry:
    """Returns the entry of a file that is about to be sent, with what its provenance says."""
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


def _sent_before(entry: Entry, before: Entry) -> str:
    score = f", public score {before.public_score}" if before.public_score else ""
    return (
        f"{entry.file} was submitted already, with the same content: {before.file} at "
        f"{before.time} (reference {before.reference}{score}); FORCE=1 sends it again"
    )


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
        refused = 400 <= (trouble.outcome.get("status") or 500) < 500
        is_unclear = trouble.outcome.get("stage") == CONFIRMING and not refused
        what_next = MAYBE_TAKEN if is_unclear else f"Nothing was submitted. {WORKAROUND}"
        raise UserError(f"{trouble}\n{what_next}") from None
    # A refused upload raises nothing in the client; only a reference says that it was taken.
    if outcome["reference"]:
        return str(outcome["reference"])
    if outcome["stage"] == UPLOADING:
        raise UserError(
            f"The upload of {file} to Kaggle's storage failed, so nothing was submitted; try "
            f"again.\n{WORKAROUND}"
        )
    words = outcome["message"].rstrip(".") or "it gives no reason"
    raise UserError(f"Kaggle did not take {file}: {words}. Nothing was submitted. {WORKAROUND}")
