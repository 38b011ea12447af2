"""Predictions of a trained or saved net: in batches, averaged over test-time augmentation."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from zipfile import is_zipfile

import numpy as np

from competition import paths
from competition.config import registry
from competition.config.schema import Variant
from competition.data.augmented_epochs import AugmentedEpochs
from competition.digits import CLASSES, SIDE, Digits
from competition.errors import UserError
from competition.results import Job, read_manifest
from competition.training.resources import forget_models

PREDICTION_BATCH_SIZE = 500
# A net's input and output.
SHAPES = (None, SIDE, SIDE, 1), (None, CLASSES)


def load_model(job: Job):
    """Returns a job's model, from images to logits, and frees those loaded before.

    Keras builds only its own layers and those of this project: no code in the file runs.

    Raises:
        UserError: when the file is damaged, or not a model of this project.
    """
    for location in registry.ARCHITECTURES.values():
        registry.resolve(location)  # registers its layers with Keras
    forget_models()
    path = job.folder() / paths.MODEL
    path.open("rb").close()  # an unreadable file raises OSError, which says why
    try:
        return _load_model(path)
    except Exception as error:  # Keras raises many types, depending on the damage
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise UserError(
            f"{path} {_fault(job)} ({reason[0]}); remove its folder and run `{job.made_by}` again"
        ) from None


def _fault(job: Job) -> str:
    import keras

    try:
        saved_by = read_manifest(job)["versions"]["keras"]
    except (UserError, KeyError):
        saved_by = keras.__version__
    if saved_by == keras.__version__:
        return "is damaged, or not a model of this project"
    return (
        f"was saved by Keras {saved_by}, and this environment's Keras {keras.__version__} cannot "
        "read it"
    )


def _load_model(path: Path):
    import keras

    if not is_zipfile(path):
        raise ValueError("it is not a zip file")
    model = keras.saving.load_model(path, compile=False, safe_mode=True)
    shapes = model.input_shape, model.output_shape
    if shapes != SHAPES:
        raise ValueError(f"it maps {shapes[0]} to {shapes[1]}")
    return model


def batches(size: int, *arrays: np.ndarray):
    """Returns a `tf.data.Dataset` of batches of arrays `[n, …]`; the last one may be smaller.

    `fit`, `evaluate` and `predict` take arrays as well, but make a `tf.data` pipeline of them that
    tunes itself: at its end it waits for its tuner, which sleeps for twice as long each time, so
    that an epoch of 26 seconds was seen to take 41. Here the tuner is off, and a batch is one
    slice, not a copy of rows one by one.
    """
    import tensorflow

    options = tensorflow.data.Options()
    options.autotune.enabled = False
    whole = len(arrays[0]) // size * size
    cut = [array[:whole].reshape(-1, size, *array.shape[1:]) for array in arrays]
    found = tensorflow.data.Dataset.from_tensor_slices(tuple(cut))
    if whole < len(arrays[0]):
        rest = [array[None, whole:] for array in arrays]
        found = found.concatenate(tensorflow.data.Dataset.from_tensor_slices(tuple(rest)))
    return found.prefetch(1).with_options(options)


def predict(model, images: np.ndarray) -> np.ndarray:
    """Returns class probabilities, float32 `[n, 10]`, of images uint8 `[n, 28, 28]`.

    Args:
        model: a Keras model, or another learner.
    """
    if hasattr(model, "probabilities"):
        return model.probabilities(images)
    logits = model.predict(batches(PREDICTION_BATCH_SIZE, images[..., None]), verbose=0)
    return class_probabilities(logits)


def class_probabilities(logits: np.ndarray) -> np.ndarray:
    """Returns the softmax of logits `[n, 10]`, float32 of the same shape."""
    from scipy.special import softmax

    return softmax(logits.astype(np.float32), axis=1)


def predict_tta(model, tta_views: Iterable[np.ndarray]) -> np.ndarray:
    """Returns the mean class probabilities of several views, each uint8 `[n, 28, 28]`.

    Test-time augmentation, as Krizhevsky et al. (NIPS 2012) predict crops and reflections.
    """
    probabilities = [predict(model, view) for view in tta_views]
    mean = np.asarray(np.mean(probabilities, axis=0, dtype=np.float32))
    if not np.isfinite(mean).all():  # the last steps diverged, which no loss has shown yet
        raise diverged("net's predictions are no longer numbers", "after the last epoch")
    return mean


def diverged(what: str, when: str) -> UserError:
    """Returns the error of a diverged training; `what` is a subject with its verb."""
    return UserError(f"the {what} {when}; try a smaller learning_rate or a longer warm_up")


def tta_views(
    variant: Variant, digits: Digits, rows: np.ndarray, drawn: AugmentedEpochs
) -> Iterator[np.ndarray]:
    """Yields the views of some rows, uint8 `[n, 28, 28]`, one at a time to save memory.

    Args:
        variant: its shifts and draws.
        digits: of one part of the data.
        rows: int `[n]`, positions in this part.
        drawn: the views of this part that the policy drew; not read if the variant has none.
    """
    if not variant.is_net:
        yield digits.images[rows]
        return
    for by in shifts(variant.test_time_shift, variant.test_time_directions):
        yield shifted(digits.images[rows], *by)
    for number in range(variant.test_time_draws):
        yield drawn.epoch(number, digits)[rows]


def tta_view_count(variant: Variant) -> int:
    """Returns how many views a prediction averages; only nets have more than one."""
    if not variant.is_net:
        return 1
    moved = shifts(variant.test_time_shift, variant.test_time_directions)
    return len(moved) + variant.test_time_draws


def shifts(pixels: int, directions: int = 4) -> list[tuple[int, int]]:
    """Returns shifts `(down, right)`: none, to the sides and, with 8 directions, to the corners."""
    steps = (-pixels, 0, pixels)
    moves = {(down, right) for down in steps for right in steps}
    return sorted(move for move in moves if directions == 8 or 0 in move)


def shifted(images: np.ndarray, down: int, right: int) -> np.ndarray:
    """Returns images `[n, height, width]` shifted by pixels; new pixels are 0."""
    height, width = images.shape[1:]
    padded = np.pad(images, [(0, 0), (abs(down), abs(down)), (abs(right), abs(right))])
    top, left = abs(down) - down, abs(right) - right
    return padded[:, top : top + height, left : left + width]
