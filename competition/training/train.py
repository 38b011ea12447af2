"""Training one variant on one fold: everything that happens between its digits and its model."""

import itertools
import math
from collections.abc import Callable
from typing import Any

from competition.config.schema import Variant
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
    """Trains a variant from scratch; the last epoch is the one that counts.

    Only the variant's callbacks may end the training before, or go back to an earlier epoch: by
    what they see of the held-out rows.

    Args:
        variant: architecture and training settings.
        data: the rows of the fold.
        seed: the member's; with the fold's number it fixes weights, order and dropout.
        on_step: called after each optimiser step.
        on_epoch: called after each epoch that is validated with the model, which it must leave as
            it is; whatever it raises ends the training.

    Returns:
        The Keras model, and its history: one dict per epoch with `epoch`, `loss`, `accuracy`,
        `learning_rate` (of the epoch's last step), `validation_loss` and `validation_accuracy`,
        which are empty where nothing was validated.

    Raises:
        UserError: when the loss is no longer a number, or a part of the variant cannot be built.
    """
    import keras

    # 1. The net, which the seed of this member on this fold initialises.
    use_precision(variant.precision)
    keras.utils.set_random_seed(data.random_seed(seed))
    steps_per_epoch = data.steps_per_epoch(variant)
    model = compiled_model(variant, steps_per_epoch * variant.epochs)
    callbacks = callback_list(variant, model)
    after_step = step_callback(model, steps_per_epoch, on_step)

    # 2. The epochs: augmented rows in an order of their own, then a look at the held-out ones.
    history: list[dict[str, Any]] = []
    callbacks.on_train_begin()
    for epoch in range(variant.epochs):
        callbacks.on_epoch_begin(epoch)
        rows = data.shuffled_rows(variant, seed, epoch)
        record = model.fit(
            batches(variant.batch_size, *data.arrays(epoch, rows)),
            initial_epoch=epoch,
            epochs=epoch + 1,
            shuffle=False,
            verbose=0,
            callbacks=[after_step],
        ).history
        is_validated = epoch + 1 == variant.epochs or (epoch + 1) % variant.validate_every == 0
        has_validation = is_validated and len(data.validation_rows) > 0
        loss, accuracy = evaluate(model, data) if has_validation else ("", "")
        validated = {"validation_loss": loss, "validation_accuracy": accuracy}
        history.append(
            {
                "epoch": epoch + 1,
                "loss": record["loss"][0],
                "accuracy": record["accuracy"][0],
                "learning_rate": last_learning_rate(model.optimizer),
                **validated,
            }
        )

        # 3. What looks at the epoch: the callbacks, which may end it here, and the caller.
        callbacks.on_epoch_end(epoch, validated)
        if is_validated:
            on_epoch(epoch + 1, model)
        if model.stop_training:
            break
    callbacks.on_train_end()
    return model, history


def compiled_model(variant: Variant, steps: int):
    """Returns the variant's model with its loss, and an optimiser for a training of `steps`.

    Raises:
        UserError: when architecture or schedule cannot be built with the variant's parameters.
    """
    model = variant.architecture.build()
    compile_for(variant, model, steps)
    return model


def compile_for(variant: Variant, model, steps: int) -> None:
    """Gives a model the variant's loss, and an optimiser for a training of `steps`."""
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


def callback_list(variant: Variant, model):
    """Returns the variant's callbacks as Keras calls them, but for steps: they live by epochs.

    `fit` is called once per epoch, and would have each of them begin anew every time.
    """
    import keras

    built = [callback.build() for callback in variant.callbacks]
    return keras.callbacks.CallbackList(built, model=model)


def step_callback(model, steps_per_epoch: int, on_step: Callable[[int], None]):
    """Returns a Keras callback that counts steps, and ends a training that diverged.

    Keras brings the loss to every step's end anyway, as the mean over the epoch so far.
    """
    import keras

    steps = itertools.count(1)

    def after_step(batch: int, logs: dict[str, float]) -> None:
        step = next(steps)
        if not math.isfinite(logs["loss"]):
            epoch = math.ceil(step / steps_per_epoch)
            rate = last_learning_rate(model.optimizer)
            when = f"in epoch {epoch}, at a learning rate of {rate:.2g}"
            raise diverged("loss is no longer a number", when)
        on_step(step)

    return keras.callbacks.LambdaCallback(on_train_batch_end=after_step)


def last_learning_rate(optimizer) -> float:
    """Returns the rate of the step that was done last; the optimiser tells that of the next one."""
    optimizer.iterations.assign_sub(1)
    rate = float(optimizer.learning_rate)
    optimizer.iterations.assign_add(1)
    return rate


def evaluate(model, data: TrainingData) -> tuple[float, float]:
    """Returns loss and accuracy of a compiled model on the held-out digits as they are."""
    images = data.digits.images[data.validation_rows][..., None]
    labels = one_hot(data.digits.labels[data.validation_rows])
    loss, accuracy = model.evaluate(batches(PREDICTION_BATCH_SIZE, images, labels), verbose=0)
    return loss, accuracy
