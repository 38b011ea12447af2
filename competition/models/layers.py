"""What all architectures share: their input, their output, and the usual block."""

import itertools
import math
from functools import cache
from pathlib import Path

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable(package="competition")
class FeatureMapDropout(keras.layers.SpatialDropout2D):
    """`SpatialDropout2D` with the same distribution and less work.

    Keras chooses between the scaled inputs and zeros, element by element; here the few random
    numbers, one per feature map, become factors of 0 or 1 / (1 - rate) in the inputs' dtype.
    (J. Tompson et al., "Efficient Object Localization Using Convolutional Networks",
    arXiv:1411.4280.)
    """

    def __init__(self, rate: float, **settings):
        if rate == 1:
            raise ValueError("dropout is 1, expected less: nothing would be left to learn from")
        super().__init__(rate, **settings)

    def call(self, inputs, training=False):
        if not training or self.rate == 0:
            return inputs
        shape = (ops.shape(inputs)[0], 1, 1, inputs.shape[-1])
        numbers = keras.random.uniform(shape, dtype="float32", seed=self.seed_generator)
        factors = ops.where(numbers >= self.rate, 1 / (1 - self.rate), 0.0)
        return inputs * ops.cast(factors, inputs.dtype)


# The input types of TensorFlow's kernel; all its other arguments must be float32.
KERNEL_TYPES = ("float32", "bfloat16", "float16")


