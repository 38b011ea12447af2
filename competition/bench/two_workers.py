"""What a second worker brings: the pace of two that train side by side, over that of one."""

import tempfile
import time
from concurrent.futures import as_completed
from pathlib import Path

import numpy as np

from competition.bench.nets import engine
from competition.bench.own_processes import new_workers
from competition.bench.pace import Pace, joint_steps_a_second
from competition.config.loading import Config
from competition.data.run import load_run
from competition.system import core_count
from competition.training.resources import Plan, start_keras
from competition.training.training_data import one_hot

STEPS_TO_WARM_UP = 10
STEPS_SIDE_BY_SIDE = 100
SECONDS_BETWEEN_LOOKS = 0.01


def two_workers_speedup(config: Config, name: str) -> float:
    """Returns the training speed of two workers, which share the cores, over that of one.

    Raises:
        UserError: when the two did not run at the same time.
    """
    one = _steps_a_second(config, name, Plan(1, core_count()))
    return _steps_a_second(config, name, Plan(2, max(1, core_count() // 2))) / one


def _steps_a_second(config: Config, name: str, plan: Plan) -> float:
    meeting = tempfile.TemporaryDirectory(prefix="meeting-")
    with meeting as place, new_workers(plan.workers) as workers:
        futures = [
            workers.submit(_pace_in_worker, config, name, plan, Path(place) / f"{number}")
            for number in range(plan.workers)
        ]
        return joint_steps_a_second([future.result() for future in as_completed(futures)])


def _pace_in_worker(config: Config, name: str, plan: Plan, sign: Path) -> Pace:
    start_keras(plan.threads)
    variant, digits = config.variants[name], load_run(config).data_set.train
    rows = np.resize(np.arange(len(digits)), STEPS_SIDE_BY_SIDE * variant.batch_size)
    images, labels = digits.images[rows], one_hot(digits.labels[rows])
    contender, few = engine(variant), STEPS_TO_WARM_UP * variant.batch_size
    contender.fit(images[:few], labels[:few])
    meet(sign, plan.workers)
    return contender.fit(images, labels)


def meet(sign: Path, workers: int) -> None:
    """Gives a sign of being ready, and waits until all workers have given theirs."""
    sign.touch()
    while len(list(sign.parent.iterdir())) < workers:
        time.sleep(SECONDS_BETWEEN_LOOKS)
