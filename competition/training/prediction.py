"""What a trained model says of images."""

from collections.abc import Iterable

import numpy as np

from competition.errors import UserError
from competition.training.batches import batches

PREDICTION_BATCH_SIZE = 500


def predict(model, images: np.ndarray) -> np.ndarray:
    """Returns class probabilities, float32 `[n, 10]`, of images uint8 `[n, 28, 28]`.

    Args:
        model: a Keras model from images to logits.
        images: what to predict.
    """
    logits = model.predict(batches(PREDICTION_BATCH_SIZE, images[..., None]), verbose=0)
    return class_probabilities(logits)


def class_probabilities(logits: np.ndarray) -> np.ndarray:
    """Returns the softmax of logits `[n, 10]`, float32 of the same shape."""
    from scipy.special import softmax

    return softmax(logits.astype(np.float32), axis=1)


def predict_views(model, views: Iterable[np.ndarray]) -> np.ndarray:
    """Returns the mean of the probabilities of several views of the same digits.

    Test-time augmentation, as Krizhevsky et al. (NIPS 2012) predict crops and reflections.

    Args:
        model: a Keras model from images to logits.
        views: one or more, uint8 `[n, 28, 28]` each.

    Raises:
        UserError: when the training's last steps spoiled the model, which no loss has shown yet.
    """
    mean = np.mean([predict(model, view) for view in views], axis=0, dtype=np.float32)
    if not np.isfinite(mean).all():
        raise diverged("net's predictions are no longer numbers", "after the last epoch")
    return mean


def diverged(what: str, when: str) -> UserError:
    """Returns what to tell of a training whose loss or predictions went beyond all numbers.

    Args:
        what: subject and verb, such as `"net's predictions are no longer numbers"`.
        when: such as `"after the last epoch"`.
    """
    return UserError(f"the {what} {when}; try a smaller learning_rate or a longer warm_up")
