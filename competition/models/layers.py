"""The pieces that every architecture shares: how it begins, how it ends, and its usual block."""

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable(package="competition")
class FeatureMapDropout(keras.layers.SpatialDropout2D):
    """`SpatialDropout2D` with the same distribution and less work.

    Keras selects between the scaled inputs and zeros, element by element; here the few random
    numbers, one a feature map, become factors of 0 or 1 / (1 - rate) of the inputs' own type.
    (J. Tompson et al., "Efficient Object Localization Using Convolutional Networks",
    arXiv:1411.4280.)

    Raises:
        ValueError: when all feature maps would be dropped, as the others would be infinitely large.
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


# What TensorFlow's kernel takes as inputs; all else that it is given must be float32.
KERNEL_TYPES = ("float32", "bfloat16", "float16")


@keras.saving.register_keras_serializable(package="competition")
class FusedBatchNormalization(keras.layers.BatchNormalization):
    """Keras's batch normalisation through TensorFlow's fused kernel where there is one.

    Keras composes it of a mean, a squared difference, several products and, in mixed precision,
    casts to float32 and back; that costs as much as the convolution before it. The kernel does
    all in one pass and keeps float32 sums inside. Weights, configuration, moving statistics and
    results (within rounding) are those of the parent class, so weights fit either one. Everything
    but feature maps `(batch, height, width, channels)` on TensorFlow, with float32 weights, is left
    to the parent class.
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


# Mean and standard deviation of all pixels of the competition's 42,000 training images.
# The mean is published (33.408911); fixed constants keep a model free of its training rows.
PIXEL_MEAN = 33.408911
PIXEL_STANDARD_DEVIATION = 78.677740

NUMBER_OF_CLASSES = 10


def standardised_images():
    """Returns the model's input and the same images with zero mean and unit variance.

    Returns:
        A pair of Keras tensors of shape `(batch, 28, 28, 1)`: the input, raw pixels from 0 to
        255, and the standardised images in the layers' compute dtype.
    """
    images = keras.Input((28, 28, 1), name="images")
    scale, offset = 1 / PIXEL_STANDARD_DEVIATION, -PIXEL_MEAN / PIXEL_STANDARD_DEVIATION
    return images, layers.Rescaling(scale, offset)(images)


def classifier(images, features, name):
    """Returns the model that ends in ten logits, computed in float32 under any precision policy.

    Args:
        images: the Keras input of the model.
        features: Keras tensor of shape `(batch, n)`.
        name: the model's name.
    """
    logits = layers.Dense(NUMBER_OF_CLASSES, dtype="float32", name="logits")(features)
    return keras.Model(images, logits, name=name)


def batch_normalization(features):
    """Batch normalisation whose moving statistics follow a short training closely.

    Keras's default momentum of 0.99 still remembers the first steps after an epoch of a few
    hundred steps; 0.9 is the usual choice elsewhere (PyTorch's default).

    Args:
        features: Keras tensor of shape `(batch, …, channels)`, each of which is normalised.
    """
    return FusedBatchNormalization(momentum=0.9)(features)


def convolution_block(features, filters, kernel_size, strides=1, padding="same"):
    """Convolution, batch normalisation, ReLU, in this order.

    Args:
        features: Keras tensor of shape `(batch, height, width, channels)`.
        filters: the channels of what is returned.
        kernel_size, strides, padding: of the convolution, as Keras's `Conv2D` takes them.
    """
    features = layers.Conv2D(filters, kernel_size, strides, padding, use_bias=False)(features)
    return layers.Activation("relu")(batch_normalization(features))
