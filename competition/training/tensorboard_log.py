"""A job's training curve as TensorBoard reads it, beside the CSV; nothing else reads it.

TensorFlow's own summary writer needs TensorBoard to be installed; the file itself does not. It is a
sequence of records: a length, protocol buffers of type `Event`, and a checksum of either
(TensorFlow, `tensorflow/core/lib/io/record_writer.h`).
"""

import struct
import time
from collections.abc import Iterator
from pathlib import Path

from competition import paths
from competition.atomic import atomic_folder
from competition.results import Job

# TensorBoard takes any file whose name holds this.
LOG = "events.out.tfevents.0"
VERSION = "brain.Event:2"
CASTAGNOLI = 0x82F63B78  # the polynomial of CRC-32C, its bits reversed
MASK = 0xA282EAD8


def write_log(job: Job, history: list[dict[str, float | str]]) -> Path:
    """Writes `output/<config>/tensorboard/<variant>-seed<s>-<split>/` anew, and returns its file.

    Args:
        job: whose curve it is.
        history: a row an epoch, with `epoch`; what is an empty text was not measured.

    Raises:
        OSError: when the disk refuses.
    """
    final = paths.tensorboard_folder(job.config, job.variant, job.seed, job.split)
    with atomic_folder(final) as folder:
        (folder / LOG).write_bytes(b"".join(map(_record, _events(history))))
    return final / LOG


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


def _record(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    return length + _checksum(length) + data + _checksum(data)


def _checksum(data: bytes) -> bytes:
    """Returns the CRC-32C, rotated and shifted as the format wants it."""
    crc = _crc32c(data)
    rotated = (crc >> 15 | crc << 17) & 0xFFFFFFFF
    return struct.pack("<I", (rotated + MASK) & 0xFFFFFFFF)


def _crc32c(data: bytes) -> int:
    """Returns the checksum, bit by bit: a log has a few thousand bytes."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (CASTAGNOLI if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF
