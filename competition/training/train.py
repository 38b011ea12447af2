"""Training one variant on one fold: everything that happens between its digits and its model."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from competition.config.schema import Variant
from competition.training.predict import PREDICTION_BATCH_SIZE, batches, diverged
from competition.training.resources import use_precision
from competition.training.training_data import TrainingData, one_hot


def train_one_fold(
    variant: Variant,
    fold: TrainingData,
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
    keras.utils.set_random_seed(fold.random_seed(seed))
    model = compiled_model(variant, fold.steps(variant) * variant.epochs)
    watcher = step_watcher(on_step)
    callbacks = callback_list(variant, model)
    callbacks.on_train_begin()
    history = []
    for epoch in range(variant.epochs):
        callbacks.on_epoch_begin(epoch)
        rows = fold.shuffled_rows(variant, seed, epoch)
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
    model = variant.architecture.build()
    compile_for(variant, model, steps)
    return model


def compile_for(variant: Variant, model, steps: int) -> None:
    """Gives a model the variant's loss, and an optimiser for a training of `steps`.

    Raises:
        UserError: when the schedule cannot be built with the variant's parameters.
    """
    import keras

    model.compile(
        keras.optimizers.AdamW(
            variant.schedule.build(variant, steps), weight_decay=variant.weight_decay
        ),
        keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=variant.label_smoothing
        ),
        metrics=[keras.metrics.CategoricalAccuracy("accuracy")],
    )
    # TensorFlow traces a step that makes variables, of metrics or the optimiser, a second time.
    model.optimizer.build(model.trainable_variables)


def _train_epoch(
    model, variant: Variant, fold: TrainingData, rows: np.ndarray, epoch: int, watcher
) -> dict[str, float]:
    """Returns the epoch's point of the training curve."""
    record = model.fit(
        batches(variant.batch_size, *fold.learnt(epoch, rows)),
        initial_epoch=epoch,
        epochs=epoch + 1,
        shuffle=False,
        verbose=0,
        callbacks=[watcher, _loss_guard(model, epoch)],
    ).history
    return {
        "epoch": epoch + 1,
        "loss": record["loss"][0],
        "accuracy": record["accuracy"][0],
        "learning_rate": _last_rate(model.optimizer),
    }


def _loss_guard(model, epoch: int):
    """Returns a Keras callback that ends the training at the first step whose loss is no number.

    Keras brings the loss to every step's end anyway, as the mean over the epoch so far.
    """
    import keras

    def check(batch: int, logs: dict[str, float]) -> None:
        if not math.isfinite(logs["loss"]):
            rate = _last_rate(model.optimizer)
            raise diverged(
                "loss is no longer a number",
                f"in epoch {epoch + 1}, at a learning rate of {rate:.2g}",
            )

    return keras.callbacks.LambdaCallback(on_train_batch_end=check)


def _last_rate(optimizer) -> float:
    """Returns the rate of the step that was done last; the optimiser tells that of the next one."""
    optimizer.iterations.assign_sub(1)
    rate = float(optimizer.learning_rate)
    optimizer.iterations.assign_add(1)
    return rate


def _validate(model, variant: Variant, fold: TrainingData, epoch: int) -> dict[str, float | str]:
    """Returns a point of the validation curve, which only callbacks choose by."""
    if not is_validated(variant, epoch) or not len(fold.validation_rows):
        return {"validation_loss": "", "validation_accuracy": ""}
    loss, accuracy = evaluate(model, fold)
    return {"validation_loss": loss, "validation_accuracy": accuracy}


def evaluate(model, fold: TrainingData) -> list[float]:
    """Returns loss and accuracy of a compiled model on the held-out digits as they are."""
    images = fold.digits.images[fold.validation_rows][..., None]
    labels = one_hot(fold.digits.labels[fold.validation_rows])
    return model.evaluate(batches(PREDICTION_BATCH_SIZE, images, labels), verbose=0)


def is_validated(variant: Variant, epoch: int) -> bool:
    """Says whether an epoch, counted from 0, gets a point of the validation curve."""
    return epoch + 1 == variant.epochs or (epoch + 1) % variant.validate_every == 0


def step_watcher(on_step: Callable[[int], None]):
    """Returns a Keras callback that calls `on_step` after each step with the number of steps."""
    import keras

    steps = itertools.count(1)
    return keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: on_step(next(steps))
    )
