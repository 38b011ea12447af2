"""The submissions of the history with their scores, out-of-fold beside public."""

from math import sqrt

from competition.kaggle.client import call
from competition.kaggle.history import PENDING, Entry, alone, read_history, update_entries

# How many of the 28,000 test rows the public score counts. Kaggle's page speaks of about 25 %;
# that could not be checked from here. If it counts all of them, differences weigh twice as much.
PUBLIC_ROWS = 7_000

HEADER = ["submitted", "file", "config", "out of fold", "public", "difference in s.e.", "status"]


def refresh_scores() -> None:
    """Asks Kaggle for the submissions that had no score when they were looked at last.

    Raises:
        UserError: when the history is damaged or held by another process.
        KaggleError: when Kaggle could not be asked.
    """
    waiting = {entry.reference for entry in read_history() if entry.status == PENDING}
    if not waiting:
        return
    listed = call("list submissions")["submissions"]
    with alone():
        update_entries({name: found for name, found in listed.items() if name in waiting})


def score_rows(entries: list[Entry]) -> list[list[str]]:
    """Returns the cells of each entry under `HEADER`."""
    return [
        [
            entry.time.replace("T", " ").removesuffix("+00:00"),
            entry.file,
            entry.config,
            entry.out_of_fold,
            entry.public_score,
            difference(entry),
            " ".join(f"{entry.status} {entry.error_description}".split()),
        ]
        for entry in entries
    ]


def difference(entry: Entry) -> str:
    """Returns an entry's difference in standard errors as text, empty without both scores."""
    try:
        apart = standard_errors_apart(float(entry.out_of_fold), float(entry.public_score))
    except (ValueError, ZeroDivisionError):
        return ""
    return f"{apart:+.1f}"


def standard_errors_apart(out_of_fold: float, public: float) -> float:
    """Returns how far the public accuracy is from the out-of-fold one, in standard errors.

    One standard error is that of a proportion, √(p(1 − p)/n), with p the out-of-fold accuracy
    and n = `PUBLIC_ROWS`, see there for what is assumed: the public rows are a random sample of
    the same digits, and the out-of-fold accuracy, of six times as many rows, has no error itself.
    From about ±2 on, the two disagree by more than luck.

    Args:
        out_of_fold: accuracy, above 0 and below 1.
        public: accuracy, from 0 to 1.
    """
    return (public - out_of_fold) / sqrt(out_of_fold * (1 - out_of_fold) / PUBLIC_ROWS)
