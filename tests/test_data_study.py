"""What is measured of digits before training: exact on made-up images, and the same every time."""

import csv
import dataclasses

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import binomtest, chi2
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import StratifiedKFold

from competition.analysis.augmentation_effects import study_policies
from competition.analysis.data_study import study, write_class_counts
from competition.analysis.digit_measures import class_counts, class_images, measure, pixels
from competition.analysis.drift import FEWEST_ROWS, ShiftTest, shift_test
from competition.analysis.duplicates import CONTRADICTION, NEAR, Pairs, find_duplicates, write_pairs
from competition.analysis.embedding import embed, principal_components, single_threaded
from competition.config.loading import load_config
from competition.config.registry import AUGMENTATIONS
from competition.digits import DataSet, Digits

CONFIG = """\
name: tried
data: tiny
variants:
  plain:
  residual: {augmentation: {name: affine, rotation: 3}}
"""


@pytest.fixture(scope="module", autouse=True)
def _as_a_study_computes():
    with single_threaded():
        yield


def nothing(share: float) -> None:
    """Takes the place of a progress display."""


def digits_of(images: np.ndarray, labels: list[int] | None = None) -> Digits:
    ids = np.arange(1, len(images) + 1, dtype=np.int32)
    return Digits(ids, images, None if labels is None else np.array(labels, np.uint8))


def stroke(columns: list[int], first_row: int) -> np.ndarray:
    """Returns a digit with full ink in one column of each row, from the first row on."""
    image = np.zeros((28, 28), np.uint8)
    image[np.arange(first_row, first_row + len(columns)), columns] = 255
    return image


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp("configs") / "tried.yaml"
    path.write_text(CONFIG)
    return load_config(path)


@pytest.fixture(scope="module")
def studied(config, tiny):
    return study(config, tiny)


def test_ink_slant_and_centre_of_strokes():
    upright, right = stroke([14] * 10, 9), stroke(list(range(18, 8, -1)), 9)
    left, steep = stroke(list(range(9, 19)), 9), stroke([15, 15, 14, 14, 13, 13], 11)
    flat = np.zeros((28, 28), np.uint8)
    flat[3, 5:20] = 51
    found = measure(np.stack([upright, right, left, steep, flat]))
    np.testing.assert_allclose(found.ink, [10, 10, 10, 6, 15 / 5])
    # The steep one's covariance is 8 to its variance of 17.5 sixths.
    np.testing.assert_allclose(found.slant, [0, 45, -45, np.rad2deg(np.arctan(8 / 17.5)), 0])
    # The image's centre is at 13.5; ink in rows 9 to 18 is centred there.
    np.testing.assert_allclose(found.off_centre, [0.5, 0, 0, 0.5, np.hypot(10.5, 1.5)], atol=1e-9)


def test_measures_of_many_digits_are_those_of_each(monkeypatch, tiny):
    whole = measure(tiny.train.images)
    monkeypatch.setattr("competition.analysis.digit_measures.BLOCK", 7)
    for one, other in zip(
        dataclasses.astuple(whole), dataclasses.astuple(measure(tiny.train.images)), strict=True
    ):
        np.testing.assert_allclose(one, other)


def test_class_counts_are_tested_against_equal_shares(tmp_path):
    equal = class_counts(np.repeat(np.arange(10), 20).astype(np.uint8))
    assert (equal.expected, equal.p_value) == (20, 1)
    found = class_counts(np.repeat(np.arange(10), [40, *[20] * 8, 0]).astype(np.uint8))
    assert found.counts.tolist() == [40, *[20] * 8, 0]
    # Two classes are off by 20, of 20 expected; nine counts are free.
    assert found.p_value == pytest.approx(chi2.sf(2 * 20**2 / 20, 9))
    write_class_counts(tmp_path / "counts.csv", found)
    with (tmp_path / "counts.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert lines[0] == {"class": "0", "rows": "40", "share": "0.2000", "expected_rows": "20.0",
                        "difference": "+20.0"}  # fmt: skip
    assert (lines[9]["rows"], lines[9]["difference"]) == ("0", "-20.0")


