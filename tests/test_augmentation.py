"""Policies and pools: every image varies by itself, and the same way wherever it is made."""

import numpy as np
import pytest

from competition import catalogue
from competition.components import Augmentation
from competition.data.pool import Pool, augment, make_pools

POLICIES = [name for name in catalogue.AUGMENTATIONS if name != "none"]


@pytest.fixture
def same_image(tiny):
    """Twenty times the same digit."""
    return np.repeat(tiny.train.images[:1], 20, axis=0)


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_varies_every_image_by_itself(name, same_image):
    varied = augment(same_image, Augmentation(name=name), seed=0, epoch=0)
    assert varied.shape == same_image.shape
    assert varied.dtype == np.uint8
    assert len(np.unique(varied.reshape(20, -1), axis=0)) == 20


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_keeps_the_digit_in_the_picture(name, tiny):
    varied = augment(tiny.train.images, Augmentation(name=name), seed=0, epoch=0)
    ink = varied.sum(axis=(1, 2)) / tiny.train.images.sum(axis=(1, 2))
    assert ink.min() > 0.5
    assert ink.max() < 1.6


@pytest.mark.parametrize("name", POLICIES)
def test_seed_and_epoch_draw_other_images_and_nothing_else_does(name, tiny):
    policy, images = Augmentation(name=name), tiny.train.images[:10]
    first = augment(images, policy, seed=0, epoch=0)
    np.testing.assert_array_equal(augment(images, policy, seed=0, epoch=0), first)
    # An image's draw does not depend on what comes after it.
    np.testing.assert_array_equal(augment(images[:3], policy, seed=0, epoch=0), first[:3])
    assert not np.array_equal(augment(images, policy, seed=1, epoch=0), first)
    assert not np.array_equal(augment(images, policy, seed=0, epoch=1), first)


def test_no_policy_means_the_images_as_they_are(tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pool = Pool(Augmentation(name="none"), 0, "data")
    make_pools({pool: 3}, tiny.train, workers=1)
    assert pool.epoch(2, tiny.train) is tiny.train.images
    assert not any(tmp_path.iterdir())


def test_a_pool_is_the_same_for_any_number_of_workers(tiny, tmp_path, monkeypatch):
    pool, epochs = Pool(Augmentation(name="affine_elastic"), 3, "data"), {}
    for workers in (1, 2):
        folder = tmp_path / str(workers)
        folder.mkdir()
        monkeypatch.chdir(folder)
        make_pools({pool: 3}, tiny.train, workers)
        epochs[workers] = [np.array(pool.epoch(number, tiny.train)) for number in range(3)]
    np.testing.assert_array_equal(epochs[1], epochs[2])
    assert not np.array_equal(epochs[1][0], epochs[1][1])


def test_a_pool_grows_without_making_again_what_it_has(tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pool = Pool(Augmentation(name="affine"), 0, "data")
    make_pools({pool: 1}, tiny.train, workers=1)
    made = pool.file(0).stat().st_mtime_ns
    assert pool.missing(2) == [1]
    make_pools({pool: 2}, tiny.train, workers=1)
    assert pool.missing(2) == []
    assert pool.file(0).stat().st_mtime_ns == made


@pytest.mark.parametrize(
    "other",
    [
        Pool(Augmentation(name="affine_elastic"), 0, "data"),
        Pool(Augmentation(name="affine", rotation=11.0), 0, "data"),
        Pool(Augmentation(name="affine"), 1, "data"),
        Pool(Augmentation(name="affine"), 0, "other data"),
    ],
)
def test_pools_of_other_policy_seed_or_data_are_kept_apart(other):
    assert other.file(0) != Pool(Augmentation(name="affine"), 0, "data").file(0)


def test_a_default_written_out_is_the_same_pool():
    written_out = Pool(Augmentation(name="affine", rotation=10.0), 0, "data")
    assert written_out.file(0) == Pool(Augmentation(name="affine"), 0, "data").file(0)
