"""Augmented epochs, made once, kept on disk, and shared by every job that asks for the same.

Epochs depend on the policy, the seed and the data, but on no fold and no variant. Each is an
array of its own, memory-mapped by whoever trains on it, with a checksum.
"""

import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
from joblib import delayed

from competition import paths, storage
from competition.config.registry import Augmentation
from competition.console import ProgressDisplay
from competition.digits import DataSet, Digits
from competition.errors import UserError
from competition.results import identity_hash
from competition.storage import (
    DAMAGED_ARRAYS,
    PARTIAL,
    atomic_file,
    is_whole,
    paths_below,
    remove_partials,
    write_array,
)
from competition.system import (
    MORE_MEMORY,
    augmenting_versions,
    available_memory,
    core_count,
    end_with,
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
            digits: the digits of the pool's part, which `none` leaves as they are.

        Raises:
            UserError: when its file went away or was damaged since.
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


def make_pools(
    epochs: dict[AugmentedEpochs, int], data_set: DataSet, workers: int, threads: int = 1
) -> None:
    """Makes the epochs of each pool that are not there yet or were damaged, with progress.

    Args:
        epochs: how many epochs each pool is to have.
        data_set: the images to vary.
        workers: processes that share the work; the images do not depend on their number.
        threads: that training gives each of its workers: asked for so, they are kept for it.

    Raises:
        UserError: when the system ends a worker.
    """
    _remove_damaged(epochs)
    tasks = [(pool, number) for pool, count in epochs.items() for number in pool.missing(count)]
    if not tasks:
        return
    parallel, command_pid = side_by_side(workers, threads), os.getpid()
    with (
        workers_may_end(f"finished epochs are kept: {MORE_MEMORY}"),
        ProgressDisplay(f"augmenting {len(tasks)} epochs", len(tasks)) as display,
        _originals_on_disk([pool for pool, _ in tasks], data_set) as originals,
    ):
        calls = (delayed(_make_in_worker)(*task, originals, command_pid) for task in tasks)
        for done, _ in enumerate(parallel(calls), start=1):
            display.update(done)


def make_pool(pool: AugmentedEpochs, epochs: int, data_set: DataSet) -> None:
    """Makes the epochs that a pool lacks in this process alone, and shows no progress."""
    for number in pool.missing(epochs):
        _make_epoch(pool, number, pool.originals(data_set))


def _remove_damaged(epochs: dict[AugmentedEpochs, int]) -> None:
    """Removes each epoch with a wrong checksum, and says so; one takes about 10 ms to check."""
    files = [pool.file(number) for pool, count in epochs.items() for number in range(count)]
    with ThreadPoolExecutor() as threads:  # zlib lets go of the interpreter while it computes
        for file, is_damaged in zip(files, threads.map(_is_damaged, files), strict=True):
            if is_damaged and _is_damaged(file):  # another command may have made it again
                print(f"the augmented images {file} are damaged and are made again")
                file.unlink(missing_ok=True)


def _is_damaged(file: Path) -> bool:
    """Says whether a file is damaged; one that is not there, or not any more, is not."""
    try:
        return not is_whole(file)
    except FileNotFoundError:
        return False


@contextmanager
def _originals_on_disk(varied: list[AugmentedEpochs], data_set: DataSet) -> Iterator[Path]:
    """Yields a folder with an array of each part: workers are sent a path, and no images."""
    originals = {pool.part: pool.originals(data_set) for pool in varied}
    pools = paths.pools_folder()
    pools.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f"originals{PARTIAL}", dir=pools) as folder:
        for part, images in originals.items():
            np.save(Path(folder) / f"{part}.npy", images)
        yield Path(folder)


def _make_in_worker(pool: AugmentedEpochs, number: int, originals: Path, command_pid: int) -> None:
    end_with(command_pid)
    file = originals / f"{pool.part}.npy"
    _make_epoch(pool, number, np.load(file, allow_pickle=False))


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
    seeds = stream.generate_state(len(images))
    varied = np.empty_like(images)
    for position, image in enumerate(images):
        _seed(policy, int(seeds[position]))
        varied[position] = policy(image=image)["image"]
    return varied


