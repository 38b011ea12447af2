"""Progress: what is said of the time left, and what workers write on the board."""

import time

import pytest

from competition.progress import ProgressDisplay, duration, time_left
from competition.training.progress_board import ProgressBoard


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (95, "2 min"),
        (3600, "1 h 0 min"),
        (5000, "1 h 23 min"),
    ],
)
def test_durations_are_said_as_a_person_would(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("elapsed", "share", "text"),
    [
        (60, 0.25, "3 min left"),
        (60, 1.0, "0 s left"),
        (60, 1.2, "0 s left"),
        (1, 0.5, ""),
        (60, 0, ""),
    ],
)
def test_the_time_left_assumes_the_same_pace(elapsed, share, text):
    assert time_left(elapsed, share) == text


def test_a_log_has_a_line_now_and_then(monkeypatch, capsys):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with ProgressDisplay("training", total=200) as display:
        for seconds in range(0, 100, 10):
            now[0] = 100.0 + seconds
            display.update(2 * seconds)
    assert capsys.readouterr().err.splitlines() == [
        "training: 30% 1 min left",
        "training: 60% 40 s left",
        "training: 90% 10 s left",
    ]


def test_the_board_shows_jobs_by_the_time_that_they_take():
    shown = []

    class Display:
        update = staticmethod(shown.append)

    with ProgressBoard.on_disk(2) as board:
        same_file = ProgressBoard(board.file, 2)  # as a worker process has it
        same_file.shares()[:] = [1.0, 0.5]
        with board.shown_on(Display, seconds=[10, 40]):
            deadline = time.monotonic() + 10
            while not shown and time.monotonic() < deadline:
                time.sleep(0.01)
    assert shown[0] == 30
    assert not board.file.exists()
