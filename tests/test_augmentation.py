"""Augmentation: every image varies by itself, and the same way wherever it is made."""

import shutil

import numpy as np
import pytest
from joblib.externals.loky import get_reusable_executor

from competition import commands
from competition.config import registry
from competition.config.registry import Augmentation
from competition.data.augmentation import Warp
from competition.data.augmented_epochs import (
    AugmentedEpochs,
    augment,
    make_pool,
    make_pools,
    pools_at_hand,
)
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


class LargestDraws:
    """A random generator that draws the upper limit, and normal values that were chosen."""

    def __init__(self, normal: np.ndarray | float = 0.0):
        self.chosen = normal

    def uniform(self, low: float, high: float, size: int | None = None):
        return high if size is None else np.full(size, high)

    def random(self) -> float:
        return 0.0

    def normal(self, size: tuple[int, ...]) -> np.ndarray:
        return np.broadcast_to(self.chosen, size).copy()


def warp_of(draws=None, knots: int = 5, **changes: float) -> Warp:
    """Returns a warp of nothing but these changes, with these draws, or those of seed 0."""
    warp = Warp(**STILL | {"displacement": 0.0, "probability": 1.0} | changes, knots=knots)
    warp.set_random_seed(0)
    if draws is not None:
        warp.random_generator = draws
    return warp


SLANT = np.degrees(np.arctan(0.5))


@pytest.mark.parametrize(
    ("changes", "matrix"),
    [
        ({}, [[1, 0], [0, 1]]),
        ({"rotation": 90.0}, [[0, -1], [1, 0]]),
        ({"zoom": 0.25}, [[0.8, 0], [0, 0.8]]),
        ({"shear": SLANT}, [[1, 0.5], [0.5, 1]]),
        # First the slants, then the turn, then the size: [[1, 0.5], [0.5, 1]] @ [[0, -1], [1, 0]].
        ({"rotation": 90.0, "zoom": 0.25, "shear": SLANT}, [[0.4, -0.8], [0.8, -0.4]]),
    ],
    ids=str,
)
def test_the_matrix_of_a_warp_is_known(changes, matrix):
    drawn = warp_of(LargestDraws(), **changes).draw_inverse_map()
    np.testing.assert_allclose(drawn, matrix, atol=1e-12)


def test_a_warp_turns_clockwise_and_shifts_right_and_down(tiny):
    image = tiny.train.images[0]
    turned = warp_of(LargestDraws(), rotation=90.0).apply(image)
    np.testing.assert_array_equal(turned, np.rot90(image, -1))
    shifted = warp_of(LargestDraws(), shift=2 / 28).apply(image)
    np.testing.assert_array_equal(shifted[2:, 2:], image[:-2, :-2])
    assert not shifted[:2].any()
    assert not shifted[:, :2].any()


def test_a_displacement_says_where_a_pixel_comes_from(tiny):
    image = tiny.train.images[0]
    moved = warp_of(LargestDraws(np.array([2.0, 1.0])), knots=1, displacement=1 / 28).apply(image)
    np.testing.assert_array_equal(moved[:-1, :-2], image[1:, 2:])


def test_the_same_seed_draws_the_same():
    """Another number of draws would give every later image other ones."""
    warp = Warp(10.0, 0.1, 5.0, 0.08, displacement=0.018, knots=5, probability=1.0)
    warp.set_random_seed(3)
    draws = np.random.default_rng(3)
    shift, angle, slants = draws.uniform(-1, 1, 2), draws.uniform(-1, 1), draws.uniform(-1, 1, 2)
    size, _, grid = draws.uniform(0.9, 1.1), draws.random(), draws.normal(size=(5, 5, 2))
    np.testing.assert_allclose(warp.draw_shift(28), 28 * 0.08 * shift)
    along, across = np.tan(np.deg2rad(5 * slants))
    turn, cos, sin = np.deg2rad(10 * angle), np.cos, np.sin
    matrix = [[1, along], [across, 1]] @ np.array([[cos(turn), -sin(turn)], [sin(turn), cos(turn)]])
    np.testing.assert_allclose(warp.draw_inverse_map(), matrix / size)
    field = warp_of(LargestDraws(grid), displacement=0.018).draw_displacements(28)
    np.testing.assert_allclose(warp.draw_displacements(28), field)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"displacement": -0.5}, "displacement is -0.5, expected 0 or more"),
        ({"probability": -0.5}, "probability is -0.5, expected 0 to 1"),
        ({"probability": 1.5}, "probability is 1.5, expected 0 to 1"),
        ({"knots": 0}, "knots is 0, expected 1 or more"),
    ],
    ids=str,
)
def test_an_impossible_warp_is_refused(changes, problem):
    with pytest.raises(ValueError, match=problem):
        warp_of(**changes)


def cubic_weights(knots: int, side: int) -> np.ndarray:
    """Returns Keys' cubic convolution with OpenCV's a = -0.75, edges repeated, `[side, knots]`."""
    a, weights = -0.75, np.zeros((side, knots))
    for pixel in range(side):
        position = (pixel + 0.5) * knots / side - 0.5
        for knot in range(int(np.floor(position)) - 1, int(np.floor(position)) + 3):
            d = abs(position - knot)
            near = (a + 2) * d**3 - (a + 3) * d**2 + 1
            far = a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a
            weights[pixel, np.clip(knot, 0, knots - 1)] += near if d <= 1 else far
    return weights


