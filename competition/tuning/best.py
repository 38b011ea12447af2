"""The best trial as a configuration of its own, which every stage takes as it is."""

from pathlib import Path

import yaml
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from competition import paths
from competition.atomic import write_text
from competition.errors import UserError
from competition.tuning.search import Search
from competition.tuning.trial import FAILURE
from competition.tuning.words import figure


def best_trial(study: Study, search: Search) -> FrozenTrial:
    """Returns the completed trial with the lowest value; of equal ones, the first.

    Raises:
        UserError: when none was completed.
    """
    trials = study.get_trials(deepcopy=False)
    completed = [trial for trial in trials if trial.state is TrialState.COMPLETE]
    if completed:
        return min(completed, key=lambda trial: (trial.value, trial.number))
    failures = [trial.user_attrs[FAILURE] for trial in trials if FAILURE in trial.user_attrs]
    last = f"; the last failure: {failures[-1]}" if failures else ""
    raise UserError(f"no trial of {search} was completed yet, so there is no best one{last}")


def write_best(trial: FrozenTrial, search: Search) -> Path:
    """Writes `best.yaml`: of the study's configuration its variant alone, with the trial's values.

    An ensemble that names members may name others, so here all that there are go in.
    """
    changes = {
        "name": search.best_name,
        "variants": {search.name: search.variant.with_values(trial.params)},
        "ensemble": search.config.ensemble.model_copy(update={"variants": None, "seeds": None}),
    }
    config = search.config.model_copy(update=changes)
    unused = {"defaults": True, "tuning": True, "variants": {search.name: {"search_space"}}}
    content = config.model_dump(mode="json", exclude=unused)
    path = paths.best_config_file(search.config.name, search.name)
    write_text(path, _comment(trial, search) + yaml.safe_dump(content, sort_keys=False))
    return path


def _comment(trial: FrozenTrial, search: Search) -> str:
    folds = ", ".join(map(str, search.settings.folds))
    return (
        f"# Trial {trial.number} of the study {search}: {search.settings.objective} "
        f"{figure(trial.value, search)} on fold {folds},\n"
        "# by which it was chosen, so that this figure is too good. Those that count are in "
        "summary.md.\n"
    )