def test_pixels_are_counted():
    images = np.zeros((4, 28, 28), np.uint8)
    images[0, 4:10, 5] = 255
    images[1, 4, 5:9] = 51
    images[2:, 4, 5] = 255
    found = pixels(images)
    assert found.values[255] * images.size == pytest.approx(8)
    assert found.values[51] * images.size == pytest.approx(4)
    assert found.values.sum() == pytest.approx(1)
    assert (found.mean, found.deviation) == pytest.approx(
        ((images / 255).mean(), (images / 255).std())
    )
    assert (found.inked[4, 5], found.inked[9, 5], found.inked[0, 0]) == (1, 0.25, 0)
    assert found.largest == (6, 4)


def test_class_images_are_means_and_deviations():
    images = np.zeros((3, 28, 28), np.uint8)
    images[:, 1, 2] = [10, 30, 7]
    means, deviations = class_images(images, np.array([4, 4, 0], np.uint8))
    assert (means[4, 1, 2], deviations[4, 1, 2]) == (20, 10)
    assert (means[0, 1, 2], deviations[0, 1, 2]) == (7, 0)
    assert not means[[1, 2, 3, 5, 6, 7, 8, 9]].any()


def noise(count: int, seed: int = 0) -> np.ndarray:
    """Returns images that are all far from each other."""
    shape = (count, 28, 28)
    random = np.random.default_rng(seed)
    return random.integers(1, 256, shape).astype(np.uint8) * (random.random(shape) < 0.2)


def nearly(image: np.ndarray) -> np.ndarray:
    """Returns an image with two pixels of its ink gone."""
    varied = image.copy()
    varied[tuple(np.argwhere(image)[:2].T)] = 0
    return varied


def distance(one: np.ndarray, other: np.ndarray) -> float:
    unit = [each / np.linalg.norm(each.astype(float)) for each in (one, other)]
    return np.linalg.norm(unit[0] - unit[1])


@pytest.fixture
def planted() -> DataSet:
    """Copies of the labelled rows 0, 1 and of test row 20; near ones of 2 and 3, the last twice."""
    train, test = noise(60), noise(30, seed=1)
    train[50], test[10], test[21] = train[0], train[1], test[20]
    train[51], test[11], train[52] = nearly(train[2]), nearly(train[3]), nearly(train[4])
    labels = [*range(10)] * 6
    labels[50], labels[51], labels[52] = 0, 2, 9
    return DataSet("planted", digits_of(train, labels), digits_of(test))


def copies(rows: list[list[int]]) -> Pairs:
    return Pairs(np.array(rows), np.zeros(len(rows)))


def test_planted_duplicates_are_found(planted):
    found = find_duplicates(planted, nothing)
    assert found.exact.rows.tolist() == [[0, 50], [1, 60 + 10], [60 + 20, 60 + 21]]
    assert found.exact.distances.tolist() == [0, 0, 0]
    assert found.places(found.exact) == {"train": 1, "both": 1, "test": 1}
    assert sorted(found.near.rows.tolist()) == [[2, 51], [3, 60 + 11], [4, 52]]
    assert found.places(found.near) == {"train": 2, "both": 1, "test": 0}
    assert found.seen_test_rows() == 2
    copied = dataclasses.replace(found, exact=copies([[60 + 11, 60 + 30], [60 + 20, 60 + 21]]))
    assert copied.seen_test_rows() == 2  # the row beside a labelled one, and its copy
    images = np.concatenate([planted.train.images, planted.test.images])
    expected = [distance(images[one], images[other]) for one, other in found.near.rows]
    np.testing.assert_allclose(found.near.distances, expected)
    assert (np.diff(expected) >= 0).all()
    assert max(expected) <= NEAR
    # Only the labels of 4 and 52 contradict each other.
    assert found.contradictions.rows.tolist() == [[4, 52]]


def test_no_pair_is_missed(tiny, monkeypatch):
    monkeypatch.setattr("competition.analysis.duplicates.BLOCK", 17)
    monkeypatch.setattr("competition.analysis.duplicates.SEARCH_COMPONENTS", 5)
    monkeypatch.setattr("competition.analysis.duplicates.NEAR", 0.6)
    monkeypatch.setattr("competition.analysis.duplicates.CONTRADICTION", 0.8)
    found = find_duplicates(tiny, nothing)
    images = np.concatenate([tiny.train.images, tiny.test.images]).reshape(160, -1) / 255
    unit = images / np.linalg.norm(images, axis=1, keepdims=True)
    distances = np.linalg.norm(unit[:, None] - unit, axis=2)
    upper = np.triu(np.ones_like(distances, bool), k=1)
    expected = np.argwhere(upper & (distances <= 0.6))
    assert len(expected) > 20
    assert sorted(found.near.rows.tolist()) == expected.tolist()
    labels = tiny.train.labels
    differ = labels[:, None] != labels
    least = np.sort(distances[:120, :120][upper[:120, :120] & differ])
    least = least[least <= 0.8][:100]
    np.testing.assert_allclose(found.contradictions.distances, least)


