"""Training one variant on one fold: everything that happens between its digits and its model."""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from competition.config import Variant
from competition.data.pool import Pool
from competition.digits import CLASSES, Digits
from competition.errors import UserError
from competition.training.batches import batches
from competition.training.prediction import PREDICTION_BATCH_SIZE
from competition.training.runtime import use_precision


@dataclass(frozen=True)
class Taught:
    """Rows without labels, and what a teacher says of them.

    Attributes:
        digits: the unlabelled digits.
        probabilities: float32 `[n, 10]`, learnt as they are, however sure the teacher is
            (G. Hinton et al., "Distilling the Knowledge in a Neural Network", 2015; D.-H. Lee,
            "Pseudo-Label", 2013, takes the likeliest class in their place).
        pool: the augmented epochs of these digits.
    """

    digits: Digits
    probabilities: np.ndarray
    pool: Pool


@dataclass(frozen=True)
class Fold:
    """What one training learns from, and what it is watched on.

    Attributes:
        digits: all labelled digits.
        training_rows: int `[n]`, positions to learn from.
        validation_rows: int `[m]`, positions held out; none where all rows are learnt from.
        pool: the augmented epochs of these digits.
        number: of the split; part of the random seed.
        class_weights: float32 `[10]`, how much a row of each class counts; None for all alike.
        taught: unlabelled rows to learn from, too; None for none.
    """

    digits: Digits
    training_rows: np.ndarray
    validation_rows: np.ndarray
    pool: Pool
    number: int
    class_weights: np.ndarray | None = None
    taught: Taught | None = None

    def learnt_rows(self) -> np.ndarray:
        """Returns the positions of all rows to learn from: taught ones stand behind the digits."""
        if self.taught is None:
            return self.training_rows
        behind = len(self.digits) + np.arange(len(self.taught.digits))
        return np.concatenate([self.training_rows, behind])

    def steps(self, variant: Variant) -> int:
        """Returns the steps of one epoch; rows that fill no batch wait for another epoch."""
        return max(1, len(self.learnt_rows()) // variant.batch_size)

    def class_counts(self) -> list[float]:
        """Returns how many training rows each class has, counted by their weights."""
        counts = np.bincount(self.digits.labels[self.training_rows], minlength=CLASSES)
        weights = 1 if self.class_weights is None else self.class_weights.astype(float)
        return np.round(counts * weights, 3).tolist()

    def learnt(self, epoch: int, rows: np.ndarray) -> tuple[np.ndarray, ...]:
        """Returns an epoch's rows as a step takes them.

        Args:
            epoch: number of the epoch, from 0.
            rows: int `[n]`, of `learnt_rows`.

        Returns:
            Images, uint8 `[n, 28, 28, 1]`, shares of the classes, float32 `[n, 10]`, and, where
            classes are weighted, weights, float32 `[n]`.
        """
        if self.taught is not None:
            return self._learnt_with_taught(epoch, rows, self.taught)
        labels = self.digits.labels[rows]
        weights = [] if self.class_weights is None else [self.class_weights[labels]]
        images = self.pool.epoch(epoch, self.digits)[rows]
        return images[..., None], one_hot(labels), *weights

    def _learnt_with_taught(
        self, epoch: int, rows: np.ndarray, taught: Taught
    ) -> tuple[np.ndarray, np.ndarray]:
        own, others = self.pool.epoch(epoch, self.digits), taught.pool.epoch(epoch, taught.digits)
        images = _rows_of_both(own, others, rows)
        return images[..., None], _rows_of_both(
            one_hot(self.digits.labels), taught.probabilities, rows
        )


def train_one_fold(
    variant: Variant,
    fold: Fold,
    seed: int,
    on_step: Callable[[int], None] = lambda step: None,
    on_epoch: Callable[[int, Any], None] = lambda epoch, model: None,
):
    """Trains a variant from scratch; the last epoch is the one that counts.

    Only the variant's callbacks may end the training before, or go back to an earlier epoch: by
    what they see of the held-out rows.

    Args:
        variant: architecture and training settings.
        fold: the rows.
        seed: the member's seed; with the fold's number it fixes weights, order and dropout.
        on_step: is called after each optimiser step with the number of steps done.
        on_epoch: is called after each epoch that is validated, with the number of epochs done
            and the model, which it must leave as it is; whatever it raises ends the training.

    Returns:
        The Keras model, and its history: one dict an epoch with `epoch`, `loss`, `accuracy`,
        `learning_rate` (of the epoch's last step), `validation_loss` and `validation_accuracy`
        (the last two are empty in epochs that were not validated, and where no rows are held
        out).

    Raises:
        UserError: when the loss is no longer a number, or a callback cannot be built.
    """
    import keras

    use_precision(variant.precision)
    keras.utils.set_random_seed(random_seed(seed, fold.number))
    model = compiled_model(variant, fold.steps(variant) * variant.epochs)
    watcher = keras.callbacks.LambdaCallback(on_train_batch_end=_step_counter(on_step))
    callbacks = callback_list(variant, model)
    callbacks.on_train_begin()
    history = []
    for epoch in range(variant.epochs):
        callbacks.on_epoch_begin(epoch)
        rows = _shuffled_rows(fold, variant, seed, epoch)
        trained = _train_epoch(model, variant, fold, rows, epoch, watcher)
        validated = _validate(model, variant, fold, epoch)
        history.append(trained | validated)
        callbacks.on_epoch_end(epoch, validated)
        if is_validated(variant, epoch):
            on_epoch(epoch + 1, model)
        if model.stop_training:
            break
    callbacks.on_train_end()
    return model, history


def callback_list(variant: Variant, model):
    """Returns the variant's callbacks as Keras calls them, but for steps: they live by epochs.

    `fit` is called once an epoch, and would have each of them begin anew every time.

    Raises:
        UserError: when one cannot be built with its parameters.
    """
    import keras

    built = [callback.build() for callback in variant.callbacks]
    return keras.callbacks.CallbackList(built, model=model)


def compiled_model(variant: Variant, steps: int):
    """Returns the variant's model with its loss, and an optimiser for a training of `steps`.

    Raises:
        UserError: when architecture or schedule cannot be built with the variant's parameters.
    """
    import keras

    model = variant.architecture.build()
    model.compile(
        keras.optimizers.AdamW(
            variant.schedule.build(variant, steps), weight_decay=variant.weight_decay
        ),
        keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=variant.label_smoothing
        ),
        metrics=["accuracy"],
    )
    return model


