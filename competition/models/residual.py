"""Residual nets: each block adds to its input."""

from keras import layers

from competition.models.layers import (
    FeatureMapDropout,
    SmallMapConv2D,
    batch_normalization,
    classifier,
    convolution_block,
    standardised_images,
)


def residual(width: int = 32, dropout: float = 0.0):
    """The net of github.com/ttdoucet/mnist, whose committee of ten reached 99.82% on MNIST.

    An unpadded 5x5 convolution and three stages of growing width and halved size, joined by
    pooling; each stage adds ReLU(convolution(x)) to its normalised input x. The original pads the
    first convolution; without padding, 24x24 pixels are left, and a quarter of the work is saved.

    Args:
        width: filters of the first stage (the original has 128); the second has twice, the
            third four times as many.
        dropout: the share of feature maps dropped after each pooling, below 1; the original has
            none.
    """
    images, features = standardised_images()
    features = layers.Conv2D(width, 5, activation="relu")(features)
    features = _residual_block(features, width)
    features = FeatureMapDropout(dropout)(layers.MaxPooling2D()(features))
    features = _residual_block(features, width)
    features = layers.MaxPooling2D()(_widen(features, 2 * width))
    features = _residual_block(FeatureMapDropout(dropout)(features), 2 * width)
    features = layers.MaxPooling2D(padding="same")(_widen(features, 4 * width))
    features = _residual_block(FeatureMapDropout(dropout)(features), 4 * width)
    features = layers.GlobalAveragePooling2D()(batch_normalization(features))
    return classifier(images, layers.Dropout(dropout)(features), "residual")


def _residual_block(features, filters):
    features = batch_normalization(features)
    addition = SmallMapConv2D(filters, 3, padding="same", activation="relu")(features)
    return layers.Add()([features, addition])


def _widen(features, filters):
    features = batch_normalization(features)
    return SmallMapConv2D(filters, 3, padding="same", activation="relu")(features)


def resnet(width: int = 16, blocks: int = 2):
    """The small nets that He, Zhang, Ren and Sun trained on CIFAR-10, "Deep Residual Learning
    for Image Recognition" (arXiv:1512.03385, section 4.2): 6 * blocks + 2 layers.

    Args:
        width: filters of the first stage; the second has twice, the third four times as many.
        blocks: per stage, of two convolutions each; the paper has 3 and more.
    """
    images, features = standardised_images()
    features = convolution_block(features, width, 3)
    for stage in range(3):
        for block in range(blocks):
            strides = 2 if stage and not block else 1
            features = _block(features, width * 2**stage, strides)
    return classifier(images, layers.GlobalAveragePooling2D()(features), "resnet")


def _block(features, filters, strides):
    shortcut = features
    if strides > 1:
        shortcut = layers.Conv2D(filters, 1, strides, use_bias=False)(features)
        shortcut = batch_normalization(shortcut)
    features = convolution_block(features, filters, 3, strides)
    features = layers.Conv2D(filters, 3, padding="same", use_bias=False)(features)
    features = layers.Add()([shortcut, batch_normalization(features)])
    return layers.Activation("relu")(features)
