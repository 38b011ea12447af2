"""Which labelled rows are held out: computed once, kept on disk, the same for every member."""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import numpy as np

from competition import paths
from competition.config.loading import Config
from competition.config.schema import MOST_FOLDS, Folds
from competition.digits import DataSet, Digits
from competition.errors import UserError
from competition.results import ALL_ROWS
from competition.storage import write_text


@dataclass(frozen=True)
class Splits:
    """Which labelled rows each split holds out.

    Attributes:
        ids: int32 `[n]`, of the labelled rows.
        held_out: bool `[n]` by the split's name, `fold<k>` or `holdout<k>`.
    """

    ids: np.ndarray
    held_out: dict[str, np.ndarray]

    @property
    def folds(self) -> np.ndarray:
        """The number of the first split that holds a row out, int8 `[n]`; -1: none."""
        return self.numbers(self.held_out)

    def numbers(self, splits: Collection[str]) -> np.ndarray:
        """Returns the number of the first of these splits that holds a row out, int8 `[n]`."""
        names = [name for name in self.held_out if name in splits]
        matrix = np.stack([self.held_out[name] for name in names])
        first = np.array([split_number(name) for name in names])[matrix.argmax(axis=0)]
        return np.where(matrix.any(axis=0), first, -1).astype(np.int8)

    def split(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Returns the positions of a split's training and held-out rows; `"all"` holds out none."""
        held_out = np.zeros(len(self.ids), bool) if name == ALL_ROWS else self.held_out[name]
        return np.flatnonzero(~held_out), np.flatnonzero(held_out)

    def fingerprint(self) -> str:
        """Returns a SHA-256 of the assignment, as 64 hexadecimal digits."""
        matrix = np.stack(list(self.held_out.values()))
        is_partition = (matrix.sum(axis=0) == 1).all()
        digest = hashlib.sha256(np.ascontiguousarray(self.ids).data)
        # Folds are one number per row; hold-outs may overlap and need the matrix.
        digest.update(self.folds.data if is_partition else matrix.data)
        return digest.hexdigest()


def split_number(split: str) -> int:
    """Returns the k of `"fold<k>"` or `"holdout<k>"`; for `"all"`, a number that no fold has."""
    return MOST_FOLDS if split == ALL_ROWS else int(split.strip("abcdefghijklmnopqrstuvwxyz"))


def split_names(settings: Folds) -> list[str]:
    """Returns `["fold0", "fold1", …]`, or `["holdout0", …]` where a share is held out."""
    name = "fold" if settings.scheme == "kfold" else "holdout"
    return [f"{name}{number}" for number in range(settings.count)]


def trained_splits(settings: Folds) -> list[str]:
    """Returns the names of the splits to train: those in `only`, or all."""
    names = split_names(settings)
    return [names[number] for number in settings.numbers]


def load_folds(config: Config, data_set: DataSet, data_fingerprint: str) -> Splits:
    """Reads the config's splits; computes and writes them if there are none, or changed ones."""
    settings = config.folds
    if settings.scheme == "given":
        return given_split(data_set)
    # The name has all that the splits depend on.
    how = "folds" if settings.scheme == "kfold" else f"holdouts-of-{settings.share:g}-times-"
    file = f"{how}{settings.count}-seed{settings.seed}-{data_fingerprint[:8]}.csv"
    path = paths.OutputPaths(config.name).folder / file
    if path.exists() and (kept := _read_folds(path, data_set.train.ids, settings)):
        return kept
    splits = assign_folds(data_set.train, settings)
    table = _as_csv(splits, settings)
    if path.exists() and path.read_bytes() != table.encode():  # without a checksum until 2026
        aside = path.replace(path.with_suffix(".changed"))
        print(
            f"{path} was changed; it is made again from seed and data, the changed one is {aside}"
        )
    write_text(path, f"{checksum_line(table)}\n{table}")
    return splits


def assign_folds(digits: Digits, settings: Folds) -> Splits:
    """Splits labelled digits at random, stratified by class."""
    from sklearn.model_selection import StratifiedKFold, StratifiedShuffleSplit

    count, seed = settings.count, settings.seed
    if settings.scheme == "kfold":
        smallest = np.bincount(digits.labels)[np.unique(digits.labels)].min()
        if smallest < count:
            raise UserError(
                f"folds.count is {count}, but the rarest class has only {smallest} rows; "
                f"choose at most {smallest}"
            )
        splitter = StratifiedKFold(count, shuffle=True, random_state=seed)
    else:
        splitter = StratifiedShuffleSplit(count, test_size=settings.share, random_state=seed)
    try:
        held_out = [rows for _, rows in splitter.split(digits.images, digits.labels)]
    except ValueError as error:
        raise UserError(
            f"a share of {settings.share:g} of {len(digits):,} rows cannot be held out: {error}"
        ) from None
    every_row = np.arange(len(digits))
    masks = [np.isin(every_row, rows) for rows in held_out]
    return Splits(digits.ids, dict(zip(split_names(settings), masks, strict=True)))


def given_split(data_set: DataSet) -> Splits:
    """Returns the split that the data itself has; raises UserError when it has none."""
    if data_set.held_out is None:
        raise UserError(
            f"folds.scheme is 'given', but the data set '{data_set.name}' has no labelled test "
            "rows of its own; add their labels to it, or choose kfold or holdout"
        )
    ids = data_set.train.ids
    return Splits(ids, {"holdout0": np.isin(ids, data_set.held_out)})


def _as_csv(splits: Splits, settings: Folds) -> str:
    """Returns one column of fold numbers, or one column of 0 and 1 per hold-out."""
    import pandas as pd

    if settings.scheme == "kfold":
        columns = {"fold": splits.folds}
    else:
        columns = {name: rows.astype(np.int8) for name, rows in splits.held_out.items()}
    return pd.DataFrame({"id": splits.ids, **columns}).to_csv(index=False, lineterminator="\n")


def checksum_line(table: str) -> str:
    """Returns the first line of a file of folds, which tells whether the others were changed."""
    return f"# SHA-256 of the lines below: {hashlib.sha256(table.encode()).hexdigest()}"


def _read_folds(path: Path, ids: np.ndarray, settings: Folds) -> Splits | None:
    """Returns the splits of a file, or None if it is not as it was written for these ids."""
    import pandas as pd

    first, _, table = path.read_text(encoding="utf-8", errors="replace").partition("\n")
    if first != checksum_line(table):
        return None
    written, *columns = pd.read_csv(StringIO(table)).to_numpy().T
    if not np.array_equal(written, ids):
        return None
    is_kfold = settings.scheme == "kfold"
    masks = (
        [columns[0] == k for k in range(settings.count)]
        if is_kfold
        else [each == 1 for each in columns]
    )
    return Splits(ids, dict(zip(split_names(settings), masks, strict=True)))
