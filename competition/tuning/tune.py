"""Runs the missing trials of a study, in worker processes that share one storage."""

import shutil
import time
from collections.abc import Iterable
from math import inf

import optuna
from joblib import delayed
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from competition import paths, storage
from competition.console import ProgressDisplay, count_of
from competition.data.run import Run
from competition.system import workers_may_end
from competition.training.jobs import require_trainable
from competition.training.progress import ProgressBoard
from competition.training.resources import Plan, Workers, chosen_plan
from competition.training.worker import JobTask, WorkerContext, less_memory
from competition.tuning.outcome import trial_line, value_of
from competition.tuning.storage import (
    explain_database_errors,
    finished_trials,
    in_turn,
    quiet_optuna,
    repair_journal,
    requeue_interrupted,
)
from competition.tuning.study import Search, open_study, require_comparable
from competition.tuning.trial import run_trial

SECONDS_BETWEEN_LOOKS = 2.0


def run_study(search: Search, run: Run, workers: Workers) -> Study:
    """Runs the trials that a study lacks; several commands may work on one study at once.

    Args:
        run: the search's configuration with data and folds.
        workers: how many trials run side by side; None leaves it to the machine.

    Raises:
        UserError: before any trial, when the storage cannot be used, the study's trials are not
            comparable with new ones, the variant cannot be trained, or the disk is too small;
            later, when the system kills a worker.
    """
    quiet_optuna()
    with explain_database_errors(search.settings.storage):
        study = prepared_study(search, run)
        with storage.shared(search.files.lock):  # tells other commands that the study is in use
            done, wanted = len(finished_trials(study)), search.wanted_trials
            print(f"{search}: {count_of(wanted, 'trial')}, {min(done, wanted)} done already")
            hours = search.settings.hours
            deadline = inf if hours is None else time.time() + 3600 * hours
            while done < wanted:
                plan = chosen_plan(wanted, wanted - done, workers)
                _run_trials(study, search, run, wanted - done, plan, deadline)
                if search.settings.storage is None or time.time() >= deadline:
                    break
                _wait_for_others(study)
                done = len(finished_trials(study))
    return study


def prepared_study(search: Search, run: Run) -> Study:
    """Opens the study; if no other command uses it, cleans up after killed ones."""
    is_journal = search.settings.storage is None
    with storage.exclusive(search.files.lock) as is_alone:
        if is_alone:
            for folder in sorted(paths.POOLS.glob(f"*.{search.owner('*')}")):
                shutil.rmtree(folder, ignore_errors=True)
        if is_alone and is_journal:
            repair_journal(search.files.journal)
        # On an empty database, two commands at once would both make its tables.
        with in_turn(search.settings.storage, "tables"):
            study = open_study(search)
            require_comparable(study, search, run)
        if is_alone and is_journal:  # trials in a database may run on other machines
            queued, given_up = requeue_interrupted(study)
            if queued:
                print(f"{search}: re-queued {count_of(queued, 'interrupted trial')}")
            if given_up:
                trials, whose = count_of(given_up, "trial"), "its" if given_up == 1 else "their"
                print(f"{search}: gave up on {trials} that crashed {whose} worker every time")
    return study


def _wait_for_others(study: Study) -> None:
    """Waits for trials that other machines run, so that all commands find the same best one.

    Those of a killed command are queued again, as a database tells by its silence.
    """
    said = ""
    while running := study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if said != (line := f"waiting for {count_of(len(running), 'trial')} of other commands"):
            print(said := line)
        time.sleep(SECONDS_BETWEEN_LOOKS)
        optuna.storages.fail_stale_trials(study)


def _run_trials(
    study: Study, search: Search, run: Run, left: int, plan: Plan, deadline: float
) -> None:
    advice = f"finished trials are kept: {less_memory(plan)}"
    with ProgressBoard.on_disk(left) as board, workers_may_end(advice):
        context = WorkerContext(plan, board)
        parallel = plan.parallel()
        require_trainable([JobTask(run, plan, search.job(search.splits[0]))], parallel, context)
        print(f"{left} to do on {plan.place} ({plan})")
        calls = (
            delayed(run_trial)(search, run, number, context, deadline) for number in range(left)
        )
        shared = search.shared_epochs(run.fingerprint)
        with (
            plan.epochs_at_hand(shared, run.data_set),
            board.shown("tuning") as display,
        ):
            _report_trials(study, search, parallel(calls), display)
    if time.time() >= deadline:
        done, wanted = len(finished_trials(study)), count_of(search.wanted_trials, "trial")
        print(f"the time limit is reached, with {done} of {wanted} done")


def _report_trials(
    study: Study, search: Search, outcomes: Iterable[FrozenTrial | None], display: ProgressDisplay
) -> None:
    """Prints a line per trial as it ends."""
    completed = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    best = min(map(value_of, completed), default=inf)
    for trial in filter(None, outcomes):
        is_best = trial.state is TrialState.COMPLETE and value_of(trial) < best
        best = value_of(trial) if is_best else best
        display.say(trial_line(trial, search, is_best))
