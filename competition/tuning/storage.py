"""Where a study is kept: a journal of JSON lines on one machine, or a database for several."""

import json
import os
import re
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Annotated, Any

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from pydantic import BaseModel, ConfigDict, Field

from competition import storage
from competition.errors import UserError
from competition.storage import parse_json

# Optuna 5 has another name for it, and warns of the one of Optuna 4.
RetryCallback: Any = getattr(
    optuna.storages,
    "RetryHeartbeatStaleTrialCallback",
    getattr(optuna.storages, "RetryFailedTrialCallback", None),
)

HEARTBEAT_SECONDS, SILENT_SECONDS = 30, 120  # in a database, longer silence means a dead process
SECONDS_TO_CONNECT = 10  # a machine that is off refuses nothing
MOST_RETRIES = 2  # of a trial that crashes its worker, perhaps for lack of memory


def quiet_optuna() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", module=r"optuna\b")
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)


def open_storage(url: str | None, journal: Path) -> BaseStorage:
    """Opens the database at the URL; without one, opens or creates the journal."""
    if url is None:
        journal.parent.mkdir(parents=True, exist_ok=True)
        # Absolute, as Optuna's lock is a symbolic link to this path: a relative one would be
        # broken, and Optuna would wait for ever for a lock that a killed process left.
        return JournalStorage(NumberedJournal(str(journal.absolute())))
    if url.startswith("sqlite"):
        raise UserError(
            "SQLite breaks when several processes write to it; leave tuning.storage out, as the "
            "journal allows several, or for several machines give the URL of a PostgreSQL database"
        )
    return open_database(url)


def open_database(url: str) -> RDBStorage:
    """Opens a database, in which trials of silent processes are re-queued."""
    retry = RetryCallback(max_retry=MOST_RETRIES)
    try:
        return Database(
            url,
            {"connect_args": {"connect_timeout": SECONDS_TO_CONNECT}} if is_postgresql(url) else {},
            heartbeat_interval=HEARTBEAT_SECONDS,
            grace_period=SILENT_SECONDS,
            heartbeat_stale_trial_callback=retry,
        )
    except Exception as error:  # a wrong URL raises many types: SQLAlchemy's, Optuna's, a driver's
        raise _unusable(url, error) from None


class Database(RDBStorage):
    """A database whose heartbeats may fail: what the trial itself writes then says why."""

    def record_heartbeat(self, trial_id: int) -> None:
        from sqlalchemy.exc import SQLAlchemyError

        with suppress(SQLAlchemyError, optuna.exceptions.StorageInternalError):
            super().record_heartbeat(trial_id)


def is_postgresql(url: str) -> bool:
    return url.startswith("postgresql")


@contextmanager
def in_turn(url: str | None, what: str, folder: Path | None = None) -> Iterator[None]:
    """Lets one command after the other into the block: of all machines that do `what` in the
    PostgreSQL database at `url`, otherwise of those that use this folder, if there is one.
    """
    if url is None or not is_postgresql(url):
        with storage.in_turn(folder) if folder else nullcontext():
            yield
        return
    from sqlalchemy import NullPool, create_engine, text

    connect = {"connect_timeout": SECONDS_TO_CONNECT}
    with explain_database_errors(url):
        engine = create_engine(
            url, poolclass=NullPool, isolation_level="AUTOCOMMIT", connect_args=connect
        )
        connection = engine.connect()
        # It ends with the connection, so a killed command keeps no other one waiting.
        lock = text("SELECT pg_advisory_lock(:key)").bindparams(key=zlib.crc32(what.encode()))
        connection.execute(lock)
    try:
        yield
    finally:
        connection.invalidate()  # closes it, without a word if the database is gone


@contextmanager
def explain_database_errors(url: str | None) -> Iterator[None]:
    """Turns errors of the database at `url`, if there is one, into UserErrors."""
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except Exception as error:
        found: BaseException | None = error
        # Optuna, telling a trial's end to a database that is gone, fails by a mistake of its own.
        while not isinstance(found, SQLAlchemyError | optuna.exceptions.StorageInternalError):
            if found is None or isinstance(found, UserError):
                raise
            found = found.__cause__ or found.__context__
        if url is None:
            raise
        raise _unusable(url, found) from None


# What PostgreSQL or its driver say, and what we say. The end of a connection comes first: it may be
# followed by the reason why the next one failed.
AGAIN = "finished trials are kept, run it again when it is back"
REASONS = {
    "closed the connection|terminating conn|connection is (closed|lost)|consuming input failed":
        f"it went away); {AGAIN}",
    "authentication failed|no password supplied|role .* does not exist":
        "it refuses the user or the password); in a password, write @ as %40, : as %3A, / as %2F",
    "database .* does not exist": "the server has no such database); make it with `createdb`",
    "refused|timeout expired|resolve|unreachable|No route|starting up|shutting down":
        f"no server answers there); {AGAIN}",
}  # fmt: skip


