"""Batch normalisation at the speed of TensorFlow's own kernel."""

import keras

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
