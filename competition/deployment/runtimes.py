"""Exported nets, opened as other programs open them: LiteRT, ONNX Runtime, or plain Keras."""

import math
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TypeAlias

import numpy as np

from competition.digits import CLASSES, SIDE
from competition.errors import UserError
from competition.paths import EXPORTED
from competition.system import core_count

# Images uint8 `[n, 28, 28]` to class probabilities, float32 `[n, 10]`.
Net: TypeAlias = Callable[[np.ndarray], np.ndarray]

# What opens each kind of file: a module and its package, the quickest one first.
RUNTIMES = {
    ".tflite": ("ai_edge_litert", "ai-edge-litert"),
    ".onnx": ("onnxruntime", "onnxruntime"),
    ".keras": ("keras", "keras"),
}

# Images that are predicted at a time.
BLOCK = 500


def chosen(path: Path) -> Path:
    """Returns the file to open: this one, or a folder's quickest one whose runtime is installed.

    Raises:
        UserError: when there is none.
    """
    files = [path]
    if path.is_dir():
        there = [path / name for name in EXPORTED.values() if (path / name).exists()]
        files = sorted(there, key=lambda file: [*RUNTIMES].index(file.suffix))
    if not files or not path.exists():
        raise UserError(
            f"there is no exported net at {path}; `make export` writes them to "
            "output/<config>/export/; the repository has one: MODEL=output/best/export"
        )
    if files[0].suffix not in RUNTIMES:
        raise UserError(f"{path} is no exported net; expected {', '.join(RUNTIMES)}")
    for file in files:
        if find_spec(RUNTIMES[file.suffix][0]):
            return file
    package = RUNTIMES[files[0].suffix][1]
    raise UserError(
        f"{files[0]} needs the package {package}; "
        "install it with `.venv/bin/pip install -r requirements-deploy.txt`"
    )


def opened(file: Path) -> Net:
    """Loads a file on one thread, more would not help so small a net; returns what predicts.

    Raises:
        UserError: when the file is damaged, or no net for digits.
    """
    open_file = {".tflite": _litert, ".onnx": _onnx, ".keras": _keras}[file.suffix]
    try:
        net = open_file(file)
        shape = net(np.zeros((1, SIDE, SIDE), np.uint8)).shape
    except Exception as error:  # each runtime raises errors of its own
        reason = str(error).strip().partition("\n")[0]
        raise UserError(f"{file} cannot be opened: {reason}; `make export` writes it") from None
    if shape != (1, CLASSES):
        raise UserError(f"{file} answers one digit with {shape} values; expected (1, {CLASSES})")
    return net


def _litert(file: Path) -> Net:
    from ai_edge_litert.interpreter import Interpreter

    from competition.training.resources import silent_standard_error

    with silent_standard_error():  # it tells which kernels it uses
        reader = Interpreter(str(file))
        reader.allocate_tensors()
    (into,), (out,) = reader.get_input_details(), reader.get_output_details()
    size = 0

    def answer(images: np.ndarray) -> np.ndarray:
        nonlocal size
        if len(images) != size:
            size = len(images)
            reader.resize_tensor_input(into["index"], (size, SIDE, SIDE, 1))
            reader.allocate_tensors()
        reader.set_tensor(into["index"], as_input(images))
        reader.invoke()
        return reader.get_tensor(out["index"])

    return answer


def _onnx(file: Path) -> Net:
    from onnxruntime import InferenceSession, SessionOptions

    settings = SessionOptions()
    settings.intra_op_num_threads = 1
    session = InferenceSession(file, settings, providers=["CPUExecutionProvider"])
    (into,) = session.get_inputs()
    return lambda images: session.run(None, {into.name: as_input(images)})[0]


def _keras(file: Path) -> Net:
    from competition.training.resources import start_keras, started_threads

    if started_threads() is None:
        start_keras(core_count())
    import keras

    net = keras.saving.load_model(file, safe_mode=True)
    # `predict` makes a `tf.data` pipeline, whose tuner sleeps for a tenth of a second at its end.
    return lambda images: net.predict_on_batch(as_input(images))


def as_input(images: np.ndarray) -> np.ndarray:
    """Returns images uint8 `[n, 28, 28]` as a net's input, float32 `[n, 28, 28, 1]`."""
    return images[..., None].astype(np.float32)


def answers(file: Path, images: np.ndarray) -> np.ndarray:
    """Returns a file's probabilities, float32 `[n, 10]`, of images uint8 `[n, 28, 28]`."""
    return in_blocks(opened(file), images)


def in_blocks(net: Net, images: np.ndarray) -> np.ndarray:
    """Returns a net's probabilities, float32 `[n, 10]`, of any number of images."""
    if not len(images):
        return np.zeros((0, CLASSES), np.float32)
    blocks = np.array_split(images, math.ceil(len(images) / BLOCK))
    return np.concatenate([net(block) for block in blocks])