def _train_epoch(
    model, variant: Variant, fold: Fold, rows: np.ndarray, epoch: int, watcher
) -> dict[str, float]:
    """Returns the epoch's point of the training curve."""
    record = model.fit(
        batches(variant.batch_size, *fold.learnt(epoch, rows)),
        initial_epoch=epoch,
        epochs=epoch + 1,
        shuffle=False,
        verbose=0,
        callbacks=[watcher],
    ).history
    row = {
        "epoch": epoch + 1,
        "loss": record["loss"][0],
        "accuracy": record["accuracy"][0],
        "learning_rate": _last_rate(model.optimizer),
    }
    if not math.isfinite(row["loss"]):
        raise UserError(
            f"the loss is no longer a number in epoch {epoch + 1}, at a learning rate of "
            f"{row['learning_rate']:.2g}; try a smaller learning_rate or a longer warm_up"
        )
    return row


def _last_rate(optimizer) -> float:
    """Returns the rate of the step that was done last; the optimiser tells that of the next one."""
    optimizer.iterations.assign_sub(1)
    rate = float(optimizer.learning_rate)
    optimizer.iterations.assign_add(1)
    return rate


def _validate(model, variant: Variant, fold: Fold, epoch: int) -> dict[str, float | str]:
    """Returns a point of the validation curve, which only callbacks choose by."""
    if not is_validated(variant, epoch) or not len(fold.validation_rows):
        return {"validation_loss": "", "validation_accuracy": ""}
    images = fold.digits.images[fold.validation_rows][..., None]
    labels = one_hot(fold.digits.labels[fold.validation_rows])
    loss, accuracy = model.evaluate(batches(PREDICTION_BATCH_SIZE, images, labels), verbose=0)
    return {"validation_loss": loss, "validation_accuracy": accuracy}


def is_validated(variant: Variant, epoch: int) -> bool:
    """Says whether an epoch, counted from 0, gets a point of the validation curve."""
    return epoch + 1 == variant.epochs or (epoch + 1) % variant.validate_every == 0


def one_hot(labels: np.ndarray) -> np.ndarray:
    """Returns labels `[n]` as float32 `[n, 10]`."""
    return np.eye(CLASSES, dtype=np.float32)[labels]


def _rows_of_both(first: np.ndarray, second: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Returns rows of two arrays as if the second stood behind the first, which are not joined."""
    picked = np.empty((len(rows), *first.shape[1:]), first.dtype)
    of_first = rows < len(first)
    picked[of_first] = first[rows[of_first]]
    picked[~of_first] = second[rows[~of_first] - len(first)]
    return picked


def _shuffled_rows(fold: Fold, variant: Variant, seed: int, epoch: int) -> np.ndarray:
    """Returns the training rows in this epoch's order, as many as fill whole batches."""
    order = np.random.default_rng([seed, fold.number, epoch]).permutation(fold.learnt_rows())
    return order[: fold.steps(variant) * variant.batch_size]


def random_seed(seed: int, fold_number: int) -> int:
    """Returns the seed of what is drawn for a member on one fold."""
    return int(np.random.SeedSequence([seed, fold_number]).generate_state(1)[0])


def _step_counter(on_step: Callable[[int], None]) -> Callable:
    steps = itertools.count(1)
    return lambda batch, logs: on_step(next(steps))