def test_identical_rows_are_no_flood_of_pairs():
    same = np.repeat(noise(1), 500, axis=0)
    train = digits_of(same[:300], [*range(10)] * 30)
    found = find_duplicates(DataSet("same", train, digits_of(same[300:])), nothing)
    assert len(found.exact) == 499
    assert len(found.near) == 0
    assert found.seen_test_rows() == 200
    assert len(found.contradictions) == 100


def test_pairs_are_written_as_a_table(tmp_path, planted):
    found = find_duplicates(planted, nothing)
    write_pairs(tmp_path / "pairs.csv", planted, {"exact": found.exact})
    lines = (tmp_path / "pairs.csv").read_text().splitlines()
    assert lines == [
        "kind,distance,part,id,label,other_part,other_id,other_label",
        "exact,0.0000,train,1,0,train,51,0",
        "exact,0.0000,train,2,1,test,11,",
        "exact,0.0000,test,21,,test,22,",
    ]


def test_constants_are_in_order():
    assert 0 < NEAR < CONTRADICTION < np.sqrt(2)


def test_a_planted_shift_is_found_and_none_where_none_is():
    random = np.random.default_rng(3)
    train, same = random.normal(size=(2, 300, 4)).astype(np.float32)
    moved = same + np.float32([1, 0, 0, 0])
    found = shift_test(train, moved, 0)
    assert found.rows == 600
    assert found.accuracy > 0.6
    assert found.p_value < 1e-6
    assert found.interval()[0] > 0.5
    assert found.test_values.mean() > found.train_values.mean()
    none = shift_test(train, same, 0)
    assert none.p_value > 0.05
    assert none.interval()[0] < 0.5


def test_no_row_is_asked_of_trees_that_learnt_it():
    """Each fold's rows by trees of the other folds, as a loop over the folds has them."""
    random = np.random.default_rng(5)
    train, test = random.normal(size=(2, 60, 3)).astype(np.float32)
    found = shift_test(train, test, 7)
    drawn = np.random.default_rng(7)
    sides = [side[drawn.choice(60, 60, replace=False)] for side in (train, test)]
    features, is_test = np.concatenate(sides), np.repeat([0, 1], 60)
    expected = np.empty(120)
    for learnt, asked in StratifiedKFold(5, shuffle=True, random_state=7).split(features, is_test):
        trees = HistGradientBoostingClassifier(
            max_iter=60, max_leaf_nodes=15, early_stopping=False, random_state=7
        )
        trees.fit(features[learnt], is_test[learnt])
        expected[asked] = trees.predict_proba(features[asked])[:, 1]
    np.testing.assert_array_equal(np.append(found.train_values, found.test_values), expected)


def test_the_figures_of_a_shift_test():
    found = ShiftTest(np.array([0.1, 0.2, 0.7]), np.array([0.5, 0.9, 0.4]))
    assert (found.right, found.rows) == (4, 6)
    assert found.accuracy == pytest.approx(2 / 3)
    assert found.p_value == pytest.approx((15 + 6 + 1) / 64)
    expected = binomtest(4, 6).proportion_ci(method="wilson")
    assert found.interval() == pytest.approx((expected.low, expected.high), abs=1e-6)


def test_too_few_rows_have_no_shift_test():
    few, many = np.zeros((FEWEST_ROWS - 1, 3), np.float32), np.zeros((100, 3), np.float32)
    assert shift_test(few, many, 0) is None
    assert shift_test(many, few, 0) is None


def test_embedding_tells_how_far_it_is(tiny, capsys):
    components = tiny.train.images.reshape(120, -1)[:, ::40].astype(np.float32)
    shares = []
    embed(tiny.train, digits_of(tiny.test.images[:0]), components, 0, shares.append)
    assert shares == sorted(shares)
    assert len(shares) >= 5
    assert 0 < shares[0] < shares[-1] <= 1
    assert capsys.readouterr().out == ""


