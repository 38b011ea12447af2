"""The race: minutes until a fixed log-loss on the first split, from random weights on.

It is a race of labels alone: a teacher's own minutes would have to count. Both validate after
each epoch, within their time, and look at each held-out digit once. The engine's time includes the
making of its augmented images; the published recipe distorts while it trains. With label smoothing,
only the engine's last epoch can have the target, as the curve before shows the smoothed loss.
"""

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from statistics import median
from typing import Any

import numpy as np

from competition.bench import published
from competition.bench.nets import ENGINE
from competition.bench.stock import stock_process
from competition.console import ProgressDisplay
from competition.data.augmented_epochs import pools_at_hand
from competition.data.run import Run
from competition.errors import UserError
from competition.metrics import score
from competition.results import Job, identity_hash
from competition.system import MORE_MEMORY, core_count, interruptible, workers_may_end
from competition.training.predict import predict
from competition.training.progress import seconds_an_image
from competition.training.resources import use_precision
from competition.training.train import train_one_fold
from competition.training.training_data import Fold, fold_of, pools_needed, resampled

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


def new_race(run: Run, name: str) -> dict[str, Any]:
    """Returns a race of a variant that nobody has begun.

    Returns:
        JSON values: the variant, the split, the target, what identifies the trainings, and of each
        runner its median and its runs.
    """
    jobs = _jobs(_raced(run, name))
    return {
        "variant": name,
        "split": next(iter(jobs)).split,
        "target_log_loss": TARGET_LOG_LOSS,
        "trainings": [identity_hash(identity) for identity in jobs.values()],
        "runners": {runner: {"median_minutes": None, "runs": []} for runner in RUNNERS},
    }


def turns_left(race: dict[str, Any]) -> int:
    """Returns how many runs a race still lacks."""
    done = sum(len(runner["runs"]) for runner in race["runners"].values())
    return len(SEEDS) * len(RUNNERS) - done


def run_race(run: Run, race: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Lets a variant and the published recipe race, by turns and with several seeds.

    Args:
        run: what the race was made for.
        race: as `new_race` makes it, or this function left it; it is not changed.

    Yields:
        The race after each of its turns.
    """
    raced, left = _raced(run, race["variant"]), turns_left(race)
    jobs = _jobs(raced)
    turns = [(job, runner) for job in jobs for runner in RUNNERS]
    needed = pools_needed(raced, jobs)
    with pools_at_hand(needed, run.data_set), ProgressDisplay("racing", left) as display:
        for done, (job, runner) in enumerate(turns[len(turns) - left :], start=1):
            with interruptible():
                race = _with_run(race, runner, RUNNERS[runner](raced, job))
            display.update(done)
            yield race


def _with_run(race: dict[str, Any], runner: str, run: Finish) -> dict[str, Any]:
    runs = [*race["runners"][runner]["runs"], asdict(run)]
    median_of_runs = median_minutes([each["minutes"] for each in runs])
    result = {"median_minutes": median_of_runs, "runs": runs}
    return race | {"runners": race["runners"] | {runner: result}}


def _jobs(raced: Run) -> dict[Job, dict[str, Any]]:
    """Returns the trainings on the first split, one a seed, with what identifies them."""
    split = next(iter(raced.identities)).split
    return {job: identity for job, identity in raced.identities.items() if job.split == split}


def _raced(run: Run, name: str) -> Run:
    """Returns the run of one variant, validated each epoch, on the held-out digits as they are."""
    changes = {"validate_every": 1, "test_time_draws": 0, "seeds": list(SEEDS)}
    variant = run.config.variants[name].model_copy(update=changes)
    return replace(run, config=run.config.model_copy(update={"variants": {name: variant}}))


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
    """Trains Deotte's recipe in stock Keras and float32 on the same rows, until the target.

    Raises:
        UserError: when the system ends its process.
    """
    with workers_may_end(MORE_MEMORY), stock_process() as stock:
        return stock.submit(_race_published, run, job, TARGET_LOG_LOSS).result()


def _race_published(run: Run, job: Job, target: float) -> Finish:
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
        if losses[-1] <= target:
            break
    return finish(seconds, losses, target)


RUNNERS = {ENGINE: race_engine, "Deotte's recipe, stock float32": race_published}


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


def median_minutes(runs: list[float | None]) -> float | None:
    """Returns the median, in which a run that never had the target is longer than any that had."""
    minutes = median(float("inf") if run is None else run for run in runs)
    return None if minutes == float("inf") else minutes


def _log_loss(probabilities: np.ndarray, fold: Fold) -> float:
    return score(probabilities, fold.digits.labels[fold.validation_rows]).log_loss
