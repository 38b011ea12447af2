"""Digits as points in the plane: principal components and t-SNE."""

import io
import re
from collections.abc import Callable
from contextlib import AbstractContextManager, redirect_stdout
from dataclasses import dataclass

import numpy as np

from competition.digits import Digits

COMPONENTS = 50
LABELLED_ROWS, TEST_ROWS = 2400, 600
PERPLEXITY = 30
ITERATIONS = 1000
# t-SNE keeps neighbours together, so it needs a few points.
FEWEST_LABELLED = 10


@dataclass(frozen=True)
class Embedding:
    """A sample of n labelled rows, then m test rows, in the plane.

    Attributes:
        rows: int `[n + m]`, positions among all train, then all test rows.
        labels: uint8 `[n]`.
        principal: float32 `[n + m, 2]`, the first two principal components.
        neighbours: float32 `[n + m, 2]`, by t-SNE; None if there are too few rows.
        agreement: share of labelled points in `neighbours` with the same label as the nearest
            labelled point; None without `neighbours`.
    """

    rows: np.ndarray
    labels: np.ndarray
    principal: np.ndarray
    neighbours: np.ndarray | None
    agreement: float | None


def embed(
    train: Digits,
    test: Digits,
    components: np.ndarray,
    seed: int,
    on_progress: Callable[[float], None],
) -> Embedding:
    """Draws a sample, and embeds it by t-SNE (L. van der Maaten, G. Hinton, JMLR 9, 2008).

    Args:
        train, test: the digits.
        components: float32 `[n + m, c]`, principal components of all train, then all test rows.
        seed: of the sample and of t-SNE.
        on_progress: receives the share of the work done.
    """
    from sklearn.neighbors import NearestNeighbors

    random = np.random.default_rng(seed)
    labelled = _sample(random, len(train), LABELLED_ROWS)
    rows = np.concatenate([labelled, len(train) + _sample(random, len(test), TEST_ROWS)])
    chosen, labels = components[rows], train.labels[labelled]
    if len(labels) < FEWEST_LABELLED:
        return Embedding(rows, labels, chosen[:, :2], None, None)
    neighbours = _tsne(chosen, seed, on_progress)
    search = NearestNeighbors(n_neighbors=1).fit(neighbours[: len(labels)])
    nearest = search.kneighbors(return_distance=False)[:, 0]
    agreement = float((labels[nearest] == labels).mean())
    return Embedding(rows, labels, chosen[:, :2], neighbours, agreement)


def _sample(random: np.random.Generator, count: int, most: int) -> np.ndarray:
    return np.sort(random.choice(count, min(count, most), replace=False))


def _tsne(features: np.ndarray, seed: int, on_progress: Callable[[float], None]) -> np.ndarray:
    from sklearn.manifold import TSNE

    class Iterations(io.TextIOBase):
        """Reads the progress from what t-SNE prints: scikit-learn has no callback for it."""

        def write(self, text: str) -> int:
            if found := re.match(r"\[t-SNE\] Iteration (\d+):", text):
                on_progress(min(1, int(found[1]) / ITERATIONS))
            return len(text)

    perplexity = min(PERPLEXITY, (len(features) - 1) / 3)
    planned = TSNE(perplexity=perplexity, max_iter=ITERATIONS, random_state=seed, verbose=2)
    with redirect_stdout(Iterations()):
        return planned.fit_transform(features)


def principal_components(vectors: np.ndarray, count: int) -> np.ndarray:
    """Returns the principal components of vectors `[n, d]`, float32 `[n, at most count]`."""
    from sklearn.decomposition import PCA

    if len(vectors) == 1:
        return np.zeros((1, 1), np.float32)
    rows, dimensions = vectors.shape
    solver = "covariance_eigh" if rows > dimensions else "full"
    fitted = PCA(min(count, rows, dimensions), svd_solver=solver)
    return fitted.fit_transform(vectors).astype(np.float32)


def single_threaded() -> AbstractContextManager:
    """Returns a context in which matrix products and scikit-learn use one thread.

    Sums over several threads depend on which thread finishes first. And on a busy machine, threads
    that wait for each other took up to sixty times as long as one.
    """
    import sklearn.decomposition  # noqa: F401  only loaded libraries are limited
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1)
