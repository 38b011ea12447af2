"""Keras's callbacks by the names of the registry; each looks at the held-out rows of a fold.

They are called once an epoch. What they may look at is called as in `history.csv`.
"""

import tempfile
from pathlib import Path

import keras

# What a callback may look at, and in which direction it is better.
BETTER = {"validation_loss": "min", "validation_accuracy": "max"}


def early_stopping(
    patience: int = 5, restore_best: bool = False, monitor: str = "validation_loss"
) -> keras.callbacks.Callback:
    """Ends the training when nothing became better for so many epochs.

    Args:
        patience: epochs without a better value.
        restore_best: go back to the weights of the best epoch, whether or not it ended early.
        monitor: one of `BETTER`.

    Raises:
        ValueError: when the patience is below 1, or what is monitored is unknown.
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
    """Multiplies the learning rate when nothing became better for so many epochs.

    Args:
        patience: epochs without a value that is better by 0.0001, which is Keras's threshold.
        factor: of the rate, above 0 and below 1.
        lowest: where the rate stays.
        monitor: one of `BETTER`.

    Raises:
        ValueError: when the patience is below 1, the factor out of its range, or what is
            monitored unknown.
    """
    if not 0 < factor < 1:
        raise ValueError(f"factor is {factor:g}, expected one above 0 and below 1")
    return keras.callbacks.ReduceLROnPlateau(
        monitor, mode=_direction(monitor), patience=_epochs(patience), factor=factor, min_lr=lowest
    )


def best_checkpoint(monitor: str = "validation_loss") -> keras.callbacks.Callback:
    """Keeps the weights of the best epoch, of equal ones the first, in place of the last one's.

    Args:
        monitor: one of `BETTER`.

    Raises:
        ValueError: when it is none of these.
    """
    return BestCheckpoint(monitor, _direction(monitor))


class BestCheckpoint(keras.callbacks.ModelCheckpoint):
    """`ModelCheckpoint` with a file of its own, from which the model is restored in the end.

    Args:
        monitor: what the best epoch is best in.
        mode: `min` or `max`.
    """

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
