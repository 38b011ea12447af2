"""Keras's callbacks by the names of the registry; each looks at the held-out rows of a fold.

They are called once per epoch. What they monitor has the names of `history.csv`.
"""

import tempfile
from pathlib import Path

import keras

# What a callback may monitor, and whether its minimum or its maximum is best.
BETTER = {"validation_loss": "min", "validation_accuracy": "max"}


def early_stopping(
    patience: int = 5, restore_best: bool = False, monitor: str = "validation_loss"
) -> keras.callbacks.Callback:
    """Ends the training after `patience` epochs without a better value.

    Args:
        patience: epochs, at least 1.
        restore_best: go back to the weights of the best epoch, even if training did not stop early.
        monitor: `validation_loss` or `validation_accuracy`.
    """
    return keras.callbacks.EarlyStopping(
        monitor, mode=_direction(monitor), patience=_epochs(patience),
        restore_best_weights=restore_best,
    )  # fmt: skip


def reduce_on_plateau(
    patience: int = 3,
    factor: float = 0.5,
    lowest: float = 1e-5,
    monitor: str = "validation_loss",
) -> keras.callbacks.Callback:
    """Multiplies the learning rate by `factor` after `patience` epochs without a better value.

    Args:
        patience: epochs, at least 1; a value must be better by more than 0.0001 (Keras's default).
        factor: above 0 and below 1.
        lowest: the lowest learning rate.
        monitor: `validation_loss` or `validation_accuracy`.
    """
    if not 0 < factor < 1:
        raise ValueError(f"factor is {factor:g}, expected a number above 0 and below 1")
    return keras.callbacks.ReduceLROnPlateau(
        monitor, mode=_direction(monitor), patience=_epochs(patience), factor=factor, min_lr=lowest
    )


def best_checkpoint(monitor: str = "validation_loss") -> keras.callbacks.Callback:
    """Keeps the weights of the best epoch (the first of equal ones), not those of the last.

    Args:
        monitor: `validation_loss` or `validation_accuracy`.
    """
    return BestCheckpoint(monitor, _direction(monitor))


class BestCheckpoint(keras.callbacks.ModelCheckpoint):
    """`ModelCheckpoint` with a temporary file, from which the model is restored at the end."""

    def __init__(self, monitor: str, mode: str):
        self._folder = tempfile.TemporaryDirectory(prefix="checkpoint-")
        file = Path(self._folder.name) / "best.weights.h5"
        super().__init__(file, monitor, mode=mode, save_best_only=True, save_weights_only=True)

    def on_train_end(self, logs=None):
        """Restores the best weights and removes their file."""
        self.model.load_weights(self.filepath)
        self._folder.cleanup()


def _direction(monitor: str) -> str:
    if monitor not in BETTER:
        raise ValueError(f"monitor is '{monitor}', expected one of {', '.join(BETTER)}")
    return BETTER[monitor]


def _epochs(patience: int) -> int:
    if patience < 1:
        raise ValueError(f"patience is {patience}, expected a number of epochs from 1")
    return patience
