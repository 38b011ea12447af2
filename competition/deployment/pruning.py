"""Magnitude pruning: the smallest weights of a trained net become 0, and the others learn on.

(S. Han et al., "Learning both Weights and Connections for Efficient Neural Networks", NIPS 2015.)
Own masks, as TensorFlow's toolkit for it is tied to Keras 2. A file of a pruned net is as large as
before and as fast; it is its compressed size that falls.
"""

import numpy as np

from competition.config.schema import Variant
from competition.training.predict import batches
from competition.training.train import compile_for
from competition.training.training_data import TrainingData

FINE_TUNING_EPOCHS = 3
# Of the training's highest learning rate.
FINE_TUNING_RATE = 0.1


def fine_tuning(variant: Variant) -> Variant:
    """Returns the short training that follows the pruning of a variant's net."""
    rate = FINE_TUNING_RATE * variant.learning_rate
    return variant.with_values({"epochs": FINE_TUNING_EPOCHS, "learning_rate": rate})


def prune(model, sparsity: float, variant: Variant, data: TrainingData) -> None:
    """Prunes a trained model in place, and fine-tunes what is left.

    Args:
        model: from images to logits.
        sparsity: the share of each kernel's weights that become 0, from 0 to below 1.
        variant: the model's training.
        data: what it was trained on.
    """
    import keras

    kernels = [weight for weight in model.trainable_variables if len(weight.shape) > 1]
    masks = [smallest_masked(keras.ops.convert_to_numpy(kernel), sparsity) for kernel in kernels]

    def apply_masks(*_, **__) -> None:
        for kernel, mask in zip(kernels, masks, strict=True):
            kernel.assign(kernel * mask)

    apply_masks()
    tuned, seed = fine_tuning(variant), variant.seeds[0]
    compile_for(tuned, model, tuned.epochs * data.steps_per_epoch(tuned))
    masking = keras.callbacks.LambdaCallback(on_train_batch_end=apply_masks)
    for epoch in range(tuned.epochs):
        arrays = data.arrays(epoch, data.shuffled_rows(tuned, seed, epoch))
        rows = batches(tuned.batch_size, *arrays)
        model.fit(rows, shuffle=False, verbose=0, callbacks=[masking])


def smallest_masked(kernel: np.ndarray, sparsity: float) -> np.ndarray:
    """Returns 0 for the share of weights with the smallest magnitude, and 1 for the others."""
    ranks = np.abs(kernel).ravel().argsort(kind="stable").argsort(kind="stable")
    return (ranks >= round(sparsity * kernel.size)).astype(np.float32).reshape(kernel.shape)