def test_displacements_go_smoothly_through_their_grid():
    grid = np.random.default_rng(0).normal(size=(5, 5, 2))
    drawn = warp_of(LargestDraws(grid), displacement=0.02).draw_displacements(28)
    weights = cubic_weights(5, 28)
    expected = 0.02 * 28 * np.einsum("yi,xj,ijc->yxc", weights, weights, grid)
    np.testing.assert_allclose(drawn, expected, atol=1e-5)
    one = warp_of(LargestDraws(np.array([1.0, -2.0])), knots=1, displacement=0.5)
    np.testing.assert_allclose(one.draw_displacements(4), np.full((4, 4, 2), [2.0, -4.0]))


DRAWS = 2_000


def matrices_of(**changes: float) -> np.ndarray:
    warp = warp_of(**changes)
    return np.array([warp.draw_inverse_map() for _ in range(DRAWS)])


def assert_spread_evenly(values: np.ndarray, limit: float, middle: float = 0.0) -> None:
    """Both sides alike, and up to the limit: what is uniform has a standard deviation of l / √3."""
    values = (values - middle) / limit
    assert 0.97 < np.abs(values).max() <= 1 + 1e-9
    assert 0.46 < (values > 0).mean() < 0.54
    assert abs(values.mean()) < 0.05
    assert values.std() == pytest.approx(3**-0.5, rel=0.04)


def test_a_warp_turns_and_slants_to_either_side_and_grows_as_often_as_it_shrinks():
    turned = matrices_of(rotation=12.0)
    assert_spread_evenly(np.degrees(np.arctan2(turned[:, 1, 0], turned[:, 0, 0])), 12.0)
    np.testing.assert_allclose(np.linalg.det(turned), 1)
    slanted = matrices_of(shear=7.0)
    along = np.degrees(np.arctan(slanted[:, [0, 1], [1, 0]]))
    for axis in (0, 1):
        assert_spread_evenly(along[:, axis], 7.0)
    assert abs(np.corrcoef(along.T)[0, 1]) < 0.07
    sizes = np.linalg.det(matrices_of(zoom=0.2)) ** -0.5
    assert_spread_evenly(sizes, 0.2, middle=1.0)
    assert sizes.mean() == pytest.approx(1, abs=0.01)


def test_a_warp_shifts_in_every_direction():
    warp = warp_of(shift=0.1)
    shifts = np.array([warp.draw_shift(28) for _ in range(DRAWS)])
    for axis in (0, 1):
        assert_spread_evenly(shifts[:, axis], 2.8)
    assert abs(np.corrcoef(shifts.T)[0, 1]) < 0.07


def test_a_warp_displaces_as_many_images_and_as_far_as_it_should():
    warp = warp_of(displacement=0.02, probability=0.7)
    fields = np.array([warp.draw_displacements(28) for _ in range(DRAWS)])
    moved = fields[fields.any(axis=(1, 2, 3))]
    assert len(moved) / DRAWS == pytest.approx(0.7, abs=0.03)
    # Between the knots, a weighted mean of independent vectors is shorter than one of them.
    power = (cubic_weights(5, 28) ** 2).sum(axis=1).mean()
    assert np.sqrt((moved**2).mean()) == pytest.approx(0.02 * 28 * power, rel=0.02)
    assert (moved > 0).mean() == pytest.approx(0.5, abs=0.02)


def test_images_of_other_libraries_are_others(monkeypatch):
    pool = AugmentedEpochs(Augmentation(name="affine"), 0, "data")
    before = pool.folder()
    assert pool.folder() == before
    monkeypatch.setattr(
        "competition.data.augmented_epochs.augmenting_versions", lambda: ["another"]
    )
    assert pool.folder() != before


@pytest.mark.parametrize("damage", ["gone", "cut"])
def test_an_epoch_that_is_lost_meanwhile_says_so(damage, tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pool = AugmentedEpochs(Augmentation(name="affine"), 0, "data")
    make_pools({pool: 1}, tiny, workers=1)
    file = pool.file(0)
    file.unlink() if damage == "gone" else file.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(UserError, match=r"epoch000.npy cannot be read .* run the command again"):
        pool.epoch(0, tiny.train)


EPOCH_BYTES = 120 * 28 * 28


@pytest.mark.usefixtures("workplace")
def test_a_full_disk_is_seen_before_it_is_written_to(tiny, monkeypatch):
    usage = shutil.disk_usage(".")._replace(free=int(2.5 * EPOCH_BYTES))
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    pool = AugmentedEpochs(Augmentation(name="affine"), 0, "data")
    refused = r"need 282 kB in output/pools/, but the disk has 235 kB free; .*`make clean`"
    with pytest.raises(UserError, match=refused), pools_at_hand({pool: 3}, tiny):
        pass
    assert pool.missing(3) == [0, 1, 2]
    make_pool(pool, 2, tiny)
    with pools_at_hand({pool: 3}, tiny):  # two of them are there
        assert pool.missing(3) == []


@pytest.mark.usefixtures("workplace")
def test_images_that_a_training_reads_are_not_cleaned_away(tiny):
    pool = AugmentedEpochs(Augmentation(name="affine"), 0, "data")
    with pools_at_hand({pool: 1}, tiny):
        with pytest.raises(UserError, match="a training in this folder reads output/pools/"):
            commands.clean()
        assert pool.missing(1) == []
    commands.clean()
    assert pool.missing(1) == [0]


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
