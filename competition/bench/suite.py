"""The whole benchmark in one run: what is measured, in which order, and what is kept of it."""

import itertools
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from competition.bench.comparison import compare
from competition.bench.jobs import JobTimes, job_times, require_steps
from competition.bench.nets import engine, nets
from competition.bench.race import require_labels_alone, run_race
from competition.bench.record import circumstances, kept_race, race_to_run, write_measures
from competition.bench.spread import Spread
from competition.bench.stock import stock_process
from competition.bench.two_workers import two_workers_speedup
from competition.config.schema import Variant
from competition.console import ProgressDisplay
from competition.data.run import Run
from competition.paths import bench_json
from competition.system import MORE_MEMORY, core_count, interruptible, workers_may_end
from competition.training.resources import start_keras
from competition.training.training_data import require_teachers

# Every figure is the median of so many rounds, in which the contenders take turns.
ROUNDS = 5
ROUNDS_OF_JOBS = 3

INTERRUPTED = "interrupted; the parts that were finished are in {}, the next command begins anew"

Tick = Callable[[], None]


def require_measurable(run: Run, long: bool) -> None:
    """Raises UserError, before anything is measured, when something of it cannot be.

    Args:
        run: what is to be measured; a variant's teacher has to be trained.
        long: whether there is to be a race.
    """
    first_jobs = {job.variant: job for job in reversed(run.identities)}
    if long:
        require_labels_alone(run, _first_variant(run))
    require_teachers(run, first_jobs.values())
    for job in first_jobs.values():
        require_steps(run, job)


def measure(run: Run) -> dict[str, Any]:
    """Measures all but the race, with progress, and writes each part at once.

    Args:
        run: the digits to train on, and the variants to compare. Two workers are measured with
            the first variant.

    Returns:
        JSON values: the circumstances, `nets`, `jobs` by variant, `two_workers`, and the `race` of
        an earlier command, if there was one.

    Raises:
        UserError: before anything is measured, when a net cannot be built; later, when the system
            ends a worker.
        KeyboardInterrupt: saying what is kept.
    """
    try:
        return _measured_in_parts(run)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(INTERRUPTED.format(bench_json(run.config.name))) from None


def _measured_in_parts(run: Run) -> dict[str, Any]:
    start_keras(core_count())
    with interruptible():
        for variant in run.config.variants.values():
            engine(variant)
    race = kept_race(run.config.name)
    measures = circumstances(run) | ({"race": race} if race else {})
    with ProgressDisplay("measuring", _turns(run)) as display:
        tick = _ticker(display)
        for name, part in PARTS.items():
            measures |= {name: part(run, tick)}
            write_measures(run.config.name, measures)
    return measures


def finish_race(run: Run, measures: dict[str, Any]) -> dict[str, Any]:
    """Runs the first variant's race, an hour or more on two cores, and writes each finish at once.

    A race that was interrupted under the same circumstances goes on, in place of a new one.

    Args:
        run: what was measured.
        measures: all that is to be kept beside the race.

    Returns:
        The race when it is over.
    """
    measures = measures | {"race": race_to_run(run, _first_variant(run))}
    for race in run_race(run, measures["race"]):
        measures = measures | {"race": race}
        write_measures(run.config.name, measures)
    return measures["race"]


def _first_variant(run: Run) -> str:
    return next(iter(run.config.variants))


def _turns(run: Run) -> int:
    of_jobs = (len(run.config.variants) + 1) * ROUNDS_OF_JOBS
    return len(nets(run.config)) * (ROUNDS + 1) + of_jobs


def _nets(run: Run, tick: Tick) -> dict[str, Any]:
    train, found = run.data_set.train, {}
    with workers_may_end(MORE_MEMORY), stock_process() as stock:
        for net in nets(run.config):
            with interruptible():
                found[net.name] = compare(net, train, stock, ROUNDS, tick)
    return found


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


def _two_workers(run: Run, tick: Tick) -> dict[str, Any]:
    name, speedups = _first_variant(run), []
    for _ in range(ROUNDS_OF_JOBS):
        with workers_may_end(MORE_MEMORY):
            speedups.append(two_workers_speedup(run.config, name))
        tick()
    return {"variant": name, "speedup": Spread(tuple(speedups)).to_json()}


# In this order; each of them by its name in `bench.json`.
PARTS = {"nets": _nets, "jobs": _jobs, "two_workers": _two_workers}


def _ticker(display: ProgressDisplay) -> Tick:
    done = itertools.count(1)
    return lambda: display.update(next(done))
