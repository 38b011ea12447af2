"""A net as plain arrays, for the page that predicts in the browser: folded and quantised."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from competition.errors import UserError
from competition.system import core_count
from competition.training.resources import start_keras

# A step of the net: its name under `kind`, its settings, and its arrays, as the page uses them.
Step = dict[str, Any]

LARGEST = 127  # of int8, leaving out -128, so that zero is exact and both signs are alike


def read_steps(path: Path) -> list[Step]:
    """Reads an exported net; batch normalisations become part of the layer before them.

    The steps are `rescaling` (scale, offset), `convolution` (weights int8 `[height, width, in,
    out]`, scale and bias float32 `[out]`, strides and padding), `dense` (the same, weights int8
    `[in, out]`), `pooling` (the largest of size × size), `relu` and `softmax`. A real weight is
    the whole number times the scale of its output channel.

    Raises:
        UserError: when the file is missing, or the net has a layer that is none of these.
    """
    if not path.exists():
        raise UserError(f"{path} is missing; `make export` with the same CONFIG writes it")
    start_keras(core_count())
    import keras

    net = keras.saving.load_model(path, compile=False)
    steps: list[Step] = []
    before = None
    for layer in net.layers:
        if before is not None and layer.input is not before.output:
            raise UserError(f"{path}: '{layer.name}' does not follow '{before.name}'; {EXPECTED}")
        before = layer
        steps.extend(_steps_of(layer, steps, path))
    for step in steps:
        if "kernel" in step:
            step |= _quantised(step.pop("kernel"))
    return steps


EXPECTED = "the page runs nets in which each layer follows the one before it, such as `plain`"


def _steps_of(layer: Any, before: list[Step], path: Path) -> Iterator[Step]:
    """Yields the steps of a layer, or changes the step before it."""
    from keras import layers

    match layer:
        case layers.InputLayer() | layers.Dropout() | layers.Flatten():
            return
        case layers.Rescaling():
            yield {"kind": "rescaling", "scale": layer.scale, "offset": layer.offset}
        case layers.Conv2D(groups=1, dilation_rate=(1, 1), data_format="channels_last"):
            sizes = {"strides": list(layer.strides), "padding": layer.padding}
            yield {"kind": "convolution"} | sizes | _weights(layer)
        case layers.Dense() if len(layer.input.shape) == 2:
            yield {"kind": "dense"} | _weights(layer)
        case layers.BatchNormalization() if before and "kernel" in before[-1]:
            _fold(layer, before[-1])
        case layers.MaxPooling2D(padding="valid") if layer.pool_size == layer.strides:
            yield {"kind": "pooling", "size": list(layer.pool_size)}
        case layers.ReLU() | layers.Softmax() | layers.Activation():
            pass
        case _:
            kind = type(layer).__name__
            raise UserError(f"{path}: the page does not know the layer '{layer.name}' ({kind})")
    activation = _activation(layer)
    if activation not in ("linear", "relu", "softmax"):
        raise UserError(f"{path}: the page does not know the activation '{activation}'")
    if activation != "linear":
        yield {"kind": activation}


def _activation(layer: Any) -> str:
    """Returns the name of what a layer does in the end, `linear` for nothing."""
    from keras import layers

    if isinstance(layer, layers.ReLU | layers.Softmax):
        return type(layer).__name__.lower()
    return getattr(getattr(layer, "activation", None), "__name__", "linear")


def _weights(layer: Any) -> Step:
    kernel = layer.kernel.numpy().astype(np.float64)
    bias = layer.bias.numpy() if layer.use_bias else np.zeros(kernel.shape[-1])
    return {"kernel": kernel, "bias": bias.astype(np.float32)}


def _fold(layer: Any, step: Step) -> None:
    """Makes a normalisation part of the weights before it, which trained nets allow exactly."""
    mean, variance, gamma, beta = (
        each.numpy().astype(np.float64)
        for each in (layer.moving_mean, layer.moving_variance, layer.gamma, layer.beta)
    )
    factor = gamma / np.sqrt(variance + layer.epsilon)
    step["kernel"] = step["kernel"] * factor
    step["bias"] = ((step["bias"] - mean) * factor + beta).astype(np.float32)


def _quantised(kernel: np.ndarray) -> Step:
    largest = np.abs(kernel).reshape(-1, kernel.shape[-1]).max(axis=0)
    scale = (np.maximum(largest, np.finfo(np.float32).tiny) / LARGEST).astype(np.float32)
    return {"weights": np.rint(kernel / scale).astype(np.int8), "scale": scale}
