"""The race: minutes until a fixed log-loss on the first split, from random weights on.

It is a race of labels alone: a teacher's own minutes would have to count. Both validate after
each epoch, within their time, and look at each held-out digit once. The engine's time includes the
making of its augmented images; the published recipe distorts while it trains. With label smoothing,
only the engine's last epoch can have the target, as the curve before shows the smoothed loss.
"""

import time
from dataclasses import asdict, dataclass, replace
from statistics import median
from typing import Any

import numpy as np

from competition.bench import published
from competition.bench.nets import ENGINE
from competition.data.pool_space import pools_at_hand
from competition.data.run import Run
from competition.errors import UserError
from competition.machine import core_count
from competition.progress import ProgressDisplay
from competition.results import Job
from competition.scores import score
from competition.training.estimate import seconds_an_image
from competition.training.fold import Fold
from competition.training.one_fold import train_one_fold
from competition.training.prediction import predict
from competition.training.resampling import resampled
from competition.training.runtime import use_precision
from competition.training.worker import fold_of, pools_needed

# What nets of 81 errors in 14,000 rows have on held-out rows (EXPERIMENTS.md).
TARGET_LOG_LOSS = 0.02
SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Finish:
    """How one run of the race went.

    Attributes:
        minutes: until the target was reached, None if it never was.
        epochs: that were trained until then.
        best: the lowest log-loss on the way.
    """

    minutes: float | None
    epochs: int
    best: float


def require_labels_alone(run: Run, name: str) -> None:
    """Raises UserError when a variant cannot race, as it has a teacher."""
    if teacher := run.config.variants[name].teacher:
        raise UserError(
            f"{name} has a teacher, {teacher}, whose own minutes would have to count in a race; "
            f'race without it, with SET="variants.{name}.teacher=null", or leave LONG out'
        )


def run_race(run: Run, name: str) -> dict[str, Any]:
    """Lets a variant and the published recipe race, by turns and with several seeds.

    Returns:
        JSON values: the variant, the split, the target, and of each runner its runs and their
        median.
    """
    raced = _raced(run, name)
    split = next(iter(raced.identities)).split
    jobs = [job for job in raced.identities if job.split == split]
    with pools_at_hand(pools_needed(raced, jobs), run.data_set):
        finishes = _finishes(raced, jobs)
    return {
        "variant": name,
        "split": split,
        "target_log_loss": TARGET_LOG_LOSS,
        "runners": {
            runner: {"median_minutes": median_minutes(runs), "runs": [asdict(one) for one in runs]}
            for runner, runs in finishes.items()
        },
    }


def _raced(run: Run, name: str) -> Run:
    """Returns the run of one variant, validated each epoch, on the held-out digits as they are."""
    changes = {"validate_every": 1, "test_time_draws": 0, "seeds": list(SEEDS)}
    variant = run.config.variants[name].model_copy(update=changes)
    return replace(run, config=run.config.model_copy(update={"variants": {name: variant}}))


def _finishes(run: Run, jobs: list[Job]) -> dict[str, list[Finish]]:
    runners = {ENGINE: race_engine, "Deotte's recipe, stock float32": race_published}
    turns = [(job, runner) for job in jobs for runner in runners]
    finishes: dict[str, list[Finish]] = {runner: [] for runner in runners}
    with ProgressDisplay("racing", len(turns)) as display:
        for done, (job, runner) in enumerate(turns, start=1):
            finishes[runner].append(runners[runner](run, job))
            display.update(done)
    return finishes


def race_engine(run: Run, job: Job) -> Finish:
    """Trains a variant as its jobs are trained; its pool has to be there."""
    variant, original = run.config.variants[job.variant], fold_of(run, job)
    images = original.digits.images
    augmenting = variant.epochs * len(images) * seconds_an_image(variant.augmentation, images)
    began = time.monotonic() - augmenting / core_count()
    fold = resampled(original, variant.resampling, job.seed)
    ends: list[float] = []
    model, history = train_one_fold(
        variant, fold, job.seed, on_step=lambda step: ends.append(time.monotonic())
    )
    steps = fold.steps(variant)
    seconds = [end - began for end in ends[steps - 1 :: steps]]
    losses = [row["validation_loss"] for row in history[:-1]]
    last = _log_loss(predict(model, images[fold.validation_rows]), fold)
    return finish(seconds, [*losses, last], TARGET_LOG_LOSS)


def race_published(run: Run, job: Job) -> Finish:
    """Trains Deotte's recipe in stock Keras and float32 on the same rows, until the target."""
    import keras

    began = time.monotonic()
    use_precision("float32")
    keras.utils.set_random_seed(job.seed)
    fold = fold_of(run, job)
    held_out = published.published_images(fold.digits.images[fold.validation_rows])
    model = published.published_net()
    seconds: list[float] = []
    losses: list[float] = []
    for _ in published.train_epochs(model, fold.digits, fold.training_rows, job.seed):
        seconds.append(time.monotonic() - began)
        losses.append(_log_loss(model.predict(held_out, verbose=0), fold))
        if losses[-1] <= TARGET_LOG_LOSS:
            break
    return finish(seconds, losses, TARGET_LOG_LOSS)


def finish(seconds: list[float], losses: list[float], target: float) -> Finish:
    """Returns when a training first had the target.

    Args:
        seconds: since its beginning, at the end of each epoch.
        losses: log-losses at the ends of these epochs.
        target: the log-loss to reach.
    """
    for epoch, (second, loss) in enumerate(zip(seconds, losses, strict=True), start=1):
        if loss <= target:
            return Finish(second / 60, epoch, min(losses[:epoch]))
    return Finish(None, len(losses), min(losses))


def median_minutes(runs: list[Finish]) -> float | None:
    """Returns the median, in which a run that never had the target is longer than any that had."""
    minutes = median(float("inf") if one.minutes is None else one.minutes for one in runs)
    return None if minutes == float("inf") else minutes


def _log_loss(probabilities: np.ndarray, fold: Fold) -> float:
    return score(probabilities, fold.digits.labels[fold.validation_rows]).log_loss
