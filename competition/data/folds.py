"""Stratified folds, computed once and kept on disk, so that every member sees the same ones."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from competition import paths
from competition.atomic import atomic_file
from competition.config import MOST_FOLDS, Config
from competition.digits import DataSet, Digits
from competition.errors import UserError
from competition.results import ALL_ROWS


@dataclass(frozen=True)
class FoldAssignment:
    """Which fold each labelled row is held out in.

    Attributes:
        ids: int32 `[n]`, the training rows' ids.
        folds: int8 `[n]`, from 0.
    """

    ids: np.ndarray
    folds: np.ndarray

    def split(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Returns the positions of the training and of the held-out rows of `"fold<k>"`.

        The split `"all"` holds no row out.
        """
        held_out = self.folds == split_number(name)
        return np.flatnonzero(~held_out), np.flatnonzero(held_out)

    def fingerprint(self) -> str:
        """Returns a SHA-256 of the assignment, as 64 hexadecimal digits."""
        digest = hashlib.sha256(np.ascontiguousarray(self.ids).data)
        digest.update(np.ascontiguousarray(self.folds).data)
        return digest.hexdigest()


def split_number(split: str) -> int:
    """Returns the k of `"fold<k>"`; of `"all"`, a number that no fold has."""
    return MOST_FOLDS if split == ALL_ROWS else int(split.removeprefix("fold"))


def split_names(count: int) -> list[str]:
    """Returns `["fold0", "fold1", …]`."""
    return [f"fold{number}" for number in range(count)]


def assign_folds(digits: Digits, count: int, seed: int) -> FoldAssignment:
    """Deals the labelled digits into folds of equal size and equal shares of each class.

    Raises:
        UserError: when a class has fewer rows than there are folds.
    """
    from sklearn.model_selection import StratifiedKFold

    smallest = np.bincount(digits.labels)[np.unique(digits.labels)].min()
    if smallest < count:
        raise UserError(
            f"folds.count is {count}, but the rarest class has only {smallest} rows; "
            f"choose at most {smallest}"
        )
    folds = np.empty(len(digits), np.int8)
    splitter = StratifiedKFold(count, shuffle=True, random_state=seed)
    for number, (_, held_out) in enumerate(splitter.split(digits.images, digits.labels)):
        folds[held_out] = number
    return FoldAssignment(digits.ids, folds)


def load_folds(config: Config, data_set: DataSet, data_fingerprint: str) -> FoldAssignment:
    """Reads the config's folds, or computes and keeps them when there are none for this data.

    Raises:
        UserError: when the kept file was changed so that it no longer fits the data.
    """
    settings = config.folds
    path = paths.folds_file(config.name, settings.count, settings.seed, data_fingerprint)
    if not path.exists():
        assignment = assign_folds(data_set.train, settings.count, settings.seed)
        table = np.column_stack([assignment.ids, assignment.folds])
        with atomic_file(path) as partial:
            np.savetxt(partial, table, "%d", ",", header="id,fold", comments="")
    return _read_folds(path, data_set.train.ids, settings.count)


def _read_folds(path: Path, ids: np.ndarray, count: int) -> FoldAssignment:
    try:
        table = np.loadtxt(path, np.int32, delimiter=",", skiprows=1, ndmin=2)
        fits = np.array_equal(table[:, 0], ids) and set(table[:, 1]) == set(range(count))
    except (ValueError, IndexError):
        fits = False
    if not fits:
        raise UserError(
            f"{path} no longer holds one of {count} folds for each training row; "
            "remove it, and it is made again"
        )
    return FoldAssignment(ids, table[:, 1].astype(np.int8))
