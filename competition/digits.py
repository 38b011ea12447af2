"""The contract before training: digits with ids, and with labels where they are known."""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from competition.errors import UserError

SIDE = 28
CLASSES = 10


@dataclass(frozen=True)
class Digits:
    """Handwritten digits; arrays of another shape, type or range are refused.

    Attributes:
        ids: int32 `[n]`, unique; the competition numbers train and test rows from 1 each.
        images: uint8 `[n, 28, 28]`, bright ink on black.
        labels: uint8 `[n]`, 0 to 9, or None where they are not known.
    """

    ids: np.ndarray
    images: np.ndarray
    labels: Any = None  # not Optional: each caller knows whether its digits have labels

    def __post_init__(self):
        count = len(self.ids)
        if self.ids.shape != (count,) or self.ids.dtype != np.int32:
            raise UserError(f"digits need int32 ids, not {self.ids.dtype} of {self.ids.shape}")
        if self.images.shape != (count, SIDE, SIDE) or self.images.dtype != np.uint8:
            raise UserError(
                f"digits need uint8 images of shape ({count}, {SIDE}, {SIDE}), "
                f"not {self.images.dtype} of shape {self.images.shape}"
            )
        if self.labels is not None and (
            self.labels.shape != (count,)
            or self.labels.dtype != np.uint8
            or self.labels.max(initial=0) >= CLASSES
        ):
            raise UserError(
                f"digits need one uint8 label from 0 to 9 for each of the {count} images"
            )
        require_unique(self.ids, "digits")

    def __len__(self):
        return len(self.ids)

    def take(self, rows: np.ndarray) -> "Digits":
        """Returns the digits at these positions, in their order."""
        labels = None if self.labels is None else self.labels[rows]
        return Digits(self.ids[rows], self.images[rows], labels)

    def labels_of(self, ids: np.ndarray) -> np.ndarray:
        """Returns the labels of these ids, uint8, in their order."""
        return self.labels[positions(self.ids, ids)]


@dataclass(frozen=True)
class DataSet:
    """The digits of one competition.

    Attributes:
        name: of the folder below `input/`.
        train: every labelled digit.
        test: the digits to predict.
        held_out: int32 ids of the training digits that the data's own split holds out, or None.
    """

    name: str
    train: Digits
    test: Digits
    held_out: np.ndarray | None = None

    def fingerprint(self) -> str:
        """Returns a SHA-256 of the whole data set but its name, 64 hexadecimal digits."""
        digest = hashlib.sha256()
        for digits in (self.train, self.test):
            for array in (digits.ids, digits.images, digits.labels):
                digest.update(b"none" if array is None else np.ascontiguousarray(array).data)
        if self.held_out is not None:
            digest.update(np.ascontiguousarray(self.held_out).data)
        return digest.hexdigest()


def positions(ids: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Returns the position of each wanted id in `ids`, int `[len(wanted)]`; refuses missing ids."""
    missing = np.flatnonzero(~np.isin(wanted, ids))
    if len(missing):
        raise UserError(
            f"{len(missing)} of the {len(wanted)} ids asked for are missing, the first is "
            f"{wanted[missing[0]]}"
        )
    order = np.argsort(ids)
    return order[np.searchsorted(ids, wanted, sorter=order)]


def require_unique(ids: np.ndarray, what: str) -> None:
    """Refuses ids that occur more than once in `what`, naming the first five."""
    values, counts = np.unique(ids, return_counts=True)
    if len(values) != len(ids):
        repeated = ", ".join(str(value) for value in values[counts > 1][:5])
        raise UserError(f"{what}: each id is expected once, but these come again: {repeated}")
