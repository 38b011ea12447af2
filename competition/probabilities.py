"""The contract after training: class probabilities per id; aligned by id, never by row order."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from competition.digits import CLASSES, positions, require_unique
from competition.errors import UserError
from competition.storage import read_arrays


@dataclass(frozen=True)
class Probabilities:
    """Class probabilities of some rows; arrays of another shape or range are refused.

    Attributes:
        ids: int32 `[n]`, unique.
        values: float32 or float64 `[n, 10]`, from 0 to 1; each row sums to 1.
    """

    ids: np.ndarray
    values: np.ndarray

    def __post_init__(self):
        if self.values.shape != (len(self.ids), CLASSES):
            raise UserError(
                f"probabilities need the shape ({len(self.ids)}, {CLASSES}), "
                f"not {self.values.shape}"
            )
        if not np.allclose(self.values.sum(axis=1), 1, atol=1e-3) or (self.values < 0).any():
            raise UserError("probabilities must be at least 0, finite, and sum to 1 in each row")
        require_unique(self.ids, "probabilities")

    def predictions(self) -> np.ndarray:
        """Returns the most probable class of each row, uint8 `[n]`."""
        return self.values.argmax(axis=1).astype(np.uint8)

    def aligned_to(self, ids: np.ndarray) -> "Probabilities":
        """Returns the rows of `ids`, in that order; refuses ids without probabilities."""
        return Probabilities(np.asarray(ids), self.values[positions(self.ids, ids)])


def mean_of(parts: list[Probabilities]) -> Probabilities:
    """Joins the splits of one member; a row that several splits predict gets their mean."""
    ids, rows, counts = np.unique(
        np.concatenate([part.ids for part in parts]), return_inverse=True, return_counts=True
    )
    sums = np.zeros((len(ids), CLASSES), np.float32)
    np.add.at(sums, rows, np.concatenate([part.values for part in parts]))
    return Probabilities(ids, sums / counts[:, None].astype(np.float32))


def write_probabilities(path: Path, **named: Probabilities) -> None:
    """Writes named Probabilities to one compressed file, as float16 to keep it small."""
    arrays: dict[str, np.ndarray] = {}
    for name, probabilities in named.items():
        arrays[f"{name}_ids"] = probabilities.ids.astype(np.int32)
        arrays[name] = probabilities.values.astype(np.float16)
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]


def read_probabilities(path: Path, name: str) -> Probabilities:
    """Reads the Probabilities that were written as `name`; makes rows sum to 1 again."""
    try:
        arrays = read_arrays(path)
        ids, values = arrays[f"{name}_ids"], arrays[name].astype(np.float32)
    except (UserError, KeyError) as error:
        raise UserError(
            f"{path} holds no readable '{name}' probabilities ({error}); "
            "remove its folder and train that job again"
        ) from error
    return Probabilities(ids, values / values.sum(axis=1, keepdims=True))
