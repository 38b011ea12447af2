"""A job's training curve for TensorBoard, a copy of the CSV.

TensorFlow's summary writer needs TensorBoard to be installed. The file is simple enough to write
without it: a sequence of records, protocol buffers of type `Event`.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

# TensorBoard reads any file with this in its name.
LOG = "events.out.tfevents.0"
VERSION = "brain.Event:2"


def log_of(history: list[dict[str, float | str]]) -> bytes:
    """Returns the content of a job's log.

    Args:
        history: one row per epoch, with `epoch`; an empty text was not measured.
    """
    import tensorflow

    with TemporaryDirectory(prefix="log-") as folder:
        path = Path(folder, LOG)
        with tensorflow.io.TFRecordWriter(str(path)) as writer:
            for event in _events(history):
                writer.write(event)
        return path.read_bytes()


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
