"""What is said of a disk or a memory that refuses, and what is never printed."""

import errno
import os
import resource

import numpy as np
import pytest
from conftest import run_main

from competition import commands
from competition.errors import UserError, disk_trouble, is_out_of_memory, naming, printable, trouble
from competition.storage import atomic_file, atomic_folder
from competition.tables import Table

SPACE, LOOK = "free space or allow it", "look whether its disk is there and in order"


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, SPACE),
        (errno.EDQUOT, SPACE),
        (errno.EROFS, SPACE),
        (errno.EFBIG, "raise the limit of a file's size, `ulimit -f`"),
        (errno.EMFILE, "raise the limit of open files, `ulimit -n`"),
        (errno.EIO, LOOK),
        (errno.ESTALE, LOOK),
        (errno.ENOTCONN, LOOK),
    ],
)
def test_what_a_disk_refuses_is_said_with_a_way_on(number, advice, tmp_path, monkeypatch):
    def fail() -> None:
        with atomic_file(tmp_path / "some.csv"):
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(commands, "scores", fail)
    done = run_main("scores", folder=tmp_path)
    place = tmp_path / "some.csv"
    assert done.returncode == 1
    assert done.stderr == f"error: the disk refused at {place}: {os.strerror(number)}; {advice}\n"


def test_numpys_error_for_a_full_disk_has_no_number(tmp_path):
    with pytest.raises(OSError) as caught, atomic_folder(tmp_path / "job"):  # noqa: PT011
        np.zeros(100_000).tofile("/dev/full")
    assert caught.value.errno is None
    place = tmp_path / "job"
    assert str(disk_trouble(caught.value)) == (
        f"the disk refused at {place}: No space left on device; {SPACE}"
    )


@pytest.mark.parametrize(
    "error", [OSError("no number, nothing about a disk"), OSError(errno.ECONNRESET, "reset")]
)
def test_other_errors_of_the_system_stay_what_they_are(error, tmp_path):
    with pytest.raises(OSError) as caught, naming(tmp_path):  # noqa: PT011
        raise error
    assert disk_trouble(caught.value) is None
    assert caught.value.filename is None


def test_a_name_that_an_error_has_is_kept(tmp_path):
    with pytest.raises(OSError) as caught, naming(tmp_path):  # noqa: PT011
        raise OSError(errno.EACCES, "Permission denied", "the-real-one")
    assert caught.value.filename == "the-real-one"


def test_a_limit_of_the_size_of_files_is_named(tmp_path):
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/default.yaml").write_text("data: embedded\nvariants: {plain: }\n")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        done = run_main("download", folder=tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert done.returncode == 1
    assert done.stderr == (
        "error: the disk refused at input/embedded: File too large; raise the limit of a file's "
        "size, `ulimit -f`\n"
    )
    assert not list((tmp_path / "input").iterdir())


class ResourceExhaustedError(Exception):
    """Has the name of TensorFlow's."""


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        np._core._exceptions._ArrayMemoryError((10**6, 10**6), np.dtype(float)),
        ResourceExhaustedError("OOM"),
        ImportError("libtensorflow_cc.so.2: failed to map segment from shared object"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        RuntimeError("can't start new thread"),
        RuntimeError("Arena alloc failed"),
    ],
)
def test_too_little_memory_is_known_by_all_its_names(error, tmp_path, monkeypatch):
    def fail() -> None:
        raise error

    assert is_out_of_memory(error)
    monkeypatch.setattr(commands, "scores", fail)
    done = run_main("scores", folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: there was too little memory ({type(error).__name__}")
    assert done.stderr.endswith("`ulimit -u`)\n")


@pytest.mark.parametrize(
    "error",
    [
        ImportError("No module named 'x'"),
        RuntimeError("a bug"),
        ValueError("can't start new thread"),
        KeyError("x"),
    ],
)
def test_a_bug_is_no_trouble_of_the_machine(error):
    assert trouble(error) is None


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, ünïcode – 数字\nand\ttabs", None),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("over\rwritten\b", "over\\rwritten\\x08"),
        ("\x9b2J", "\\x9b2J"),  # one byte that begins a sequence, too
        ("abc\u202egnp.exe", "abc\\u202egnp.exe"),  # turns the direction of text
        ("name\udcff", "name\\udcff"),  # a file name that is no UTF-8
    ],
)
def test_nothing_that_is_quoted_controls_the_terminal(text, shown):
    expected = text if shown is None else shown
    assert printable(text) == expected
    assert str(UserError(f"the name {text}")) == f"the name {expected}"
    import pandas as pd

    if "\udcff" in text:
        return  # pandas's texts are UTF-8
    table = Table("key", "title", pd.DataFrame({"name": [text]}))
    assert table.markdown().splitlines()[2] == f"| {expected.replace(chr(10), ' ')} |"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://user:secret@host/name", "postgresql://…@host/name"),
        ("no mysql+x://u:p@ss:w/ord@host:5432/n, sorry", "no mysql+x://…@host:5432/n, sorry"),
        ("'https://token@example.org' and more", "'https://…@example.org' and more"),
        ("see https://www.kaggle.com/settings", "see https://www.kaggle.com/settings"),
        ("such as postgresql://host/name", "such as postgresql://host/name"),
    ],
)  # fmt: skip
def test_no_password_of_a_url_is_told(text, shown):
    assert str(UserError(text)) == shown
