"""A job's result on disk: complete or absent, and known by a hash of what made it."""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from competition import paths
from competition.config.loading import RECIPE_VERSION
from competition.config.schema import Variant
from competition.errors import UserError
from competition.probabilities import Probabilities, read_probabilities, write_probabilities
from competition.storage import atomic_folder, file_hash, parse_json
from competition.tables import write_csv

if TYPE_CHECKING:  # pandas takes a second to import, which `--help` should not
    import pandas as pd

Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Manifest(BaseModel):
    """What is read of a job's manifest, which has more.

    Attributes:
        files: the SHA-256 of its files by name; older results have none.
    """

    model_config = ConfigDict(extra="allow", strict=True)

    identity: dict[str, Any]
    identity_hash: str
    minutes: Amount
    cpu_minutes: Amount
    parameters: Annotated[int, Field(ge=0)]
    workers: Annotated[int, Field(ge=1)]
    machine: str
    code_version: str
    code: str = ""
    class_counts: dict[str, Any] = {}
    files: dict[str, str] = {}


# Keys of some manifests: the rows per class `before` and `after` resampling; and the hash of the
# code of net and augmentation, which is not part of the identity.
CLASS_COUNTS = "class_counts"
CODE = "code"

# One row per epoch; the last two are empty where nothing was held out or measured.
HISTORY_COLUMNS = (
    "epoch", "loss", "accuracy", "learning_rate", "validation_loss", "validation_accuracy"
)  # fmt: skip

# The split without held-out rows: its net predicts the test rows only.
ALL_ROWS = "all"

# Shown for a setting left at its default.
UNSET = "not set"


@dataclass(frozen=True)
class Job:
    """One training: a variant, a seed and a split; `fold<k>` holds out the rows of that fold."""

    config: str
    variant: str
    seed: int
    split: str

    # The command that makes the result, and what more it can be told with FORCE=1.
    made_by: ClassVar[str] = "make train-folds"
    forced: ClassVar[str] = "every variant again, with VARIANT=name only that one"

    def folder(self) -> Path:
        """Returns the folder of the job's result, which may not be there yet."""
        return paths.OutputPaths(self.config).job(self.variant, self.seed, self.split)

    def __str__(self) -> str:
        return f"{self.variant} seed{self.seed} {self.split}"


@dataclass(frozen=True)
class JobStatus:
    """Which jobs are done, missing or stale.

    Attributes:
        stale: jobs with a result of other settings or data, each with what differs.
        other_code: those done jobs that were trained by other code.
    """

    done: list[Job] = field(default_factory=list)
    missing: list[Job] = field(default_factory=list)
    stale: dict[Job, str] = field(default_factory=dict)
    other_code: list[Job] = field(default_factory=list)

    def other_code_in_words(self) -> str:
        """Returns a line naming the variants trained by other code, and how to train them again."""
        first, *_ = self.other_code
        are_several = len({job.config for job in self.other_code}) > 1
        variants = {
            f"{job.config}/{job.variant}" if are_several else job.variant: None
            for job in self.other_code
        }
        return (
            f"trained by code that has changed since: {', '.join(variants)}; `{first.made_by} "
            f"FORCE=1` trains {first.forced}"
        )


def job_identity(variant: Variant, job: Job, data: str, folds: str) -> dict[str, Any]:
    """Returns the JSON values that identify a job's result; `data` and `folds` are fingerprints."""
    identity = {
        "recipe_version": RECIPE_VERSION,
        "variant": variant.identity(),
        "seed": job.seed,
        "split": job.split,
        "data": data,
    }
    return identity if job.split == ALL_ROWS else {**identity, "folds": folds}


def identity_hash(identity: Any) -> str:
    """Returns a SHA-256 of JSON values, 64 hexadecimal digits; the order of keys is ignored."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


def job_status(
    identities: dict[Job, dict[str, Any]], codes: Mapping[Job, str] | None = None
) -> JobStatus:
    """Compares each job's identity with the manifest of its result, if there is one.

    `codes` has the hash of each job's current code; without it, or without a hash in the manifest,
    the code is not compared.
    """
    found = JobStatus()
    for job, identity in identities.items():
        if not (job.folder() / paths.MANIFEST).exists():
            found.missing.append(job)
            continue
        manifest = read_manifest(job)
        if manifest["identity_hash"] != identity_hash(identity):
            found.stale[job] = "; ".join(differences(manifest["identity"], identity))
            continue
        found.done.append(job)
        if codes is not None and manifest.get(CODE, codes[job]) != codes[job]:
            found.other_code.append(job)
    return found


def require_complete(
    identities: dict[Job, dict[str, Any]], codes: Mapping[Job, str] | None = None
) -> JobStatus:
    """Returns the jobs' status; refuses missing and stale results, naming every such job."""
    found = job_status(identities, codes)
    problems = dict.fromkeys(found.missing, "not trained yet")
    problems |= {job: f"trained differently ({change})" for job, change in found.stale.items()}
    if problems:
        configs = list(dict.fromkeys(job.config for job in identities))
        raise UserError(
            f"{', '.join(configs)}: {len(problems)} of {len(identities)} jobs have no result that "
            "fits; `make train-folds` trains them, or give the SET= that they were trained with:\n"
            + "\n".join(by_variant(problems, with_config=len(configs) > 1))
        )
    return found


