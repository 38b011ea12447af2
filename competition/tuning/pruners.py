"""Optuna's pruners by the names of the catalogue.

Each function takes the number of epochs of the longest training, then what YAML may give.
"""

from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner, WilcoxonPruner


def none(epochs: int) -> BasePruner:
    """Every trial is trained to its end."""
    return NopPruner()


def median(epochs: int, startup_trials: int = 5) -> BasePruner:
    """Ends a trial that is worse than the others' median at the same share of the training.

    Args:
        startup_trials: so many are trained to their end first.
    """
    return MedianPruner(n_startup_trials=startup_trials)


def hyperband(epochs: int, reduction_factor: int = 3) -> BasePruner:
    """Successive halving in several brackets (L. Li et al., JMLR 18, 2018).

    Args:
        reduction_factor: one of so many trials goes on from each rung.

    Raises:
        ValueError: when it is below 2.
    """
    if reduction_factor < 2:
        raise ValueError(f"reduction_factor is {reduction_factor}, expected 2 or more")
    return HyperbandPruner(max_resource=epochs, reduction_factor=reduction_factor)


def wilcoxon(epochs: int, p_threshold: float = 0.1) -> BasePruner:
    """Ends a trial that is worse than the best one on the same folds, by Wilcoxon's test.

    Args:
        p_threshold: the one-sided p-value below which it is.
    """
    return WilcoxonPruner(p_threshold=p_threshold)