def _unusable(url: str, error: BaseException) -> UserError:
    """Says what is known of the error but not its text, which may quote the URL with a password."""
    cause = error.__cause__ or error  # Optuna wraps what the driver said
    for pattern, reason in REASONS.items():
        if re.search(pattern, str(cause)):
            return UserError(f"the storage {scheme_and_host(url)} cannot be used ({reason}")
    return UserError(
        f"the storage {scheme_and_host(url)} cannot be used ({type(cause).__name__}); expected the "
        "URL of a database that can be reached, such as postgresql://user:password@host/name, and "
        "its driver (psycopg[binary] for PostgreSQL); in a password, write @ as %40, : as %3A, "
        "/ as %2F"
    )


# No @ may follow the host: it would belong to a password, and the host found would be part of it.
WELL_FORMED = re.compile(r"\w[\w+]*://(?:[^/?#@]*@)?(?P<host>[\w.-]+)(?::\d+)?(?:[/?][^@]*)?")


def scheme_and_host(url: str) -> str:
    """Returns the parts of a URL without secrets; only the scheme if it is malformed."""
    found = WELL_FORMED.fullmatch(url)
    return f"{url.partition('://')[0]}://{found['host'] if found else '…'}"


def finished_trials(study: Study) -> list[FrozenTrial]:
    """Returns the completed, pruned and failed trials, without those that were re-queued."""
    requeued = successors(study)
    trials = study.get_trials(deepcopy=False)
    return [t for t in trials if t.state.is_finished() and t.number not in requeued]


def successors(study: Study) -> dict[int, int]:
    """Returns the number of the latest re-queued trial by that of each interrupted one."""
    return {
        earlier: trial.number
        for trial in study.get_trials(deepcopy=False)
        for earlier in trial.system_attrs.get("retry_history", [])
    }


def requeue_interrupted(study: Study) -> tuple[int, int]:
    """Marks every running trial as failed and re-queues its values; no process may run trials.

    Returns how many were re-queued, and how many were not, as they crashed their worker every time.
    """
    retry = RetryCallback(max_retry=MOST_RETRIES)
    running = study.get_trials(states=(TrialState.RUNNING,))
    for trial in running:
        study.tell(trial.number, state=TrialState.FAIL)
        retry(study, trial)
    queued = sum(trial.number in successors(study) for trial in running)
    return queued, len(running) - queued


def requeue_failed(study: Study, number: int) -> None:
    """Re-queues a trial's values if it failed: after Ctrl-C, they are not to blame."""
    trial = study.get_trials()[number]
    if trial.state is TrialState.FAIL:
        RetryCallback(max_retry=None)(study, trial)


class NumberedJournal(JournalFileBackend):
    """Optuna's journal, but each line knows its number: a missing one would change the trials."""

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Appends JSON objects, each with its line's number, and waits until they are on the disk.

        The lines are counted under the lock under which they are written.
        """
        self._lock.acquire()
        try:
            with open(self._file_path, "a+b") as file:
                file.seek(0)
                for line, log in enumerate(logs, start=1 + sum(1 for _ in file)):
                    file.write(
                        json.dumps({**log, LINE: line}, separators=(",", ":")).encode() + b"\n"
                    )
                file.flush()
                os.fsync(file.fileno())
        finally:
            self._lock.release()


LINE = "line"


class JournalLine(BaseModel):
    """What Optuna's lines have, those about a trial its number: it counts them from 0.

    Attributes:
        line: its number in the journal, from 1; lines of older studies have none.
    """

    model_config = ConfigDict(extra="allow", strict=True)

    op_code: Annotated[int, Field(ge=0)]
    worker_id: str
    trial_id: Annotated[int, Field(ge=0)] = 0
    line: int = 0


CREATE_TRIAL = 4  # of Optuna's codes


def repair_journal(journal: Path) -> None:
    """Cuts off a last line that a killed process left unfinished; no process may be writing."""
    if not journal.exists():
        return
    journal.with_name(f"{journal.name}.lock").unlink(missing_ok=True)  # of a killed process
    lines = journal.read_bytes().splitlines(keepends=True)
    if lines and not lines[-1].endswith(b"\n"):
        unfinished = lines.pop()
        with journal.open("r+b") as file:
            file.truncate(journal.stat().st_size - len(unfinished))
    created = 0
    for number, line in enumerate(lines, start=1):
        try:
            found = parse_json(line, JournalLine)
            if found.get(LINE, number) != number:
                raise ValueError(f"it was line {found[LINE]}; others are missing or added")
            created += found["op_code"] == CREATE_TRIAL
            if found.get("trial_id", -1) >= created:
                raise ValueError("it is about a trial that no line before it creates")
        except ValueError as error:
            raise UserError(
                f"{journal} is damaged in line {number} ({error}); restore a copy of it, or "
                "remove it to start the study again"
            ) from None
