"""Dropout of whole feature maps for the price of one multiplication."""

import keras
from keras import ops


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
