"""A study: opened, and refused where its trials could not be compared with new ones."""

import json
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import optuna
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from competition import paths
from competition.config import registry
from competition.config.base import LONGEST_NAME
from competition.config.loading import RECIPE_VERSION, Config
from competition.config.registry import Component
from competition.config.schema import EXHAUSTIVE, Tuning, Variant, combinations, longest_epochs
from competition.config.search_space import Parameter
from competition.console import count_of
from competition.data.augmented_epochs import AugmentedEpochs
from competition.data.folds import split_names
from competition.data.run import Run
from competition.errors import UserError
from competition.results import Job, differences
from competition.training.predict import tta_epochs
from competition.tuning.storage import ended, open_storage


@dataclass(frozen=True)
class Search:
    """The search for the best settings of one variant; it travels to worker processes.

    Attributes:
        config: the configuration.
        name: of its variant.
    """

    config: Config
    name: str

    def __str__(self) -> str:
        return f"{self.config.name}/{self.name}"  # no name of a configuration has a slash

    @property
    def best_name(self) -> str:
        """The name of the configuration that the best trial becomes."""
        return f"{self.config.name}-{self.name}-best"

    @property
    def variant(self) -> Variant:
        """The variant as it is."""
        return self.config.variants[self.name]

    @property
    def space(self) -> dict[str, Parameter]:
        """The parameters that are searched, by full name."""
        return self.variant.search_space

    @property
    def settings(self) -> Tuning:
        """How they are searched."""
        return self.config.tuning

    @property
    def seed(self) -> int:
        """The seed of the nets that are trained: of several, the first."""
        return self.variant.seeds[0]

    @property
    def longest_epochs(self) -> int:
        """The epochs of the longest training in the search space."""
        return longest_epochs(self.variant)

    @property
    def splits(self) -> list[str]:
        """The folds on which trials are judged."""
        return [split_names(self.config.folds)[fold] for fold in self.settings.folds]

    def value_as_it_is(self, path: str) -> Any:
        """Returns the value that the variant itself has of a setting of the search space."""
        section, _, name = path.partition(".")
        value = getattr(self.variant, section)
        if not isinstance(value, Component):
            return value
        known = registry.parameters(value.choices[value.name])
        return value.parameters.get(name, known[name][1]) if name else value.name

    def most_trials(self) -> int:
        """Returns how many trials the study is to have: as configured, or the whole grid."""
        if self.settings.sampler.name not in EXHAUSTIVE:
            return self.settings.trials
        return min(self.settings.trials, combinations(self.space))

    def job(self, split: str) -> Job:
        """Returns the job that trains the variant with the same seed on a fold."""
        return Job(self.config.name, self.name, self.seed, split)

    def augments_alike(self) -> bool:
        """Says whether all trials have the augmentation of the variant as it is."""
        return not any(path.partition(".")[0] == "augmentation" for path in self.space)

    def owner(self, trial: int | str) -> str:
        """Returns who a trial's own augmented images belong to; no name has a point."""
        return f"{self.config.name}.{self.name}.trial{trial}"

    def shared_pool(self, data: str) -> AugmentedEpochs:
        """Returns the pool of the variant as it is, of the data set with this fingerprint."""
        return AugmentedEpochs(self.variant.augmentation, self.seed, data)

    def tta_epochs(self, data: str) -> AugmentedEpochs:
        """Returns the pool of the drawn views by which all trials are judged."""
        return tta_epochs(self.variant, self.seed, data, "train")

    def identity(self, run: Run) -> dict[str, Any]:
        """Returns what makes the values of two trials comparable, as JSON values."""
        fixed = {path: parameter.lowest() for path, parameter in self.space.items()}
        return {
            "recipe_version": RECIPE_VERSION,
            "search_space": {
                path: parameter.model_dump(exclude_defaults=True)
                for path, parameter in self.space.items()
            },
            "variant": self.variant.with_values(fixed).identity(),
            "objective": self.settings.objective,
            "tuning_folds": self.settings.folds,
            "seed": self.seed,
            "data": run.fingerprint,
            "folds": run.folds.fingerprint(),
            **run.marks_identity(),
        }


def find_search(config: Config, name: str | None) -> Search:
    """Returns the search of a variant; without a name, of the only one with a search space.

    Raises:
        UserError: when it cannot be told which one is meant, or the variant has no search space.
    """
    searched = [one for one, variant in config.variants.items() if variant.search_space]
    if name is None and len(searched) == 1:
        name = searched[0]
    if name in searched:
        return _with_a_usable_name(Search(config, name))
    known = ", ".join(searched) or "none of this configuration"
    if name is None:
        raise UserError(f"name the variant to tune, VARIANT=…; those with a search_space: {known}")
    raise UserError(
        f"the variant '{name}' has no search_space to tune; those with one: {known} "
        "(configs/tune.yaml is an example)"
    )


def _with_a_usable_name(search: Search) -> Search:
    if len(search.best_name) > LONGEST_NAME:
        raise UserError(f"'{search.best_name}' is too long a name; choose a shorter SET=\"name=…\"")
    return search


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
