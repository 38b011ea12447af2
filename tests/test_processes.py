"""Worker processes are kept from stage to stage, and an interrupt is never lost."""

import gc
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress

import pytest
from conftest import run_code, run_main
from joblib import delayed
from joblib.externals.loky import get_reusable_executor

from competition import commands
from competition.config.registry import Augmentation
from competition.data.augmented_epochs import AugmentedEpochs, pools_at_hand
from competition.system import interruptible, side_by_side
from competition.training.resources import start_keras, started_threads

# What drops an interrupt says so on standard error, and pytest as a warning.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def process_id() -> int:
    time.sleep(0.2)  # so that no worker does it all
    return os.getpid()


@pytest.mark.long
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.usefixtures("workplace")
def test_stages_of_as_many_workers_share_them(threads, tiny, monkeypatch):
    """Each new one would spend seconds on importing TensorFlow again."""
    monkeypatch.setattr("competition.data.augmented_epochs.core_count", lambda: 2)

    def workers() -> set[int]:
        return set(side_by_side(2, threads)(delayed(process_id)() for _ in range(6)))

    first = workers()
    with pools_at_hand({AugmentedEpochs(Augmentation(name="affine"), 0, "data"): 2}, tiny, threads):
        pass
    assert len(first) == 2
    assert workers() == first


def begin_with(threads: int) -> tuple[int, int | None]:
    import keras

    start_keras(threads)
    keras.ops.zeros(1)  # from here on TensorFlow's threads are fixed
    return process_id(), started_threads()


@pytest.mark.long
def test_workers_with_other_threads_are_others(monkeypatch):
    """A worker whose TensorFlow has begun cannot change its threads."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # joblib's own measure would see no difference
    get_reusable_executor().shutdown()
    [(before, one)] = side_by_side(2, threads=1)([delayed(begin_with)(1)])
    others = dict(side_by_side(2, threads=2)(delayed(begin_with)(2) for _ in range(2)))
    assert one == 1
    assert {*others.values()} == {2}
    assert before not in others


ONE_WORKER_HAS_NO_TASK = """
import os, signal, time
from joblib import delayed
from competition.system import side_by_side
list(side_by_side(2, 1)([delayed(time.sleep)(0.2)]))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_worker_without_a_task_ends_with_its_killed_command():
    """It held the command's output open, for whoever reads that to its end, for minutes or ever."""
    assert run_code(ONE_WORKER_HAS_NO_TASK, seconds=60).returncode == -signal.SIGKILL


ASK_FOR_ONEDNN = """
from competition.training.resources import start_keras
start_keras(1)
from tensorflow.python.util._pywrap_util_port import IsMklEnabled
print(IsMklEnabled())
"""


@pytest.mark.long
def test_onednn_is_used_unless_the_user_says_no(monkeypatch):
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    by_itself = run_code(ASK_FOR_ONEDNN)
    assert by_itself.stdout == "True\n", by_itself.stderr
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    refused = run_code(ASK_FOR_ONEDNN)
    assert refused.stdout == "False\n", refused.stderr


def interrupt_myself() -> None:
    os.kill(os.getpid(), signal.SIGINT)


class Dropping:
    """What Python drops calls this, and what is raised here goes nowhere."""

    def __del__(self) -> None:
        interrupt_myself()


def drop_the_interrupt() -> None:
    Dropping()
    gc.collect()


def turn_the_interrupt_into_an_error() -> None:
    try:
        interrupt_myself()
    except KeyboardInterrupt:
        raise ValueError("the library's own") from None


@pytest.mark.parametrize(
    "trouble", [interrupt_myself, drop_the_interrupt, turn_the_interrupt_into_an_error]
)
def test_an_interrupt_ends_the_block_whatever_becomes_of_the_first(answering, trouble):
    ended = []

    def work() -> None:
        trouble()
        time.sleep(30)
        ended.append(True)

    with pytest.raises(KeyboardInterrupt), interruptible():
        work()
    assert not ended
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interrupt_waits_for_a_safe_place(answering):
    done = []

    def work(report: Callable[[object], None]) -> None:
        interrupt_myself()
        report("what must not be cut")
        report("what comes later")

    with pytest.raises(KeyboardInterrupt), interruptible(done.append) as report:
        work(report)
    assert done == ["what must not be cut"]


def test_an_interrupt_that_was_dropped_at_the_end_counts_too(answering):
    with pytest.raises(KeyboardInterrupt), interruptible():
        drop_the_interrupt()


def test_a_worker_goes_on_ignoring_interrupts(answering):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with interruptible():
        interrupt_myself()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("in_background", [False, True])
def test_a_signal_that_ends_a_command_does_as_ctrl_c(
    answering, tmp_path, monkeypatch, number, times, in_background
):
    def work() -> None:
        try:
            for _ in range(times):  # more than one, as a closing terminal may send
                os.kill(os.getpid(), number)
            time.sleep(30)
        except KeyboardInterrupt:
            os.kill(os.getpid(), number)
            (tmp_path / "cleaned").touch()
            raise

    monkeypatch.setattr(commands, "scores", work)
    if in_background:  # where a shell lets Ctrl-C be ignored
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    done = run_main("scores", folder=tmp_path)
    assert done.returncode == 128 + number
    assert done.stderr == "\ninterrupted; finished work is kept, run it again to continue\n"
    assert (tmp_path / "cleaned").exists()
    assert signal.getsignal(number) == signal.SIG_DFL


def test_what_nohup_ignores_stays_ignored(answering, tmp_path, monkeypatch):
    monkeypatch.setattr(commands, "scores", lambda: os.kill(os.getpid(), signal.SIGHUP))
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert run_main("scores", folder=tmp_path).returncode == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_command_that_ends_well_after_a_signal_says_so_by_its_code(
    answering, tmp_path, monkeypatch
):
    """As `submit`, which stops waiting for the score."""

    def work() -> None:
        with suppress(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(30)

    monkeypatch.setattr(commands, "scores", work)
    assert run_main("scores", folder=tmp_path).returncode == 128 + signal.SIGTERM
