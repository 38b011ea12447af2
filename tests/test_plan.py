"""Splitting machines among jobs, on machines that are made up."""

import os
import time
from operator import itemgetter

import pytest
from joblib import delayed

from competition import system
from competition.errors import UserError
from competition.results import Job
from competition.system import Machine, available_memory, memory
from competition.training import resources as plans
from competition.training.jobs import require_trainable
from competition.training.resources import Plan, automatic_plan, chosen_plan, given_plan
from competition.training.worker import Failure, JobTask, explain, is_transient, less_memory

GIB = 2**30


def computer(cores: int, gib: int = 64, free_gib: int | None = None, gpus: int = 0) -> Machine:
    return Machine(cores, gib * GIB, (gib if free_gib is None else free_gib) * GIB, gpus)


@pytest.mark.parametrize(
    ("cores", "jobs", "plan"),
    [
        (1, 6, Plan(1, 1)),
        (2, 6, Plan(2, 1)),
        (2, 15, Plan(2, 1)),
        (2, 3, Plan(1, 2)),  # a third job alone would leave a core idle for half of the time
        (2, 1, Plan(1, 2)),
        (4, 15, Plan(4, 1)),
        (16, 15, Plan(15, 1)),
        (16, 20, Plan(7, 2)),  # three rounds of two threads end before two rounds of one
        (64, 6, Plan(6, 10)),
    ],
)
def test_a_machine_is_split_so_that_the_run_ends_first(cores, jobs, plan):
    assert automatic_plan(computer(cores), jobs, jobs) == plan


def test_memory_limits_the_workers():
    assert automatic_plan(computer(16, gib=4), 15, 15) == Plan(2, 8)
    assert automatic_plan(computer(16, gib=1), 15, 15) == Plan(1, 16)


def test_neither_progress_nor_free_memory_changes_the_threads_of_a_job():
    """They would change the last digits of its result."""
    whole = automatic_plan(computer(8, gib=16), 8, 8)
    assert whole == Plan(8, 1)
    assert automatic_plan(computer(8, gib=16), 8, 2) == Plan(2, 1)
    assert automatic_plan(computer(8, gib=16, free_gib=5), 8, 8) == Plan(3, 1)
    assert automatic_plan(computer(8, gib=16, free_gib=0), 8, 8) == Plan(1, 1)


def test_one_process_feeds_a_graphics_processor():
    assert automatic_plan(computer(16, gpus=2), 15, 15) == Plan(1, 16)


@pytest.mark.parametrize(("workers", "threads"), [(1, 8), (3, 2), (8, 1), (20, 1)])
def test_given_workers_share_the_cores(workers, threads):
    assert given_plan(computer(8), 99, workers) == Plan(workers, threads)


def test_no_more_workers_are_started_than_there_are_jobs():
    assert given_plan(computer(8), 3, 200) == Plan(3, 1)
    assert given_plan(computer(8), 1, 2) == Plan(1, 4)  # the threads stay as they were


def test_a_plan_is_said_in_words():
    assert str(Plan(2, 1)) == "2 jobs side by side, 1 thread each"
    assert str(Plan(1, 4)) == "one job at a time, 4 threads each"


@pytest.mark.parametrize(
    ("workers", "jobs_left", "plan"),
    [(1, 9, Plan(1, 8)), (None, 1, Plan(1, 1)), (2, 9, Plan(2, 4)), (None, 9, Plan(8, 1))],
)
@pytest.mark.parametrize("started", [None, 3])
def test_an_earlier_stage_has_no_part_in_the_threads(
    started, workers, jobs_left, plan, monkeypatch
):
    monkeypatch.setattr(plans, "this_machine", lambda: computer(8))
    monkeypatch.setattr(plans, "started_threads", lambda: started)
    assert chosen_plan(16, jobs_left, workers) == plan


@pytest.mark.parametrize(("started", "is_here"), [(None, True), (1, True), (2, False)])
@pytest.mark.usefixtures("workplace")
def test_one_job_at_a_time_runs_where_its_threads_are(started, is_here, monkeypatch):
    """Else in another process; two jobs never meet there either."""
    monkeypatch.setattr(plans, "started_threads", lambda: started)
    found = list(Plan(1, 1).parallel()(delayed(stay)() for _ in range(4)))
    places, begins, ends = zip(*sorted(found, key=itemgetter(1)), strict=True)
    assert ({*places} == {os.getpid()}) == is_here
    assert all(end <= begin for end, begin in zip(ends, begins[1:], strict=False))


def stay() -> tuple[int, float, float]:
    """Returns in which process this was called, when it began, and when it ended."""
    began = time.monotonic()
    time.sleep(0.3)
    return os.getpid(), began, time.monotonic()


def write(path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    ("groups", "folder"), [("0::/\n", ""), ("1:cpu:/\n0::/user/one\n", "user")]
)
def test_a_container_has_the_memory_that_it_may_use(tmp_path, monkeypatch, groups, folder):
    monkeypatch.setattr(system, "ROOT", tmp_path)
    folder = tmp_path / "sys/fs/cgroup" / folder
    write(tmp_path / "proc/self/cgroup", groups)
    write(tmp_path / "proc/meminfo", "MemTotal: 99999 kB\nMemAvailable:   2000 kB\n")
    assert memory() > 10**8
    assert available_memory() == 2000 * 1024
    write(folder / "memory.max", "1000000\n")
    assert memory() == available_memory() == 1_000_000
    write(folder / "memory.current", "700000\n")
    assert (memory(), available_memory()) == (1_000_000, 300_000)
    write(folder / "memory.stat", "active_file 5\ninactive_file 50000\n")
    assert available_memory() == 350_000
    write(folder / "memory.current", "1700000\n")
    assert available_memory() == 0
    write(folder / "memory.max", "max\n")
    assert memory() > 10**8


def test_without_linux_files_there_is_the_physical_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(system, "ROOT", tmp_path)
    assert available_memory() == memory() > 10**8


def test_this_machine_has_something_of_everything():
    found = system.this_machine()
    assert found.cores >= 1
    assert 10**8 < found.available_memory <= found.memory
    assert found.gpus >= 0


@pytest.mark.parametrize(
    ("flags", "best"),
    [("fpu avx2", ""), ("avx512f", ", AVX-512"), ("avx512_bf16 avx512f", ", AVX-512 bf16"),
     ("amx_bf16 avx512f avx512_bf16", ", AMX bf16")],
)  # fmt: skip
def test_a_machines_name_tells_the_best_that_it_multiplies_with(tmp_path, monkeypatch, flags, best):
    write(tmp_path / "proc/cpuinfo", f"model name\t: Some CPU\nflags\t\t: {flags}\n")
    monkeypatch.setattr(system, "ROOT", tmp_path)
    monkeypatch.setattr(system, "core_count", lambda: 2)
    monkeypatch.setattr(system, "gpu_count", lambda: 0)
    assert system.machine_name() == f"Some CPU, 2 cores{best}"


PLAIN, WIDE, DEEP = (Job("some", name, 0, "fold0") for name in ("plain", "wide", "deep"))


def test_what_cannot_be_trained_stops_all_and_other_trouble_does_not(capsys):
    refused = [Failure(job, "no such net", True) for job in (PLAIN, DEEP)]
    trouble = Failure(WIDE, "too little memory")
    tasks = [JobTask(None, Plan(1, 1), job) for job in (PLAIN, WIDE, DEEP)]
    with pytest.raises(UserError, match=r"plain .*: no such net\n.*deep .*: no such net") as caught:
        require_trainable(tasks, lambda calls: [*refused, trouble], None)
    assert "memory" not in str(caught.value)
    require_trainable(tasks, lambda calls: [None, trouble, None], None)
    assert capsys.readouterr().out == (
        "wide seed0 fold0 could not be built, and may fail: too little memory\n"
    )


class ResourceExhaustedError(Exception):
    """Has the name of TensorFlow's."""


@pytest.mark.parametrize("error", [MemoryError(), ResourceExhaustedError("OOM")])
def test_too_little_memory_says_how_many_workers_to_try(error):
    assert explain(error, Plan(4, 1)) == "there was too little memory; run it again with JOBS=2"
    assert "a smaller batch_size or a narrower net" in explain(error, Plan(1, 4))
    assert less_memory(Plan(3, 1)) == "run it again with JOBS=1"


def test_a_bug_keeps_its_traceback():
    try:
        raise ZeroDivisionError("by nought")
    except ZeroDivisionError as error:
        shown = explain(error, Plan(1, 1))
    assert shown.startswith("Traceback")
    assert 'raise ZeroDivisionError("by nought")' in shown


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (OSError(28, "No space left on device"), True),
        (UserError("no such net"), False),
        (IndexError("list index out of range"), False),
    ],
)
def test_memory_and_disk_may_be_better_at_another_time(error, expected):
    assert is_transient(error) is expected
