"""The nets that people start from, with the layers of their authors, in their order."""

from keras import layers

from competition.models.layers import FusedBatchNormalization, classifier, standardised_images


def two_convolutions(width: int = 32, dropout: float = 0.5):
    """Two convolutions and two poolings (F. Chollet, keras.io, "Simple MNIST convnet", 2015).

    Args:
        width: filters of the first convolution; the second has twice as many.
        dropout: the share of features dropped before the classifier, from 0 to 1.
    """
    images, features = standardised_images()
    for filters in (width, 2 * width):
        features = layers.Conv2D(filters, 3, activation="relu")(features)
        features = layers.MaxPooling2D()(features)
    features = layers.Dropout(dropout)(layers.Flatten()(features))
    return classifier(images, features, "two_convolutions")


def four_convolutions(
    width: int = 32, padding: str = "valid", every_block: bool = False, dense: int = 256
):
    """Two pairs of 3x3 convolutions, pooling, dropout and a dense layer: Kaggle's usual CNN.

    With its defaults, 330,346 parameters.

    Args:
        width: filters of the first pair; the second pair has twice as many.
        padding: of the convolutions, `valid` or `same`.
        every_block: normalise after every convolution, not only the first of each pair, and
            after the dense layer.
        dense: units of the dense layer.
    """
    images, features = standardised_images()
    for filters in (width, 2 * width):
        for is_normalised in (True, every_block):
            features = layers.Conv2D(filters, 3, padding=padding)(features)
            features = _activated(features, is_normalised)
        features = layers.Dropout(0.25)(layers.MaxPooling2D()(features))
    features = _activated(layers.Dense(dense)(layers.Flatten()(features)), every_block)
    return classifier(images, layers.Dropout(0.5)(features), "four_convolutions")


def deotte(width: int = 32, dropout: float = 0.4):
    """The net of Chris Deotte's kernel "25 Million Images! [0.99757] MNIST" (Kaggle, 2018).

    With its defaults it has the kernel's 327,242 parameters, and its layers in their order; only
    the pixels are standardised, not divided by 255. `plain` has the same convolutions, for short
    trainings.

    Args:
        width: filters of the first stage; the second has twice, the last four times as many.
        dropout: the share of features dropped after each stage, from 0 to 1.
    """
    images, features = standardised_images()
    for filters in (width, 2 * width):
        features = _normalised(layers.Conv2D(filters, 3, activation="relu")(features))
        features = _normalised(layers.Conv2D(filters, 3, activation="relu")(features))
        halving = layers.Conv2D(filters, 5, strides=2, padding="same", activation="relu")
        features = layers.Dropout(dropout)(_normalised(halving(features)))
    features = _normalised(layers.Conv2D(4 * width, 4, activation="relu")(features))
    return classifier(images, layers.Dropout(dropout)(layers.Flatten()(features)), "deotte")


def lenet5(activation: str = "tanh"):
    """LeNet-5 (LeCun, Bottou, Bengio and Haffner, "Gradient-Based Learning Applied to Document
    Recognition", 1998), with a dense classifier in place of its radial basis functions.

    Args:
        activation: of all layers; the original has tanh.
    """
    images, features = standardised_images()
    for filters, padding in ((6, "same"), (16, "valid")):
        features = layers.Conv2D(filters, 5, padding=padding, activation=activation)(features)
        features = layers.AveragePooling2D(2)(features)
    features = layers.Flatten()(features)
    for units in (120, 84):
        features = layers.Dense(units, activation=activation)(features)
    return classifier(images, features, "lenet5")


def perceptron(hidden: str = "512"):
    """A multi-layer perceptron with ReLU: no convolution, every pixel an input of its own.

    Args:
        hidden: units of each hidden layer, such as `1025-512-256`.
    """
    words = hidden.split("-")
    if not all(word.isdecimal() and int(word) for word in words):
        raise ValueError(f"hidden is '{hidden}', expected whole numbers such as 512-256")
    images, features = standardised_images()
    features = layers.Flatten()(features)
    for word in words:
        features = layers.Dense(int(word), activation="relu")(features)
    return classifier(images, features, "perceptron")


def _normalised(features):
    return FusedBatchNormalization()(features)


def _activated(features, is_normalised: bool):
    # Not the fused layer: it rounds differently, and the shipped results were trained with this.
    if is_normalised:
        features = layers.BatchNormalization()(features)
    return layers.Activation("relu")(features)