@keras.saving.register_keras_serializable(package="competition")
class FusedBatchNormalization(keras.layers.BatchNormalization):
    """Keras's batch normalisation with TensorFlow's fused kernel where there is one.

    Keras composes it of a mean, a squared difference, several products and, in mixed precision,
    casts to float32 and back, which costs as much as the convolution before it. The kernel does
    all in one pass and keeps float32 sums inside. Weights, configuration, moving statistics and
    results (within rounding) are those of the parent class, which also takes over for anything
    but feature maps `(batch, height, width, channels)` on TensorFlow with float32 weights.
    """

    def call(self, inputs, training=None, mask=None):
        if mask is not None or not self._has_kernel(inputs):
            return super().call(inputs, training=training, mask=mask)
        if training and self.trainable:
            return self._normalised_by_batch(inputs)
        outputs, _, _ = self._kernel(
            inputs,
            mean=self.moving_mean.value,
            variance=self.moving_variance.value,
            is_training=False,
        )
        return outputs

    def _has_kernel(self, inputs) -> bool:
        is_feature_map = len(inputs.shape) == 4 and self.axis in (-1, 3)
        is_usual = (
            self.center
            and self.scale
            and not getattr(self, "renorm", False)
            and not self.synchronized
        )
        is_ours = keras.backend.backend() == "tensorflow" and is_feature_map and is_usual
        return is_ours and self.gamma.dtype == "float32" and inputs.dtype in KERNEL_TYPES

    def _normalised_by_batch(self, inputs):
        import tensorflow

        outputs, mean, variance = self._kernel(inputs, is_training=True)
        count = tensorflow.cast(tensorflow.size(inputs) // inputs.shape[-1], variance.dtype)
        # The kernel gives the unbiased variance; Keras's moving variance follows the biased one.
        self._follow(self.moving_mean, mean)
        self._follow(self.moving_variance, variance * (1 - 1 / count))
        return outputs

    def _kernel(self, inputs, **settings):
        """Returns the normalised inputs and the mean and variance of the batch."""
        import tensorflow

        return tensorflow.compat.v1.nn.fused_batch_norm(
            inputs, self.gamma.value, self.beta.value, epsilon=self.epsilon, **settings
        )

    def _follow(self, moving, batch) -> None:
        moving.assign(moving * self.momentum + batch * (1 - self.momentum))


# On AMX, matrix products are faster than oneDNN on output maps of up to so many positions with more
# channels than these (EXPERIMENTS.md, "The step on AMX").
SMALL_MAP, FEW_CHANNELS = 36, 32


@cache
def has_amx() -> bool:
    """Whether the processor multiplies matrices of bfloat16 in tiles (Intel's AMX), on Linux."""
    features = Path("/proc/cpuinfo")
    return features.exists() and " amx_bf16 " in features.read_text()


@keras.saving.register_keras_serializable(package="competition")
class SmallMapConv2D(layers.Conv2D):
    """Keras's convolution with another gradient of the kernel where its output is a small map.

    oneDNN works through a batch image by image. Maps of 3x3 fill a small part of AMX's tiles so;
    one matrix product per position of the kernel, over all images at once, fills them. On a map of
    one position that is faster on any processor. Weights, configuration, outputs and, within
    rounding, gradients are those of the parent class, which takes over everywhere else,
    and always to predict.
    """

    def call(self, inputs, training=False):
        if not training or not self._has_faster_products(inputs):
            return super().call(inputs)
        import tensorflow

        settings = {"strides": self.strides, "padding": self.padding.upper()}

        @tensorflow.custom_gradient
        def convolution(inputs, kernel, *bias):
            def gradients(upstream):
                shape = tensorflow.shape(inputs)
                of_inputs = tensorflow.nn.conv2d_transpose(upstream, kernel, shape, **settings)
                of_kernel = self._kernel_gradient(inputs, upstream)
                # In float32: TensorFlow's own gradient of a bias adds up bfloat16, 5% off at 6x6.
                of_bias = ops.cast(ops.sum(ops.cast(upstream, "float32"), (0, 1, 2)), inputs.dtype)
                return (of_inputs, of_kernel, of_bias) if bias else (of_inputs, of_kernel)

            outputs = tensorflow.nn.conv2d(inputs, kernel, **settings)
            return (tensorflow.nn.bias_add(outputs, *bias) if bias else outputs), gradients

        weights = (self.kernel, self.bias) if self.use_bias else (self.kernel,)
        # Read here: a gradient of one's own may not use variables.
        tensors = [tensorflow.identity(ops.convert_to_tensor(each)) for each in weights]
        return self.activation(convolution(inputs, *tensors))

    def _has_faster_products(self, inputs) -> bool:
        is_usual = self.data_format == "channels_last" and self.dilation_rate == (1, 1)
        if keras.backend.backend() != "tensorflow" or not is_usual or self.groups > 1:
            return False
        from tensorflow import config

        positions = math.prod(self.compute_output_shape(inputs.shape)[1:3])
        is_small = positions <= SMALL_MAP and inputs.shape[-1] > FEW_CHANNELS
        uses_amx = inputs.dtype == "bfloat16" and has_amx()
        is_faster = positions == 1 or (is_small and uses_amx)
        return is_faster and not config.list_physical_devices("GPU")

    def _kernel_gradient(self, inputs, upstream):
        """Returns the gradient, in the kernel's shape; `upstream` is that of the outputs."""
        import tensorflow

        (down, right), (rows, columns) = self.strides, upstream.shape[1:3]
        sizes = (inputs.shape[1:3], self.kernel_size, self.strides, (rows, columns))
        zeros = [(0, 0), *itertools.starmap(_zeros_around, zip(*sizes, strict=True)), (0, 0)]
        padded, channels = tensorflow.pad(inputs, zeros), inputs.shape[-1]
        # TensorFlow takes every other pixel one by one; out of blocks it copies whole rows.
        (height, width), across = padded.shape[1:3], right * channels
        blocks = tensorflow.reshape(padded, (-1, height // down, down, width // right, across))
        by_position = tensorflow.reshape(upstream, (-1, self.filters))
        products = []
        for y, x in itertools.product(*map(range, self.kernel_size)):
            i, j, channel = y // down, x // right, x % right * channels
            seen = blocks[:, i : i + rows, y % down, j : j + columns, channel : channel + channels]
            seen = tensorflow.reshape(seen, (-1, channels))
            products.append(tensorflow.matmul(seen, by_position, transpose_a=True))
        return tensorflow.reshape(tensorflow.stack(products), self.kernel.shape)


def _zeros_around(size: int, kernel_size: int, stride: int, positions: int) -> tuple[int, int]:
    """Returns how many zeros go before and behind: Keras's padding, then up to whole strides."""
    missing = max(0, (positions - 1) * stride + kernel_size - size)
    return missing // 2, missing - missing // 2 + -(size + missing) % stride


# Mean (published: 33.408911) and standard deviation of all pixels of the competition's 42,000
# training images. With fixed constants a model does not depend on its training rows.
PIXEL_MEAN = 33.408911
PIXEL_STANDARD_DEVIATION = 78.677740

NUMBER_OF_CLASSES = 10


def standardised_images():
    """Returns two Keras tensors `(batch, 28, 28, 1)`: the model's input, raw pixels from 0 to 255,
    and the images with zero mean and unit variance.
    """
    images = keras.Input((28, 28, 1), name="images")
    scale, offset = 1 / PIXEL_STANDARD_DEVIATION, -PIXEL_MEAN / PIXEL_STANDARD_DEVIATION
    return images, layers.Rescaling(scale, offset)(images)


def classifier(images, features, name):
    """Returns the model from its input to ten logits of features `(batch, n)`.

    The logits are float32 under any precision policy.
    """
    logits = layers.Dense(NUMBER_OF_CLASSES, dtype="float32", name="logits")(features)
    return keras.Model(images, logits, name=name)


def batch_normalization(features):
    """Batch normalisation with moving statistics that follow a short training closely.

    Keras's default momentum of 0.99 still remembers the first steps after an epoch of a few
    hundred steps; 0.9 is the usual choice elsewhere (PyTorch's default).
    """
    return FusedBatchNormalization(momentum=0.9)(features)


def convolution_block(features, filters, kernel_size, strides=1, padding="same"):
    """Convolution, batch normalisation, ReLU, in this order; arguments as for Keras's `Conv2D`."""
    features = SmallMapConv2D(filters, kernel_size, strides, padding, use_bias=False)(features)
    return layers.Activation("relu")(batch_normalization(features))
