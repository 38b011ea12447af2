"""A study: opened, and refused where its trials could not be compared with new ones."""

import json
from importlib.metadata import PackageNotFoundError, version

import optuna
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from competition import paths
from competition.data.run import Run
from competition.errors import UserError
from competition.results import differences
from competition.tuning.abandoned import ended
from competition.tuning.search import Search
from competition.tuning.storage import open_storage
from competition.wording import count_of

IDENTITY = "identity"

# Samplers that need a package which nothing else needs.
PACKAGES = {"gp": "torch"}


def open_study(search: Search) -> Study:
    """Opens a search's study, or makes it, with the sampler and the pruner that are configured.

    Raises:
        UserError: when the storage cannot be used, or the sampler needs a package.
    """
    journal = paths.journal_file(search.config.name, search.name)
    known = {
        "study_name": str(search),
        "storage": open_storage(search.settings.storage, journal),
        "sampler": sampler_of(search),
        "pruner": search.settings.pruner.build(search.longest_epochs),
    }
    try:
        return optuna.load_study(**known)
    except KeyError:  # another process may make it at this moment
        return optuna.create_study(**known, direction="minimize", load_if_exists=True)


def sampler_of(search: Search) -> BaseSampler:
    """Returns the configured sampler.

    Raises:
        UserError: when it needs a package that is not installed.
    """
    sampler = search.settings.sampler
    if (package := PACKAGES.get(sampler.name)) and not _is_installed(package):
        raise UserError(
            f"the sampler '{sampler.name}' needs the package '{package}': "
            f".venv/bin/pip install {package}; or choose another tuning.sampler"
        )
    return sampler.build(search.space, search.settings.seed)


def _is_installed(package: str) -> bool:
    try:
        return bool(version(package))
    except PackageNotFoundError:
        return False


def require_comparable(study: Study, search: Search, run: Run) -> None:
    """Marks a new study with what its trials have in common, and compares an old one with it.

    Raises:
        UserError: when the trials that are there were judged differently.
    """
    identity = json.loads(json.dumps(search.identity(run)))
    before = study.user_attrs.get(IDENTITY, identity)
    if study.trials and before != identity:
        trials = count_of(len(study.trials), "trial")
        raise UserError(
            f"the study {search} has {trials} that cannot be compared "
            f"with new ones ({'; '.join(differences(before, identity))}); begin another study with "
            f'SET="name=…", or {_removal(search)}'
        )
    if search.settings.sampler.name == "grid" and not all(map(_is_of_a_grid, ended(study))):
        raise UserError(
            f"the study {search} has trials of another sampler, so that a grid would never be "
            f'complete; begin another study with SET="name=…", or {_removal(search)}'
        )
    if study.user_attrs.get(IDENTITY) != identity:
        study.set_user_attr(IDENTITY, identity)


def _is_of_a_grid(trial: FrozenTrial) -> bool:
    return "grid_id" in trial.system_attrs


def _removal(search: Search) -> str:
    if search.settings.storage is None:
        return f"remove {paths.journal_file(search.config.name, search.name)}"
    return f"delete it with `optuna delete-study --study-name {search} --storage …`"
