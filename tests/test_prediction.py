"""A prediction averages an image with its shifts and with what a policy draws of it."""

import numpy as np
import pytest
from scipy.special import softmax

from competition.config.schema import Variant
from competition.data.augmented_epochs import augment, make_pools
from competition.training.predict import (
    predict,
    predict_tta,
    shifted,
    shifts,
    tta_view_count,
    tta_views,
)
from competition.training.training_data import tta_epochs


class CornerModel:
    """Stands in for a net: the first logit is the top left pixel, the others are 0."""

    def predict(self, batches, verbose):
        images = np.concatenate([batch[0] for batch in batches])
        logits = np.zeros((len(images), 10), np.float32)
        logits[:, 0] = images[:, 0, 0, 0]
        return logits


@pytest.mark.parametrize(
    ("down", "right", "expected"),
    [
        (0, 0, [[1, 2], [3, 4]]),
        (1, 0, [[0, 0], [1, 2]]),
        (-1, 0, [[3, 4], [0, 0]]),
        (0, 1, [[0, 1], [0, 3]]),
        (0, -1, [[2, 0], [4, 0]]),
        (1, 1, [[0, 0], [0, 1]]),
        (-1, 1, [[0, 3], [0, 0]]),
    ],
)
def test_shifting_moves_the_image_and_brings_in_nothing(down, right, expected):
    image = np.array([[[1, 2], [3, 4]]], np.uint8)
    np.testing.assert_array_equal(shifted(image, down, right), [expected])


def test_shifts_go_to_the_sides_and_the_corners():
    sides = {(0, 0), (2, 0), (-2, 0), (0, 2), (0, -2)}
    assert shifts(0) == shifts(0, directions=8) == [(0, 0)]
    assert set(shifts(2)) == sides
    assert set(shifts(2, directions=8)) == sides | {(2, 2), (2, -2), (-2, 2), (-2, -2)}


def test_probabilities_are_averaged_not_logits():
    seen = np.zeros((3, 1, 28, 28), np.uint8)
    seen[:, 0, 0, 0] = 2, 3, 0
    corners = np.zeros((3, 10))
    corners[:, 0] = 2, 3, 0
    expected = softmax(corners, axis=1)
    found = predict_tta(CornerModel(), iter(seen))
    np.testing.assert_allclose(found[0], expected.mean(axis=0), rtol=1e-6)
    assert found.dtype == np.float32
    np.testing.assert_allclose(predict(CornerModel(), seen[0])[0], expected[0], rtol=1e-6)


def variant(**settings) -> Variant:
    return Variant(architecture="plain", **settings)


def test_the_views_are_the_shifts_and_then_what_was_drawn(tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    drawing = variant(test_time_directions=8, test_time_draws=2)
    pool = tta_epochs(drawing, 5, "data", "test")
    make_pools({pool: 2}, tiny, workers=1)
    rows = np.array([3, 0, 7])
    found = list(tta_views(drawing, tiny.test, rows, pool))
    assert len(found) == tta_view_count(drawing) == 11
    for view, by in zip(found, shifts(1, directions=8), strict=False):
        np.testing.assert_array_equal(view, shifted(tiny.test.images, *by)[rows])
    for number, view in enumerate(found[9:]):
        policy = drawing.test_time_augmentation
        drawn = augment(tiny.test.images, policy, seed=5, epoch=number, part="test")
        np.testing.assert_array_equal(view, drawn[rows])


def test_without_draws_no_pool_is_looked_into(tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pool = tta_epochs(variant(), 0, "data", "train")
    assert (
        len(list(tta_views(variant(), tiny.train, np.arange(4), pool)))
        == tta_view_count(variant())
        == 5
    )
    assert tta_view_count(variant(test_time_shift=0)) == 1


def test_views_are_drawn_more_mildly_than_training_images(tiny):
    """So much that what is left of the digits is nearer to them, on average."""
    settings = variant()
    images = tiny.train.images.astype(float)
    strong, mild = (
        np.abs(augment(tiny.train.images, policy, seed=0, epoch=0) - images).mean()
        for policy in (settings.augmentation, settings.test_time_augmentation)
    )
    assert 0 < mild < 0.9 * strong
