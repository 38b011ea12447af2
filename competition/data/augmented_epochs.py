"""Augmented epochs, made once, kept on disk, and shared by every job that asks for the same.

Epochs depend on the policy, the seed and the data, but on no fold and no variant. Each is an array
of its own with a checksum, memory-mapped by whoever trains on it. `make clean` removes them all.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np
from joblib import delayed

from competition import paths, storage
from competition.config.registry import Augmentation
from competition.console import ProgressDisplay, bytes_text
from competition.digits import DataSet, Digits
from competition.errors import UserError
from competition.results import identity_hash
from competition.storage import DAMAGED_ARRAYS, PARTIAL, atomic_file, is_whole, write_array
from competition.system import (
    MORE_MEMORY,
    Command,
    augmenting_versions,
    available_memory,
    core_count,
    free_bytes,
    side_by_side,
    workers_may_end,
)

# Raised by hand when this module makes other files of the same policy and seed.
POOL_VERSION = 3

UNCHANGED = Augmentation(name="none")

Part = Literal["train", "test"]

# Where the random stream of each part branches off; those of the parts never meet.
BRANCHES: dict[Part, tuple[int, ...]] = {"train": (), "test": (1,)}

# Measured: a process that augments peaks at 0.21 GB; one that has trained before has more already.
AUGMENTING_WORKER_BYTES = 300_000_000


@dataclass(frozen=True)
class AugmentedEpochs:
    """The augmented epochs of one part of the data, with one policy and one seed.

    Attributes:
        augmentation: the policy; `none` takes no space on disk.
        seed: different seeds draw different images.
        data_fingerprint: of the data set that the digits come from.
        part: its labelled rows, `train`, or its unlabelled ones, `test`.
        owner: who alone uses it and removes it; the images are the same as those that all share.
    """

    augmentation: Augmentation
    seed: int
    data_fingerprint: str
    part: Part = "train"
    owner: str = ""

    def epoch(self, number: int, digits: Digits) -> np.ndarray:
        """Returns the images of an epoch that was made, uint8 `[n, 28, 28]`, memory-mapped.

        Args:
            number: of the epoch, from 0.
            digits: the digits of this part, which `none` leaves as they are.

        Raises:
            UserError: when its file was removed or damaged since.
        """
        if self.augmentation == UNCHANGED:
            return digits.images
        try:
            return np.load(self.file(number), mmap_mode="r", allow_pickle=False)
        except DAMAGED_ARRAYS as error:
            raise UserError(
                f"the augmented images {self.file(number)} cannot be read ({error}); "
                "run it again, and they are made again"
            ) from None

    def originals(self, data_set: DataSet) -> np.ndarray:
        """Returns the images that are varied, uint8 `[n, 28, 28]`."""
        return getattr(data_set, self.part).images

    def missing(self, epochs: int) -> list[int]:
        """Returns the numbers below `epochs` whose images are not made yet."""
        if self.augmentation == UNCHANGED:
            return []
        return [number for number in range(epochs) if not self.file(number).exists()]

    def folder(self) -> Path:
        """Returns where the epochs are kept."""
        policy = self.augmentation.identity()
        made_by = augmenting_versions()
        identity = [POOL_VERSION, made_by, policy, self.seed, self.data_fingerprint, self.part]
        return paths.pool_folder(identity_hash(identity)[:16], self.owner)

    def file(self, number: int) -> Path:
        """Returns where an epoch is kept."""
        return self.folder() / f"epoch{number:03d}.npy"


@contextmanager
def pools_at_hand(
    epochs: dict[AugmentedEpochs, int], data_set: DataSet, threads: int = 1
) -> Iterator[None]:
    """Makes what is missing of some pools, and keeps `make clean` from removing them meanwhile.

    Args:
        epochs: how many epochs each pool is to have.
        data_set: the images to vary.
        threads: that training gives each of its workers: asked for in the same way, these make
            the images too, and need not be started twice.

    Raises:
        UserError: when the disk has too little room; nothing was made.
    """
    with storage.shared(paths.POOLS_LOCK):
        require_room(epochs, data_set)
        fitting = max(1, available_memory() // AUGMENTING_WORKER_BYTES)
        make_pools(epochs, data_set, min(core_count(), fitting), threads)
        yield


def require_room(epochs: dict[AugmentedEpochs, int], data_set: DataSet) -> None:
    """Raises UserError if the disk has no room for the epochs that are missing."""
    needed = sum(
        len(pool.missing(count)) * pool.originals(data_set).nbytes for pool, count in epochs.items()
    )
    free = free_bytes(paths.OUTPUT)
    if needed > free:
        raise UserError(
            f"the augmented images of this run need {bytes_text(needed)} in "
            f"{paths.POOLS}/, but the disk has {bytes_text(free)} free; free some of it "
            "(`make clean` removes the augmented images of earlier runs), or train fewer policies, "
            "seeds or epochs at a time"
        )


def make_pools(
    epochs: dict[AugmentedEpochs, int], data_set: DataSet, workers: int, threads: int = 1
) -> None:
    """Makes the epochs of each pool that are missing or damaged, with progress.

    Args:
        epochs: how many epochs each pool is to have.
        data_set: the images to vary.
        workers: processes that share the work; the images do not depend on their number.
        threads: as for `pools_at_hand`.

    Raises:
        UserError: when the system ends a worker.
    """
    files = [pool.file(number) for pool, count in epochs.items() for number in range(count)]
    with ThreadPoolExecutor() as checkers:  # zlib releases the interpreter while it computes
        list(checkers.map(_remove_damaged, files))
    tasks = [(pool, number) for pool, count in epochs.items() for number in pool.missing(count)]
    if not tasks:
        return
    parallel, command = side_by_side(workers, threads), Command()
    paths.POOLS.mkdir(parents=True, exist_ok=True)
    with (
        workers_may_end(f"finished epochs are kept: {MORE_MEMORY}"),
        ProgressDisplay(f"augmenting {len(tasks)} epochs", len(tasks)) as display,
        # Workers are sent a path and no images.
        TemporaryDirectory(prefix=f"originals{PARTIAL}", dir=paths.POOLS) as originals,
    ):
        for part, images in {pool.part: pool.originals(data_set) for pool, _ in tasks}.items():
            np.save(Path(originals, f"{part}.npy"), images)
        calls = (delayed(_make_in_worker)(*task, originals, command) for task in tasks)
        for done, _ in enumerate(parallel(calls), start=1):
            display.update(done)


def make_pool(pool: AugmentedEpochs, epochs: int, data_set: DataSet) -> None:
    """Makes the epochs that a pool lacks in this process alone, and shows no progress."""
    for number in pool.missing(epochs):
        _make_epoch(pool, number, pool.originals(data_set))


def _remove_damaged(file: Path) -> None:
    """Removes an epoch with a wrong checksum, and says so; it takes about 10 ms to check."""
    with suppress(FileNotFoundError):  # not made yet, or another command has just removed it
        if not is_whole(file):
            file.unlink()
            print(f"the augmented images {file} are damaged and are made again")


def _make_in_worker(pool: AugmentedEpochs, number: int, originals: str, command: Command) -> None:
    command.join()
    _make_epoch(pool, number, np.load(Path(originals, f"{pool.part}.npy"), allow_pickle=False))


def _make_epoch(pool: AugmentedEpochs, number: int, images: np.ndarray) -> None:
    varied = augment(images, pool.augmentation, pool.seed, number, pool.part)
    with atomic_file(pool.file(number), is_remade=True) as partial:
        write_array(partial, varied)


def augment(
    images: np.ndarray, augmentation: Augmentation, seed: int, epoch: int, part: Part = "train"
) -> np.ndarray:
    """Varies each image by itself, with parameters drawn for this seed, epoch, part and position.

    Args:
        images: uint8 `[n, 28, 28]`.
        augmentation: the policy.
        seed: of the pool.
        epoch: number of the epoch, from 0.
        part: of the data; the two draw from streams of their own.

    Returns:
        uint8 `[n, 28, 28]`.
    """
    import cv2

    policy = augmentation.build()
    if policy is None:
        return images
    cv2.setNumThreads(1)  # the epochs are the parallel part
    stream = np.random.SeedSequence([seed, epoch], spawn_key=BRANCHES[part])
    varied = np.empty_like(images)
    for position, image_seed in enumerate(stream.generate_state(len(images)).tolist()):
        policy.set_random_seed(image_seed)
        # albumentations gives all steps of a policy the same seed, and so the same draws.
        for place, step in enumerate(policy.transforms[1:], start=1):
            own = np.random.SeedSequence([image_seed, place])
            step.set_random_seed(int(own.generate_state(1)[0]))
        varied[position] = policy(image=images[position])["image"]
    return varied
