"""How long a training will take on this machine, from its first steps."""

import time

import numpy as np

from competition.config import Variant
from competition.training.batches import batches
from competition.training.one_fold import (
    PREDICTION_BATCH_SIZE,
    Fold,
    compiled_model,
    one_hot,
    predict,
)
from competition.training.runtime import use_precision

TIMED_STEPS = 12


def estimate_seconds(variant: Variant, fold: Fold, test_rows: int) -> float:
    """Trains and predicts a few batches on a throw-away model.

    Args:
        variant: what is to be trained.
        fold: the rows of one training.
        test_rows: how many unlabelled rows are predicted afterwards.

    Returns:
        Seconds for one whole training, with building the model and predicting.
    """
    use_precision(variant.precision)
    began = time.perf_counter()
    model = compiled_model(variant, TIMED_STEPS)
    step = _seconds_a_step(model, variant, fold)
    predict(model, fold.digits.images[:PREDICTION_BATCH_SIZE])
    start_up = time.perf_counter() - began - TIMED_STEPS * step
    sample = fold.digits.images[: 4 * PREDICTION_BATCH_SIZE]
    began = time.perf_counter()
    predict(model, sample)
    a_row = (time.perf_counter() - began) / len(sample)
    validations = 1 + variant.epochs // variant.validate_every
    predicted_rows = validations * len(fold.validation_rows) + test_rows
    return start_up + variant.epochs * fold.steps(variant) * step + predicted_rows * a_row


def _seconds_a_step(model, variant: Variant, fold: Fold) -> float:
    """Returns the median time between the ends of steps, so that a slow first one is no matter."""
    import keras

    rows = np.resize(fold.training_rows, TIMED_STEPS * variant.batch_size)
    images, labels = fold.digits.images[rows][..., None], one_hot(fold.digits.labels[rows])
    ends: list[float] = []
    model.fit(
        batches(variant.batch_size, images, labels),
        shuffle=False,
        verbose=0,
        callbacks=[
            keras.callbacks.LambdaCallback(
                on_train_batch_end=lambda batch, logs: ends.append(time.perf_counter())
            )
        ],
    )
    return float(np.median(np.diff(ends)))
