"""Capsules: vectors in place of single features, each routed to the classes it supports."""

import keras
from keras import layers, ops

from competition.models.layers import (
    NUMBER_OF_CLASSES,
    batch_normalization,
    convolution_block,
    standardised_images,
)

# Keeps quotients and logarithms finite.
SMALLEST = 1e-6


def capsules(width: int = 32, types: int = 16, size: int = 16):
    """Convolutions down to 4x4, then capsules, each of which routes itself to the classes.

    Three stages, each halving the image: after two, a capsule would see 13 of 28 pixels per side,
    and most could not tell which digit they are part of. The logits are the logarithms of the
    classes' shares.

    Args:
        width: filters of the first stage; each further stage doubles them.
        types: kinds of capsules, one of each at every position.
        size: length of a capsule's pose.
    """
    images, features = standardised_images()
    for filters in (width, 2 * width, 4 * width):
        features = convolution_block(features, filters, 3)
        features = convolution_block(features, filters, 3, strides=2)
    poses = batch_normalization(layers.Conv2D(types * size, 1, use_bias=False)(features))
    activations = batch_normalization(layers.Conv2D(types, 1, use_bias=False)(features))
    poses = layers.Reshape((-1, size))(poses)
    activations = layers.Activation("sigmoid")(layers.Reshape((-1,))(activations))
    routing = SelfRouting(NUMBER_OF_CLASSES, dtype="float32", name="logits")
    return keras.Model(images, routing([poses, activations]), name="capsules")


@keras.saving.register_keras_serializable(package="competition")
class SelfRouting(keras.layers.Layer):
    """Each capsule decides by itself which classes it supports; nothing is iterated.

    A capsule with pose `u` divides its activation among the classes in the shares softmax(W u),
    with its own matrix W; a class's activation is the sum of what it receives. (T. Hahn, M. Pyeon
    and G. Kim, "Self-Routing Capsule Networks", NeurIPS 2019, its last layer.)
    """

    def __init__(self, classes: int, **settings):
        super().__init__(**settings)
        self.classes = classes

    def build(self, shapes):
        capsules, size = shapes[0][1:]
        self.routes = self.add_weight(
            shape=(capsules, size, self.classes), initializer="glorot_uniform", name="routes"
        )

    def call(self, inputs):
        """Returns the logarithm of each class's share, float32 `(batch, classes)`.

        The inputs are poses `(batch, capsules, size)` and activations `(batch, capsules)`, 0 to 1.
        """
        poses, activations = inputs
        shares = ops.softmax(ops.einsum("bcs,csk->bck", poses, self.routes), axis=-1)
        weights = activations[..., None]
        support = ops.sum(weights * shares, axis=1) / (ops.sum(weights, axis=1) + SMALLEST)
        return ops.log(support + SMALLEST)

    def get_config(self):
        return {**super().get_config(), "classes": self.classes}
