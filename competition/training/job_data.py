"""Which rows a job learns from and which augmented images it reads."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from competition.data.folds import split_number
from competition.data.marks import without_label_errors
from competition.data.pool import Part, Pool
from competition.data.run import Run
from competition.results import Job
from competition.training.fold import Fold
from competition.training.teaching import taught
from competition.training.views import view_pool


def _pool_of(run: Run, job: Job) -> Pool:
    """Returns the pool of augmented epochs that a job draws from."""
    return Pool(run.config.variants[job.variant].augmentation, job.seed, run.fingerprint)


def view_pools_of(run: Run, job: Job) -> dict[Part, Pool]:
    """Returns the pools of drawn views, by the part of the data that a job predicts."""
    variant = run.config.variants[job.variant]
    parts: tuple[Part, ...] = ("train", "test")
    return {part: view_pool(variant, job.seed, run.fingerprint, part) for part in parts}


def pools_needed(run: Run, jobs: Iterable[Job]) -> dict[Pool, int]:
    """Returns how many epochs some jobs need of each pool that they read."""
    needed: Counter[Pool] = Counter()
    for job in jobs:
        variant = run.config.variants[job.variant]
        parts: tuple[Part, ...] = ("train", "test") if variant.teacher else ("train",)
        needed |= {replace(_pool_of(run, job), part=part): variant.epochs for part in parts}
        needed |= dict.fromkeys(view_pools_of(run, job).values(), variant.test_time_draws)
    return dict(needed)


def fold_of(run: Run, job: Job) -> Fold:
    """Returns the rows of a job, with the pool that it draws from."""
    training, validation = run.folds.split(job.split)
    digits, training = without_label_errors(run.data_set.train, training, run.label_errors)
    pool = _pool_of(run, job)
    return Fold(
        digits,
        training,
        validation,
        pool,
        split_number(job.split),
        taught=taught(run, job, pool),
    )
