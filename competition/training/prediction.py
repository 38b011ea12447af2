"""What a trained model says of images."""

import numpy as np

from competition.training.batches import batches

PREDICTION_BATCH_SIZE = 500


def predict(model, images: np.ndarray, shift: int = 0) -> np.ndarray:
    """Returns class probabilities, float32 `[n, 10]`, of images uint8 `[n, 28, 28]`.

    Args:
        model: a Keras model from images to logits.
        images: what to predict.
        shift: pixels. If not 0, the probabilities are the mean over each image as it is and
            shifted by so much to each of its four sides (test-time augmentation).
    """
    views = [_probabilities(model, shifted(images, *by)) for by in shifts(shift)]
    return np.mean(views, axis=0, dtype=np.float32)


def shifts(pixels: int) -> list[tuple[int, int]]:
    """Returns the shifts, down and right, of the images that a prediction averages."""
    sides = {(pixels, 0), (-pixels, 0), (0, pixels), (0, -pixels)}
    return sorted({(0, 0)} | sides)


def shifted(images: np.ndarray, down: int, right: int) -> np.ndarray:
    """Returns images `[n, height, width]` shifted by pixels; what comes in is 0."""
    height, width = images.shape[1:]
    padded = np.pad(images, [(0, 0), (abs(down), abs(down)), (abs(right), abs(right))])
    top, left = abs(down) - down, abs(right) - right
    return padded[:, top : top + height, left : left + width]


def _probabilities(model, images: np.ndarray) -> np.ndarray:
    from scipy.special import softmax

    logits = model.predict(batches(PREDICTION_BATCH_SIZE, images[..., None]), verbose=0)
    return softmax(logits.astype(np.float32), axis=1)
