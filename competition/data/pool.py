"""Augmented epochs, made once, kept on disk, and shared by every job that asks for the same.

Epochs depend on the policy, the seed and the data, but on no fold and no variant.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed

from competition import paths
from competition.atomic import atomic_file
from competition.components import Augmentation
from competition.digits import Digits
from competition.processes import end_with
from competition.progress import ProgressDisplay
from competition.results import identity_hash

# Raised by hand when this module makes other images of the same policy and seed.
POOL_VERSION = 1

UNCHANGED = Augmentation(name="none")


@dataclass(frozen=True)
class Pool:
    """The augmented epochs of one policy with one seed.

    Attributes:
        augmentation: the policy; `none` takes no space on disk.
        seed: different seeds draw different images.
        data: fingerprint of the data set that the digits come from.
    """

    augmentation: Augmentation
    seed: int
    data: str

    def epoch(self, number: int, digits: Digits) -> np.ndarray:
        """Returns the images of an epoch that was made, uint8 `[n, 28, 28]`, memory-mapped."""
        if self.augmentation == UNCHANGED:
            return digits.images
        return np.load(self.file(number), mmap_mode="r", allow_pickle=False)

    def missing(self, epochs: int) -> list[int]:
        """Returns the numbers below `epochs` whose images are not made yet."""
        if self.augmentation == UNCHANGED:
            return []
        return [number for number in range(epochs) if not self.file(number).exists()]

    def file(self, number: int) -> Path:
        """Returns where an epoch is kept."""
        identity = [POOL_VERSION, self.augmentation.identity(), self.seed, self.data]
        return paths.pool_folder(identity_hash(identity)[:16]) / f"epoch{number:03d}.npy"


def make_pools(epochs: dict[Pool, int], digits: Digits, workers: int) -> None:
    """Makes the epochs of each pool that are not there yet, with progress.

    Args:
        epochs: how many epochs each pool is to have.
        digits: the images to vary.
        workers: processes that share the work; the images do not depend on their number.
    """
    tasks = [(pool, number) for pool, count in epochs.items() for number in pool.missing(count)]
    if not tasks:
        return
    with ProgressDisplay(f"augmenting {len(tasks)} epochs", len(tasks)) as display:
        for done, _ in enumerate(_in_parallel(tasks, digits, workers), start=1):
            display.update(done)


def _in_parallel(tasks: list, digits: Digits, workers: int) -> Iterable:
    # 33 MB an epoch are sent in no time; shared through files, they leak when interrupted.
    parallel = Parallel(workers, return_as="generator_unordered", max_nbytes=None)
    command = os.getpid()
    return parallel(delayed(_make_epoch)(pool, number, digits, command) for pool, number in tasks)


def _make_epoch(pool: Pool, number: int, digits: Digits, command: int) -> None:
    end_with(command)
    images = augment(digits.images, pool.augmentation, pool.seed, number)
    with atomic_file(pool.file(number)) as partial, partial.open("wb") as file:
        np.save(file, images)


def augment(images: np.ndarray, augmentation: Augmentation, seed: int, epoch: int) -> np.ndarray:
    """Varies each image by itself, with parameters drawn for this seed, epoch and position.

    Args:
        images: uint8 `[n, 28, 28]`.
        augmentation: the policy.
        seed: of the pool.
        epoch: number of the epoch, from 0.

    Returns:
        uint8 `[n, 28, 28]`.
    """
    import cv2

    policy = augmentation.build()
    if policy is None:
        return images
    cv2.setNumThreads(1)  # the epochs are the parallel part
    seeds = np.random.SeedSequence([seed, epoch]).generate_state(len(images))
    varied = np.empty_like(images)
    for position, image in enumerate(images):
        policy.set_random_seed(int(seeds[position]))
        varied[position] = policy(image=image)["image"]
    return varied
