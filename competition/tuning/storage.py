"""Where a study is kept: a journal of JSON lines on one machine, or a database for several."""

import json
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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

# A process that gave no sign of life for so long has ended, as far as a database can know.
HEARTBEAT_SECONDS, SILENT_SECONDS = 30, 120

# A trial that crashed its worker so often, perhaps for want of memory, is not tried again.
MOST_RETRIES = 2


def quiet_optuna() -> None:
    """Turns Optuna's own messages off: this package reports what happens."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", module=r"optuna\b")
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)


def open_storage(url: str | None, journal: Path) -> BaseStorage:
    """Opens a database, or without a URL the journal, which is made if it is not there.

    Raises:
        UserError: when the database cannot be used.
    """
    if url is None:
        journal.parent.mkdir(parents=True, exist_ok=True)
        # Optuna's lock is a link to this very path; a relative one would lead nowhere, and a
        # lock that a killed process left would be waited for for ever.
        return JournalStorage(JournalFileBackend(str(journal.absolute())))
    if url.startswith("sqlite"):
        raise UserError(
            "SQLite breaks when several processes write it; leave tuning.storage out, as the "
            "journal takes several, or for several machines give the URL of a PostgreSQL database"
        )
    return open_database(url)


def open_database(url: str) -> RDBStorage:
    """Opens a database, in which a trial that falls silent is queued again.

    Raises:
        UserError: when it cannot be used.
    """
    retry = RetryHeartbeatStaleTrialCallback(max_retry=MOST_RETRIES)
    try:
        return RDBStorage(
            url,
            heartbeat_interval=HEARTBEAT_SECONDS,
            grace_period=SILENT_SECONDS,
            heartbeat_stale_trial_callback=retry,
        )
    except Exception as error:  # a wrong URL has many, from SQLAlchemy, Optuna and the driver
        raise _unusable(url, error) from None


@contextmanager
def explain_database_errors(url: str | None) -> Iterator[None]:
    """Raises UserError in place of any error of the database at `url`, if there is one."""
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        if url is None:
            raise
        raise _unusable(url, error) from None


def _unusable(url: str, error: Exception) -> UserError:
    """Names the error's type alone, as its text may quote the URL with a password."""
    cause = error.__cause__ or error  # Optuna wraps what the driver said
    return UserError(
        f"the storage {scheme_and_host(url)} cannot be used ({type(cause).__name__}); expected the "
        "URL of a database that can be reached, such as postgresql://user:password@host/name, and "
        "its driver (psycopg[binary] for PostgreSQL); in a password, write @ as %40, : as %3A, "
        "/ as %2F"
    )


# An @ after the host would belong to a password, so that what looks like a host is none.
WELL_FORMED = re.compile(r"\w[\w+]*://(?:[^/?#@]*@)?(?P<host>[\w.-]+)(?::\d+)?(?:[/?][^@]*)?")


def scheme_and_host(url: str) -> str:
    """Returns all of a URL that may be shown; of one that is not well-formed, the scheme."""
    found = WELL_FORMED.fullmatch(url)
    return f"{url.partition('://')[0]}://{found['host'] if found else '…'}"


def finished_trials(study: Study) -> list[FrozenTrial]:
    """Returns the trials that completed, were pruned or failed, but not those that run again."""
    again = successors(study)
    trials = study.get_trials(deepcopy=False)
    return [t for t in trials if t.state.is_finished() and t.number not in again]


def successors(study: Study) -> dict[int, int]:
    """Returns, by the number of each interrupted trial, that of the latest with its values."""
    return {
        earlier: trial.number
        for trial in study.get_trials(deepcopy=False)
        for earlier in trial.system_attrs.get("retry_history", [])
    }


def requeue_interrupted(study: Study) -> tuple[int, int]:
    """Records every trial that is said to run as failed, and queues its values again.

    To be called only while no process works on the study.

    Returns:
        How many were queued again, and how many were not, as they crash their worker every time.
    """
    retry = RetryHeartbeatStaleTrialCallback(max_retry=MOST_RETRIES)
    running = study.get_trials(states=(TrialState.RUNNING,))
    for trial in running:
        study.tell(trial.number, state=TrialState.FAIL)
        retry(study, trial)
    queued = sum(trial.number in successors(study) for trial in running)
    return queued, len(running) - queued


def requeue_failed(study: Study, number: int) -> None:
    """Queues the values of a trial again if it failed: after Ctrl-C, it did so by no fault."""
    trial = study.get_trials()[number]
    if trial.state is TrialState.FAIL:
        RetryHeartbeatStaleTrialCallback(max_retry=None)(study, trial)


def repair_journal(journal: Path) -> None:
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
        try:
            json.loads(line)
        except ValueError as error:
            raise UserError(
                f"{journal} is damaged in line {number} ({error}); bring back a copy of it, or "
                "remove it to begin the study anew"
            ) from None
