"""`bench.json`: what was measured, on what, and how far a race had come that was interrupted."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from competition import paths
from competition.bench.race import new_race, turns_left
from competition.data.run import Run
from competition.storage import write_text
from competition.system import code_version, core_count, library_versions, machine_name

NOTHING: dict[str, Any] = {}


def write_measures(config_name: str, measures: dict[str, Any]) -> Path:
    """Writes what was measured until now to `output/<config>/bench.json` and returns it."""
    path = paths.bench_json(config_name)
    finished = datetime.now(UTC).isoformat(timespec="seconds")
    write_text(path, json.dumps(measures | {"finished": finished}, indent=2) + "\n")
    return path


def circumstances(run: Run) -> dict[str, Any]:
    """Returns what figures must share to be compared, as JSON values."""
    return {
        "config": run.config.name,
        "data_fingerprint": run.fingerprint,
        "machine": machine_name(),
        "threads": core_count(),
        "versions": library_versions(),
        "code_version": code_version(),
    }


def race_to_run(run: Run, name: str) -> dict[str, Any]:
    """Returns a race that was interrupted under the same circumstances, or else a new one."""
    new, kept = circumstances(run) | new_race(run, name), kept_race(run.config.name)
    differing = [key for key in new if key != "runners" and new[key] != kept.get(key)]
    if kept and differing:
        print(f"a new race begins: the earlier one was of other {', '.join(differing)}")
    return kept if not differing and turns_left(kept) else new


def kept_race(config_name: str) -> dict[str, Any]:
    """Returns the race of an earlier command, as far as it came; nothing where there is none."""
    try:
        found = json.loads(paths.bench_json(config_name).read_text(encoding="utf-8"))
        return dict(found.get("race", NOTHING))
    except (OSError, ValueError, AttributeError, TypeError):  # gone, or not what we write
        return NOTHING
