"""Data sets made here: scikit-learn's digits, and the competition's rows as HDF5.

scikit-learn's digits need no account and no network: 1,797 real 8x8 digits of 43 writers
(E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI, 1998, the test part).
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
from competition.digits import SIDE
from competition.errors import UserError, passes
from competition.paths import EMBEDDED, HDF5_EXAMPLE
from competition.storage import atomic_file, atomic_folder, visible_entries
from competition.submission import write_rows

EMBEDDED_TEST_SHARE = 0.25
EMBEDDED_SPLIT_SEED = 0

# MNIST scales a digit into a 20x20 box and puts its centre of mass at the centre of 28x28
# (Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits").
BOX = 20
BRIGHTEST = 16  # load_digits counts ink from 0 to 16

HDF5_TEST_SHARE = 1 / 7  # 6,000 of 42,000 rows
HDF5_SPLIT_SEED = 0
# The attribute that marks a file written here.
MADE_FROM = "made_from"


def install_embedded(force: bool = False) -> bool:
    """Writes `input/embedded/` in the competition's format; returns whether it did.

    A stratified quarter of the digits becomes the test rows, without their labels. Good data that
    exists is replaced only with `force`.

    Raises:
        UserError: when files of the user would be lost.
    """
    if not force and passes(load_data_set, EMBEDDED):
        return False
    require_replaceable(EMBEDDED)
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
    files = paths.DataPaths(EMBEDDED)
    with atomic_folder(files.folder) as folder:
        write_csv(folder / files.train.name, images[train], labels[train])
        write_csv(folder / files.test.name, images[test])
        ids = np.arange(1, len(test) + 1)
        write_rows(folder / files.sample_submission.name, ids, np.zeros_like(ids))
    return True


def mnist_style(image: np.ndarray) -> np.ndarray:
    """Returns a digit `[height, width]` with ink from 0 to 16 as uint8 `[28, 28]`, as MNIST does.

    The ink's bounding box is scaled to at most 20x20 pixels with its aspect ratio kept, and its
    centre of mass is moved to the centre.
    """
    import cv2

    rows, columns = (np.flatnonzero(image.any(axis=axis)) for axis in (1, 0))
    ink = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] * (255 / BRIGHTEST)
    scale = BOX / max(ink.shape)
    width, height = (max(1, round(length * scale)) for length in ink.shape[::-1])
    ink = cv2.resize(ink, (width, height), interpolation=cv2.INTER_CUBIC).clip(0, 255)
    centre_row = (ink.sum(axis=1) @ np.arange(height)) / ink.sum()
    centre_column = (ink.sum(axis=0) @ np.arange(width)) / ink.sum()
    target = (SIDE - 1) / 2
    shift = np.array([[1, 0, target - centre_column], [0, 1, target - centre_row]])
    return cv2.warpAffine(ink, shift, (SIDE, SIDE)).round().astype(np.uint8)


def write_csv(path: Path, images: np.ndarray, labels: np.ndarray | None = None) -> None:
    """Writes digits, uint8 `[n, 28, 28]`, in the competition's format."""
    import pandas as pd

    frame = pd.DataFrame(images.reshape(len(images), -1), columns=PIXELS)
    if labels is not None:
        frame.insert(0, LABEL, labels)
    tables.write_csv(path, frame)


def install_hdf5_example(force: bool = False) -> bool:
    """Writes `input/mnist-hdf5/mnist.hdf5` unless good data is there; returns whether it did.

    A stratified seventh of the competition's labelled rows becomes its test part. With `force`, a
    file that was written here is replaced.

    Raises:
        UserError: when a file of the user is broken or would be replaced, or the competition's
            rows are not there.
    """
    folder = paths.DataPaths(HDF5_EXAMPLE).folder
    cache = paths.cache_folder(folder)
    others = [file for file in visible_entries(folder) if file != cache and not _is_ours(file)]
    if others:
        fix = "to try this format with the competition's rows, move it away"
        if force:
            raise UserError(f"{others[0]} was not written by this program and stays; {fix}")
        try:
            load_data_set(HDF5_EXAMPLE)
        except MissingDataError:
            raise UserError(f"{others[0]} holds no digits in a known format; {fix}") from None
        return False
    if not force and passes(load_data_set, HDF5_EXAMPLE):
        return False
    _write_hdf5_example()
    return True


def _is_ours(file: Path) -> bool:
    try:
        with h5py.File(file, "r") as opened:
            return MADE_FROM in opened.attrs
    except OSError:
        return False


def _write_hdf5_example() -> None:
    from sklearn.model_selection import train_test_split

    files = paths.DataPaths(HDF5_EXAMPLE)
    try:
        digits = load_data_set(paths.COMPETITION).train
    except MissingDataError:
        raise UserError(
            f"{files.folder}/ has no HDF5 file of yours, and the competition's rows, from which "
            "one is made, are not here; run `make download` first, then this again"
        ) from None
    parts = train_test_split(
        np.arange(len(digits)),
        test_size=round(len(digits) * HDF5_TEST_SHARE),
        stratify=digits.labels,
        random_state=HDF5_SPLIT_SEED,
    )
    with atomic_file(files.hdf5) as partial, h5py.File(partial, "w") as file:
        file.attrs[MADE_FROM] = paths.COMPETITION
        for part, rows in zip(("train", "test"), parts, strict=True):
            file[f"{part}/images"] = digits.images[rows]
            file[f"{part}/labels"] = digits.labels[rows]