def by_variant(remarks: dict[Job, str], with_config: bool = False) -> list[str]:
    """Returns one line per variant and remark, which names all jobs that share it."""
    groups: dict[tuple[str, str], dict[int, list[str]]] = {}
    for job, remark in remarks.items():
        variant = f"{job.config}/{job.variant}" if with_config else job.variant
        groups.setdefault((variant, remark), {}).setdefault(job.seed, []).append(job.split)
    lines = []
    for (variant, remark), splits in groups.items():
        jobs = ", ".join(f"seed{seed} {' '.join(names)}" for seed, names in splits.items())
        lines.append(f"  {variant} {jobs}: {remark}")
    return lines


def write_result(
    job: Job,
    manifest: dict[str, Any],
    history: list[dict[str, float]],
    predictions: dict[str, Probabilities],
    save_model: Callable[[Path], object],
    model_file: str = paths.MODEL,
) -> None:
    """Writes a job's folder; a kill at any moment leaves no folder or a complete one.

    Args:
        manifest: JSON values, those of `Manifest`; the hashes of identity and files are added.
        history: one row per epoch, all with the same keys.
        predictions: `test` and, if rows were held out, `out_of_fold`.
        save_model: writes the model to the path of `model_file` in the folder.
    """
    import pandas as pd

    full = {"identity_hash": identity_hash(manifest["identity"]), **manifest}
    with atomic_folder(job.folder()) as folder:
        write_csv(folder / paths.HISTORY, pd.DataFrame(history))
        write_probabilities(folder / paths.PROBABILITIES, **predictions)
        save_model(folder / model_file)
        full["files"] = {file.name: file_hash(file) for file in sorted(folder.iterdir())}
        (folder / paths.MANIFEST).write_text(json.dumps(full, indent=2) + "\n")


def read_manifest(job: Job) -> dict[str, Any]:
    """Reads a finished job's manifest; refuses a damaged one."""
    path = job.folder() / paths.MANIFEST
    try:
        return parse_json(path.read_bytes(), Manifest)
    except (OSError, ValueError) as error:
        raise _damaged(job, path, error) from None


def checked_file(job: Job, name: str) -> Path:
    """Returns a file of a finished job; refuses another than the job wrote, such as another's."""
    path = job.folder() / name
    expected = read_manifest(job).get("files", {}).get(name)
    if expected and path.exists() and file_hash(path) != expected:
        raise _damaged(job, path, "it is not the file that this job wrote")
    return path


def _damaged(job: Job, path: Path, why: object) -> UserError:
    return UserError(
        f"{path} is damaged ({why}); remove its folder, and `{job.made_by}` makes it again"
    )


def read_history(job: Job) -> "pd.DataFrame":
    """Reads a finished job's training curve, a row per epoch; NaN where nothing was measured."""
    import pandas as pd

    path = checked_file(job, paths.HISTORY)
    try:
        history = pd.read_csv(path, dtype=float)
        if history.empty:
            raise ValueError("it has no epochs")
        if np.isinf(history.to_numpy()).any():
            raise ValueError("it has infinite values")
        return history[list(HISTORY_COLUMNS)]
    except (OSError, ValueError, KeyError) as error:  # pandas's own errors are ValueErrors
        raise _damaged(job, path, repr(error)) from None


def minutes_of(manifests: Iterable[dict[str, Any]]) -> float:
    """Returns the total minutes of jobs, each divided by the number of parallel workers."""
    return sum(manifest["minutes"] / manifest["workers"] for manifest in manifests)


def read_predictions(job: Job, name: str) -> Probabilities:
    """Reads `out_of_fold` or `test` probabilities of a finished job."""
    return read_probabilities(checked_file(job, paths.PROBABILITIES), name)


def differences(old: dict, new: dict, prefix: str = "") -> list[str]:
    """Returns one line per differing value; a key that is missing has its default."""
    lines = []
    for key in sorted(old.keys() | new.keys()):
        before, after = old.get(key, UNSET), new.get(key, UNSET)
        if isinstance(before, dict) and isinstance(after, dict):
            lines += differences(before, after, f"{prefix}{key}.")
        elif before != after:
            # The first digits of fingerprints are enough to tell them apart.
            short = [
                re.sub(r"\b([0-9a-f]{8})[0-9a-f]{56}\b", r"\1", str(v)) for v in (before, after)
            ]
            lines.append(f"{prefix}{key}: {' → '.join(short)}")
    return lines
