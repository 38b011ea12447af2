"""The race: minutes of training until a fixed log-loss on the first split.

A variant in the engine runs against Deotte's published recipe in stock Keras and float32, in turns
and with several seeds. Times include validation after each epoch, and the augmentation: the engine
does it before, the recipe while it trains. Both standardise pixels; Deotte divides them by 255.
"""

import json
import math
import time
from dataclasses import replace
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.throughput import (
    ENGINE,
    fresh_workers,
    keep,
    published_recipe,
    stock_model,
)
from competition.config.loading import Config
from competition.config.schema import Variant
from competition.console import ProgressDisplay
from competition.data.augmented_epochs import augment, pools_at_hand
from competition.data.run import Run, load_run
from competition.metrics import score
from competition.results import Job
from competition.system import MORE_MEMORY, core_count, interruptible, workers_may_end
from competition.tables import Table, text_of
from competition.training.predict import predict
from competition.training.resources import start_keras, start_stock_keras
from competition.training.train import train_one_fold
from competition.training.training_data import (
    TrainingData,
    epochs_needed,
    one_hot,
    training_data,
    unbalanced_data,
)

if TYPE_CHECKING:
    from pandas import DataFrame

TARGET_LOG_LOSS = 0.02  # of nets with 81 errors in 14,000 held-out rows (EXPERIMENTS.md)
SEEDS = (0, 1, 2)
TIMED_IMAGES = 200

# Minutes since the start and log-loss of the held-out rows, at the end of each epoch.
Curve = list[tuple[float, float]]


def benchmark(run: Run) -> str:
    """Runs the first variant's race (over an hour on two cores), keeps it, returns it as text."""
    start_keras(core_count())
    name, variant = next(iter(run.config.variants.items()))
    # Like the recipe: validated after each epoch, without test-time augmentation.
    changes = {"validate_every": 1, "test_time_draws": 0, "seeds": list(SEEDS)}
    variants = {name: variant.model_copy(update=changes)}
    raced = replace(run, config=run.config.model_copy(update={"variants": variants}))
    split = next(iter(raced.identities)).split
    finishes = race(raced, [job for job in raced.identities if job.split == split])
    goal = {"variant": name, "split": split, "target_log_loss": TARGET_LOG_LOSS}
    keep(run, "race", goal | {"finishes": json.loads(finishes.to_json(orient="records"))})
    title = f"{name} in a race to a log-loss of {TARGET_LOG_LOSS} on {split}"
    return text_of(Table("race", title, race_table(finishes)))


def race(run: Run, jobs: list[Job]) -> "DataFrame":
    """Trains the engine and stock Keras in turns; returns `runner`, `seed` and the result of
    `finish`, a row per job and runner.
    """
    import pandas

    turns = [(job, runner) for job in jobs for runner in RUNNERS]
    finishes = []
    with (
        workers_may_end(MORE_MEMORY),
        pools_at_hand(epochs_needed(run, jobs), run.data_set),
        ProgressDisplay("racing", len(turns)) as display,
    ):
        for done, (job, runner) in enumerate(turns, start=1):
            with interruptible():
                reached = finish(RUNNERS[runner](run, job), TARGET_LOG_LOSS)
            finishes.append({"runner": runner, "seed": job.seed, **reached})
            display.say(f"{runner}, seed {job.seed}, minutes: {_minutes(reached['minutes'])}")
            display.update(done)
    return pandas.DataFrame(finishes)


def race_engine(run: Run, job: Job) -> Curve:
    """Trains a variant as its jobs do; its augmented images must exist."""
    variant = run.config.variants[job.variant]
    began = time.monotonic() - augmenting_seconds(variant, run.data_set.train.images)
    fold = training_data(run, job)
    curve: Curve = []

    def note(epoch: int, model: Any) -> None:
        # The training's own validation has the loss of smoothed labels, so the same rows are
        # predicted again; that takes no time of the race.
        nonlocal began
        ended = time.monotonic()
        curve.append(((ended - began) / 60, log_loss(model, fold)))
        began += time.monotonic() - ended

    train_one_fold(variant, fold, job.seed, on_epoch=note)
    return curve


