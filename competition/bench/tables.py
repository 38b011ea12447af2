"""What the benchmark found, as text; computes nothing."""

from typing import Any

from competition.bench.nets import AS_PUBLISHED, ENGINE, STOCK_BFLOAT16
from competition.bench.work import MATRIX_SIDE
from competition.tables import table

DIFFERENCES = (
    f"`{AS_PUBLISHED}` is not the same net on both sides: stock Keras drops single values, its "
    "convolutions have biases, and batches are normalised after ReLU, as in the kernel, with Adam; "
    "the engine drops whole feature maps, has no biases there, and normalises before ReLU. In all "
    "other rows both train the same net with the same dropout, weight decay and label smoothing, "
    "with AdamW. Stock Keras is as it comes: without oneDNN on processors without AVX-512 for "
    "neural nets, where the engine has it."
)


SHARES = ("share_outside_steps", "share_after_steps")


def tables(measures: dict[str, Any]) -> str:
    """Returns the tables and sentences for what was measured, but for the race."""
    parts = [
        _headline(measures),
        _nets(measures["nets"]),
        DIFFERENCES,
        _jobs(measures["jobs"]),
        _workers(measures),
    ]
    return "\n\n".join(parts)


def _headline(measures: dict[str, Any]) -> str:
    is_left_out = not any(STOCK_BFLOAT16 in net["contenders"] for net in measures["nets"].values())
    left_out = " Without bfloat16, which nothing here multiplies in hardware."
    return (
        f"{measures['machine']}, {measures['threads']} threads. Medians, lowest and highest in "
        f"brackets; the peak is that of a product of {MATRIX_SIDE} x {MATRIX_SIDE} matrices in the "
        f"same precision.{left_out if is_left_out else ''}"
    )


def _nets(nets: dict[str, Any]) -> str:
    header = ["net", "trained by", "precision", "images/s", "x stock float32"]
    header += ["GFLOP/s", "of the peak", "s waited when `fit` ends"]
    rows = [
        [net, name, *_contender_cells(contender)]
        for net, of_net in nets.items()
        for name, contender in of_net["contenders"].items()
    ]
    return table(header, rows)


def _contender_cells(contender: dict[str, Any]) -> list[str]:
    speed = contender["images_a_second"]
    return [
        contender["precision"],
        _range(speed, ".0f"),
        _range(contender["over_stock_float32"], ".2f"),
        f"{speed['median'] * contender['training_flop_an_image'] / 1e9:.0f}",
        _range(contender["share_of_matrix_peak"], ".1%"),
        _range(contender["pause_seconds"], ".1f"),
    ]


def _jobs(jobs: dict[str, Any]) -> str:
    header = ["a whole job of", "epochs", "of its time is not training steps"]
    header += ["of its time comes after the last step: predictions"]
    rows = [
        [name, f"{job['epochs']}", *(_range(job[share], ".1%") for share in SHARES)]
        for name, job in jobs.items()
    ]
    return table(header, rows)


def _workers(measures: dict[str, Any]) -> str:
    two = measures["two_workers"]
    return (
        f"Two workers train `{two['variant']}` {_range(two['speedup'], '.2f')} times as fast as "
        "one with all the threads."
    )


def race_table(race: dict[str, Any]) -> str:
    """Returns the table of a race, with the runs that it has until now."""
    goal = f"to a log-loss of {race['target_log_loss']} on {race['split']}"
    header = [goal, "median minutes"]
    header += ["minutes of each seed", "epochs", "lowest log-loss"]
    rows = [
        [
            f"{name} (`{race['variant']}`)" if name == ENGINE else name,
            _minutes(runner["median_minutes"]),
            ", ".join(_minutes(run["minutes"]) for run in runner["runs"]),
            ", ".join(f"{run['epochs']}" for run in runner["runs"]),
            ", ".join(f"{run['best']:.4f}" for run in runner["runs"]),
        ]
        for name, runner in race["runners"].items()
    ]
    return table(header, rows)


def _minutes(minutes: float | None) -> str:
    return "never" if minutes is None else f"{minutes:.1f}"


def _range(spread: dict[str, Any], form: str) -> str:
    """Returns for example `"3.1 (2.9 – 3.4)"`."""
    middle, low, high = (format(spread[name], form) for name in ("median", "lowest", "highest"))
    return f"{middle} ({low} – {high})"
