"""The training digits that a net takes for the most alike, by the angle between features."""

from collections.abc import Iterable

import numpy as np


def nearest(
    queries: np.ndarray, blocks: Iterable[np.ndarray], count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Finds the rows with the most alike features; of rows that are level, the first.

    The distance is 1 less the cosine of the angle: 0 for the same direction, 1 for nothing in
    common. All rows are compared, none is missed.

    Args:
        queries: float32 `[q, f]`.
        blocks: the features of the rows to search, `[b, f]` each; only their likeness is kept.
        count: how many to find for each query; fewer if there are not so many rows.

    Returns:
        Positions among the rows of all blocks, int `[q, count]`, the nearest first, and their
        distances, float32 `[q, count]`.
    """
    directions = _directions(queries)
    alike = np.concatenate([directions @ _directions(block).T for block in blocks], axis=1)
    order = np.argsort(-alike, axis=1, kind="stable")[:, :count]
    distances = 1 - np.take_along_axis(alike, order, axis=1)
    return order, distances.clip(0).astype(np.float32)


def _directions(features: np.ndarray) -> np.ndarray:
    """Returns features of length 1; those without any stay zero."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.where(lengths > 0, lengths, 1)
