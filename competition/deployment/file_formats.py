"""A net as files that other programs open: Keras, ONNX, LiteRT.

Every file takes images, float32 `(n, 28, 28, 1)` from 0 (background) to 255 (ink), and gives class
probabilities, float32 `(n, 10)`: scaling and softmax are inside.
"""

import contextlib
import io
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from competition.deployment.runtimes import as_input
from competition.digits import SIDE
from competition.training.resources import silent_standard_error

SHAPE = (None, SIDE, SIDE, 1)
INPUT, OUTPUT = "images", "probabilities"


def stock_net(model):
    """Returns a net with the same weights, of Keras's own layers, in float32, with the softmax.

    A net trained in mixed bfloat16 exports without a word, and then no other program loads it.

    Args:
        model: from images to logits, of any architecture of the registry.
    """
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        net = keras.models.clone_model(model, clone_function=_stock_layer)
    finally:
        keras.config.set_dtype_policy(before)
    # To half precision, 8 times finer than bfloat16 rounds in training, so that files are smaller.
    net.set_weights(
        [weight.astype(np.float16).astype(np.float32) for weight in model.get_weights()]
    )
    probabilities = keras.layers.Softmax(dtype="float32", name=OUTPUT)(net.outputs[0])
    return keras.Model(net.inputs, probabilities, name="digits")


def _stock_layer(layer):
    """Returns a new layer: of the first of the layer's classes that Keras itself has."""
    from competition.models.capsules import SelfRouting

    if isinstance(layer, SelfRouting):
        return _stock_routing(layer)
    stock: Any = next(kind for kind in type(layer).__mro__ if kind.__module__.startswith("keras."))
    return stock.from_config({**layer.get_config(), "dtype": "float32"})


def _stock_routing(layer):
    """Returns self-routing, which is no subclass of a stock layer, as a net of such layers."""
    import keras
    from keras import layers, ops

    from competition.models.capsules import SMALLEST

    poses, activations = (keras.Input(each.shape[1:]) for each in layer.input)
    routes = layers.EinsumDense("bcs,csk->bck", (poses.shape[1], layer.classes), name="routes")
    shares = layers.Softmax()(routes(poses))
    weights = layers.Reshape((-1, 1))(activations)
    support = ops.sum(weights * shares, axis=1) / (ops.sum(weights, axis=1) + SMALLEST)
    return keras.Model([poses, activations], ops.log(support + SMALLEST), name=layer.name)


def write_file(net, form: str, path: Path, calibration: np.ndarray) -> None:
    """Writes a net in one format.

    Args:
        net: from images to probabilities, of `stock_net`.
        form: a key of `paths.EXPORTED`.
        path: ends as the format's files do.
        calibration: uint8 `[n, 28, 28]`, training digits, from which int8 takes its ranges.
    """
    import keras

    signature = [keras.InputSpec("float32", SHAPE, name=INPUT)]
    with _silence():
        if form == "keras":
            net.save(path)
            _deflate(path)
        elif form == "onnx":
            net.export(path, format="onnx", input_signature=signature, verbose=False)
            _finish_onnx(path)
        else:
            net.export(path, format="litert", input_signature=signature, verbose=False)
            _quantise(path, calibration)


def _deflate(path: Path) -> None:
    """Compresses a Keras file, a zip archive that Keras stores as it is; it opens as before."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)


def _finish_onnx(path: Path) -> None:
    """Names the output, which tf2onnx calls `Identity:0`; stores large weights in half precision.

    They become float32 again when the file is loaded; all arithmetic is float32.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load(path)
    graph, (output,) = model.graph, model.graph.output
    for node in graph.node:
        node.output[:] = [OUTPUT if name == output.name else name for name in node.output]
    output.name = OUTPUT
    for place, weights in enumerate(graph.initializer):
        values = numpy_helper.to_array(weights)
        if values.dtype == np.float32 and values.size >= 100:
            name, half = weights.name, f"{weights.name}_half"
            graph.initializer[place].CopyFrom(
                numpy_helper.from_array(values.astype(np.float16), half)
            )
            graph.node.insert(0, helper.make_node("Cast", [half], [name], to=TensorProto.FLOAT))
    onnx.checker.check_model(model)
    onnx.save(model, path)


def _quantise(path: Path, calibration: np.ndarray) -> None:
    """Makes a LiteRT file static int8; input, output and softmax stay float32.

    A softmax of int8 would round the probabilities to multiples of 1/256.
    """
    from ai_edge_quantizer import quantizer, recipe

    made = quantizer.Quantizer(str(path), recipe.static_wi8_ai8())
    for kept in ("INPUT", "OUTPUT", "SOFTMAX"):
        made.update_quantization_recipe(
            ".*",
            recipe.TFLOperationName[kept],
            algorithm_key=recipe.AlgorithmName.NO_QUANTIZE,
        )
    batches = [{INPUT: as_input(images)} for images in np.array_split(calibration, 10)]
    ranges = made.calibrate({"serving_default": batches})
    made.quantize(ranges).export_model(str(path), overwrite=True)


@contextlib.contextmanager
def _silence():
    """Drops what the converters print and warn of; what they raise is not touched."""
    with (
        silent_standard_error(),
        contextlib.redirect_stdout(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        yield
