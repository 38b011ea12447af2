"""Exact and near duplicates among the digits, and close pairs with different labels.

The distance of two digits is that of their images as vectors of length 1: from 0 (equal up to
brightness) to 1.41 (no pixel of ink in common).
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from competition.analysis.embedding import principal_components
from competition.digits import CLASSES, DataSet
from competition.tables import write_csv

# 95% of 1,000 digits of the competition are within this distance of themselves shifted by a
# quarter of a pixel, which is less than any augmentation policy shifts.
NEAR = 0.2
# Digits with different labels are hardly ever closer than this.
CONTRADICTION = 0.5
CLOSEST_CONTRADICTIONS = 100

SEARCH_COMPONENTS = 64
BLOCK = 1000  # rows compared with all others at once: 280 MB for 70,000 rows
# Added to limits in float32, so that rounding loses no pair.
ROUNDING = 1e-5


@dataclass(frozen=True)
class Pairs:
    """Pairs of digits, the closest first.

    Attributes:
        rows: int `[k, 2]`, positions among the labelled rows and then the test rows.
        distances: float64 `[k]`.
    """

    rows: np.ndarray
    distances: np.ndarray

    def __len__(self):
        return len(self.rows)


@dataclass(frozen=True)
class Duplicates:
    """What a data set holds more than once.

    Attributes:
        labelled: number of labelled rows; positions of test rows begin here.
        exact: each copy after the first row with the same pixels.
        near: pairs of different images within `NEAR`.
        contradictions: the closest labelled pairs of different labels, within `CONTRADICTION`.
    """

    labelled: int
    exact: Pairs
    near: Pairs
    contradictions: Pairs

    def places(self, pairs: Pairs) -> dict[str, int]:
        """Counts pairs within train, between train and test, and within test."""
        tests = (pairs.rows >= self.labelled).sum(axis=1)
        counts = np.bincount(tests, minlength=3).tolist()
        return dict(zip(("train", "both", "test"), counts, strict=True))

    def seen_test_rows(self) -> int:
        """Counts the test rows that are exact or near duplicates of a labelled row."""
        rows = np.concatenate([self.exact.rows, self.near.rows])
        between = (rows >= self.labelled).sum(axis=1) == 1
        seen = rows[between].max(axis=1)
        firsts, copies = self.exact.rows.T  # near pairs hold only the first of equal rows
        return len(np.union1d(seen, copies[np.isin(firsts, seen)]))


def find_duplicates(data_set: DataSet, on_progress: Callable[[float], None]) -> Duplicates:
    """Finds every pair within the limits; `on_progress` receives the share of the work done."""
    train, test = data_set.train, data_set.test
    images = np.concatenate([train.images, test.images]).reshape(len(train) + len(test), -1)
    seen: dict[bytes, int] = {}
    first = np.array([seen.setdefault(image.tobytes(), row) for row, image in enumerate(images)])
    is_first = first == np.arange(len(first))
    copies, distinct = np.flatnonzero(~is_first), np.flatnonzero(is_first)
    exact = Pairs(np.stack([first[copies], copies], axis=1), np.zeros(len(copies)))
    near = _Search.among(images[distinct]).within(NEAR, lambda share: on_progress(0.7 * share))
    contradictions = _Search.among(images[: len(train)]).contradictions(
        train.labels, CONTRADICTION, lambda share: on_progress(0.7 + 0.3 * share)
    )
    closest = slice(CLOSEST_CONTRADICTIONS)
    return Duplicates(
        len(train),
        exact,
        Pairs(distinct[near.rows], near.distances),
        Pairs(contradictions.rows[closest], contradictions.distances[closest]),
    )


@dataclass(frozen=True)
class _Search:
    """Images prepared for a search of close pairs.

    An orthogonal projection never increases a distance. So the pairs that are close in the
    principal components, found by matrix products, include all close pairs.

    Attributes:
        images: uint8 `[n, 784]`.
        lengths: float32 `[n]`, of the images as vectors.
        features: float32 `[n, c]`, principal components of the images scaled to length 1.
    """

    images: np.ndarray
    lengths: np.ndarray
    features: np.ndarray

    @classmethod
    def among(cls, images: np.ndarray) -> "_Search":
        """Prepares images, uint8 `[n, 784]`, each with some ink."""
        vectors = images.astype(np.float32)
        lengths = np.linalg.norm(vectors, axis=1)
        vectors /= lengths[:, None]
        return cls(images, lengths, principal_components(vectors, SEARCH_COMPONENTS))

    def within(self, limit: float, on_progress: Callable[[float], None]) -> Pairs:
        """Returns all pairs within a distance, each pair once."""
        found, count = [], len(self.images)
        for start in range(0, count, BLOCK):
            rows = np.arange(start, min(start + BLOCK, count))
            pairs = self._candidates(rows, np.arange(start, count), limit)
            found.append(pairs[pairs[:, 0] < pairs[:, 1]])
            on_progress(1 - (1 - rows[-1] / count) ** 2)  # later blocks have fewer partners
        return self._measured(found, limit)

    def contradictions(
        self, labels: np.ndarray, limit: float, on_progress: Callable[[float], None]
    ) -> Pairs:
        """Returns all pairs of different labels within a distance, each pair once."""
        found = []
        for label in range(CLASSES):
            rows, others = np.flatnonzero(labels == label), np.flatnonzero(labels > label)
            for start in range(0, len(rows), BLOCK):
                found.append(self._candidates(rows[start : start + BLOCK], others, limit))
            on_progress((label + 1) / CLASSES)
        return self._measured(found, limit)

    def _candidates(self, rows: np.ndarray, others: np.ndarray, limit: float) -> np.ndarray:
        """Returns the pairs of `rows` and `others` that are close in the components, int `[k, 2]`.

        |a - b|² <= limit² is the same as a·b - |b|²/2 >= (|a|² - limit²)/2.
        """
        one, other = self.features[rows], self.features[others]
        products = one @ other.T
        products -= (other**2).sum(axis=1) / 2
        least = ((one**2).sum(axis=1) - limit**2) / 2 - ROUNDING
        hits = np.flatnonzero(products >= least[:, None])
        lines, columns = np.divmod(hits, max(1, len(others)))
        return np.stack([rows[lines], others[columns]], axis=1)

    def _measured(self, candidates: list[np.ndarray], limit: float) -> Pairs:
        """Returns the candidates with an exact distance within the limit, the closest first."""
        rows = np.concatenate([np.empty((0, 2), int), *candidates])
        distances = np.empty(len(rows))
        for start in range(0, len(rows), BLOCK):
            block = slice(start, start + BLOCK)
            one, other = (
                self.images[side] / self.lengths[side, None].astype(np.float64)
                for side in rows[block].T
            )
            distances[block] = np.linalg.norm(one - other, axis=1)
        order = np.lexsort([rows[:, 1], rows[:, 0], distances])
        close = order[distances[order] <= limit]
        return Pairs(rows[close], distances[close])


def describe_row(data_set: DataSet, row: int) -> tuple[str, int, str]:
    """Returns part, id and label ("" for a test row) of a position as in `Pairs`."""
    train, test = data_set.train, data_set.test
    if row < len(train):
        return "train", int(train.ids[row]), str(train.labels[row])
    return "test", int(test.ids[row - len(train)]), ""


def write_pairs(path: Path, data_set: DataSet, kinds: dict[str, Pairs]) -> None:
    """Writes one line per pair with its kind; test rows have no label."""
    import pandas as pd

    lines = [
        (kind, f"{distance:.4f}", *describe_row(data_set, one), *describe_row(data_set, other))
        for kind, pairs in kinds.items()
        for (one, other), distance in zip(pairs.rows, pairs.distances, strict=True)
    ]
    columns = ["kind", "distance", "part", "id", "label", "other_part", "other_id", "other_label"]
    write_csv(path, pd.DataFrame(lines, columns=columns))
