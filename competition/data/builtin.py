"""scikit-learn's own handwritten digits, brought into the competition's format.

They need no account and no network: 1,797 real 8x8 digits of 43 writers (E. Alpaydin and
C. Kaynak, "Optical Recognition of Handwritten Digits", UCI, 1998, the test part).
"""

from pathlib import Path

import h5py
import numpy as np

from competition import paths, tables
from competition.data.loading import (
    LABEL,
    PIXELS,
    MissingDataError,
    load_data_set,
    require_replaceable,
)
from competition.digits import SIDE, Digits
from competition.errors import UserError, passes
from competition.storage import atomic_file, atomic_folder, visible_entries
from competition.submission import write_rows

EMBEDDED = "embedded"
EMBEDDED_TEST_SHARE = 0.25
EMBEDDED_SPLIT_SEED = 0

# MNIST scales a digit into a 20x20 box and puts its centre of mass into the middle of 28x28
# (Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits").
BOX = 20
BRIGHTEST = 16  # load_digits counts ink from 0 to 16


def install_embedded(force: bool = False) -> bool:
    """Makes the data set unless good data is there already, and says whether it did.

    Args:
        force: make it again, though good data is there.

    Raises:
        UserError: when files of somebody else would be lost.
    """
    if not force and passes(load_data_set, EMBEDDED):
        return False
    require_replaceable(EMBEDDED)
    write_embedded()
    return True


def write_embedded() -> None:
    """Writes `train.csv`, `test.csv` and `sample_submission.csv` under `input/embedded/`.

    A stratified quarter of the digits becomes the test rows, without their labels.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    small, labels = load_digits(return_X_y=True)
    images = np.stack([mnist_style(image) for image in small.reshape(-1, 8, 8)])
    train, test = train_test_split(
        np.arange(len(labels)),
        test_size=EMBEDDED_TEST_SHARE,
        stratify=labels,
        random_state=EMBEDDED_SPLIT_SEED,
    )
    with atomic_folder(paths.data_folder(EMBEDDED)) as folder:
        write_csv(folder / paths.train_csv(EMBEDDED).name, images[train], labels[train])
        write_csv(folder / paths.test_csv(EMBEDDED).name, images[test])
        ids = np.arange(1, len(test) + 1)
        write_rows(folder / paths.sample_submission_csv(EMBEDDED).name, ids, np.zeros_like(ids))


def mnist_style(image: np.ndarray) -> np.ndarray:
    """Brings one digit to 28x28 the way MNIST was made.

    Args:
        image: `[height, width]` with ink from 0 to 16.

    Returns:
        uint8 `[28, 28]`: the ink's bounding box scaled to at most 20x20 pixels with its aspect
        kept, its centre of mass in the middle.
    """
    import cv2

    ink = _bounding_box(image) * (255 / BRIGHTEST)
    scale = BOX / max(ink.shape)
    size = tuple(max(1, round(length * scale)) for length in ink.shape[::-1])
    return _centred(cv2.resize(ink, size, interpolation=cv2.INTER_CUBIC).clip(0, 255))


def _bounding_box(image: np.ndarray) -> np.ndarray:
    """Returns the part of an image that has ink."""
    rows, columns = (np.flatnonzero(image.any(axis=axis)) for axis in (1, 0))
    return image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _centred(ink: np.ndarray) -> np.ndarray:
    """Returns uint8 `[28, 28]` with the centre of mass of the ink, 0 to 255, in the middle."""
    import cv2

    height, width = ink.shape
    masses = ink.sum()
    centre_row = (ink.sum(axis=1) @ np.arange(height)) / masses
    centre_column = (ink.sum(axis=0) @ np.arange(width)) / masses
    middle = (SIDE - 1) / 2
    shift = np.float64([[1, 0, middle - centre_column], [0, 1, middle - centre_row]])
    return cv2.warpAffine(ink, shift, (SIDE, SIDE)).round().astype(np.uint8)


def write_csv(path: Path, images: np.ndarray, labels: np.ndarray | None = None) -> None:
    """Writes digits, uint8 `[n, 28, 28]`, in the competition's format, labels first."""
    import pandas as pd

    header, table = PIXELS, images.reshape(len(images), -1)
    if labels is not None:
        header, table = [LABEL, *PIXELS], np.column_stack([labels, table])
    tables.write_csv(path, pd.DataFrame(table, columns=header))


HDF5_EXAMPLE = "mnist-hdf5"
# Of 42,000 rows, 6,000 are the test part.
HDF5_TEST_SHARE = 1 / 7
HDF5_SPLIT_SEED = 0

# An attribute by which a file that was written here is known.
MADE_FROM = "made_from"


def install_hdf5_example(force: bool = False) -> bool:
    """Writes `input/mnist-hdf5/mnist.hdf5` unless good data is there, and says whether it did.

    Args:
        force: write it again, if it was written here.

    Raises:
        UserError: when what somebody else put there is broken or to be replaced, or the
            competition's rows are not there.
    """
    others = _not_ours(paths.data_folder(HDF5_EXAMPLE))
    if others:
        _require_good(others[0], force)
    elif force or not passes(load_data_set, HDF5_EXAMPLE):
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
        test_size=round(len(digits) * HDF5_TEST_SHARE),
        stratify=digits.labels,
        random_state=HDF5_SPLIT_SEED,
    )
    with atomic_file(paths.hdf5_file(HDF5_EXAMPLE)) as partial, h5py.File(partial, "w") as file:
        file.attrs[MADE_FROM] = paths.COMPETITION
        for part, rows in zip(("train", "test"), parts, strict=True):
            file[f"{part}/images"] = digits.images[rows]
            file[f"{part}/labels"] = digits.labels[rows]


def _competition_rows() -> Digits:
    try:
        return load_data_set(paths.COMPETITION).train
    except MissingDataError:
        raise UserError(
            f"{paths.data_folder(HDF5_EXAMPLE)}/ has no HDF5 file of yours, and to write one with "
            "the competition's rows, these have to be here first: `make download`, then this again"
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
        load_data_set(HDF5_EXAMPLE)
    except MissingDataError:
        raise UserError(f"{file} holds no digits in a format that is read; {mend}") from None


def _is_ours(file: Path) -> bool:
    try:
        with h5py.File(file, "r") as opened:
            return MADE_FROM in opened.attrs
    except OSError:
        return False
