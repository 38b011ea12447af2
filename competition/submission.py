"""The competition's CSV: written, then read back and checked before anything else uses it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from competition import paths
from competition.digits import CLASSES, require_unique
from competition.errors import UserError
from competition.storage import atomic_file, file_hash, parse_json, write_text
from competition.tables import read_csv, write_csv

HEADER = ["ImageId", "Label"]

# The provenance's key for the hash of its CSV.
SHA256 = "sha256"


class Provenance(BaseModel):
    """What is read of a submission's provenance, which has more."""

    model_config = ConfigDict(extra="allow", strict=True)

    message: str = ""
    data_set: str = ""
    config: dict[str, Any] = {}
    out_of_fold: dict[str, Any] = {}
    sha256: str | None = None


def write_rows(path: Path, ids: np.ndarray, labels: np.ndarray) -> None:
    """Writes `ImageId,Label` lines in the competition's format."""
    import pandas as pd

    write_csv(path, pd.DataFrame({"ImageId": ids, "Label": labels}))


def write_submission(
    path: Path, ids: np.ndarray, labels: np.ndarray, provenance: dict, sample: Path | None
) -> None:
    """Writes a submission, checks it as Kaggle does, and writes its provenance beside it.

    A file that fails the check is not kept.

    Args:
        ids: int `[n]`, the test rows.
        labels: uint8 `[n]`, the predicted classes.
        provenance: where the predictions come from, as JSON values.
        sample: the data set's `sample_submission.csv`; without one, `ids` are expected.
    """
    with atomic_file(path) as partial:
        write_rows(partial, ids, labels)
        try:
            if sample is None:
                check_rows(partial, ids, "the data set")
            else:
                check_submission(partial, sample)
        except UserError as error:
            raise UserError(str(error).replace(str(partial), str(path))) from None
        content = json.dumps({**provenance, SHA256: file_hash(partial)}, indent=2)
        write_text(paths.provenance_json(path), f"{content}\n")


def read_message(path: Path) -> str:
    """Returns the description in a submission's provenance; without one, the file's name."""
    return str(read_provenance(path).get("message", path.stem))


def read_provenance(path: Path) -> dict:
    """Returns a submission's provenance.

    Empty if there is none, or if it belongs to other content, as after an interruption.
    """
    try:
        provenance = parse_json(paths.provenance_json(path).read_bytes(), Provenance)
        is_current = provenance.get(SHA256) in (None, file_hash(path))
    except (OSError, ValueError):
        return {}
    return provenance if is_current else {}


def check_submission(path: Path, sample: Path) -> None:
    """Checks header, row count, ids and labels against the data set's sample, as Kaggle does."""
    expected, _ = _read_rows(sample)
    check_rows(path, expected, str(sample))


def check_rows(path: Path, expected: np.ndarray, source: str) -> None:
    """Checks a submission as `check_submission` does, against the `expected` ids of `source`."""
    ids, labels = _read_rows(path)
    if len(ids) != len(expected):
        raise UserError(
            f"{path} has {len(ids):,} rows, but {source} asks for {len(expected):,}: "
            "was it made from another data set?"
        )
    require_unique(ids, str(path))
    unknown = np.setdiff1d(ids, expected)
    if len(unknown):
        raise UserError(f"{path} has an ImageId {unknown[0]} that {source} does not have")
    bad = np.flatnonzero((labels < 0) | (labels >= CLASSES))
    if len(bad):
        raise UserError(
            f"{path}: ImageId {ids[bad[0]]} has the label {labels[bad[0]]}, expected 0 to 9"
        )


def _read_rows(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Returns ids and labels, int64 `[n]` each."""
    rows = read_csv(path, HEADER, "`make ensemble` writes submissions")
    are_numbers = rows.apply(lambda cells: cells.str.fullmatch("-?[0-9]{1,9}")).all(axis=1)
    for number, cells in rows[~are_numbers].iterrows():
        raise UserError(f"{path}, line {number}: two whole numbers are expected, not {[*cells]}")
    ids, labels = rows.to_numpy(np.int64).T
    return ids, labels
