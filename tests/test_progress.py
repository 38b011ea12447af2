"""Progress: what is said of the time left, and what workers write on the board."""

import sys
import time

import numpy as np
import pytest

from competition.config.schema import Variant
from competition.console import ProgressDisplay, duration, time_left
from competition.training.progress import JobProgress, ProgressBoard


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


def test_a_bar_ends_at_100_percent(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    with ProgressDisplay("training", total=3) as display:
        display.update(2.5)
    assert "100%" in capsys.readouterr().err


def test_the_board_shows_the_sum_of_the_shares(monkeypatch):
    shown = []
    monkeypatch.setattr(ProgressDisplay, "update", lambda display, done: shown.append(done))
    with ProgressBoard.on_disk(2) as board:
        same_file = ProgressBoard(board.file, 2)  # as a worker process has it
        same_file.shares()[:] = [1.0, 0.5]
        with board.shown("training"):
            deadline = time.monotonic() + 10
            while not shown and time.monotonic() < deadline:
                time.sleep(0.01)
    assert shown[0] == 1.5
    assert not board.file.exists()


def test_a_job_is_done_with_its_last_view_not_with_its_last_step():
    """4 steps of 100 rows are 1,200 passes, and 5 views of 240 rows as many again."""
    variant = Variant(architecture={"name": "plain"}, epochs=2, batch_size=100)
    with ProgressBoard.on_disk(2) as board:
        progress = JobProgress(board.reporter(1), variant, steps=2, predicted_rows=240)
        told = []
        for step in (1, 2, 3, 4):
            progress.trained(step)
            told.append(board.shares()[1])
        for rows in (200, 40):  # test and held-out rows, one after the other
            for _ in progress.counted([np.zeros((rows, 28, 28), np.uint8)] * 5):
                told.append(board.shares()[1])
        told.append(board.shares()[1])
        assert board.shares()[0] == 0
    passes = [300, 600, 900, 1200, 1200, 1400, 1600, 1800, 2000, 2200, 2240, 2280, 2320, 2360, 2400]
    assert told == pytest.approx([count / 2400 for count in passes])


def test_a_training_that_ended_early_is_followed_by_its_predictions():
    variant = Variant(architecture={"name": "plain"}, epochs=2, batch_size=100)
    with ProgressBoard.on_disk(1) as board:
        progress = JobProgress(board.reporter(0), variant, steps=2, predicted_rows=240)
        progress.trained(1)
        for _ in progress.counted([np.zeros((240, 28, 28), np.uint8)]):
            pass
        assert board.shares()[0] == pytest.approx((1200 + 240) / 2400)
