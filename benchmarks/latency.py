"""How fast exported nets answer: one digit at a time, and in batches; side by side, by turns."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from competition.console import bytes_text
from competition.deployment.runtimes import BLOCK, RUNTIMES, Net, in_blocks, opened
from competition.digits import SIDE
from competition.errors import UserError
from competition.tables import Column, Table

if TYPE_CHECKING:
    from pandas import DataFrame

# In each round every file answers in its turn, so that other work on the machine slows all alike.
ROUNDS = 10
SINGLE_DIGITS = 100
BATCHED_DIGITS = 2 * BLOCK

COLUMNS = [
    Column("file"),
    Column("weights"),
    Column("size"),
    Column("p50 ms", "{:.2f}", ("p50",)),
    Column("p99 ms", "{:.2f}", ("p99",)),
    Column("digits/s in batches", "{:,.0f}", ("digits_per_second",)),
]
NOTE = (
    f"p50 and p99 are of {ROUNDS * SINGLE_DIGITS:,} single digits; batches have {BLOCK} digits, "
    "and their speed is the median of the rounds. LiteRT and ONNX run on one thread, Keras on all "
    "cores."
)


def measure(folder: Path) -> Table:
    """Measures every exported net in a folder, or one file; returns a row per file."""
    files = [folder] if folder.is_file() else sorted(folder.glob("*.*"))
    files = [file for file in files if file.suffix in RUNTIMES]
    if not files:
        raise UserError(
            f"there is no exported net at {folder}; `make export` writes them to "
            "output/<config>/export/, and MODEL= names such a folder or a file in it"
        )
    nets = {file: opened(file) for file in files}
    digits = np.random.default_rng(0).integers(0, 256, (BATCHED_DIGITS, SIDE, SIDE), np.uint8)
    single: dict[Path, list[float]] = {file: [] for file in files}
    batched: dict[Path, list[float]] = {file: [] for file in files}
    for _ in range(ROUNDS):
        for file, net in nets.items():
            net(digits[:1])  # the first answer after another size allocates
            single[file] += [_seconds(net, digits[i : i + 1]) for i in range(SINGLE_DIGITS)]
            net(digits[:BLOCK])
            batched[file].append(_seconds(net, digits))
    return Table("latency", "Latency", _frame(single, batched), COLUMNS, NOTE)


def _seconds(net: Net, images: np.ndarray) -> float:
    began = time.perf_counter()
    in_blocks(net, images)
    return time.perf_counter() - began


def _frame(single: dict[Path, list[float]], batched: dict[Path, list[float]]) -> "DataFrame":
    import pandas as pd

    return pd.DataFrame(
        {
            "file": file.name,
            "weights": _weights(file),
            "size": bytes_text(file.stat().st_size),
            "p50": 1000 * np.percentile(seconds, 50),
            "p99": 1000 * np.percentile(seconds, 99),
            "digits_per_second": BATCHED_DIGITS / np.median(batched[file]),
        }
        for file, seconds in single.items()
    )


def _weights(file: Path) -> str:
    """Returns the type of most of a file's numbers, such as `int8`."""
    if file.suffix == ".keras":
        return "float32"
    sizes: dict[str, int] = {}
    for kind, size in _tensors(file):
        sizes[kind] = sizes.get(kind, 0) + size
    return max(sizes, key=lambda kind: sizes[kind])


def _tensors(file: Path) -> list[tuple[str, int]]:
    """Returns type and size of every array in a LiteRT or ONNX file."""
    if file.suffix == ".tflite":
        from ai_edge_litert.interpreter import Interpreter

        details = Interpreter(str(file)).get_tensor_details()
        return [(np.dtype(each["dtype"]).name, int(np.prod(each["shape"]))) for each in details]
    import onnx

    arrays = map(onnx.numpy_helper.to_array, onnx.load(file).graph.initializer)
    return [(array.dtype.name, array.size) for array in arrays]
