"""The submissions of the history with their scores, out-of-fold beside public."""

from math import sqrt

from competition.kaggle.client import call
from competition.kaggle.history import PENDING, Entry, alone, read_history, update_entries
from competition.tables import table

# How many of the 28,000 test rows the public score counts: all of them, it seems. Kaggle does not
# tell through its API, but public scores such as 0.99689 are multiples of 1/28,000 and not of the
# 1/7,000 that a quarter of the rows would give.
PUBLIC_ROWS = 28_000

HEADER = [
    *("submitted", "file", "config", "out of fold"),
    *("public", "difference in standard errors", "status"),
]

DIFFERENCE_NOTE = (
    "Difference: public less out of fold, in standard errors of both; from -2 to +2 is chance, and "
    "a little above 0 no surprise, as all folds' nets together predict the test rows."
)


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


def scoreboard(entries: list[Entry]) -> str:
    """Returns all entries as a Markdown table, and how to read it."""
    if not entries:
        return "nothing was submitted from here yet"
    return f"{table(HEADER, score_rows(entries))}\n\n{DIFFERENCE_NOTE}"


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
    """Returns an entry's difference in standard errors as text.

    It is empty where it is not known, and for figures that were selected: they promise too much.
    """
    try:
        apart = standard_errors_apart(
            float(entry.out_of_fold), int(entry.out_of_fold_rows), float(entry.public_score)
        )
    except (ValueError, ZeroDivisionError):
        return ""
    return f"{apart:+.1f}"


def standard_errors_apart(out_of_fold: float, rows: int, public: float) -> float:
    """Returns how far the public accuracy is from the out-of-fold one, in standard errors.

    Both are taken for shares of independent rows of the same kind, n held-out and m public ones,
    with the out-of-fold accuracy for the true one; then their difference has the standard error
    √(p(1 − p)(1/n + 1/m)). From about ±2 on they disagree by more than luck. A little above
    zero is no surprise: the test rows are predicted by all folds' nets together.

    Args:
        out_of_fold: accuracy, above 0 and below 1.
        rows: how many were held out, at least 1.
        public: accuracy, from 0 to 1.
    """
    variance = out_of_fold * (1 - out_of_fold) * (1 / rows + 1 / PUBLIC_ROWS)
    return (public - out_of_fold) / sqrt(variance)
