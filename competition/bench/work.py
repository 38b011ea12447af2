"""How much arithmetic a net needs, and how much the machine can do."""

import math
import time

from competition.bench.spread import Spread

# A training step costs three times the prediction: it adds the gradients of the features and of
# the weights, each with as many multiply-adds (D. Amodei and D. Hernandez, "AI and compute", 2018).
TRAINING_FACTOR = 3
FLOP_PER_MULTIPLY_ADD = 2

MATRIX_SIDE = 2048
PRODUCTS_A_RUN = 4


def training_flop(model) -> int:
    """Returns the floating-point operations that training needs for one image.

    Convolutions and dense layers are counted, which do nearly all; as is usual, additions and
    products count as one each.

    Args:
        model: a Keras model that is built.
    """
    multiply_adds = sum(_multiply_adds(layer) for layer in model.layers)
    return TRAINING_FACTOR * FLOP_PER_MULTIPLY_ADD * multiply_adds


def _multiply_adds(layer) -> int:
    import keras

    if not isinstance(layer, keras.layers.Conv2D | keras.layers.Dense):
        return 0
    # Each weight of a kernel is used once at each place of the output.
    places = layer.output.shape[1:-1]
    return math.prod(places) * math.prod(layer.kernel.shape)


def matrix_peak(precision: str, runs: int) -> Spread:
    """Measures the machine's speed at the product of two square matrices.

    Args:
        precision: `float32` or `bfloat16`.
        runs: how often it is measured.

    Returns:
        Floating-point operations a second, with the threads that TensorFlow has.
    """
    import tensorflow

    factors = tensorflow.random.stateless_normal([MATRIX_SIDE, MATRIX_SIDE], seed=(0, 0))
    factors = tensorflow.cast(factors, precision)
    product = tensorflow.function(lambda: tensorflow.linalg.matmul(factors, factors))
    product().numpy()  # traced once
    return Spread(tuple(_matrix_run(product) for _ in range(runs)))


def _matrix_run(product) -> float:
    began = time.perf_counter()
    for _ in range(PRODUCTS_A_RUN):
        result = product()
    result.numpy()  # waits for a graphics processor
    operations = PRODUCTS_A_RUN * FLOP_PER_MULTIPLY_ADD * MATRIX_SIDE**3
    return operations / (time.perf_counter() - began)
