"""Saved nets and their features: the only module of this wing that uses Keras."""

from collections.abc import Callable, Collection, Iterator

import numpy as np

from competition import paths
from competition.errors import UserError
from competition.results import Job, by_variant
from competition.training.predict import (
    PREDICTION_BATCH_SIZE,
    batches,
    class_probabilities,
    load_model,
)

# Images with features in memory at a time: 50 MB for the widest net of the registry.
BLOCK = 2 * PREDICTION_BATCH_SIZE


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

    def features(self, images: np.ndarray) -> Iterator[np.ndarray]:
        """Yields features float32 `[b, f]`, block by block."""
        return (features for features, _ in self.answers(images))


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

    Raises:
        UserError: when the file is damaged, or not a model of this project.
    """
    return Net(load_model(job))
