"""Rows of the competition as one HDF5 file with a training and a test part, to try that format."""

from pathlib import Path

import h5py
import numpy as np

from competition import paths
from competition.atomic import atomic_file
from competition.data.entries import visible_entries
from competition.data.sources import MissingDataError, load_data_set
from competition.digits import Digits
from competition.errors import UserError, passes

NAME = "mnist-hdf5"
# Of 42,000 rows, 6,000 are the test part.
TEST_SHARE = 1 / 7
SPLIT_SEED = 0

# An attribute by which a file that was written here is known.
MADE_FROM = "made_from"


def install(force: bool = False) -> bool:
    """Writes `input/mnist-hdf5/mnist.hdf5` unless good data is there, and says whether it did.

    Args:
        force: write it again, if it was written here.

    Raises:
        UserError: when what somebody else put there is broken or to be replaced, or the
            competition's rows are not there.
    """
    others = _not_ours(paths.data_folder(NAME))
    if others:
        _require_good(others[0], force)
    elif force or not passes(load_data_set, NAME):
        write_example()
        return True
    return False


def write_example() -> None:
    """Writes a stratified seventh of the competition's labelled rows as test, the others as train.

    Raises:
        UserError: when the competition's rows are missing or broken.
    """
    from sklearn.model_selection import train_test_split

    digits = _competition_rows()
    parts = train_test_split(
        np.arange(len(digits)),
        test_size=round(len(digits) * TEST_SHARE),
        stratify=digits.labels,
        random_state=SPLIT_SEED,
    )
    with atomic_file(paths.hdf5_file(NAME)) as partial, h5py.File(partial, "w") as file:
        file.attrs[MADE_FROM] = paths.COMPETITION
        for part, rows in zip(("train", "test"), parts, strict=True):
            file[f"{part}/images"] = digits.images[rows]
            file[f"{part}/labels"] = digits.labels[rows]


def _competition_rows() -> Digits:
    try:
        return load_data_set(paths.COMPETITION).train
    except MissingDataError:
        raise UserError(
            f"{paths.data_folder(NAME)}/ has no HDF5 file of yours, and to write one with the "
            "competition's rows, these have to be here first: `make download`, then this again"
        ) from None


def _not_ours(folder: Path) -> list[Path]:
    cache = paths.cache_folder(folder)
    found = (entry for entry in visible_entries(folder) if entry != cache)
    return [file for file in found if not _is_ours(file)]


def _require_good(file: Path, force: bool) -> None:
    """Reads the data that a file of somebody else belongs to."""
    mend = "to try this format with the competition's rows, move it away"
    if force:
        raise UserError(f"{file} was not written by this program and is not replaced; {mend}")
    try:
        load_data_set(NAME)
    except MissingDataError:
        raise UserError(f"{file} holds no digits in a format that is read; {mend}") from None


def _is_ours(file: Path) -> bool:
    try:
        with h5py.File(file, "r") as opened:
            return MADE_FROM in opened.attrs
    except OSError:
        return False