def test_few_rows_are_embedded_without_neighbours(tiny):
    train, test = tiny.train.take(np.arange(5)), tiny.test.take(np.arange(2))
    found = embed(train, test, np.arange(21, dtype=np.float32).reshape(7, 3), 0, nothing)
    assert found.principal.tolist() == [[3 * row, 3 * row + 1] for row in range(7)]
    assert (found.neighbours, found.agreement) == (None, None)


def test_every_policy_is_tried_on_the_same_digits(config, tiny):
    found = study_policies(config, tiny.train, seed=0)
    names = [policy.augmentation.name for policy in found]
    assert names == [*AUGMENTATIONS, "affine"]
    users = {"warp": ["plain"]}
    assert [policy.variants for policy in found[:-1]] == [
        users.get(name, []) for name in AUGMENTATIONS
    ]
    assert found[-1].variants == ["residual"]
    assert (found[-1].values["rotation"], found[-1].values["zoom"]) == (3, 0.1)
    for policy in found:
        np.testing.assert_array_equal(policy.before, found[0].before)
        assert policy.before.shape == (10, 28, 28)
        assert policy.after.shape == (5, 10, 28, 28)
    unchanged = found[0]
    assert (unchanged.after == unchanged.before).all()
    assert unchanged.slant_before == unchanged.slant_after
    assert (unchanged.ink_ratio, unchanged.measured) == (1, 120)
    images = tiny.train.images
    assert unchanged.slant_before == pytest.approx(measure(images).slant.std())
    sides = [images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]]
    assert unchanged.at_edge == np.any(sides, axis=(0, 2)).mean()
    assert not (found[1].after == found[1].before).all()
    assert found[1].at_edge > unchanged.at_edge


def test_the_whole_study_is_the_same_every_time(config, tiny, studied):
    again = study(config, tiny)
    np.testing.assert_array_equal(again.embedding.neighbours, studied.embedding.neighbours)
    np.testing.assert_array_equal(again.embedding.principal, studied.embedding.principal)
    np.testing.assert_array_equal(again.shift.test_values, studied.shift.test_values)
    np.testing.assert_array_equal(again.duplicates.near.rows, studied.duplicates.near.rows)
    for one, other in zip(again.policies, studied.policies, strict=True):
        np.testing.assert_array_equal(one.after, other.after)


def test_a_study_has_what_the_data_have(studied, tiny):
    labels = tiny.train.labels
    assert studied.counts.counts.tolist() == np.bincount(labels, minlength=10).tolist()
    for label, rows in enumerate(studied.examples):
        assert (labels[rows] == label).all()
        assert len(rows) == len(set(rows.tolist())) == min(16, studied.counts.counts[label])
    assert studied.embedding.neighbours.shape == (160, 2)
    points = studied.embedding.neighbours[:120]
    distances = cdist(points, points) + np.diag(np.full(120, np.inf))
    nearest = distances.argmin(axis=1)
    # 120 labelled digits are fewer than a sample has, so all of them are there, in their order.
    assert studied.embedding.agreement == (labels[nearest] == labels).mean()
    assert studied.embedding.agreement > 0.5
    np.testing.assert_array_equal(studied.embedding.labels, labels)
    assert studied.shift.rows == 80


def test_principal_components_are_those_of_a_singular_value_decomposition():
    random = np.random.default_rng(0)
    vectors = random.normal(size=(50, 6)).astype(np.float32) * [9, 5, 3, 2, 1, 1]
    found = principal_components(vectors, 3)
    left, lengths, _ = np.linalg.svd(vectors - vectors.mean(axis=0), full_matrices=False)
    np.testing.assert_allclose(np.abs(found), np.abs(left[:, :3] * lengths[:3]), atol=1e-4)
    assert found.dtype == np.float32
    assert principal_components(vectors[:1], 3).tolist() == [[0]]


def test_no_pairs_are_a_table_without_lines(tmp_path, tiny):
    write_pairs(tmp_path / "pairs.csv", tiny, {"near": Pairs(np.empty((0, 2), int), np.empty(0))})
    assert (tmp_path / "pairs.csv").read_text().count("\n") == 1
