"""How long a training will take on this machine, from its first steps."""

import time

import numpy as np

from competition.config import Variant
from competition.training.one_fold import (
    PREDICTION_BATCH_SIZE,
    Fold,
    compiled_model,
    one_hot,
    predict,
)
from competition.training.runtime import use_precision

TIMED_STEPS = 10


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
    _train_batches(model, variant, fold, batches=1)
    predict(model, fold.digits.images[:PREDICTION_BATCH_SIZE])
    start_up = time.perf_counter() - began
    step = _timed(_train_batches, model, variant, fold, TIMED_STEPS) / TIMED_STEPS
    sample = fold.digits.images[: 4 * PREDICTION_BATCH_SIZE]
    a_row = _timed(predict, model, sample) / len(sample)
    validations = 1 + variant.epochs // variant.validate_every
    predicted_rows = validations * len(fold.validation_rows) + test_rows
    return start_up + variant.epochs * fold.steps(variant) * step + predicted_rows * a_row


def _train_batches(model, variant: Variant, fold: Fold, batches: int) -> None:
    size = min(variant.batch_size, len(fold.training_rows))
    rows = np.resize(fold.training_rows, batches * size)
    images, labels = fold.digits.images[rows][..., None], one_hot(fold.digits.labels[rows])
    model.fit(images, labels, batch_size=size, shuffle=False, verbose=0)


def _timed(function, *arguments) -> float:
    began = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - began
