"""Stock Keras in a process of its own, where TensorFlow starts as it does by itself.

The engine turns oneDNN on, wherever TensorFlow leaves it out; a process has one or the other.
"""

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager

import numpy as np

from competition.bench.nets import Contender, Facts, Net
from competition.bench.own_processes import new_workers
from competition.bench.pace import Pace
from competition.machine import core_count
from competition.training.runtime import forget_models, start_stock_keras

# What this process trains, if it is stock Keras's.
_contenders: dict[str, Contender] = {}


@contextmanager
def stock_process() -> Iterator[Executor]:
    """Yields a process in which stock Keras has started, with a thread a core."""
    with new_workers(1) as process:
        process.submit(start_stock_keras, core_count()).result()
        yield process


def build(net: Net) -> dict[str, Facts]:
    """Builds a net's stock contenders in this process, in place of others, and describes them."""
    _contenders.clear()
    forget_models()
    _contenders.update(net.stock_contenders())
    return {name: contender.facts() for name, contender in _contenders.items()}


def fit(name: str, images: np.ndarray, labels: np.ndarray) -> Pace:
    """Trains a contender that was built in this process for one epoch."""
    return _contenders[name].fit(images, labels)
