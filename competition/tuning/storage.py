"""Where a study is kept: a journal of JSON lines on this machine, or a database for several."""

import json
import re
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from urllib.parse import quote, unquote, unquote_plus

import optuna
from optuna.storages import (
    BaseStorage,
    JournalStorage,
    RDBStorage,
    RetryHeartbeatStaleTrialCallback,
)
from optuna.storages.journal import JournalFileBackend
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from competition.errors import UserError

# A trial that ended its process so often, perhaps for want of memory, is not tried again.
MOST_RETRIES = 2


@cache
def retry(most: int | None = MOST_RETRIES) -> RetryHeartbeatStaleTrialCallback:
    """Returns what queues the values of a trial again, so often at most; the same for all."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return RetryHeartbeatStaleTrialCallback(max_retry=most)


def take_up(study: Study) -> tuple[int, int]:
    """Records every trial that is said to run as failed, and queues its values again.

    To be called only while no process works on the study.

    Returns:
        How many were queued, and how many are given up.
    """
    running = study.get_trials(states=(TrialState.RUNNING,))
    for trial in running:
        study.tell(trial.number, state=TrialState.FAIL)
        retry()(study, trial)
    queued = sum(trial.number in successors(study) for trial in running)
    return queued, len(running) - queued


def queue_again(study: Study, numbers: Collection[int]) -> None:
    """Queues the values of those of some trials again that failed as somebody pressed Ctrl-C."""
    for trial in study.get_trials(states=(TrialState.FAIL,)):
        if trial.number in numbers:
            retry(None)(study, trial)


def successors(study: Study) -> dict[int, int]:
    """Returns, of each trial that was taken up again, the number of the latest that did."""
    return {
        earlier: trial.number
        for trial in study.get_trials(deepcopy=False)
        for earlier in trial.system_attrs.get("retry_history", [])
    }


def ended(study: Study) -> list[FrozenTrial]:
    """Returns the trials that ended by themselves: completed, pruned or failed."""
    again = successors(study)
    trials = study.get_trials(deepcopy=False)
    return [t for t in trials if t.state.is_finished() and t.number not in again]


# A process that gave no sign of life for so long has ended, as far as a database can know.
HEARTBEAT_SECONDS, SILENT_SECONDS = 30, 120


def is_sqlite(url: str | None) -> bool:
    """Says whether the storage is a file that only one process at a time should write."""
    return url is not None and url.startswith("sqlite")


def lock_of_sqlite(url: str) -> Path:
    """Returns a file beside that of a SQLite database, for whoever uses it to hold."""
    from sqlalchemy import make_url

    return Path(f"{make_url(url).database}.lock")


def is_here(url: str | None) -> bool:
    """Says whether the storage is a file of this machine, and not the database of several."""
    return url is None or is_sqlite(url)


def quiet_optuna() -> None:
    """Turns Optuna's own messages off: what happens is told by this package."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", module=r"optuna\b")
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)


def open_storage(url: str | None, journal: Path) -> BaseStorage:
    """Opens a database, or without a URL the journal, which is made if it is not there.

    Raises:
        UserError: when the database cannot be used; a password is not shown.
    """
    if url is None:
        journal.parent.mkdir(parents=True, exist_ok=True)
        # Optuna's lock is a link to this very path; a relative one would lead nowhere, and a
        # lock that a killed process left would be waited for for ever.
        return JournalStorage(JournalFileBackend(str(journal.absolute())))
    _require_url(url)
    with database_trouble(url):
        return RDBStorage(
            url,
            heartbeat_interval=HEARTBEAT_SECONDS,
            grace_period=SILENT_SECONDS,
            heartbeat_stale_trial_callback=retry(),
        )


def _require_url(url: str) -> None:
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        make_url(url)
    except (ArgumentError, ValueError):  # whose messages may quote half a password
        raise UserError(
            f"the storage {shown(url)} is not the URL of a database, such as "
            "postgresql://user:password@host/name; in a password, write @ as %40, : as %3A and "
            "/ as %2F"
        ) from None


@contextmanager
def database_trouble(url: str | None) -> Iterator[None]:
    """Tells in a sentence what is wrong with a database, without its password.

    Raises:
        UserError: in place of any trouble with the database at `url`, if there is one.
    """
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError, ImportError) as error:
        if url is None:
            raise
        cause = error.__cause__ or error  # Optuna wraps what the driver said
        first_lines = " ".join(str(cause).split("\n")[:2])
        raise UserError(
            f"the storage {shown(url)} cannot be used: "
            f"{without_password(first_lines, url)}; expected the URL of a database that can "
            "be reached, and its driver must be installed (psycopg[binary] for PostgreSQL)"
        ) from None


# Greedy, as a password may hold whatever else divides a URL.
USER_AND_PASSWORD = re.compile(r"://([^:]*):(.*)@")
PASSWORD_IN_QUERY = re.compile(r"[?&]\w*password=([^&]*)")


def shown(url: str) -> str:
    """Returns a URL as it may be shown: without its user, its password and its query."""
    return re.sub("://.*@", "://***@", url).partition("?")[0]


def without_password(text: str, url: str) -> str:
    """Returns a text in which the passwords of a URL are hidden, however they are written."""
    secrets = PASSWORD_IN_QUERY.findall(url)
    for part in (url, url.partition("?")[0]):  # a password may hold ?, and a query @
        secrets += [password for _, password in USER_AND_PASSWORD.findall(part)]
    for secret in filter(None, secrets):
        for written in {secret, quote(secret, safe=""), unquote(secret), unquote_plus(secret)}:
            text = text.replace(written, "***")
    return re.sub(r"[^\s'\"]+@", "***@", text)  # where a driver takes the end of one for a host


def mend_journal(journal: Path) -> None:
    """Cuts off a last line that a killed process left unfinished; nobody may be writing.

    Raises:
        UserError: when another line is damaged.
    """
    if not journal.exists():
        return
    journal.with_name(f"{journal.name}.lock").unlink(missing_ok=True)  # of a killed process
    lines = journal.read_bytes().splitlines(keepends=True)
    if lines and not lines[-1].endswith(b"\n"):
        unfinished = lines.pop()
        with journal.open("r+b") as file:
            file.truncate(journal.stat().st_size - len(unfinished))
    for number, line in enumerate(lines, start=1):
        _require_json(journal, number, line)


def _require_json(journal: Path, number: int, line: bytes) -> None:
    try:
        json.loads(line)
    except ValueError as error:
        raise UserError(
            f"{journal} is damaged in line {number} ({error}); bring back a copy of it, or remove "
            "it to begin the study anew"
        ) from None
