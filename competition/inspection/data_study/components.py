"""The main components of images: most of what differs between them, in few numbers."""

import numpy as np


def principal_components(vectors: np.ndarray, count: int) -> np.ndarray:
    """Returns the main components of vectors `[n, d]`, float32 `[n, at most count]`."""
    from sklearn.decomposition import PCA

    if len(vectors) == 1:
        return np.zeros((1, 1), np.float32)
    rows, dimensions = vectors.shape
    solver = "covariance_eigh" if rows > dimensions else "full"
    fitted = PCA(min(count, rows, dimensions), svd_solver=solver)
    return fitted.fit_transform(vectors).astype(np.float32)
