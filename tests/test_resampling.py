"""Resampling: balanced classes, made of a fold's training rows and of nothing else."""

from dataclasses import replace

import numpy as np
import pytest

from competition.config.registry import Augmentation, Resampling
from competition.data.augmented_epochs import AugmentedEpochs
from competition.digits import Digits
from competition.errors import UserError
from competition.training.training_data import TrainingData, balanced, one_hot

# Of the training rows, so many are of the classes 0, 1 and 2.
COUNTS = [20, 12, 8]


@pytest.fixture
def fold(tiny) -> TrainingData:
    """40 training rows of three classes, unevenly, behind 20 held-out ones."""
    labels = np.concatenate([np.arange(20) % 3, np.repeat([0, 1, 2], COUNTS)]).astype(np.uint8)
    digits = Digits(tiny.train.ids[:60], tiny.train.images[:60], labels)
    rows = np.arange(60)
    pool = AugmentedEpochs(Augmentation(name="none"), 0, "data")
    return TrainingData(digits, rows[20:], rows[:20], pool, number=0)


def by(name: str, **parameters) -> Resampling:
    return Resampling(name=name, **parameters)


def test_none_changes_nothing(fold):
    same = balanced(fold, by("none"), seed=0)
    assert same.digits is fold.digits
    np.testing.assert_array_equal(same.training_rows, fold.training_rows)
    assert same.class_counts() == [*COUNTS, 0, 0, 0, 0, 0, 0, 0]


def test_random_over_repeats_training_rows_until_the_classes_are_even(fold):
    even = balanced(fold, by("random_over"), seed=0)
    assert even.class_counts() == [20, 20, 20, 0, 0, 0, 0, 0, 0, 0]
    assert set(even.training_rows) == set(fold.training_rows)
    assert even.digits is fold.digits
    assert even.steps_per_epoch(_Batch(16)) == 3


class _Batch:
    def __init__(self, size: int):
        self.batch_size = size


def test_smote_makes_rows_between_neighbours_of_a_class(fold):
    even = balanced(fold, by("smote", neighbours=3), seed=0)
    assert even.class_counts() == [20, 20, 20, 0, 0, 0, 0, 0, 0, 0]
    np.testing.assert_array_equal(even.digits.images[:60], fold.digits.images)
    np.testing.assert_array_equal(even.training_rows, np.arange(20, 80))
    np.testing.assert_array_equal(even.digits.labels[60:], np.repeat([1, 2], [8, 12]))
    assert len(set(even.digits.ids)) == 80
    for image, label in zip(even.digits.images[60:], even.digits.labels[60:], strict=True):
        own = fold.training_rows[fold.digits.labels[fold.training_rows] == label]
        assert on_a_line(image, fold.digits.images[own])


def on_a_line(image: np.ndarray, others: np.ndarray) -> bool:
    """Says whether an image lies between two of the others, but for the rounding of its pixels."""
    point, corners = image.ravel().astype(float), others.reshape(len(others), -1).astype(float)
    for first in corners:
        along = corners - first
        lengths = np.maximum((along**2).sum(axis=1), 1e-9)
        shares = ((along @ (point - first)) / lengths).clip(0, 1)
        if (np.abs(first + shares[:, None] * along - point).max(axis=1) <= 1).any():
            return True
    return False


def test_class_weights_let_every_class_count_alike(fold):
    weighted = balanced(fold, by("class_weights"), seed=0)
    assert weighted.class_counts() == pytest.approx([40 / 3] * 3 + [0] * 7, abs=1e-3)
    rows = weighted.training_rows
    images, labels, weights = weighted.arrays(0, rows)
    assert images.shape == (40, 28, 28, 1)
    np.testing.assert_array_equal(labels, one_hot(fold.digits.labels[rows]))
    np.testing.assert_allclose(weights, np.repeat([40 / (3 * n) for n in COUNTS], COUNTS))
    assert len(fold.arrays(0, rows)) == 2


@pytest.mark.parametrize("name", ["random_over", "smote"])
def test_the_same_seed_draws_the_same_rows_and_another_seed_others(fold, name):
    def made(seed: int, number: int = 0) -> np.ndarray:
        found = balanced(replace(fold, number=number), by(name), seed)
        return found.digits.images[found.training_rows]

    np.testing.assert_array_equal(made(0), made(0))
    assert not np.array_equal(made(0), made(1))
    assert not np.array_equal(made(0), made(0, number=1))


@pytest.fixture
def fitted_to(monkeypatch) -> list[np.ndarray]:
    """Every table of pixels that imbalanced-learn is fitted to."""
    from imblearn.over_sampling import SMOTE, RandomOverSampler

    seen = []
    for sampler in (SMOTE, RandomOverSampler):
        monkeypatch.setattr(sampler, "fit_resample", _watched(sampler.fit_resample, seen))
    return seen


def _watched(original, seen: list[np.ndarray]):
    def fit_resample(self, pixels, labels):
        seen.append(pixels)
        return original(self, pixels, labels)

    return fit_resample


def planted(fold: TrainingData, rows: np.ndarray) -> TrainingData:
    """Marks some rows in a corner where no digit has ink; the first is a training row's twin.

    A twin of the same class would be its nearest neighbour, of which SMOTE makes rows.
    """
    images, labels = fold.digits.images.copy(), fold.digits.labels.copy()
    images[rows[0]], labels[rows[0]] = images[-1], labels[-1]
    images[rows, 0, 0] = 255
    return replace(fold, digits=Digits(fold.digits.ids, images, labels))


@pytest.mark.parametrize("name", ["random_over", "smote"])
def test_nothing_of_the_held_out_rows_reaches_the_resampler(fold, fitted_to, name):
    assert not fold.digits.images[:, 0, 0].any()
    marked = planted(fold, fold.validation_rows)
    even = balanced(marked, by(name), seed=0)
    [pixels] = fitted_to
    assert pixels.shape == (40, 784)
    assert not pixels[:, 0].any()
    assert not even.digits.images[even.training_rows][:, 0, 0].any()
    assert not set(even.training_rows) & set(fold.validation_rows)
    clean = balanced(fold, by(name), seed=0)
    np.testing.assert_array_equal(
        even.digits.images[even.training_rows], clean.digits.images[clean.training_rows]
    )


@pytest.mark.parametrize("name", ["random_over", "smote"])
def test_a_mark_on_training_rows_would_be_seen(fold, fitted_to, name):
    even = balanced(planted(fold, fold.training_rows[::2]), by(name), seed=0)
    assert np.count_nonzero(fitted_to[0][:, 0]) == 20
    assert np.count_nonzero(even.digits.images[even.training_rows][:, 0, 0]) > 20


def test_class_weights_do_not_depend_on_the_held_out_rows(fold):
    labels = fold.digits.labels.copy()
    labels[fold.validation_rows] = 7
    changed = replace(fold, digits=Digits(fold.digits.ids, fold.digits.images, labels))
    weights = [balanced(each, by("class_weights"), 0).class_weights for each in (fold, changed)]
    np.testing.assert_array_equal(*weights)


@pytest.mark.parametrize("neighbours", [0, 8])
def test_too_few_rows_of_a_class_for_smote_are_named(fold, neighbours):
    message = f"neighbours is {neighbours}, expected a number from 1 to 7, as the rarest class"
    with pytest.raises(UserError, match=message):
        balanced(fold, by("smote", neighbours=neighbours), seed=0)
