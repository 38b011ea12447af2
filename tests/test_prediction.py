"""Predictions average an image with its shifts."""

import numpy as np
import pytest
from scipy.special import softmax

from competition.training.prediction import predict, shifted, shifts


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
    ],
)
def test_shifting_moves_the_image_and_brings_in_nothing(down, right, expected):
    image = np.array([[[1, 2], [3, 4]]], np.uint8)
    np.testing.assert_array_equal(shifted(image, down, right), [expected])


def test_no_shift_is_one_view_and_a_shift_is_five():
    assert shifts(0) == [(0, 0)]
    assert set(shifts(2)) == {(0, 0), (2, 0), (-2, 0), (0, 2), (0, -2)}


def test_probabilities_are_averaged_not_logits():
    images = np.zeros((1, 28, 28), np.uint8)
    images[0, 0, :2], images[0, 1, 0] = (2, 3), 4  # the corner, its right and its lower neighbour
    corners = np.zeros((5, 10))
    corners[:, 0] = [2, 3, 4, 0, 0]  # as it is, shifted left, up, down, right
    expected = softmax(corners, axis=1).mean(axis=0)
    np.testing.assert_allclose(predict(CornerModel(), images, 1)[0], expected, rtol=1e-6)
    alone = softmax(corners[0])
    np.testing.assert_allclose(predict(CornerModel(), images)[0], alone, rtol=1e-6)
