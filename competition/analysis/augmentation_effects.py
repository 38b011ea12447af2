"""What each augmentation policy does to a sample of digits."""

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
    """A policy, and how it changes digits.

    Attributes:
        variants: names of the configuration's variants that train with it.
        before: uint8 `[10, 28, 28]`, the same digits for each policy.
        after: uint8 `[5, 10, 28, 28]`, five augmented copies of each.
        measured: number of digits behind the figures below.
        slant_before, slant_after: standard deviation of the slant in degrees.
        ink_ratio: ink after augmentation as a share of the ink before.
        at_edge: share of the augmented digits with ink on the image's edge.
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
        """Every parameter with its value, given or default."""
        known = registry.parameters(registry.AUGMENTATIONS[self.augmentation.name])
        defaults = {name: default for name, (_, default) in known.items()}
        return defaults | self.augmentation.parameters


def study_policies(config: Config, digits: Digits, seed: int) -> list[Policy]:
    """Applies all policies of the registry and the configuration's variants to labelled digits."""
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
    """Returns the positions of ten random digits, of different classes as far as possible."""
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
    augmented = augment(measured, augmentation, seed, epoch=0)
    has_ink = augmented.any(axis=(1, 2))  # a shift may move a whole digit out of the image
    before, after = measure(measured), measure(augmented[has_ink])
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
        at_edge=float(augmented[:, edge].any(axis=1).mean()),
    )
