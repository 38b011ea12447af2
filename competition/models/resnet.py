"""Deep residual nets with identity shortcuts."""

from keras import layers

from competition.models.layers import (
    batch_normalization,
    classifier,
    convolution_block,
    standardised_images,
)


def resnet(width: int = 16, blocks: int = 2):
    """The small nets that He, Zhang, Ren and Sun trained on CIFAR-10, "Deep Residual Learning
    for Image Recognition" (arXiv:1512.03385, section 4.2): 6 * blocks + 2 layers.

    Args:
        width: filters of the first stage; the second has twice, the third four times as many.
        blocks: of two convolutions each in every stage; the paper has 3 and more.

    Returns:
        A Keras model from images `(batch, 28, 28, 1)` to float32 logits `(batch, 10)`.
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
