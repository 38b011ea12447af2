"""A job's training curve for TensorBoard, a copy of the CSV.

TensorFlow's summary writer needs TensorBoard to be installed. The file is simple enough to write
without it: a sequence of records, protocol buffers of type `Event`.
"""

import errno
import os
import time
from collections.abc import Iterator
from pathlib import Path

from competition import paths
from competition.results import Job
from competition.storage import atomic_folder

# TensorBoard reads any file with this in its name.
LOG = "events.out.tfevents.0"
VERSION = "brain.Event:2"


def write_log(job: Job, history: list[dict[str, float | str]]) -> Path:
    """Writes `output/<config>/tensorboard/<variant>-seed<s>-<split>/` anew, and returns its file.

    Args:
        history: one row per epoch, with `epoch`; an empty text was not measured.

    Raises:
        OSError: when the disk refuses.
    """
    import tensorflow

    final = paths.OutputPaths(job.config).tensorboard(job.variant, job.seed, job.split)
    with atomic_folder(final) as folder:
        path = folder / LOG
        try:
            with tensorflow.io.TFRecordWriter(str(path)) as writer:
                for event in _events(history):
                    writer.write(event)
        except tensorflow.errors.ResourceExhaustedError as error:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path) from error
    return final / LOG


def _events(history: list[dict[str, float | str]]) -> Iterator[bytes]:
    """Yields the event that names the file's format, then one event per epoch."""
    from tensorflow.compat.v1 import Event, Summary

    now = time.time()
    yield Event(wall_time=now, file_version=VERSION).SerializeToString()
    for row in history:
        measured = {name: value for name, value in row.items() if name != "epoch" and value != ""}
        values = [Summary.Value(tag=name, simple_value=value) for name, value in measured.items()]
        event = Event(wall_time=now, step=row["epoch"], summary=Summary(value=values))
        yield event.SerializeToString()