def _seed(policy: Any, seed: int) -> None:
    """Seeds a policy; albumentations gives all its steps the same seed, and so the same draws."""
    policy.set_random_seed(seed)
    for place, step in enumerate(policy.transforms[1:], start=1):
        own = np.random.SeedSequence([seed, place])
        step.set_random_seed(int(own.generate_state(1)[0]))


# What all pools together may take: 600 epochs of the competition's 42,000 training rows.
LIMIT_BYTES = 20_000_000_000

# Measured: a process that augments peaks at 0.21 GB; one that has trained before has more already.
AUGMENTING_WORKER_BYTES = 300_000_000


@contextmanager
def pools_at_hand(
    epochs: dict[AugmentedEpochs, int], data_set: DataSet, threads: int = 1
) -> Iterator[None]:
    """Makes what is missing of some pools, on all cores, and keeps them from being removed.

    Where memory is short, on fewer: a core each that has enough of it.

    Args:
        epochs: how many epochs each pool is to have.
        data_set: the images that they vary.
        threads: that training gives each of its workers, which make these images, too.

    Raises:
        UserError: when there is too little room; nothing was made.
    """
    make_room(epochs, data_set)
    with storage.shared(paths.pools_lock_file()):
        fitting = max(1, available_memory() // AUGMENTING_WORKER_BYTES)
        make_pools(epochs, data_set, min(core_count(), fitting), threads)
        yield


def make_room(epochs: dict[AugmentedEpochs, int], data_set: DataSet) -> None:
    """Removes pools that this run does not need, as far as its own need their space.

    The caller must not hold the pools' lock. While others hold it, nothing is removed.

    Args:
        epochs: how many epochs each pool is to have.
        data_set: the images that they vary.

    Raises:
        UserError: when the limit or the disk still has too little room; nothing was made.
    """
    own = {pool.folder() for pool in epochs}
    for folder in filter(Path.exists, own):
        os.utime(folder)  # used now
    needed = sum(
        len(pool.missing(count)) * pool.originals(data_set).nbytes for pool, count in epochs.items()
    )
    with storage.exclusive(paths.pools_lock_file()) as is_free:
        if is_free:  # then what looks half-written is what a killed command left
            remove_partials(paths.pools_folder())
        others = _oldest_first(own) if is_free else []
        while others and _lacks(needed):
            folder = others.pop(0)
            shutil.rmtree(folder)
            print(f"removed {folder}/, augmented images of another run, to make room")
        if _lacks(needed):
            raise UserError(_too_little(needed, is_free))


def _oldest_first(own: set[Path]) -> list[Path]:
    others = set(paths.pools_folder().glob("*/")) - own
    return sorted(others, key=lambda folder: folder.stat().st_mtime)


def _lacks(needed: int) -> bool:
    over_limit = needed > 0 and _taken() + needed > LIMIT_BYTES
    return over_limit or needed > free_bytes(paths.OUTPUT)


def _taken() -> int:
    return sum(map(_file_size, paths_below(paths.pools_folder())))


def _file_size(path: str) -> int:
    try:
        return os.path.getsize(path) if os.path.isfile(path) else 0
    except FileNotFoundError:  # another command has just given it its name, or removed it
        return 0


def _too_little(needed: int, is_free: bool) -> str:
    free = free_bytes(paths.OUTPUT)
    others = "" if is_free else ", or wait for the other training, whose images cannot make way"
    return (
        f"the augmented images of this run need {_gigabytes(needed)} more, but "
        f"{paths.pools_folder()}/ has {_gigabytes(_taken())} of at most {_gigabytes(LIMIT_BYTES)}, "
        f"and the disk has {_gigabytes(free)} free; free some of it, train fewer policies, seeds "
        f"or epochs at a time{others}"
    )


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.2f} GB"
