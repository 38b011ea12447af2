"""Training one variant on one fold: everything that happens between its digits and its model."""

import itertools
import math
from collections.abc import Callable
from typing import Any

from competition.config.schema import Variant
from competition.results import HISTORY_COLUMNS
from competition.training.predict import PREDICTION_BATCH_SIZE, batches, diverged
from competition.training.resources import use_precision
from competition.training.training_data import TrainingData, one_hot


def train_one_fold(
    variant: Variant,
    data: TrainingData,
    seed: int,
    on_step: Callable[[int], None] = lambda steps_done: None,
    on_epoch: Callable[[int, Any], None] = lambda epochs_done, model: None,
) -> tuple[Any, list[dict[str, Any]]]:
    """Trains a variant from scratch; returns the Keras model and its history, one dict per epoch.

    A variant that is not a net gives a fitted learner, and one empty epoch as its history.

    The model is that of the last epoch, unless the variant's callbacks, which see the held-out
    rows, end the training earlier or go back to an earlier epoch.

    Args:
        seed: the member's; with the fold's number it fixes weights, order and dropout.
        on_step: called after each optimiser step.
        on_epoch: called after each validated epoch; it must not change the model, and an exception
            that it raises ends the training.

    Raises:
        UserError: when the loss is no longer a number, or a part of the variant cannot be built.
    """
    if not variant.is_net:
        return fitted_learner(variant, data), [{**dict.fromkeys(HISTORY_COLUMNS, ""), "epoch": 1}]
    import keras

    # 1. The net, initialised by the random seed of this member on this fold.
    use_precision(variant.precision)
    keras.utils.set_random_seed(data.random_seed(seed))
    steps_per_epoch = data.steps_per_epoch(variant)
    model = compiled_model(variant, steps_per_epoch * variant.epochs)
    callbacks = callback_list(variant, model)
    after_step = step_callback(model, steps_per_epoch, on_step)

    # 2. The epochs: augmented rows in a new order each time, then a look at the held-out rows.
    history: list[dict[str, Any]] = []
    callbacks.on_train_begin()
    for epoch in range(variant.epochs):
        callbacks.on_epoch_begin(epoch)
        rows = data.shuffled_rows(variant, seed, epoch)
        fitted = model.fit(
            batches(variant.batch_size, *data.arrays(epoch, rows)),
            shuffle=False,
            verbose=0,
            callbacks=[after_step],
        ).history
        row = {"epoch": epoch + 1, "loss": fitted["loss"][0], "accuracy": fitted["accuracy"][0]}
        row["learning_rate"] = last_learning_rate(model.optimizer)
        is_validated = epoch + 1 == variant.epochs or (epoch + 1) % variant.validate_every == 0
        has_validation = is_validated and len(data.validation_rows) > 0
        loss, accuracy = evaluate(model, data) if has_validation else ("", "")  # empty in the CSV
        validated = {"validation_loss": loss, "validation_accuracy": accuracy}
        history.append(row | validated)

        # 3. Who looks at the epoch: the callbacks, which may end the training here, and the caller.
        callbacks.on_epoch_end(epoch, validated)
        if is_validated:
            on_epoch(epoch + 1, model)
        if model.stop_training:
            break
    callbacks.on_train_end()
    return model, history


def fitted_learner(variant: Variant, data: TrainingData):
    """Returns the variant's learner, fitted to the training rows, which are not augmented."""
    learner = variant.architecture.build()
    rows = data.training_rows
    learner.fit(data.digits.images[rows], data.digits.labels[rows])
    return learner


def compiled_model(variant: Variant, steps: int):
    """Returns the variant's model, compiled for a training of `steps` optimiser steps."""
    model = variant.architecture.build()
    compile_for(variant, model, steps)
    return model


def compile_for(variant: Variant, model, steps: int) -> None:
    """Gives a model the variant's loss and optimiser, for a training of `steps`."""
    from keras.losses import CategoricalCrossentropy
    from keras.metrics import CategoricalAccuracy
    from keras.optimizers import AdamW

    model.compile(
        AdamW(variant.schedule.build(variant, steps), weight_decay=variant.weight_decay),
        CategoricalCrossentropy(from_logits=True, label_smoothing=variant.label_smoothing),
        metrics=[CategoricalAccuracy("accuracy")],
    )
    # TensorFlow would trace a step that creates the optimiser's variables a second time.
    model.optimizer.build(model.trainable_variables)


def callback_list(variant: Variant, model):
    """Returns the variant's callbacks, to be called by epoch.

    `fit` cannot have them: it is called once per epoch, and would start them anew each time.
    """
    import keras

    built = [callback.build() for callback in variant.callbacks]
    return keras.callbacks.CallbackList(built, model=model)


def step_callback(model, steps_per_epoch: int, on_step: Callable[[int], None]):
    """Returns a Keras callback that counts steps, and ends a training that diverges."""
    import keras

    steps = itertools.count(1)

    def after_step(batch: int, logs: dict[str, float]) -> None:
        step = next(steps)
        if not math.isfinite(logs["loss"]):  # Keras's mean over the epoch so far, known anyway
            epoch = math.ceil(step / steps_per_epoch)
            rate = last_learning_rate(model.optimizer)
            when = f"in epoch {epoch}, at a learning rate of {rate:.2g}"
            raise diverged("loss is no longer a number", when)
        on_step(step)

    return keras.callbacks.LambdaCallback(on_train_batch_end=after_step)


def last_learning_rate(optimizer) -> float:
    """Returns the rate of the last step done; the optimiser itself gives that of the next one."""
    optimizer.iterations.assign_sub(1)
    rate = float(optimizer.learning_rate)
    optimizer.iterations.assign_add(1)
    return rate


def evaluate(model, data: TrainingData) -> tuple[float, float]:
    """Returns loss and accuracy of a compiled model on the held-out digits, not augmented."""
    images = data.digits.images[data.validation_rows][..., None]
    labels = one_hot(data.digits.labels[data.validation_rows])
    loss, accuracy = model.evaluate(batches(PREDICTION_BATCH_SIZE, images, labels), verbose=0)
    return loss, accuracy
