"""Policies and pools: every image varies by itself, and the same way wherever it is made."""

import os
import shutil

import numpy as np
import pytest
from joblib.externals.loky import get_reusable_executor

from competition import paths, storage
from competition.config import registry
from competition.config.registry import Augmentation
from competition.data import augmented_epochs
from competition.data.augmented_epochs import AugmentedEpochs, augment, make_pools, make_room
from competition.errors import UserError

POLICIES = [name for name in registry.AUGMENTATIONS if name != "none"]


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
    pool = AugmentedEpochs(Augmentation(name="none"), 0, "data")
    make_pools({pool: 3}, tiny, workers=1)
    assert pool.epoch(2, tiny.train) is tiny.train.images
    assert not any(tmp_path.iterdir())


def test_a_pool_is_the_same_for_any_number_of_workers(tiny, tmp_path, monkeypatch):
    get_reusable_executor().shutdown()  # workers stay in the folder where they were started
    pools, epochs = [AugmentedEpochs(Augmentation(name=name), 3, "data") for name in POLICIES], {}
    for workers in (1, 2):
        folder = tmp_path / str(workers)
        folder.mkdir()
        monkeypatch.chdir(folder)
        make_pools(dict.fromkeys(pools, 3), tiny, workers)
        epochs[workers] = np.array(
            [[pool.epoch(number, tiny.train) for number in range(3)] for pool in pools]
        )
    np.testing.assert_array_equal(epochs[1], epochs[2])
    assert len(np.unique(epochs[1].reshape(3 * len(pools), -1), axis=0)) == 3 * len(pools)


