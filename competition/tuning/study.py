"""A study: the search for the best settings of one variant, by trials that can be compared."""

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.study import Study

from competition import paths
from competition.config import registry
from competition.config.base import LONGEST_NAME
from competition.config.loading import RECIPE_VERSION, Config
from competition.config.registry import Component
from competition.config.schema import Tuning, Variant, combinations, longest_epochs
from competition.config.search_space import Parameter
from competition.console import count_of
from competition.data.augmented_epochs import AugmentedEpochs
from competition.data.folds import split_names
from competition.data.run import Run
from competition.errors import UserError
from competition.results import Job, differences
from competition.training.predict import tta_epochs
from competition.tuning.storage import finished_trials, open_storage


@dataclass(frozen=True)
class Search:
    """The search for the best settings of one variant, by name; it travels to worker processes."""

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
        """The folds on which trials are scored."""
        return [split_names(self.config.folds)[fold] for fold in self.settings.folds]

    @property
    def wanted_trials(self) -> int:
        """How many trials the study is to have: as configured, but no more than a whole grid."""
        if self.settings.sampler.name != "grid":
            return self.settings.trials
        return min(self.settings.trials, combinations(self.space))

    def value_as_it_is(self, path: str) -> Any:
        """Returns the value that the variant itself has of a setting of the search space."""
        section, _, name = path.partition(".")
        value = getattr(self.variant, section)
        if not isinstance(value, Component):
            return value
        known = registry.parameters(value.choices[value.name])
        return value.parameters.get(name, known[name][1]) if name else value.name

    def job(self, split: str) -> Job:
        """Returns the job that trains the variant with the same seed on a fold."""
        return Job(self.config.name, self.name, self.seed, split)

    def has_one_policy(self) -> bool:
        """Says whether all trials have the augmentation of the variant as it is."""
        return not any(path.partition(".")[0] == "augmentation" for path in self.space)

    def owner(self, trial: int | str) -> str:
        """Suffix of the folder with a trial's own augmented images."""
        return f"{self.config.name}.{self.name}.trial{trial}"  # no name has a point

    def training_epochs(self, data: str) -> AugmentedEpochs:
        """Returns the augmented images of the variant as it is, of the data with a fingerprint."""
        return AugmentedEpochs(self.variant.augmentation, self.seed, data)

    def tta_epochs(self, data: str) -> AugmentedEpochs:
        """Returns the drawn views that the predictions of all trials average."""
        return tta_epochs(self.variant, self.seed, data, "train")

    def shared_epochs(self, data: str) -> Counter[AugmentedEpochs]:
        """Returns all augmented images that trials share, with the number of their epochs."""
        shared = Counter({self.tta_epochs(data): self.variant.test_time_draws})
        if (
            self.has_one_policy()
        ):  # views may be drawn by that very policy: the larger number counts
            shared |= Counter({self.training_epochs(data): self.longest_epochs})
        return shared

    def identity(self, run: Run) -> dict[str, Any]:
        """Returns what makes the values of two trials comparable, as JSON values."""
        # These stand for the whole space, and may exclude one another.
        fixed = {path: parameter.lowest() for path, parameter in self.space.items()}
        return {
            "recipe_version": RECIPE_VERSION,
            "search_space": {
                path: parameter.model_dump(exclude_defaults=True)
                for path, parameter in self.space.items()
            },
            "variant": self.variant.with_values(fixed, may_clash=True).identity(),
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
        UserError: when it is unclear which one is meant, or the variant has no search space.
    """
    searched = [one for one, variant in config.variants.items() if variant.search_space]
    if name is None and len(searched) == 1:
        name = searched[0]
    known = ", ".join(searched) or "none of this configuration"
    if name is None:
        raise UserError(f"name the variant to tune, VARIANT=…; those with a search_space: {known}")
    if name not in searched:
        raise UserError(
            f"the variant '{name}' has no search_space to tune; those with one: {known} "
            "(configs/tune.yaml is an example)"
        )
    search = Search(config, name)
    if len(search.best_name) > LONGEST_NAME:
        raise UserError(f"'{search.best_name}' is too long a name; choose a shorter SET=\"name=…\"")
    return search


def open_study(search: Search) -> Study:
    """Opens a search's study, or makes it, with the sampler and the pruner that are configured.

    Raises:
        UserError: when the storage cannot be used, or the sampler needs a package.
    """
    settings = search.settings
    journal = paths.TuningPaths(search.config.name, search.name).journal
    known = {
        "study_name": str(search),
        "storage": open_storage(settings.storage, journal),
        "sampler": settings.sampler.build(search.space, settings.seed),
        "pruner": settings.pruner.build(search.longest_epochs),
    }
    try:
        return optuna.load_study(**known)
    except KeyError:  # another process may make it at this moment
        return optuna.create_study(**known, direction="minimize", load_if_exists=True)


IDENTITY = "identity"


def require_comparable(study: Study, search: Search, run: Run) -> None:
    """Marks a new study with what its trials have in common, and compares an old one with it.

    Raises:
        UserError: when its trials cannot be compared with new ones.
    """
    identity = json.loads(json.dumps(search.identity(run)))
    before = study.user_attrs.get(IDENTITY, identity)
    if study.trials and before != identity:
        trials = count_of(len(study.trials), "trial")
        raise UserError(
            f"the study {search} has {trials} that cannot be compared "
            f"with new ones ({'; '.join(differences(before, identity))}); {_new_study(search)}"
        )
    is_grid = search.settings.sampler.name == "grid"
    if is_grid and not all("grid_id" in trial.system_attrs for trial in finished_trials(study)):
        raise UserError(
            f"the study {search} has trials of another sampler, so that a grid would never be "
            f"complete; {_new_study(search)}"
        )
    if study.user_attrs.get(IDENTITY) != identity:
        study.set_user_attr(IDENTITY, identity)


def _new_study(search: Search) -> str:
    removal = (
        f"remove {paths.TuningPaths(search.config.name, search.name).journal}"
        if search.settings.storage is None
        else f"delete it with `optuna delete-study --study-name {search} --storage …`"
    )
    return f'begin another study with SET="name=…", or {removal}'
