"""The whole benchmark in one run: what is measured, in which order, and what is kept of it."""

import itertools
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from competition.bench.comparison import compare
from competition.bench.jobs import JobTimes, job_times
from competition.bench.nets import Net, engine, nets
from competition.bench.race import require_labels_alone, run_race
from competition.bench.record import circumstances, race_to_run, write_measures
from competition.bench.spread import Spread
from competition.bench.stock import stock_process
from competition.bench.two_workers import two_workers_speedup
from competition.data.run import Run
from competition.machine import core_count
from competition.processes import MORE_MEMORY, workers_may_end
from competition.progress import ProgressDisplay
from competition.settings.variant import Variant
from competition.training.runtime import start_keras
from competition.training.teaching import require_teachers

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

    Raises:
        UserError: before anything is measured, when a net cannot be built; later, when the system
            ends a worker.
    """
    start_keras(core_count())
    for variant in run.config.variants.values():
        engine(variant)
    first = _first_variant(run)
    compared = nets(run.config)
    turns = len(compared) * (ROUNDS + 1) + (len(run.config.variants) + 1) * ROUNDS_OF_JOBS
    with ProgressDisplay("measuring", turns) as display:
        tick = _ticker(display)
        return {
            **circumstances(run),
            "nets": _nets(run, compared, tick),
            "jobs": _jobs(run, tick),
            "two_workers": _two_workers(run, first, tick),
        }


def race_so_far(run: Run) -> dict[str, Any]:
    """Returns the first variant's race, as far as it came if it was interrupted; runs nothing."""
    return race_to_run(run, _first_variant(run))


def finish_race(run: Run, measures: dict[str, Any]) -> dict[str, Any]:
    """Runs what is left of a race, an hour or more on two cores, and writes each finish at once.

    Args:
        run: what was measured.
        measures: all that is to be kept beside the race; among them, `race`.

    Returns:
        The race when it is over.
    """
    for race in run_race(run, measures["race"]):
        measures = measures | {"race": race}
        write_measures(run.config.name, measures)
    return measures["race"]


def _first_variant(run: Run) -> str:
    return next(iter(run.config.variants))


def _nets(run: Run, compared: list[Net], tick: Tick) -> dict[str, Any]:
    with workers_may_end(MORE_MEMORY), stock_process() as stock:
        return {net.name: compare(net, run.data_set.train, stock, ROUNDS, tick) for net in compared}


def _jobs(run: Run, tick: Tick) -> dict[str, Any]:
    times: dict[str, list[JobTimes]] = {name: [] for name in run.config.variants}
    for _ in range(ROUNDS_OF_JOBS):
        for name, rounds in times.items():
            rounds.append(job_times(run, name))
            tick()
    return {name: _job(run.config.variants[name], rounds) for name, rounds in times.items()}


def _job(variant: Variant, rounds: list[JobTimes]) -> dict[str, Any]:
    outside = tuple(times.share_outside(variant) for times in rounds)
    after = tuple(times.share_after(variant) for times in rounds)
    return {
        "epochs": variant.epochs,
        "share_outside_steps": Spread(outside).to_json(),
        "share_after_steps": Spread(after).to_json(),
        "rounds": [asdict(times) for times in rounds],
    }


def _two_workers(run: Run, name: str, tick: Tick) -> dict[str, Any]:
    speedups = []
    for _ in range(ROUNDS_OF_JOBS):
        with workers_may_end(MORE_MEMORY):
            speedups.append(two_workers_speedup(run.config, name))
        tick()
    return {"variant": name, "speedup": Spread(tuple(speedups)).to_json()}


def _ticker(display: ProgressDisplay) -> Tick:
    done = itertools.count(1)
    return lambda: display.update(next(done))
