"""What an ensemble method returns.

A method is a function `method(members, labels, **parameters) -> Fitted`:

- members: float64 `[m, n, 10]`, the members' probabilities of labelled rows;
- labels: uint8 `[n]`, which a method that fits nothing ignores;
- parameters: what the configuration may set, each with a default.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Fitted:
    """A method, fitted to some rows and ready for others.

    Attributes:
        combine: takes the members' probabilities of any rows, float `[m, k, 10]`, and returns
            the ensemble's, float64 `[k, 10]`.
        settings: what was fitted, as JSON values; empty if there is nothing to fit.
    """

    combine: Callable[[np.ndarray], np.ndarray]
    settings: dict[str, Any] = field(default_factory=dict)
