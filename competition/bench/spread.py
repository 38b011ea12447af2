"""Repeated measurements: their median, and how far apart they lie."""

from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Spread:
    """The results of one measurement, repeated.

    Attributes:
        runs: in the order in which they were made, at least one.
    """

    runs: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle one of the runs, or the mean of the middle two."""
        return median(self.runs)

    def over(self, other: "Spread") -> "Spread":
        """Returns the quotients of runs made side by side, which a slow minute does not move."""
        return Spread(tuple(a / b for a, b in zip(self.runs, other.runs, strict=True)))

    def times(self, factor: float) -> "Spread":
        """Returns the runs in another unit."""
        return Spread(tuple(run * factor for run in self.runs))

    def to_json(self) -> dict:
        """Returns median, lowest, highest and all runs, as JSON values."""
        return {
            "median": self.median,
            "lowest": min(self.runs),
            "highest": max(self.runs),
            "runs": list(self.runs),
        }
