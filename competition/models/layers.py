"""What all architectures share: their input, their output, and the usual block."""

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
        is_usual = self.center and self.scale and not self.renorm and not self.synchronized
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
    features = layers.Conv2D(filters, kernel_size, strides, padding, use_bias=False)(features)
    return layers.Activation("relu")(batch_normalization(features))
