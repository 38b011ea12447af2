"""Chris Deotte's recipe as published, in stock Keras and float32 or whatever policy is set.

"25 Million Images! [0.99757] MNIST" (Kaggle, 2018): what most people start from.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from competition.digits import CLASSES, Digits
from competition.training.training_data import one_hot

PUBLISHED_DROPOUT = 0.4
BATCH_SIZE = 64
EPOCHS = 45
LEARNING_RATE, DECAY_AN_EPOCH = 1e-3, 0.95
DISTORTION = {
    "rotation_range": 10,
    "zoom_range": 0.1,
    "width_shift_range": 0.1,
    "height_shift_range": 0.1,
}


def published_net():
    """Returns the net as the kernel builds and compiles it.

    Returns:
        A compiled Keras model from float32 `(batch, 28, 28, 1)`, 0 to 1, to probabilities.
    """
    import keras
    from keras import layers

    stack = [keras.Input((28, 28, 1))]
    for filters in (32, 64):
        for size, more in ((3, {}), (3, {}), (5, {"strides": 2, "padding": "same"})):
            convolution = layers.Conv2D(filters, size, activation="relu", **more)
            stack += [convolution, layers.BatchNormalization()]
        stack.append(layers.Dropout(PUBLISHED_DROPOUT))
    stack += [layers.Conv2D(128, 4, activation="relu"), layers.BatchNormalization()]
    stack += [layers.Flatten(), layers.Dropout(PUBLISHED_DROPOUT)]
    stack.append(layers.Dense(CLASSES, activation="softmax", dtype="float32"))
    model = keras.Sequential(stack)
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    return model


def published_feed(batch_size: int, images: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Returns what `fit` learns from: images, uint8 `[n, 28, 28]`, undistorted, and labels."""
    return {"x": published_images(images), "y": labels, "batch_size": batch_size}


def published_images(images: np.ndarray) -> np.ndarray:
    """Returns uint8 `[n, 28, 28]` as float32 `[n, 28, 28, 1]` from 0 to 1."""
    return images[..., None].astype(np.float32) / 255


def train_epochs(model, digits: Digits, rows: np.ndarray, seed: int) -> Iterator[int]:
    """Trains `published_net` on distorted images with the published learning rate.

    Args:
        model: the compiled net.
        digits: all labelled digits.
        rows: positions of those to learn from.
        seed: of order and distortion.

    Yields:
        After each epoch, how many there were.
    """
    from tensorflow.keras.preprocessing.image import ImageDataGenerator

    images, labels = published_images(digits.images[rows]), one_hot(digits.labels[rows])
    stream = ImageDataGenerator(**DISTORTION).flow(images, labels, BATCH_SIZE, seed=seed)
    steps = max(1, len(rows) // BATCH_SIZE)
    for epoch in range(EPOCHS):
        model.optimizer.learning_rate = LEARNING_RATE * DECAY_AN_EPOCH**epoch
        model.fit(stream, steps_per_epoch=steps, verbose=0)
        yield epoch + 1
