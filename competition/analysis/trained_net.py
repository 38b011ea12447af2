"""Saved nets and their features: the only module of this wing that loads models."""

from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from zipfile import is_zipfile

import numpy as np

from competition import paths
from competition.config import registry
from competition.digits import CLASSES, SIDE
from competition.errors import UserError
from competition.results import Job, by_variant
from competition.training.predict import PREDICTION_BATCH_SIZE, batches, class_probabilities
from competition.training.resources import forget_models

# Images with features in memory at a time: 50 MB for the widest net of the registry.
BLOCK = 2 * PREDICTION_BATCH_SIZE
SHAPES = (None, SIDE, SIDE, 1), (None, CLASSES)


class Net:
    """A Keras model from images to logits, with its features: all inputs of its last layer."""

    def __init__(self, model):
        import keras

        features = model.layers[-1].input
        tensors = features if isinstance(features, list) else [features]
        self._model = keras.Model(model.inputs, [*tensors, *model.outputs])

    def answers(
        self, images: np.ndarray, on_block: Callable[[int], None] = lambda count: None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields features float32 `[b, f]` and probabilities float32 `[b, 10]`, block by block.

        Args:
            images: uint8 `[n, 28, 28]`.
            on_block: receives the number of images in a block after the caller has used it.
        """
        for start in range(0, len(images), BLOCK):
            block = images[start : start + BLOCK]
            rows = batches(PREDICTION_BATCH_SIZE, block[..., None])
            *features, logits = self._model.predict(rows, verbose=0)
            flat = [each.reshape(len(block), -1).astype(np.float32) for each in features]
            yield np.concatenate(flat, axis=1), class_probabilities(logits)
            on_block(len(block))


def require_models(jobs: Collection[Job]) -> None:
    """Raises UserError naming every job without a saved model."""
    missing = [job for job in jobs if not (job.folder() / paths.MODEL).exists()]
    if missing:
        named = by_variant(dict.fromkeys(missing, "no model"))
        raise UserError(
            f"{len(missing)} of {len(jobs)} nets have no {paths.MODEL}; a clone has only their "
            'probabilities. Train your own under another name: add SET="name=mine" to '
            "`make train-folds`, and the same to this command\n" + "\n".join(named)
        )


def load_net(job: Job) -> Net:
    """Loads a job's model, and frees those loaded before.

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
        return Net(_load_model(path))
    except Exception as error:  # Keras raises many types, depending on the damage
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise UserError(
            f"{path} is damaged, or not a model of this project ({reason[0]}); remove its folder "
            "and run `make train-folds` again"
        ) from None


def _load_model(path: Path):
    import keras

    if not is_zipfile(path):
        raise ValueError("it is not a zip file")
    model = keras.saving.load_model(path, compile=False, safe_mode=True)
    shapes = model.input_shape, model.output_shape
    if shapes != SHAPES:
        raise ValueError(f"it maps {shapes[0]} to {shapes[1]}")
    return model