def test_each_part_has_images_of_its_own(tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    policy = Augmentation(name="affine")
    train, test = (AugmentedEpochs(policy, 0, "data", part) for part in ("train", "test"))
    make_pools({train: 1}, tiny, workers=1)
    assert (train.missing(1), test.missing(1)) == ([], [0])
    make_pools({test: 1}, tiny, workers=1)
    assert test.epoch(0, tiny.test).shape == tiny.test.images.shape
    originals = tiny.test.images
    as_train = augment(originals, policy, seed=0, epoch=0, part="train")
    np.testing.assert_array_equal(
        test.epoch(0, tiny.test), augment(originals, policy, seed=0, epoch=0, part="test")
    )
    assert (as_train != test.epoch(0, tiny.test)).any(axis=(1, 2)).all()


@pytest.mark.parametrize("name", POLICIES)
def test_the_images_of_a_batch_vary_independently_of_each_other(name, tiny, tmp_path, monkeypatch):
    """A batch of one digit many times over shows whether the images share their parameters."""
    monkeypatch.chdir(tmp_path)
    digits = type(tiny.train)(tiny.train.ids, np.repeat(tiny.train.images[:1], 120, axis=0))
    pool = AugmentedEpochs(Augmentation(name=name), 0, "data")
    make_pools({pool: 2}, type(tiny)("same", digits, tiny.test), workers=1)
    both = np.concatenate([pool.epoch(number, digits) for number in range(2)])
    assert len(np.unique(both.reshape(240, -1), axis=0)) == 240


def cut(content: bytes) -> bytes:
    return content[:-200]


def flip(content: bytes) -> bytes:
    return content[:5000] + bytes([content[5000] ^ 1]) + content[5001:]


def empty(content: bytes) -> bytes:
    return b""


@pytest.mark.parametrize("damage", [cut, flip, empty])
def test_a_damaged_epoch_is_found_and_made_again(damage, tiny, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    pool = AugmentedEpochs(Augmentation(name="affine"), 0, "data")
    make_pools({pool: 2}, tiny, workers=1)
    first, second = (pool.file(number) for number in range(2))
    expected, untouched = first.read_bytes(), second.stat().st_mtime_ns
    first.write_bytes(damage(expected))
    make_pools({pool: 2}, tiny, workers=1)
    assert first.read_bytes() == expected
    assert second.stat().st_mtime_ns == untouched
    assert capsys.readouterr().out == (
        f"the augmented images {first} are damaged and are made again\n"
    )


def test_a_step_of_a_policy_knows_nothing_of_the_one_before(tiny):
    """A digit that is moved to the right is distorted as often as any other."""
    images = np.repeat(tiny.train.images[:1], 200, axis=0)
    still = {"rotation": 0.0, "zoom": 0.0, "shear": 0.0, "shift": 0.2}
    moved, distorted = (
        augment(images, Augmentation(name="affine_elastic", probability=share, **still), 0, 0)
        for share in (0.0, 0.5)
    )
    is_distorted = (moved != distorted).any(axis=(1, 2))
    places = (moved * np.arange(28)).sum(axis=(1, 2)) / moved.sum(axis=(1, 2))
    for side in (places < np.median(places), places > np.median(places)):
        assert 0.3 < is_distorted[side].mean() < 0.7


STILL = {"rotation": 0.0, "zoom": 0.0, "shear": 0.0, "shift": 0.0}


@pytest.mark.parametrize("off", [{"displacement": 0.0}, {"probability": 0.0}])
def test_a_warp_of_nothing_changes_nothing(off, tiny):
    same = augment(tiny.train.images, Augmentation(name="warp", **STILL, **off), 0, 0)
    np.testing.assert_array_equal(same, tiny.train.images)


@pytest.mark.parametrize(
    "one",
    [{"rotation": 10.0}, {"zoom": 0.2}, {"shear": 10.0}, {"shift": 0.1},
     {"displacement": 0.03, "probability": 1.0}],
    ids=str,
)  # fmt: skip
def test_each_part_of_a_warp_moves_ink_by_itself(one, tiny):
    parts = STILL | {"displacement": 0.0} | one
    varied = augment(tiny.train.images, Augmentation(name="warp", **parts), 0, 0)
    assert (varied != tiny.train.images).any(axis=(1, 2)).mean() > 0.9


def test_images_of_other_libraries_are_others(monkeypatch):
    pool = AugmentedEpochs(Augmentation(name="affine"), 0, "data")
    before = pool.folder()
    assert pool.folder() == before
    monkeypatch.setattr(
        "competition.data.augmented_epochs.augmenting_versions", lambda: ["another"]
    )
    assert pool.folder() != before


@pytest.mark.parametrize("is_gone", [True, False])
def test_an_epoch_that_another_command_replaces_stays(is_gone, tiny, tmp_path, monkeypatch):
    """It removes the damaged one, or has made it again, after this command has looked at it."""
    monkeypatch.chdir(tmp_path)
    augmented = AugmentedEpochs(Augmentation(name="affine"), 0, "data")
    make_pools({augmented: 1}, tiny, workers=1)
    file, looks = augmented.file(0), []

    def is_whole(path) -> bool:
        looks.append(path)
        if is_gone and len(looks) == 2:
            raise FileNotFoundError
        return len(looks) == 2

    before = file.stat().st_mtime_ns
    monkeypatch.setattr("competition.data.augmented_epochs.is_whole", is_whole)
    make_pools({augmented: 1}, tiny, workers=1)
    assert looks == [file, file]
    assert file.stat().st_mtime_ns == before


@pytest.mark.parametrize("damage", ["gone", "cut"])
def test_an_epoch_that_is_lost_meanwhile_says_so(damage, tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pool = AugmentedEpochs(Augmentation(name="affine"), 0, "data")
    make_pools({pool: 1}, tiny, workers=1)
    file = pool.file(0)
    file.unlink() if damage == "gone" else file.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(UserError, match=r"epoch000.npy cannot be read .* they are made again"):
        pool.epoch(0, tiny.train)


EPOCH_BYTES = 120 * 28 * 28


@pytest.fixture
def three_pools(tiny, tmp_path, monkeypatch) -> list[AugmentedEpochs]:
    """Pools of one epoch each, used one after the other, where three and a half have room."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(augmented_epochs, "LIMIT_BYTES", int(3.5 * EPOCH_BYTES))
    pools = [AugmentedEpochs(Augmentation(name="affine"), seed, "data") for seed in range(3)]
    make_pools(dict.fromkeys(pools, 1), tiny, workers=1)
    for age, pool in enumerate(reversed(pools)):
        os.utime(pool.folder(), (1000 - age, 1000 - age))
    return pools


def test_the_pool_used_longest_ago_makes_way(three_pools, tiny, capsys):
    first, second, third = three_pools
    make_room({first: 2}, tiny)
    assert [pool.folder().exists() for pool in three_pools] == [True, False, True]
    assert f"removed {second.folder()}/" in capsys.readouterr().out
    make_pools({first: 2}, tiny, workers=1)
    make_room({first: 2}, tiny)  # needs no more
    assert third.folder().exists()


def test_what_never_fits_is_refused(three_pools, tiny):
    with pytest.raises(UserError, match=r"images of this run need 0\.00 GB more, but output/pools"):
        make_room({three_pools[0]: 9}, tiny)
    assert not three_pools[0].missing(1)


def test_a_full_disk_is_seen_before_it_is_written_to(three_pools, tiny, monkeypatch):
    monkeypatch.setattr(augmented_epochs, "LIMIT_BYTES", 10**9)
    usage = shutil.disk_usage(".")
    monkeypatch.setattr(
        augmented_epochs.shutil, "disk_usage", lambda path: usage._replace(free=10**5)
    )
    with pytest.raises(UserError, match=r"and the disk has 0\.00 GB free"):
        make_room({three_pools[0]: 4}, tiny)


def test_what_another_training_reads_does_not_make_way(three_pools, tiny):
    with (
        storage.shared(paths.pools_lock_file()),
        pytest.raises(UserError, match="wait for the other training"),
    ):
        make_room({three_pools[0]: 2}, tiny)
    assert all(pool.folder().exists() for pool in three_pools)


def test_what_a_killed_worker_left_half_made_is_removed_unless_somebody_is_making_it(
    three_pools, tiny
):
    half = three_pools[0].folder() / "epoch001.npy.partial-0123abcd"
    half.write_bytes(b"half")
    with storage.shared(paths.pools_lock_file()):
        make_room({three_pools[0]: 1}, tiny)
    assert half.exists()
    make_room({three_pools[0]: 1}, tiny)
    assert not half.exists()
    assert not three_pools[0].missing(1)


def test_a_pool_grows_without_making_again_what_it_has(tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pool = AugmentedEpochs(Augmentation(name="affine"), 0, "data")
    make_pools({pool: 1}, tiny, workers=1)
    made = pool.file(0).stat().st_mtime_ns
    assert pool.missing(2) == [1]
    make_pools({pool: 2}, tiny, workers=1)
    assert pool.missing(2) == []
    assert pool.file(0).stat().st_mtime_ns == made


@pytest.mark.parametrize(
    "other",
    [
        AugmentedEpochs(Augmentation(name="affine_elastic"), 0, "data"),
        AugmentedEpochs(Augmentation(name="affine", rotation=11.0), 0, "data"),
        AugmentedEpochs(Augmentation(name="affine"), 1, "data"),
        AugmentedEpochs(Augmentation(name="affine"), 0, "other data"),
        AugmentedEpochs(Augmentation(name="affine"), 0, "data", "test"),
    ],
)
def test_pools_of_other_policy_seed_data_or_part_are_kept_apart(other):
    assert other.file(0) != AugmentedEpochs(Augmentation(name="affine"), 0, "data").file(0)


def test_a_default_written_out_is_the_same_pool():
    written_out = AugmentedEpochs(Augmentation(name="affine", rotation=10.0), 0, "data")
    assert written_out.file(0) == AugmentedEpochs(Augmentation(name="affine"), 0, "data").file(0)
