"""The learning rate over the steps of a training."""

from competition.config import Training

# Where the warm-up begins, as a share of the highest rate.
WARM_UP_FROM = 0.1


def learning_rate_schedule(settings: Training, steps: int):
    """A linear warm-up, then half a cosine down to a small rate at the very last step.

    As it ends small, the last epoch is the best one to use, and none has to be picked on the
    validation fold (L. N. Smith's one-cycle policy, arXiv:1708.07120; the cosine after
    Loshchilov and Hutter, arXiv:1608.03983).

    Args:
        settings: the variant's highest and final rate and share of warm-up.
        steps: optimiser steps of the whole training.

    Returns:
        A Keras `LearningRateSchedule`.
    """
    from keras.optimizers.schedules import CosineDecay

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