def augmenting_seconds(variant: Variant, images: np.ndarray) -> float:
    """Returns the seconds to augment all epochs of some images on all cores, estimated."""
    augment(images[:1], variant.augmentation, seed=0, epoch=0)  # imports the library
    sample = images[:TIMED_IMAGES]
    began = time.monotonic()
    augment(sample, variant.augmentation, seed=0, epoch=0)
    per_image = (time.monotonic() - began) / len(sample)
    return variant.epochs * len(images) * per_image / core_count()


def race_published(run: Run, job: Job) -> Curve:
    """Trains Deotte's recipe on the same rows until the target, in a process of stock Keras."""
    with fresh_workers(1, partial(start_stock_keras, core_count())) as stock:
        return stock.submit(published_curve, run.config, job, TARGET_LOG_LOSS).result()


def published_curve(config: Config, job: Job, target: float) -> Curve:
    """Trains Deotte's recipe until the target, in a process of stock Keras."""
    import keras
    from tensorflow.keras.preprocessing.image import ImageDataGenerator

    fold, recipe = unbalanced_data(load_run(config), job), published_recipe()
    rows = fold.training_rows
    steps = max(1, len(rows) // recipe.batch_size)
    began = time.monotonic()
    keras.utils.set_random_seed(job.seed)
    model = stock_model(recipe, "float32", steps * recipe.epochs)
    images, labels = fold.digits.images[rows][..., None], one_hot(fold.digits.labels[rows])
    distorted = ImageDataGenerator(
        rotation_range=10, zoom_range=0.1, width_shift_range=0.1, height_shift_range=0.1
    ).flow(images, labels, recipe.batch_size, seed=job.seed)
    curve: Curve = []
    for _ in range(recipe.epochs):
        model.fit(distorted, steps_per_epoch=steps, verbose=0)
        curve.append(((time.monotonic() - began) / 60, log_loss(model, fold)))
        if curve[-1][1] <= target:
            break
    return curve


RUNNERS = {ENGINE: race_engine, "Deotte's recipe, stock float32": race_published}


def log_loss(model: Any, fold: TrainingData) -> float:
    """Returns a model's log-loss on the held-out digits."""
    probabilities = predict(model, fold.digits.images[fold.validation_rows])
    return score(probabilities, fold.digits.labels[fold.validation_rows]).log_loss


def finish(curve: Curve, target: float) -> dict[str, Any]:
    """Returns `minutes` until the target, infinite if not reached; `epochs` and `lowest_log_loss`
    until then.
    """
    losses = [loss for _, loss in curve]
    epochs = next((n for n, loss in enumerate(losses, start=1) if loss <= target), len(losses))
    minutes = curve[epochs - 1][0] if losses[epochs - 1] <= target else math.inf
    return {"minutes": minutes, "epochs": epochs, "lowest_log_loss": min(losses[:epochs])}


def race_table(finishes: "DataFrame") -> "DataFrame":
    """Returns one row per runner, as text."""
    shown = finishes.groupby("runner", sort=False).agg(
        median=("minutes", lambda runs: _minutes(median(runs))),
        minutes=("minutes", lambda runs: ", ".join(map(_minutes, runs))),
        epochs=("epochs", lambda runs: ", ".join(map(str, runs))),
        lowest=("lowest_log_loss", lambda runs: ", ".join(f"{loss:.4f}" for loss in runs)),
    )
    shown.columns = ["median minutes", "minutes per seed", "epochs", "lowest log-loss"]
    return shown.reset_index()


def _minutes(minutes: float) -> str:
    return "never" if math.isinf(minutes) else f"{minutes:.1f}"
