"""The pieces that every architecture shares: how it begins, how it ends, and its usual block."""

import keras
from keras import layers

from competition.models.normalization import FusedBatchNormalization

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
