"""Residual nets: blocks that add to what they receive."""

from keras import layers

from competition.models.dropout import FeatureMapDropout
from competition.models.layers import batch_normalization, classifier, standardised_images


def residual(width: int = 32, dropout: float = 0.0):
    """The net of github.com/ttdoucet/mnist, whose committee of ten reached 99.82 % on MNIST.

    An unpadded 5x5 convolution and three stages of growing width and halved size, joined by
    pooling; each stage adds ReLU(convolution(x)) to its normalised input x. The original pads the
    first convolution; without, 24 pixels a side are left, for a quarter of the work less.

    Args:
        width: filters of the first stage (the original has 128); the second has twice, the
            third four times as many.
        dropout: the share of feature maps that is dropped after each pooling, below 1; the
            original has none.

    Returns:
        A Keras model from images `(batch, 28, 28, 1)` to float32 logits `(batch, 10)`.
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
    addition = layers.Conv2D(filters, 3, padding="same", activation="relu")(features)
    return layers.Add()([features, addition])


def _widen(features, filters):
    features = batch_normalization(features)
    return layers.Conv2D(filters, 3, padding="same", activation="relu")(features)
