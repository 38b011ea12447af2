"""The nets that are compared: each as the engine trains it, and as stock Keras does."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from competition.bench.pace import Pace, paced_fit
from competition.bench.published import PUBLISHED_DROPOUT, published_feed, published_net
from competition.bench.work import training_flop
from competition.config.loading import Config
from competition.config.schema import Variant
from competition.training.predict import batches
from competition.training.resources import best_precision, use_precision
from competition.training.train import compile_for, compiled_model

ENGINE, STOCK_FLOAT32, STOCK_BFLOAT16 = "engine", "stock float32", "stock bfloat16"

AS_PUBLISHED = "Deotte's, as its users run it"

# The learning rate's schedule needs a length; how long it is takes no time.
STEPS_OF_SCHEDULE = 1000


@dataclass(frozen=True)
class Facts:
    """What is told of a contender besides its pace.

    Attributes:
        precision: what it computes in, `float32` or `bfloat16`.
        parameters: of its model.
        training_flop: operations that training needs for one image.
    """

    precision: str
    parameters: int
    training_flop: int


@dataclass(frozen=True)
class Contender:
    """One way to train a net.

    Attributes:
        precision: what it computes in, `float32` or `bfloat16`.
        model: the compiled Keras model.
        feed: makes arguments of `fit` from images, uint8 `[n, 28, 28]`, and labels, float32
            `[n, 10]`.
    """

    precision: str
    model: Any
    feed: Callable[[np.ndarray, np.ndarray], dict[str, Any]]

    def facts(self) -> Facts:
        """Returns what is told of it besides its pace."""
        return Facts(self.precision, self.model.count_params(), training_flop(self.model))

    def fit(self, images: np.ndarray, labels: np.ndarray) -> Pace:
        """Trains it for one epoch and watches the clock.

        Args:
            images: uint8 `[n, 28, 28]`, as many as fill more than a few batches.
            labels: float32 `[n, 10]`.
        """
        return paced_fit(self.model, self.feed(images, labels))


@dataclass(frozen=True)
class Net:
    """A net of the comparison.

    Attributes:
        name: what the table calls it.
        variant: how the engine trains it.
        is_published: whether the stock contenders are Deotte's net as its users run it, and not
            the same net.
    """

    name: str
    variant: Variant
    is_published: bool = False

    def stock_contenders(self) -> dict[str, Contender]:
        """Builds and compiles the net as stock Keras trains it, by the names of the tables.

        In bfloat16, too, where that is multiplied in hardware: elsewhere it takes many times as
        long as float32, and nobody would train in it.
        """
        stock = {STOCK_FLOAT32: self._stock("float32")}
        if best_precision() == "bfloat16":
            stock[STOCK_BFLOAT16] = self._stock("bfloat16")
        return stock

    def _stock(self, precision: str) -> Contender:
        use_precision(precision)
        batch_size = self.variant.batch_size
        if self.is_published:
            return Contender(precision, published_net(), partial(published_feed, batch_size))
        model = stock_copy(self.variant.architecture.build())
        compile_for(self.variant, model, STEPS_OF_SCHEDULE)
        return Contender(precision, model, partial(_array_feed, batch_size))


def nets(config: Config) -> list[Net]:
    """Returns Deotte's net without dropout and with it, and each variant of the config.

    With it, it is there twice: once both sides drop single values, as published; and once stock
    Keras is the net that its users run, and the engine drops feature maps in their place.
    Contenders share a batch size: of Deotte's net the configuration's, though he trained with 64.
    """

    def deottes(name: str, dropout: float) -> Variant:
        architecture = {"name": name, "dropout": dropout}
        return Variant(**{**dict(config.defaults), "architecture": architecture})

    return [
        Net("Deotte's, no dropout", deottes("deotte", 0.0)),
        Net("Deotte's, its dropout 0.4", deottes("deotte", PUBLISHED_DROPOUT)),
        Net(AS_PUBLISHED, deottes("plain", PUBLISHED_DROPOUT), is_published=True),
        *(Net(name, variant) for name, variant in config.variants.items()),
    ]


def engine(variant: Variant) -> Contender:
    """Builds a variant as its jobs are trained."""
    precision = use_precision(variant.precision)
    model = compiled_model(variant, STEPS_OF_SCHEDULE)
    return Contender(precision, model, partial(_engine_feed, variant.batch_size))


def _engine_feed(batch_size: int, images: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    return {"x": batches(batch_size, images[..., None], labels), "shuffle": False}


def _array_feed(batch_size: int, images: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    return {"x": images[..., None], "y": labels, "batch_size": batch_size}


def stock_copy(model):
    """Returns the same net of Keras's own layers: for each of ours, the one that it derives from.

    Args:
        model: a functional Keras model.

    Returns:
        A model with other weights of the same shapes, in the same order, not compiled.
    """
    import keras

    return keras.models.clone_model(model, clone_function=_stock_layer)


def _stock_layer(layer):
    import keras

    base = next(kind for kind in type(layer).__mro__ if kind.__module__.startswith("keras."))
    kind = type(layer) if base is keras.layers.Layer else base
    return kind.from_config(layer.get_config())
