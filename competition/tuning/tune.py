"""The whole study: what is left of it, done by worker processes that all work on one storage."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from pathlib import Path

from joblib import Parallel, delayed
from optuna.study import Study
from optuna.trial import FrozenTrial

from competition import paths, storage
from competition.console import ProgressDisplay, count_of
from competition.data.run import Run
from competition.errors import UserError
from competition.system import workers_may_end
from competition.training.jobs import require_trainable
from competition.training.progress import ProgressBoard
from competition.training.resources import Plan, chosen_plan
from competition.training.worker import WorkerContext, less_memory
from competition.tuning.outcome import trial_line
from competition.tuning.storage import (
    database_trouble,
    ended,
    is_here,
    is_sqlite,
    lock_of_sqlite,
    mend_journal,
    quiet_optuna,
    take_up,
)
from competition.tuning.study import Search, open_study, require_comparable
from competition.tuning.trial import (
    Limits,
    remove_left_over,
    room_for_trials,
    run_trial,
    unbuildable,
)


def run_study(search: Search, run: Run, workers: int | None) -> Study:
    """Runs the trials that a study lacks, and says what it does.

    Several commands may work on one study at the same time, but not on SQLite.

    Args:
        search: what is searched.
        run: its configuration with data and folds.
        workers: how many trials run side by side; None leaves it to the machine.

    Returns:
        The study.

    Raises:
        UserError: before any work, when the storage cannot be used, the trials that are there
            cannot be compared with new ones, a net or a policy of the search space cannot be
            built, or the disk is too small; later, when the system ends a worker.
    """
    url = search.settings.storage
    quiet_optuna()
    if is_sqlite(url):
        workers = _only_worker(workers)
    lock = paths.tuning_lock_file(search.config.name, search.name)
    with database_trouble(url), _alone_in_sqlite(url):
        study = _prepared(search, run, lock)
        with storage.shared(lock):  # lets others know that the study is being worked on
            left = _announce(study, search)
            if left > 0:
                plan = chosen_plan(search.most_trials(), left, workers)
                _run_trials(study, search, run, left, plan)
    return study


def _only_worker(workers: int | None) -> int:
    if workers is not None and workers > 1:
        raise UserError(
            "SQLite breaks when several processes write it; use JOBS=1, or leave tuning.storage "
            "out, as the journal takes several, or give the URL of a PostgreSQL database"
        )
    return 1


@contextmanager
def _alone_in_sqlite(url: str | None) -> Iterator[None]:
    """Keeps others away from a SQLite database, whatever studies they have there."""
    if not is_sqlite(url):
        yield
        return
    with storage.exclusive(lock_of_sqlite(url)) as is_alone:
        if not is_alone:
            raise UserError(
                "another process uses this database, and SQLite takes only one; wait for its end"
            )
        yield


def _prepared(search: Search, run: Run, lock: Path) -> Study:
    """Opens the study; if no other command works on it, mends what a killed one left."""
    url = search.settings.storage
    with storage.exclusive(lock) as is_alone:
        if is_alone and url is None:
            mend_journal(paths.journal_file(search.config.name, search.name))
        if is_alone:
            remove_left_over(search)
        study = open_study(search)
        require_comparable(study, search, run)
        if is_alone or is_sqlite(url):
            _take_up_interrupted(study, search)
    return study


def _take_up_interrupted(study: Study, search: Search) -> None:
    """Queues what killed commands left; in a database elsewhere, others may still work on it."""
    again, given_up = take_up(study) if is_here(search.settings.storage) else (0, 0)
    if again:
        print(f"{search}: taken up again, as they were interrupted: {again} of the trials")
    if given_up:
        print(
            f"{search}: given up, as they ended their process each time: {given_up} of the trials"
        )


def _announce(study: Study, search: Search) -> int:
    """Says how many trials there are, and returns how many are left."""
    done, wanted = len(ended(study)), search.most_trials()
    print(f"{search}: {count_of(wanted, 'trial')}, {min(done, wanted)} done already")
    return wanted - done


def _run_trials(study: Study, search: Search, run: Run, left: int, plan: Plan) -> None:
    advice = f"finished trials are kept: {less_memory(plan)}"
    with ProgressBoard.on_disk(left) as board, workers_may_end(advice):
        context = WorkerContext(plan, os.getpid(), board)
        parallel = plan.parallel()
        _require_buildable(search, parallel, context)
        require_trainable([search.job(search.splits[0])], search.config, parallel, context)
        print(f"{left} to do on this machine ({plan})")
        limits = Limits(search.most_trials(), _deadline(search))
        calls = (delayed(run_trial)(search, number, context, limits) for number in range(left))
        with room_for_trials(search, run, plan):
            display = ProgressDisplay("tuning", left)
            with display, board.shown_on(display):
                _report_trials(study, search, parallel(calls), display)
        if time.time() >= limits.deadline:
            print(f"the time is up with {len(ended(study))} of {count_of(limits.trials, 'trial')}")


def _deadline(search: Search) -> float:
    hours = search.settings.hours
    return inf if hours is None else time.time() + 3600 * hours


def _require_buildable(search: Search, parallel: Parallel, context: WorkerContext) -> None:
    [problems] = parallel([delayed(unbuildable)(search, context)])
    if problems:
        raise UserError("the search space cannot be used:\n  " + "\n  ".join(problems))


def _report_trials(
    study: Study, search: Search, outcomes: Iterator[FrozenTrial | None], display: ProgressDisplay
) -> None:
    """Says how each trial ended, as it ends."""
    best = min((t.value for t in ended(study) if t.state.name == "COMPLETE"), default=inf)
    for trial in filter(None, outcomes):
        is_best = trial.state.name == "COMPLETE" and trial.value < best
        best = trial.value if is_best else best
        display.say(trial_line(trial, search, is_best))
