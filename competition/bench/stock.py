"""Stock Keras in a process of its own, where TensorFlow starts as it does by itself.

The engine turns oneDNN on, wherever TensorFlow leaves it out; a process has one or the other.
"""

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from functools import partial

import numpy as np

from competition.bench.nets import Contender, Facts, Net
from competition.bench.own_processes import new_workers
from competition.bench.pace import Pace
from competition.system import core_count
from competition.training.resources import forget_models, start_stock_keras

# What this process trains, if it is stock Keras's: one net's contenders, by its name.
_built: dict[str, dict[str, Contender]] = {}


@contextmanager
def stock_process() -> Iterator[Executor]:
    """Yields a process in which stock Keras has started, with a thread a core."""
    with new_workers(1, partial(start_stock_keras, core_count())) as process:
        yield process


def facts(net: Net) -> dict[str, Facts]:
    """Returns what is told of a net's stock contenders; to be called in their process."""
    return {name: contender.facts() for name, contender in _contenders(net).items()}


def fit(net: Net, name: str, images: np.ndarray, labels: np.ndarray) -> Pace:
    """Trains a stock contender of a net for one epoch; to be called in its process."""
    return _contenders(net)[name].fit(images, labels)


def _contenders(net: Net) -> dict[str, Contender]:
    """Builds a net's contenders in place of another's, or anew: a process that grew is replaced."""
    if net.name not in _built:
        _built.clear()
        forget_models()
        _built[net.name] = net.stock_contenders()
    return _built[net.name]
