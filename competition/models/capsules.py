"""Capsules: vectors in place of single features, which route themselves to the classes."""

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
    """Convolutions whose 4x4 outcome is read as capsules, which route themselves to the classes.

    Three stages, each of which halves the image: after two, a capsule would see 13 of 28 pixels a
    side, and most of them could not tell which digit they are part of.

    Args:
        width: filters of the first stage; each further one has twice as many.
        types: kinds of capsules; there is one of each at every place.
        size: length of a capsule's pose.

    Returns:
        A Keras model from images `(batch, 28, 28, 1)` to float32 logits `(batch, 10)`, the
        logarithms of the classes' shares.
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
    """Every capsule decides by itself which classes it supports; nothing is iterated.

    A capsule of pose `u` and activation `a` gives its activation to the classes in the shares
    softmax(W u), with a matrix W of its own; a class is as active as what it was given. (T. Hahn,
    M. Pyeon and G. Kim, "Self-Routing Capsule Networks", NeurIPS 2019, its last layer.)

    Args:
        classes: how many there are.
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

        Args:
            inputs: poses `(batch, capsules, size)` and activations `(batch, capsules)` from 0
                to 1.
        """
        poses, activations = inputs
        shares = ops.softmax(ops.einsum("bcs,csk->bck", poses, self.routes), axis=-1)
        weights = activations[..., None]
        support = ops.sum(weights * shares, axis=1) / (ops.sum(weights, axis=1) + SMALLEST)
        return ops.log(support + SMALLEST)

    def get_config(self):
        return {**super().get_config(), "classes": self.classes}
