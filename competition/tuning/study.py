"""A study: the search for the best settings of one variant, by trials that can be compared."""

import json
from collections import Counter
from dataclasses import dataclass, replace
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
from competition.training.training_data import tta_epochs
from competition.tuning.storage import finished_trials, open_storage


@dataclass(frozen=True)
class Search:
    """The search for the best settings of the variant `name`; workers receive it pickled."""

    config: Config
    name: str

    def __str__(self) -> str:
        return f"{self.config.name}/{self.name}"  # no name of a configuration has a slash

    @property
    def files(self) -> paths.TuningPaths:
        return paths.TuningPaths(self.config.name, self.name)

    @property
    def best_name(self) -> str:
        """The name of the configuration made from the best trial."""
        return f"{self.config.name}-{self.name}-best"

    @property
    def variant(self) -> Variant:
        return self.config.variants[self.name]

    @property
    def space(self) -> dict[str, Parameter]:
        """The searched parameters by full name, such as `augmentation.rotation`."""
        return self.variant.search_space

    @property
    def settings(self) -> Tuning:
        return self.config.tuning

    @property
    def seed(self) -> int:
        """The seed of all trials' nets: the variant's first."""
        return self.variant.seeds[0]

    @property
    def longest_epochs(self) -> int:
        """The epochs of the longest training in the search space."""
        return longest_epochs(self.variant)

    @property
    def splits(self) -> list[str]:
        """Names of the folds on which trials are scored."""
        return [split_names(self.config.folds)[fold] for fold in self.settings.folds]

    @property
    def wanted_trials(self) -> int:
        """The configured number of trials, but no more than a whole grid."""
        if self.settings.sampler.name != "grid":
            return self.settings.trials
        return min(self.settings.trials, combinations(self.space))

    def value_as_it_is(self, path: str) -> Any:
        """Returns the variant's own value of a searched setting."""
        section, _, name = path.partition(".")
        value = getattr(self.variant, section)
        if not isinstance(value, Component):
            return value
        known = registry.parameters(value.choices[value.name])
        return value.parameters.get(name, known[name][1]) if name else value.name

    def without_storage(self) -> "Search":
        """Returns the search for who only trains, and need not know the storage's password."""
        tuning = self.settings.model_copy(update={"storage": None})
        return replace(self, config=self.config.model_copy(update={"tuning": tuning}))

    def job(self, split: str) -> Job:
        return Job(self.config.name, self.name, self.seed, split)

    def has_one_policy(self) -> bool:
        """Whether no trial changes the variant's augmentation."""
        return not any(path.partition(".")[0] == "augmentation" for path in self.space)

    def owner(self, trial: int | str) -> str:
        """Returns the suffix of the folder with a trial's own augmented images."""
        return f"{self.config.name}.{self.name}.trial{trial}"  # unique: no name has a point

    def training_epochs(self, data: str) -> AugmentedEpochs:
        """Returns the images augmented by the variant's own policy; `data`: their fingerprint."""
        return AugmentedEpochs(self.variant.augmentation, self.seed, data)

    def tta_epochs(self, data: str) -> AugmentedEpochs:
        """Returns the random views that every trial averages over when it predicts."""
        return tta_epochs(self.variant, self.seed, data, "train")

    def shared_epochs(self, data: str) -> Counter[AugmentedEpochs]:
        """Returns the augmented images shared by all trials, with how many epochs they need."""
        shared = Counter({self.tta_epochs(data): self.variant.test_time_draws})
        if self.has_one_policy():
            # | takes the larger number where views and trainings share one policy.
            shared |= Counter({self.training_epochs(data): self.longest_epochs})
        return shared

    def identity(self, run: Run) -> dict[str, Any]:
        """Returns what two trials must have in common to be comparable, as JSON values."""
        # Placeholders for the whole space; together they may be impossible.
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
        UserError: when several could be meant, the variant has no search space, or a name is too
            long.
    """
    searched = [each for each, variant in config.variants.items() if variant.search_space]
    if name is None and len(searched) == 1:
        name = searched[0]
    if not searched:
        raise UserError(
            f"no variant of '{config.name}' has a search_space (configs/tune.yaml is an example)"
        )
    known = ", ".join(searched)
    if name is None:
        raise UserError(f"name the variant to tune, VARIANT=…; those with a search_space: {known}")
    if name not in searched:
        raise UserError(
            f"the variant '{name}' has no search_space to tune; those with one: {known}"
        )
    search = Search(config, name)
    if len(search.best_name) > LONGEST_NAME:
        raise UserError(f"the name '{search.best_name}' is too long; shorten it, SET=\"name=…\"")
    return search


def open_study(search: Search) -> Study:
    """Opens or creates a search's study, with the configured sampler and pruner."""
    settings = search.settings
    options = {
        "study_name": str(search),
        "storage": open_storage(settings.storage, search.files.journal),
        "sampler": settings.sampler.build(search.space, settings.seed),
        "pruner": settings.pruner.build(search.longest_epochs),
    }
    try:
        return optuna.load_study(**options)
    except KeyError:  # it does not exist; another process may create it meanwhile
        return optuna.create_study(**options, direction="minimize", load_if_exists=True)


IDENTITY = "identity"


def require_comparable(study: Study, search: Search, run: Run) -> None:
    """Records a new study's identity; raises UserError if an old one's differs."""
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
            f"the study {search} has trials of another sampler, so a grid would never be "
            f"complete; {_new_study(search)}"
        )
    if study.user_attrs.get(IDENTITY) != identity:
        study.set_user_attr(IDENTITY, identity)


def _new_study(search: Search) -> str:
    removal = (
        f"remove {search.files.journal}"
        if search.settings.storage is None
        else f"delete it with `optuna delete-study --study-name {search} --storage …`"
    )
    return f'start another study with SET="name=…", or {removal}'
