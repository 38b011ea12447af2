"""What the augmentation policies make of some digits."""

from dataclasses import dataclass

import numpy as np

from competition.analysis.digit_measures import measure
from competition.config import registry
from competition.config.loading import Config
from competition.config.registry import Augmentation
from competition.data.augmented_epochs import augment
from competition.digits import SIDE, Digits

DIGITS_SHOWN = 10
DRAWS_SHOWN = 5
DIGITS_MEASURED = 1000


@dataclass(frozen=True)
class Policy:
    """A policy, and what it did.

    Attributes:
        augmentation: its name and the parameters that are not its own defaults.
        variants: names of the configuration's variants that train with it.
        before: uint8 `[10, 28, 28]`, the same digits for each policy.
        after: uint8 `[5, 10, 28, 28]`, draws of them.
        measured: how many digits the following figures are of.
        slant_before, slant_after: standard deviation of the slant in degrees.
        ink_ratio: ink after, as a share of that before.
        at_edge: share of the varied digits with ink on the image's edge.
    """

    augmentation: Augmentation
    variants: list[str]
    before: np.ndarray
    after: np.ndarray
    measured: int
    slant_before: float
    slant_after: float
    ink_ratio: float
    at_edge: float

    @property
    def values(self) -> dict[str, object]:
        """Every parameter with the value it has, given or by default."""
        known = registry.parameters(registry.AUGMENTATIONS[self.augmentation.name])
        defaults = {name: default for name, (_, default) in known.items()}
        return defaults | self.augmentation.parameters


def study_policies(config: Config, digits: Digits, seed: int) -> list[Policy]:
    """Tries every policy of the registry, and those that the configuration's variants name.

    Args:
        config: its variants name policies.
        digits: labelled; some are drawn, of as many classes as there are.
        seed: draws digits and variations.
    """
    shown = digits.images[_one_per_class(digits, seed)]
    random = np.random.default_rng(seed)
    count = min(len(digits), DIGITS_MEASURED)
    measured = digits.images[random.choice(len(digits), count, replace=False)]
    policies = [Augmentation(name=name) for name in registry.AUGMENTATIONS]
    users: dict[str, Augmentation] = {}
    for name, variant in config.variants.items():
        users[name] = variant.augmentation
        if variant.augmentation not in policies:
            policies.append(variant.augmentation)
    return [
        _study(policy, [name for name in users if users[name] == policy], shown, measured, seed)
        for policy in policies
    ]


def _one_per_class(digits: Digits, seed: int) -> np.ndarray:
    """Returns positions of ten digits: of different classes, as far as these go."""
    order = np.random.default_rng(seed).permutation(len(digits))
    _, firsts = np.unique(digits.labels[order], return_index=True)
    others = np.setdiff1d(np.arange(len(digits)), firsts)
    return order[np.concatenate([firsts, others])[:DIGITS_SHOWN]]


def _study(
    augmentation: Augmentation,
    variants: list[str],
    shown: np.ndarray,
    measured: np.ndarray,
    seed: int,
) -> Policy:
    varied = augment(measured, augmentation, seed, epoch=0)
    has_ink = varied.any(axis=(1, 2))  # a digit may be shifted out of the image altogether
    before, after = measure(measured), measure(varied[has_ink])
    edge = np.ones((SIDE, SIDE), bool)
    edge[1:-1, 1:-1] = False
    return Policy(
        augmentation=augmentation,
        variants=variants,
        before=shown,
        after=np.stack([augment(shown, augmentation, seed, draw) for draw in range(DRAWS_SHOWN)]),
        measured=len(measured),
        slant_before=float(before.slant.std()),
        slant_after=float(after.slant.std()),
        ink_ratio=float(after.ink.sum() / before.ink.sum()),
        at_edge=float(varied[:, edge].any(axis=1).mean()),
    )
