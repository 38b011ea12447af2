"""A job's training curve as TensorBoard reads it, beside the CSV; nothing else reads it.

TensorFlow's own summary writer needs TensorBoard to be installed; the file itself does not: it is a
sequence of records, protocol buffers of type `Event`.
"""

import errno
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from competition import paths
from competition.results import Job
from competition.storage import atomic_folder

# TensorBoard takes any file whose name holds this.
LOG = "events.out.tfevents.0"
VERSION = "brain.Event:2"


def write_log(job: Job, history: list[dict[str, float | str]]) -> Path:
    """Writes `output/<config>/tensorboard/<variant>-seed<s>-<split>/` anew, and returns its file.

    Args:
        job: whose curve it is.
        history: a row an epoch, with `epoch`; what is an empty text was not measured.

    Raises:
        OSError: when the disk refuses.
    """
    final = paths.OutputPaths(job.config).tensorboard(job.variant, job.seed, job.split)
    with atomic_folder(final) as folder:
        _write_records(folder / LOG, _events(history))
    return final / LOG


def _write_records(path: Path, records: Iterable[bytes]) -> None:
    import tensorflow

    try:
        with tensorflow.io.TFRecordWriter(str(path)) as writer:
            for record in records:
                writer.write(record)
    except tensorflow.errors.ResourceExhaustedError as error:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path) from error


def _events(history: list[dict[str, float | str]]) -> Iterator[bytes]:
    """Yields one event that says what kind of file it is, then one an epoch."""
    from tensorflow.compat.v1 import Event, Summary

    now = time.time()
    yield Event(wall_time=now, file_version=VERSION).SerializeToString()
    for row in history:
        measured = {key: v for key, v in row.items() if key != "epoch" and v != ""}
        values = [Summary.Value(tag=key, simple_value=v) for key, v in measured.items()]
        event = Event(wall_time=now, step=row["epoch"], summary=Summary(value=values))
        yield event.SerializeToString()
