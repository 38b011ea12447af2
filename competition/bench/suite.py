"""The whole benchmark in one run: what is measured, in which order, and what is kept of it."""

import itertools
import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from competition import paths
from competition.atomic import write_text
from competition.bench.comparison import compare
from competition.bench.jobs import JobTimes, job_times
from competition.bench.nets import nets
from competition.bench.race import require_labels_alone, run_race
from competition.bench.spread import Spread
from competition.bench.two_workers import two_workers_speedup
from competition.bench.work import matrix_product
from competition.config import Variant
from competition.data.run import Run
from competition.machine import core_count, machine_name
from competition.progress import ProgressDisplay
from competition.training.runtime import start_keras
from competition.training.teaching import require_teachers
from competition.version import code_version, library_versions

# Every figure is the median of so many rounds, in which the contenders take turns.
ROUNDS = 5
ROUNDS_OF_JOBS = 3

Tick = Callable[[], None]


def require_measurable(run: Run, long: bool) -> None:
    """Raises UserError, before anything is measured, when something of it cannot be.

    Args:
        run: what is to be measured; a variant's teacher has to be trained.
        long: whether there is to be a race.
    """
    if long:
        require_labels_alone(run, _first_variant(run))
    require_teachers(run, {job.variant: job for job in reversed(run.identities)}.values())


def measure(run: Run) -> dict[str, Any]:
    """Measures all but the race, with progress.

    Args:
        run: the digits to train on, and the variants to compare. Two workers are measured with
            the first variant.

    Returns:
        JSON values: the circumstances, `nets`, `jobs` by variant, and `two_workers`.
    """
    start_keras(core_count())
    first = _first_variant(run)
    compared = nets(run.config)
    products = {precision: matrix_product(precision) for precision in ("float32", "bfloat16")}
    turns = len(compared) * (ROUNDS + 1) + (len(run.config.variants) + 1) * ROUNDS_OF_JOBS
    with ProgressDisplay("measuring", turns) as display:
        tick = _ticker(display)
        return {
            **_circumstances(run),
            "nets": {
                net.name: compare(net, run.data_set.train, products, ROUNDS, tick)
                for net in compared
            },
            "jobs": _jobs(run, tick),
            "two_workers": _two_workers(run, first, tick),
        }


def measure_race(run: Run) -> dict[str, Any]:
    """Lets the first variant race to a fixed log-loss: an hour or more on two cores.

    Returns:
        JSON values: `race`.
    """
    start_keras(core_count())
    return {"race": run_race(run, _first_variant(run))}


def write_measures(config_name: str, measures: dict[str, Any]) -> Path:
    """Writes what was measured to `output/<config>/bench.json` and returns it."""
    path = paths.bench_json(config_name)
    write_text(path, json.dumps(measures, indent=2) + "\n")
    return path


def _first_variant(run: Run) -> str:
    return next(iter(run.config.variants))


def _circumstances(run: Run) -> dict[str, Any]:
    return {
        "config": run.config.name,
        "data_fingerprint": run.fingerprint,
        "machine": machine_name(),
        "threads": core_count(),
        "versions": library_versions(),
        "code_version": code_version(),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _jobs(run: Run, tick: Tick) -> dict[str, Any]:
    times: dict[str, list[JobTimes]] = {name: [] for name in run.config.variants}
    for _ in range(ROUNDS_OF_JOBS):
        for name, rounds in times.items():
            rounds.append(job_times(run, name))
            tick()
    return {name: _job(run.config.variants[name], rounds) for name, rounds in times.items()}


def _job(variant: Variant, rounds: list[JobTimes]) -> dict[str, Any]:
    shares = tuple(times.share_outside(variant) for times in rounds)
    return {
        "epochs": variant.epochs,
        "share_outside_steps": Spread(shares).to_json(),
        "rounds": [asdict(times) for times in rounds],
    }


def _two_workers(run: Run, name: str, tick: Tick) -> dict[str, Any]:
    speedups = []
    for _ in range(ROUNDS_OF_JOBS):
        speedups.append(two_workers_speedup(run.config, name))
        tick()
    return {"variant": name, "speedup": Spread(tuple(speedups)).to_json()}


def _ticker(display: ProgressDisplay) -> Tick:
    done = itertools.count(1)
    return lambda: display.update(next(done))
