"""What happens in a worker process: one trial, asked of the study and told to it."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import optuna
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from competition.data.run import load_run
from competition.errors import UserError
from competition.processes import end_with, interruptible
from competition.settings.search_space import Parameter, Value
from competition.training.failures import explain
from competition.training.runtime import start_keras
from competition.training.worker import WorkerContext
from competition.tuning.abandoned import ended, queue_again
from competition.tuning.judging import judged
from competition.tuning.search import Search
from competition.tuning.storage import database_trouble, quiet_optuna
from competition.tuning.study import open_study
from competition.tuning.trial_pool import pool_for

# What a trial tells of itself besides its value.
FAILURE, SCORE = "failure", "score"


@dataclass(frozen=True)
class Limits:
    """When a study has enough.

    Attributes:
        trials: of the whole study, those that run counted in.
        deadline: seconds since 1970 after which no trial begins.
    """

    trials: int
    deadline: float


def run_trial(
    search: Search, number: int, context: WorkerContext, limits: Limits
) -> FrozenTrial | None:
    """Asks the study for values, trains with them, and tells it what came of it.

    Args:
        search: what is searched.
        number: the trial's place on the progress board.
        context: plan and progress board.
        limits: whether there is to be another trial at all.

    Returns:
        The trial, whatever its state: a failure is recorded. None if the study has enough.

    Raises:
        UserError: when the storage cannot be used.
    """
    end_with(context.command_pid)
    quiet_optuna()
    trial = None
    with database_trouble(search.settings.storage):
        study = open_study(search)
        optuna.storages.fail_stale_trials(study)  # of other machines; a journal knows of none
        running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        if time.time() < limits.deadline and len(ended(study)) + len(running) < limits.trials:
            start_keras(context.plan.threads)
            trial = _run_one(study, _objective(search, number, context))
    context.board.shares()[number] = 1
    return trial


def _run_one(study: Study, objective: Callable[[Trial], float]) -> FrozenTrial:
    """Runs the next trial; Optuna records one that Ctrl-C ends as failed, so it is queued again."""
    begun: list[int] = []
    ended_so: list[FrozenTrial] = []

    def noted(trial: Trial) -> float:
        begun.append(trial.number)
        return objective(trial)

    try:
        with interruptible():
            note = [lambda _, trial: ended_so.append(trial)]
            study.optimize(noted, n_trials=1, catch=(Exception,), callbacks=note)
    except KeyboardInterrupt:
        queue_again(study, begun)
        raise
    return ended_so[0]


@interruptible()
def unbuildable(search: Search, context: WorkerContext) -> list[str]:
    """Returns which ends of the space and which choices the variant cannot be built with.

    Whether rows can be resampled depends on them, so that such a trial fails by itself.
    """
    end_with(context.command_pid)
    start_keras(context.plan.threads)
    found = []
    for path, parameter in search.space.items():
        for end, value in parameter.edges().items():
            variant, section = search.variant.with_values({path: value}), path.partition(".")[0]
            try:
                if section in ("architecture", "augmentation"):
                    getattr(variant, section).build()
                elif section == "schedule":
                    variant.schedule.build(variant, variant.epochs)
            except UserError as error:
                found.append(f"variants.{search.name}.search_space.{path}.{end}: {error}")
    return found


def _objective(search: Search, number: int, context: WorkerContext) -> Callable[[Trial], float]:
    """Returns what is to be small; it notes why it fails, and then fails."""
    shares = context.board.shares()

    def objective(trial: Trial) -> float:
        try:
            return _value(search, trial, lambda share: shares.__setitem__(number, share))
        except optuna.TrialPruned:
            raise
        except Exception as error:
            trial.set_user_attr(FAILURE, explain(error, context.plan))
            raise

    return objective


def _value(search: Search, trial: Trial, on_progress: Callable[[float], None]) -> float:
    variant = search.variant.with_values(suggested(search, trial))
    run = load_run(search.config)
    with pool_for(search, variant, run, trial.number) as pool:
        reached = judged(search, trial, variant, run, pool, on_progress)
    trial.set_user_attr(SCORE, [reached.rows, reached.errors, reached.log_loss])
    return getattr(reached, search.settings.objective)


def suggested(search: Search, trial: Trial) -> dict[str, Value]:
    """Returns the values that a trial is to have, by the names of the search space."""
    return {
        name: trial.suggest_categorical(name, parameter.choices)
        if parameter.choices is not None
        else _number(trial, name, parameter)
        for name, parameter in search.space.items()
    }


def _number(trial: Trial, name: str, parameter: Parameter) -> int | float:
    suggest = trial.suggest_int if isinstance(parameter.low, int) else trial.suggest_float
    step = {} if parameter.step is None else {"step": parameter.step}
    return suggest(name, parameter.low, parameter.high, log=parameter.log, **step)
