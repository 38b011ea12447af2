"""Optuna's samplers and pruners by the names of the registry.

A sampler's function takes the search space and the study's seed; a pruner's takes the epochs of
the longest training; then come the parameters that YAML may set.
"""

import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner, WilcoxonPruner
from optuna.samplers import BaseSampler, GPSampler, GridSampler, RandomSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from competition.config.search_space import Parameter
from competition.errors import UserError

Space = dict[str, Parameter]


def tpe(space: Space, seed: int, startup_trials: int = 10) -> BaseSampler:
    """Tree-structured Parzen estimator (J. Bergstra et al., NeurIPS 2011), Optuna's default.

    Args:
        startup_trials: how many trials are random before the sampler learns from them.
    """
    return SeededByNumber(lambda own: TPESampler(n_startup_trials=startup_trials, seed=own), seed)


def random(space: Space, seed: int) -> BaseSampler:
    """Independent draws (J. Bergstra and Y. Bengio, JMLR 13, 2012)."""
    return SeededByNumber(lambda own: RandomSampler(seed=own), seed)


def grid(space: Space, seed: int) -> BaseSampler:
    """Every combination once, in an order drawn from the seed; the study ends with them."""
    return GridSampler({name: parameter.values() for name, parameter in space.items()}, seed)


def gp(space: Space, seed: int, startup_trials: int = 10) -> BaseSampler:
    """Bayesian optimisation with a Gaussian process; needs the package `torch`.

    Args:
        startup_trials: as in `tpe`.
    """
    if importlib.util.find_spec("torch") is None:  # not in the requirements: only this needs it
        raise UserError(
            "the sampler 'gp' needs the package 'torch': .venv/bin/pip install torch; or choose "
            "another tuning.sampler"
        )
    return SeededByNumber(lambda own: GPSampler(n_startup_trials=startup_trials, seed=own), seed)


class SeededByNumber(BaseSampler):
    """Makes a new sampler for each trial, seeded by the study's seed and the trial's number.

    So a trial draws the same values again if the trials before it are the same, in whichever
    worker process it runs.
    """

    def __init__(self, make: Callable[[int], BaseSampler], seed: int):
        self._make, self._seed = make, seed
        self._sampler = make(seed)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        stream = np.random.SeedSequence([self._seed, trial.number])
        self._sampler = self._make(int(stream.generate_state(1)[0]))
        self._sampler.before_trial(study, trial)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return self._sampler.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return self._sampler.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: Any
    ) -> Any:
        return self._sampler.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Any) -> None:
        self._sampler.after_trial(study, trial, state, values)


def none(epochs: int) -> BasePruner:
    """Every trial is trained to its end."""
    return NopPruner()


def median(epochs: int, startup_trials: int = 5) -> BasePruner:
    """Ends a trial that is worse than the others' median at the same share of the training.

    Args:
        startup_trials: how many trials are trained to their end before any is ended.
    """
    return MedianPruner(n_startup_trials=startup_trials)


def hyperband(epochs: int, reduction_factor: int = 3) -> BasePruner:
    """Successive halving in several brackets (L. Li et al., JMLR 18, 2018).

    Args:
        reduction_factor: one in this many trials goes on from each rung; at least 2.
    """
    if reduction_factor < 2:
        raise ValueError(f"reduction_factor is {reduction_factor}, expected 2 or more")
    return HyperbandPruner(max_resource=epochs, reduction_factor=reduction_factor)


def wilcoxon(epochs: int, p_threshold: float = 0.1) -> BasePruner:
    """Ends a trial that is significantly worse than the best one on the same folds (Wilcoxon's
    signed-rank test).

    Args:
        p_threshold: the one-sided p-value below which a trial counts as worse.
    """
    return WilcoxonPruner(p_threshold=p_threshold)
