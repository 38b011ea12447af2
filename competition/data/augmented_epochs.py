"""Augmented epochs, made once, kept on disk, and shared by all jobs that use the same.

An epoch depends on policy, seed and data, but not on fold or variant. Each is a file with a
checksum, which trainings memory-map. `make clean` removes them all.
"""

from collections.abc import Callable, Iterator
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
from competition.console import ProgressDisplay, bytes_text, count_of
from competition.digits import DataSet, Digits
from competition.errors import UserError, naming
from competition.results import identity_hash
from competition.storage import DAMAGED_ARRAYS, PARTIAL, atomic_file, is_whole, write_array
from competition.system import (
    MORE_MEMORY,
    Command,
    augmenting_versions,
    available_memory,
    core_count,
    free_bytes,
    no_workers,
    side_by_side,
    workers_may_end,
)

# To be raised by hand when this module changes the files of the same policy and seed.
POOL_VERSION = 3

UNCHANGED = Augmentation(name="none")

Part = Literal["train", "test"]

# Spawn keys, so that the random streams of the two parts never overlap.
BRANCHES: dict[Part, tuple[int, ...]] = {"train": (), "test": (1,)}

# Measured: a process that augments peaks at 0.21 GB; one that has trained already holds more.
AUGMENTING_WORKER_BYTES = 300_000_000


@dataclass(frozen=True)
class AugmentedEpochs:
    """The augmented epochs of one part of the data, with one policy and one seed.

    Attributes:
        augmentation: the policy; `none` takes no space on disk.
        data_fingerprint: of the data set that the digits come from.
        part: its labelled rows, `train`, or its unlabelled ones, `test`.
        owner: the only user, who also removes it; empty if shared. The images are the same.
    """

    augmentation: Augmentation
    seed: int
    data_fingerprint: str
    part: Part = "train"
    owner: str = ""

    def epoch(self, number: int, digits: Digits) -> np.ndarray:
        """Returns the images of an existing epoch, uint8 `[n, 28, 28]`, memory-mapped.

        Args:
            number: of the epoch, from 0.
            digits: of this part; `none` returns their images.
        """
        if self.augmentation == UNCHANGED:
            return digits.images
        try:
            return np.load(self.file(number), mmap_mode="r", allow_pickle=False)
        except DAMAGED_ARRAYS as error:
            raise UserError(
                f"the augmented images {self.file(number)} cannot be read ({error}); "
                "run the command again to make them again"
            ) from None

    def originals(self, data_set: DataSet) -> np.ndarray:
        """Returns the images to augment, uint8 `[n, 28, 28]`."""
        return getattr(data_set, self.part).images

    def missing(self, epochs: int) -> list[int]:
        """Returns the numbers below `epochs` of epochs that are not made yet."""
        if self.augmentation == UNCHANGED:
            return []
        return [number for number in range(epochs) if not self.file(number).exists()]

    def folder(self) -> Path:
        policy, libraries = self.augmentation.identity(), augmenting_versions()
        identity = [POOL_VERSION, libraries, policy, self.seed, self.data_fingerprint, self.part]
        return paths.pool_folder(identity_hash(identity)[:16], self.owner)

    def file(self, number: int) -> Path:
        return self.folder() / f"epoch{number:03d}.npy"


@contextmanager
def pools_at_hand(
    epochs: dict[AugmentedEpochs, int], data_set: DataSet, threads: int = 1
) -> Iterator[None]:
    """Makes the missing epochs of some pools; `make clean` cannot remove them during the block.

    Args:
        epochs: the number of epochs that each pool needs.
        threads: per training worker; the same workers then make the images, and start only once.

    Raises:
        UserError: when the disk has too little room; nothing was made.
    """
    with storage.shared(paths.POOLS_LOCK):
        require_room(epochs, data_set)
        fitting = max(1, available_memory() // AUGMENTING_WORKER_BYTES)
        workers = 1 if no_workers() else min(core_count(), fitting)
        make_pools(epochs, data_set, workers, threads)
        yield


def require_room(epochs: dict[AugmentedEpochs, int], data_set: DataSet) -> None:
    """Raises UserError if the disk has no room for the missing epochs."""
    needed = sum(
        len(pool.missing(count)) * pool.originals(data_set).nbytes for pool, count in epochs.items()
    )
    free = free_bytes(paths.POOLS)
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
    """Makes the missing and damaged epochs of each pool, with progress.

    The images do not depend on the number of workers. `epochs` and `threads` as in `pools_at_hand`.
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
        ProgressDisplay(f"augmenting {count_of(len(tasks), 'epoch')}", len(tasks)) as display,
        # Workers are sent a path, not the images.
        TemporaryDirectory(prefix=f"originals{PARTIAL}", dir=paths.POOLS) as originals,
    ):
        for part, images in {pool.part: pool.originals(data_set) for pool, _ in tasks}.items():
            with naming(file := Path(originals, f"{part}.npy")):
                np.save(file, images)
        calls = (delayed(_make_in_worker)(*task, originals, command) for task in tasks)
        for done, _ in enumerate(parallel(calls), start=1):
            display.update(done)


def make_pool(
    pool: AugmentedEpochs,
    epochs: int,
    data_set: DataSet,
    before_each: Callable[[], None] = lambda: None,
) -> None:
    """Makes a pool's missing and damaged epochs in this process, without progress."""
    for number in range(epochs):
        _remove_damaged(pool.file(number))
    for number in pool.missing(epochs):
        before_each()
        _make_epoch(pool, number, pool.originals(data_set))


def _remove_damaged(file: Path) -> None:
    """Removes an epoch with a wrong checksum, and says so; a check takes about 10 ms."""
    with suppress(FileNotFoundError):  # not made yet, or just removed by another command
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
    """Returns augmented images, uint8 `[n, 28, 28]` as the originals.

    The draws for each image depend only on the pool's seed, epoch, part and the image's position.
    """
    import cv2

    policy = augmentation.build()
    if policy is None:
        return images
    cv2.setNumThreads(1)  # epochs run in parallel already
    stream = np.random.SeedSequence([seed, epoch], spawn_key=BRANCHES[part])
    varied = np.empty_like(images)
    for position, image_seed in enumerate(stream.generate_state(len(images)).tolist()):
        policy.set_random_seed(image_seed)
        # albumentations gives all steps of a policy the same seed, and so the same draws.
        for place, step in enumerate(policy.transforms[1:], start=1):
            step_seed = np.random.SeedSequence([image_seed, place]).generate_state(1)[0]
            step.set_random_seed(int(step_seed))
        varied[position] = policy(image=images[position])["image"]
    return varied
