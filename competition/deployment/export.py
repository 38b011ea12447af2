"""A trained net as files that other programs open: Keras, ONNX, LiteRT; each one is checked.

Every file takes images, float32 `(n, 28, 28, 1)` from 0 (background) to 255 (ink), and gives class
probabilities, float32 `(n, 10)`: scaling and softmax are inside.
"""

import contextlib
import io
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from competition.digits import CLASSES, SIDE
from competition.errors import UserError
from competition.paths import EXPORTED

SHAPE = (None, SIDE, SIDE, 1)
INPUT, OUTPUT = "images", "probabilities"

# The modules that write and read each format; `requirements-deploy.txt` installs them.
NEEDED = {
    "keras": (),
    "onnx": ("onnx", "tf2onnx", "onnxruntime"),
    "litert": ("ai_edge_litert", "ai_edge_quantizer"),
}

# Digits that a file is compared on, and that int8 is calibrated on: other ones.
COMPARED, CALIBRATED = 1000, 1000

# How far a file's probabilities may be from the net's, as the mean over the digits of half the sum
# of differences. Rounding to bfloat16 in training, or to int8, was seen to move them by 0.0003.
TOLERATED = {"keras": 0.01, "onnx": 0.01, "litert": 0.02}


def require_libraries(formats: tuple[str, ...]) -> None:
    """Raises UserError naming all that the formats need and that is not installed."""
    needed = [name for each in formats for name in NEEDED[each]]
    if missing := [name for name in needed if find_spec(name) is None]:
        raise UserError(
            f"an export as {', '.join(formats)} needs {', '.join(missing)}, not installed here; "
            "run: .venv/bin/pip install -r requirements-deploy.txt"
        )


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
    net.set_weights(model.get_weights())
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
        form: a key of `EXPORTED`.
        path: ends as the format's files do.
        calibration: uint8 `[n, 28, 28]`, training digits, from which int8 takes its ranges.
    """
    import keras

    signature = [keras.InputSpec("float32", SHAPE, name=INPUT)]
    with _silence():
        if form == "keras":
            net.save(path)
        elif form == "onnx":
            net.export(path, format="onnx", input_signature=signature, verbose=False)
            _name_output(path)
        else:
            net.export(path, format="litert", input_signature=signature, verbose=False)
            _quantise(path, calibration)


def _name_output(path: Path) -> None:
    """Gives the output the name that the model card tells; tf2onnx calls it `Identity:0`."""
    import onnx

    model = onnx.load(path)
    (output,) = model.graph.output
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = [OUTPUT if name == output.name else name for name in names]
    output.name = OUTPUT
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


def as_input(images: np.ndarray) -> np.ndarray:
    """Returns images uint8 `[n, 28, 28]` as a file's input, float32 `[n, 28, 28, 1]`."""
    return images[..., None].astype(np.float32)


def answers(path: Path, images: np.ndarray) -> np.ndarray:
    """Loads a file as another program would, and returns its probabilities, float32 `[n, 10]`.

    Args:
        images: uint8 `[n, 28, 28]`.
    """
    form = next(form for form, name in EXPORTED.items() if path.suffix == Path(name).suffix)
    given = as_input(images)
    if form == "keras":
        import keras

        return keras.saving.load_model(path, safe_mode=True).predict(given, verbose=0)
    if form == "onnx":
        from onnxruntime import InferenceSession

        (found,) = InferenceSession(path).run([OUTPUT], {INPUT: given})
        return found
    from ai_edge_litert.interpreter import Interpreter

    reader = Interpreter(str(path))
    (into,), (out,) = reader.get_input_details(), reader.get_output_details()
    reader.resize_tensor_input(into["index"], given.shape)
    reader.allocate_tensors()
    reader.set_tensor(into["index"], given)
    reader.invoke()
    return reader.get_tensor(out["index"])


def require_same(path: Path, form: str, found: np.ndarray, expected: np.ndarray) -> None:
    """Raises UserError if a file's probabilities `[n, 10]` are not those of the net."""
    distance = np.abs(found - expected).sum(axis=1).mean() / 2
    if found.shape != (len(expected), CLASSES) or not distance <= TOLERATED[form]:
        raise UserError(
            f"{path.name} does not answer as the net does: over {len(expected):,} digits their "
            f"probabilities are {distance:.4f} apart, expected at most {TOLERATED[form]}; nothing "
            "was exported"
        )


@contextlib.contextmanager
def _silence():
    """Drops what the converters print and warn of; what they raise is not touched."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield
