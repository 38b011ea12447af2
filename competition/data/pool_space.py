"""Room for augmented epochs: bounded, and the pools that were used longest ago make way."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from competition import locks, paths
from competition.atomic import paths_below, remove_partials
from competition.data.pool import Pool, make_pools
from competition.digits import DataSet
from competition.errors import UserError
from competition.machine import available_memory, core_count, free_bytes

# What all pools together may take: 600 epochs of the competition's 42,000 training rows.
LIMIT_BYTES = 20_000_000_000

# Measured: a process that augments peaks at 0.21 GB; one that has trained before has more already.
AUGMENTING_WORKER_BYTES = 300_000_000


@contextmanager
def pools_at_hand(epochs: dict[Pool, int], data_set: DataSet, threads: int = 1) -> Iterator[None]:
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
    with locks.shared(paths.pools_lock_file()):
        fitting = max(1, available_memory() // AUGMENTING_WORKER_BYTES)
        make_pools(epochs, data_set, min(core_count(), fitting), threads)
        yield


def make_room(epochs: dict[Pool, int], data_set: DataSet) -> None:
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
    with locks.exclusive(paths.pools_lock_file()) as is_free:
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
