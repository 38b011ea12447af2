"""scikit-learn's own handwritten digits, brought into the competition's format.

They need no account and no network: 1,797 real 8x8 digits of 43 writers (E. Alpaydin and
C. Kaynak, "Optical Recognition of Handwritten Digits", UCI, 1998, the test part).
"""

from pathlib import Path

import numpy as np

from competition import paths
from competition.atomic import atomic_folder
from competition.csv_files import write_table
from competition.data.sources import LABEL, PIXELS, load_data_set, require_replaceable
from competition.digits import SIDE
from competition.errors import passes
from competition.submission import write_rows

NAME = "embedded"
TEST_SHARE = 0.25
SPLIT_SEED = 0

# MNIST scales a digit into a 20x20 box and puts its centre of mass into the middle of 28x28
# (Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits").
BOX = 20
BRIGHTEST = 16  # load_digits counts ink from 0 to 16


def install(force: bool = False) -> bool:
    """Makes the data set unless good data is there already, and says whether it did.

    Args:
        force: make it again, though good data is there.

    Raises:
        UserError: when files of somebody else would be lost.
    """
    if not force and passes(load_data_set, NAME):
        return False
    require_replaceable(NAME)
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
        np.arange(len(labels)), test_size=TEST_SHARE, stratify=labels, random_state=SPLIT_SEED
    )
    with atomic_folder(paths.data_folder(NAME)) as folder:
        write_csv(folder / paths.train_csv(NAME).name, images[train], labels[train])
        write_csv(folder / paths.test_csv(NAME).name, images[test])
        ids = np.arange(1, len(test) + 1)
        write_rows(folder / paths.sample_submission_csv(NAME).name, ids, np.zeros_like(ids))


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
    header, table = PIXELS, images.reshape(len(images), -1)
    if labels is not None:
        header, table = [LABEL, *PIXELS], np.column_stack([labels, table])
    write_table(path, header, table.tolist())
