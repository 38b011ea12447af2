"""`submissions/history.csv`: what was sent to Kaggle, and what came of it."""

import csv
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import astuple, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path

from competition import paths
from competition.errors import UserError
from competition.metrics import SELECTED, marked
from competition.storage import atomic_file, only_one
from competition.submission import file_hash, read_provenance
from competition.tables import write_table

PENDING = "pending"


@dataclass(frozen=True)
class Entry:
    """One submission; every value is text, empty where it is not known.

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


def new_entry(file: Path) -> Entry:
    """Returns the entry of a file that is about to be sent, with what its provenance says."""
    provenance = read_provenance(file)
    accuracy = _text_at(provenance, "out_of_fold", "accuracy")
    is_selected = bool(_text_at(provenance, "out_of_fold", SELECTED))
    return Entry(
        time=datetime.now(UTC).isoformat(timespec="seconds"),
        file=str(file),
        sha256=file_hash(file),
        config=_text_at(provenance, "config", "name"),
        out_of_fold=marked(accuracy, is_selected),
        out_of_fold_rows=_text_at(provenance, "out_of_fold", "rows"),
    )


def read_history() -> list[Entry]:
    """Returns all entries, the oldest first; none if nothing was submitted yet.

    Raises:
        UserError: when the file is damaged.
    """
    path = paths.submission_history_csv()
    try:
        with path.open(newline="", encoding="utf-8") as file:
            header, *rows = csv.reader(file)
    except FileNotFoundError:
        return []
    except (ValueError, csv.Error):
        header, rows = [], []
    if header != COLUMNS or any(len(row) != len(header) for row in rows):
        raise UserError(
            f"{path} is damaged: expected the columns {', '.join(COLUMNS)}; mend it, or move "
            "it away to begin a new one"
        )
    return [Entry(*row) for row in rows]


def alone() -> AbstractContextManager[None]:
    """Keeps other processes from submitting and from changing the history meanwhile."""
    return only_one(paths.SUBMISSIONS, "submitting, or asking for scores")


def append_entry(entry: Entry) -> None:
    """Adds an entry; to be called while `alone`."""
    _write([*read_history(), entry])


def update_entries(changes: dict[str, dict[str, str]]) -> None:
    """Changes values of the entries with these references; to be called while `alone`."""
    _write(replace(entry, **changes.get(entry.reference, {})) for entry in read_history())


def _write(entries: Iterable[Entry]) -> None:
    with atomic_file(paths.submission_history_csv()) as partial:
        write_table(partial, COLUMNS, map(astuple, entries))


def _text_at(values: dict, *keys: str) -> str:
    """Returns a nested value as text, or nothing where there is none."""
    for key in keys:
        values = values.get(key, {}) if isinstance(values, dict) else {}
    return "" if isinstance(values, dict) else str(values)
