"""The whole benchmark in one run: what is measured, in which order, and what is kept of it."""

import itertools
import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from competition import paths
from competition.atomic import atomic_file
from competition.bench.jobs import job_times, two_workers_speedup
from competition.bench.nets import STOCK_FLOAT32, Contender, Net, nets
from competition.bench.pace import Pace, paced_fit
from competition.bench.race import run_race
from competition.bench.spread import Spread
from competition.bench.work import matrix_peak, training_flop
from competition.data.run import Run
from competition.digits import Digits
from competition.machine import core_count, machine_name
from competition.progress import ProgressDisplay
from competition.training.one_fold import one_hot
from competition.training.runtime import best_precision, start_keras
from competition.version import code_version, library_versions

# Every figure is the median of so many rounds, in which the contenders take turns.
ROUNDS = 5
ROUNDS_OF_JOBS = 3
STEPS = 40

Tick = Callable[[], None]


def measure(run: Run, with_race: bool) -> dict[str, Any]:
    """Measures everything, with progress.

    Args:
        run: the digits to train on, and the variants to compare. Jobs are measured with the
            first variant.
        with_race: whether to run the race as well, which takes an hour or more on two cores.

    Returns:
        JSON values: the circumstances, `matrix_peak` in FLOP/s, `nets`, `job`, `two_workers` and
        `race`, which is None unless it was run.
    """
    start_keras(core_count())
    first = next(iter(run.config.variants))
    compared = nets(run.config)
    measures = 1 + len(compared) * (ROUNDS + 1) + 2 * ROUNDS_OF_JOBS
    with ProgressDisplay("measuring", measures) as display:
        tick = _ticker(display)
        peaks = {kind: matrix_peak(kind, ROUNDS) for kind in ("float32", best_precision())}
        tick()
        found = {
            **_circumstances(run),
            "matrix_peak": {precision: peak.to_json() for precision, peak in peaks.items()},
            "nets": {net.name: _net(net, run.data_set.train, peaks, tick) for net in compared},
            "job": _job(run, first, tick),
            "two_workers": _two_workers(run, first, tick),
        }
    return {**found, "race": run_race(run, first) if with_race else None}


def write_measures(config_name: str, found: dict[str, Any]) -> Path:
    """Writes what was measured to `output/<config>/bench.json` and returns it."""
    path = paths.bench_json(config_name)
    with atomic_file(path) as partial:
        partial.write_text(json.dumps(found, indent=2) + "\n")
    return path


def _circumstances(run: Run) -> dict[str, Any]:
    return {
        "config": run.config.name,
        "data_fingerprint": run.fingerprint,
        "machine": machine_name(),
        "threads": core_count(),
        "versions": library_versions("tensorflow", "keras", "numpy", "albumentations"),
        "code_version": code_version(),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _net(net: Net, digits: Digits, peaks: dict[str, Spread], tick: Tick) -> dict[str, Any]:
    contenders = net.contenders()
    paces = _in_turns(contenders, net.variant.batch_size, digits, tick)
    speeds = {
        name: Spread(tuple(net.variant.batch_size / pace.seconds_a_step() for pace in of_contender))
        for name, of_contender in paces.items()
    }
    return {
        "batch_size": net.variant.batch_size,
        "contenders": {
            name: {
                "precision": contender.precision,
                "parameters": contender.model.count_params(),
                "training_flop_an_image": training_flop(contender.model),
                "images_a_second": speeds[name].to_json(),
                "over_stock_float32": speeds[name].over(speeds[STOCK_FLOAT32]).to_json(),
                "share_of_matrix_peak": speeds[name].median
                * training_flop(contender.model)
                / peaks[contender.precision].median,
                "pause_seconds": Spread(tuple(pace.pause for pace in paces[name])).to_json(),
            }
            for name, contender in contenders.items()
        },
    }


def _in_turns(
    contenders: dict[str, Contender], batch_size: int, digits: Digits, tick: Tick
) -> dict[str, list[Pace]]:
    """Trains the contenders by turns; the first round traces and tunes, and is not counted."""
    rows = np.resize(np.arange(len(digits)), STEPS * batch_size)
    images, labels = digits.images[rows], one_hot(digits.labels[rows])
    paces: dict[str, list[Pace]] = {name: [] for name in contenders}
    for _ in range(1 + ROUNDS):
        for name, contender in contenders.items():
            paces[name].append(paced_fit(contender.model, contender.feed(images, labels)))
        tick()
    return {name: of_contender[1:] for name, of_contender in paces.items()}


def _job(run: Run, name: str, tick: Tick) -> dict[str, Any]:
    rounds = []
    for _ in range(ROUNDS_OF_JOBS):
        rounds.append(job_times(run, name))
        tick()
    epochs = run.config.variants[name].epochs
    return {
        "variant": name,
        "epochs": epochs,
        "share_outside_steps": Spread(tuple(r.share_outside(epochs) for r in rounds)).to_json(),
        "share_outside_steps_of_two_epochs": Spread(
            tuple(r.share_outside(2) for r in rounds)
        ).to_json(),
        "rounds": [asdict(one) for one in rounds],
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
