"""Learning rates over the steps of a training, by the names of the registry.

Each function takes the variant's settings, the optimiser steps of the whole training, and the
parameters from YAML; it returns a learning rate or a schedule for a Keras optimiser.
"""

from keras.optimizers.schedules import CosineDecay, ExponentialDecay, LearningRateSchedule

from competition.config.schema import Training

# The rate at the start of the warm-up, as a share of the highest rate.
WARM_UP_FROM = 0.1


def one_cycle(settings: Training, steps: int) -> LearningRateSchedule:
    """A linear warm-up, then half a cosine down to a small rate at the very last step.

    The last epoch is then the one to use, and none has to be chosen on the validation fold
    (L. N. Smith's one-cycle policy, arXiv:1708.07120; cosine after Loshchilov and Hutter,
    arXiv:1608.03983). It uses the variant's `warm_up` and `final_learning_rate`.
    """
    highest, warm_up = settings.learning_rate, round(settings.warm_up * steps)
    decay_steps = max(1, steps - warm_up - 1)
    if not warm_up:
        return CosineDecay(highest, decay_steps, alpha=settings.final_learning_rate)
    return CosineDecay(
        WARM_UP_FROM * highest,
        decay_steps,
        alpha=settings.final_learning_rate,
        warmup_target=highest,
        warmup_steps=warm_up,
    )


def cosine(settings: Training, steps: int, final: float = 0.01) -> LearningRateSchedule:
    """Half a cosine from `learning_rate` at the first step (Loshchilov and Hutter).

    Args:
        final: the rate at the last step, as a share of the first one.
    """
    return CosineDecay(settings.learning_rate, max(1, steps - 1), alpha=_share("final", final))


def exponential(settings: Training, steps: int, rate: float = 0.95) -> LearningRateSchedule:
    """`learning_rate` in the first epoch, multiplied by `rate` after each epoch.

    Args:
        rate: 0 to 1; default of C. Deotte, "25 Million Images! [0.99757] MNIST" (Kaggle, 2018).
    """
    return _falling(settings, steps, 1, _share("rate", rate))


def step_decay(
    settings: Training, steps: int, factor: float = 0.5, every: int = 10
) -> LearningRateSchedule:
    """`learning_rate`, multiplied by `factor` whenever `every` epochs are done.

    Args:
        factor: from 0 to 1.
        every: epochs, at least 1.
    """
    if every < 1:
        raise ValueError(f"every is {every}, expected a number of epochs from 1")
    return _falling(settings, steps, every, _share("factor", factor))


def constant(settings: Training, steps: int) -> float:
    """The same rate at every step; only this one can be changed by `reduce_on_plateau`."""
    return settings.learning_rate


def _falling(settings: Training, steps: int, every: int, factor: float) -> LearningRateSchedule:
    steps_per_epoch = max(1, steps // settings.epochs)
    return ExponentialDecay(settings.learning_rate, every * steps_per_epoch, factor, staircase=True)


def _share(name: str, value: float) -> float:
    if not 0 <= value <= 1:
        raise ValueError(f"{name} is {value:g}, expected a share from 0 to 1")
    return value
