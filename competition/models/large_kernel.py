"""Few layers of large kernels, without padding and without pooling."""

from keras import layers

from competition.models.layers import (
    batch_normalization,
    classifier,
    convolution_block,
    standardised_images,
)


def large_kernel(width: int = 16, kernel_size: int = 7):
    """The idea of An, Lee, Park, Yang and So, "An Ensemble of Simple Convolutional Neural
    Network Models for MNIST Digit Recognition" (arXiv:2008.10400), made narrow.

    Unpadded convolutions shrink the image until no further one fits; each has `width` more
    channels than the one before. The paper's 7x7 net begins with 48.

    Args:
        width: filters of the first convolution; each further one adds as many.
        kernel_size: height and width of every kernel, from 2 to 28 pixels.
    """
    if not 2 <= kernel_size <= 28:
        raise ValueError(f"kernel_size is {kernel_size}, expected 2 to 28 pixels")
    images, features = standardised_images()
    # Each kernel takes `kernel_size` - 1 pixels off the 28; the last one leaves at least one.
    for layer in range(1, 1 + 27 // (kernel_size - 1)):
        features = convolution_block(features, layer * width, kernel_size, padding="valid")
    features = batch_normalization(layers.Flatten()(features))
    return classifier(images, features, "large_kernel")
