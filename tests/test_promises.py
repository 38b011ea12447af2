"""Promises of docstrings at their very edge, where a mutation of the code would go unnoticed."""

import os
from types import SimpleNamespace

import numpy as np
import optuna
import pytest

from competition.analysis.mistakes import likely_label_errors
from competition.analysis.predictions import PredictedDigits
from competition.config.schema import Folds
from competition.data.augmentation import affine_elastic, require_possible_changes
from competition.data.folds import assign_folds
from competition.digits import Digits
from competition.ensemble.comparison import recommended
from competition.errors import UserError
from competition.kaggle.credentials import Source
from competition.metrics import LossGap, reliability
from competition.storage import atomic_file, atomic_folder
from competition.tuning.outcome import best_trial


@pytest.mark.parametrize(
    ("gaps", "chosen"),
    [
        ([(0.01, -0.001), (0.0, 0.0)], 0),  # higher, but not significantly: the simpler one
        ([(0.01, 0.001), (0.0, 0.0)], 1),
        ([(0.01, 0.0), (0.0, 0.0)], 0),
        ([(0.01, 0.001), (0.005, -0.1), (0.0, 0.0)], 1),
        ([(0.002, 0.001), (0.003, 0.002), (0.0, 0.0)], 2),
    ],
)
def test_the_low_end_of_the_interval_decides_the_recommendation(gaps, chosen):
    methods = [SimpleNamespace(gap_to_best=LossGap(gap, low, gap + 0.1)) for gap, low in gaps]
    assert recommended(methods) is methods[chosen]


@pytest.mark.parametrize(
    ("confidence", "number"),
    [(3 / 15, 2), (np.nextafter(3 / 15, 1), 3), (6 / 15, 5), (1.0, 14), (1 + 1e-7, 14), (1e-9, 0)],
)
def test_a_bin_of_the_calibration_includes_its_upper_end(confidence, number):
    values = np.zeros((1, 10))
    values[0, 3] = confidence
    assert np.flatnonzero(reliability(values, np.array([3])).rows).tolist() == [number]


@pytest.mark.parametrize(("suggested", "is_confident"), [(0.8, True), (0.79, False)])
def test_a_class_is_reached_at_its_mean_confidence_and_not_below(suggested, is_confident):
    """The mean of its labelled rows; here all sevens have 0.8."""
    rows = [(7, 7, 0.8), (7, 7, 0.8), (1, 1, 0.9), (1, 7, suggested)]
    values = np.full((len(rows), 10), 0.0, np.float32)
    for row, (_, predicted, confidence) in enumerate(rows):
        values[row] = (1 - confidence) / 9
        values[row, predicted] = confidence
    labels = np.array([label for label, _, _ in rows], np.uint8)
    images = np.ones((len(rows), 28, 28), np.uint8)
    digits = Digits(np.arange(1, len(rows) + 1, dtype=np.int32), images, labels)
    found = likely_label_errors(
        PredictedDigits(digits, np.zeros(len(rows), np.int8), values, values[None])
    )
    assert (found.rows.tolist(), found.confident.tolist()) == ([3], [is_confident])


def test_of_equal_trials_the_first_is_the_best():
    study = optuna.create_study()
    for value in (0.5, 0.2, 0.3, 0.2):
        study.add_trial(optuna.trial.create_trial(value=value))
    assert best_trial(study, None).number == 1


@pytest.mark.parametrize("count", [2, 3])
def test_the_rarest_class_may_have_just_as_many_rows_as_there_are_folds(count):
    labels = np.repeat(np.arange(10), [2, *[5] * 9]).astype(np.uint8)
    images = np.ones((len(labels), 28, 28), np.uint8)
    digits = Digits(np.arange(1, len(labels) + 1, dtype=np.int32), images, labels)
    if count > 2:
        with pytest.raises(UserError, match="the rarest class has only 2 rows; choose at most 2"):
            assign_folds(digits, Folds(count=count))
        return
    folds = assign_folds(digits, Folds(count=count)).folds
    assert sorted(folds[labels == 0]) == [0, 1]


@pytest.mark.parametrize(
    ("mode", "is_open"),
    [(0o600, False), (0o400, False), (0o700, False), (0o640, True), (0o620, True), (0o604, True)],
)
def test_a_key_file_that_the_group_can_read_is_open_to_others(tmp_path, mode, is_open):
    file = tmp_path / "kaggle.json"
    file.touch()
    file.chmod(mode)
    assert Source("a file", file).is_open_to_others() == is_open
    assert not Source("a variable").is_open_to_others()


@pytest.fixture
def events(monkeypatch) -> list[str]:
    """What was flushed to the disk, and what was renamed, in order."""
    found: list[str] = []
    sync, replace, rename = os.fsync, os.replace, os.rename

    def spy_on(what, real):
        def spied(*arguments, **settings):
            name = arguments[0]
            path = os.readlink(f"/proc/self/fd/{name}") if isinstance(name, int) else name
            found.append(f"{what} {os.path.basename(path).partition('.partial-')[0]}")
            return real(*arguments, **settings)

        return spied

    monkeypatch.setattr(os, "fsync", spy_on("flush", sync))
    monkeypatch.setattr(os, "replace", spy_on("rename", replace))
    monkeypatch.setattr(os, "rename", spy_on("rename", rename))
    return found


@pytest.mark.parametrize("is_remade", [False, True])
def test_a_file_is_on_the_disk_before_it_has_its_name(events, tmp_path, is_remade):
    with atomic_file(tmp_path / "some.csv", is_remade) as partial:
        partial.write_text("text")
    assert events == (["rename some.csv"] if is_remade else ["flush some.csv", "rename some.csv"])


def test_a_folder_is_on_the_disk_before_it_has_its_name(events, tmp_path):
    with atomic_folder(tmp_path / "job") as folder:
        for name in ("a.csv", "b.npz"):
            (folder / name).write_text("text")
    assert sorted(events[:-1]) == ["flush a.csv", "flush b.npz", "flush job"]
    assert events[-1] == "rename job"


CHANGES = {"rotation": 0.0, "zoom": 0.0, "shear": 0.0, "shift": 0.0}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"rotation": -0.1}, "rotation is -0.1, expected 0 or more"),
        ({"shift": -0.1}, "shift is -0.1, expected 0 or more"),
        ({"zoom": -0.1}, "zoom is -0.1, expected 0 or more, and less than 1"),
        ({"zoom": 1.0}, "zoom is 1.0, expected 0 or more, and less than 1"),
        ({"shear": 45.0}, "shear is 45.0, expected 0 or more, and less than 45"),
    ],
)
def test_a_change_that_could_mirror_a_digit_is_refused(change, told):
    require_possible_changes(**CHANGES)
    require_possible_changes(rotation=180.0, zoom=0.99, shear=44.9, shift=2.0)
    with pytest.raises(ValueError, match=f"^{told}$"):
        require_possible_changes(**CHANGES | change)


def test_albumentations_gets_the_ranges_of_a_policy():
    moved, distorted = affine_elastic(7.0, 0.25, 3.0, 0.05, 20.0, 4.0, 0.6).transforms
    assert (moved.rotate, moved.p) == ((-7.0, 7.0), 1.0)
    assert moved.scale == {"x": (0.75, 1.25), "y": (0.75, 1.25)}
    assert moved.shear == {"x": (-3.0, 3.0), "y": (-3.0, 3.0)}
    assert moved.translate_percent == {"x": (-0.05, 0.05), "y": (-0.05, 0.05)}
    assert (distorted.alpha, distorted.sigma, distorted.p) == (20.0, 4.0, 0.6)
