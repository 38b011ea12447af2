"""Occlusion maps and neighbours: exact on nets made by hand, never of one that learnt the row."""

import dataclasses
import zipfile
from pathlib import Path

import numpy as np
import pytest
from conftest import made_up_cases, make_project, one_sure, write_made_up_result
from scipy.spatial.distance import cdist
from scipy.special import softmax

from competition import paths
from competition.analysis import trained_net
from competition.analysis.explain import (
    WORST,
    assignments_by_variant,
    explain,
    nearest_neighbours,
    occluded,
    occluded_and_whole,
    occlusion_drops,
    rows_to_explain,
    similar_digits,
)
from competition.analysis.mistakes import find
from competition.analysis.trained_net import Net, load_net
from competition.config.loading import load_config
from competition.console import ProgressDisplay
from competition.data.run import Run, load_run
from competition.digits import DataSet, Digits
from competition.ensemble.comparison import EnsembleResult, combine
from competition.errors import UserError
from competition.probabilities import Probabilities
from competition.results import ALL_ROWS, Job
from competition.training.resources import use_precision

PIXEL = (9, 16)
# The cells of a map whose patches, six pixels wide, cover that pixel.
SEEN = np.s_[3:6, 7:10]


@pytest.fixture(autouse=True)
def keras_as_it_is(monkeypatch):
    """Makes nets in float32; threads cannot be set where TensorFlow has begun already."""
    use_precision("float32")
    monkeypatch.setattr("competition.analysis.explain.start_keras", lambda threads: None)


def test_each_patch_surrounds_its_cell_and_ends_with_the_image():
    image = np.random.default_rng(0).integers(100, 256, (28, 28)).astype(np.uint8)
    hidden = occluded(image, 33).reshape(14, 14, 28, 28)
    corner, inside = image.copy(), image.copy()
    corner[:4, 24:] = 33
    inside[4:10, 12:18] = 33
    np.testing.assert_array_equal(hidden[0, 13], corner)
    np.testing.assert_array_equal(hidden[3, 7], inside)
    assert hidden.dtype == np.uint8


def one_pixel_net(looked_at: tuple[int, int] = PIXEL, seed: int | None = None):
    """Returns a Keras model whose logit of 3 is the brightness of one pixel, the others 0.

    With a seed, the logits are those of a random layer instead.
    """
    import keras

    images = keras.Input((28, 28, 1))
    pixels = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(images))
    logits = keras.layers.Dense(10)
    model = keras.Model(images, logits(pixels))
    kernel = np.zeros((784, 10), np.float32)
    kernel[np.ravel_multi_index(looked_at, (28, 28)), 3] = 1
    if seed is not None:
        kernel = np.random.default_rng(seed).normal(0, 0.2, (784, 10)).astype(np.float32)
    logits.set_weights([kernel, np.zeros(10, np.float32)])
    return model


def test_hiding_finds_the_only_pixel_that_a_net_looks_at():
    images = np.full((2, 28, 28), 77, np.uint8)
    images[0][PIXEL] = 255
    images[1][PIXEL] = 0
    asked = occluded_and_whole(images, grey=51)
    answers = (values for _, values in Net(one_pixel_net()).answers(asked))
    maps, values = occlusion_drops(answers, np.array([[3, 8], [3, 8]]))
    bright, dark, grey = (softmax([brightness, *np.zeros(9)]) for brightness in (1, 0, 0.2))
    np.testing.assert_allclose(values[:, [3, 8]], [bright[:2], dark[:2]], rtol=1e-6)
    expected = np.zeros((2, 2, 14, 14))
    expected[0, 0][SEEN], expected[0, 1][SEEN] = bright[:2] - grey[:2]
    expected[1, 0][SEEN], expected[1, 1][SEEN] = dark[:2] - grey[:2]
    np.testing.assert_allclose(maps, expected, atol=1e-7)


@pytest.mark.parametrize("block", [3, 1000])
def test_features_are_what_the_last_layer_is_given(monkeypatch, tiny, block):
    monkeypatch.setattr(trained_net, "BLOCK", block)
    images = tiny.train.images[:7]
    blocks = zip(*Net(one_pixel_net(seed=1)).answers(images), strict=True)
    features, values = map(np.concatenate, blocks)
    np.testing.assert_allclose(features, images.reshape(7, 784) / np.float32(255), rtol=1e-6)
    kernel = np.random.default_rng(1).normal(0, 0.2, (784, 10)).astype(np.float32)
    np.testing.assert_allclose(values, softmax(features @ kernel, axis=1), rtol=1e-4)


def test_a_last_layer_may_be_given_several_things(tiny):
    from competition.models.capsules import capsules

    features, values = next(Net(capsules(width=2, types=2, size=3)).answers(tiny.train.images[:4]))
    assert features.shape == (4, 4 * 4 * 2 * (3 + 1))
    np.testing.assert_allclose(values.sum(axis=1), 1, rtol=1e-5)


def test_neighbours_are_those_of_the_smallest_angle():
    random = np.random.default_rng(0)
    rows, queries = random.normal(size=(50, 4)), random.normal(size=(9, 4))
    rows[17] = 3 * queries[2]
    blocks = np.split(rows, [1, 20, 21])
    found, distances = nearest_neighbours(queries, blocks, count=5)
    exact = cdist(queries, rows, "cosine")
    np.testing.assert_array_equal(found, exact.argsort(axis=1)[:, :5])
    np.testing.assert_allclose(distances, np.sort(exact, axis=1)[:, :5], atol=1e-6)
    assert found[2, 0] == 17
    assert distances[2, 0] == pytest.approx(0, abs=1e-6)


def test_level_neighbours_come_in_order_and_nothing_is_like_nothing():
    queries = np.array([[1.0, 0.0], [0.0, 0.0]])
    rows = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    found, distances = nearest_neighbours(queries, [rows], count=9)
    assert found.tolist() == [[1, 3, 0, 2], [0, 1, 2, 3]]
    np.testing.assert_array_equal(distances, [[0, 0, 1, 1], [1, 1, 1, 1]])


def test_rows_asked_for_come_first_and_no_row_twice():
    labels = np.full(300, 4, np.uint8)
    predicted = made_up_cases(np.random.default_rng(0), np.eye(10)[labels], 2, labels)
    worst = np.argsort(-predicted.losses, kind="stable")
    asked = (predicted.digits.ids[worst[[250, 3]]]).tolist()
    rows = rows_to_explain(predicted, [*asked, asked[0]])
    assert rows[:2].tolist() == worst[[250, 3]].tolist()
    assert rows[2:].tolist() == [row for row in worst[:WORST] if row != worst[3]]
    with pytest.raises(UserError, match="id 301, 0; the 300 held-out rows have ids from 1 to 300"):
        rows_to_explain(predicted, [5, 301, 0])


TWIN = 7  # a row that comes again among those of the other folds


@pytest.fixture
def run(workplace, tiny, tiny_files) -> Run:
    """Three folds, a variant of two seeds and one of one; results are random, nets made by hand.

    The first of two rows in different folds is an exact copy of the other.
    """
    make_project(workplace, tiny_files)
    changes = ["folds.count=3", "variants.plain.seeds=[0, 1]", "variants.plain.all_rows_seeds=[4]"]
    loaded = load_run(load_config(Path("configs/tiny.yaml"), ["ensemble.method=mean", *changes]))
    images = tiny.train.images.copy()
    images[twin_of(loaded)] = images[TWIN]
    train = Digits(tiny.train.ids, images, tiny.train.labels)
    return dataclasses.replace(loaded, data_set=DataSet("tiny", train, tiny.test))


def twin_of(run: Run) -> int:
    return int(np.flatnonzero(run.folds.folds != run.folds.folds[TWIN])[20])


def seed_of(job: Job) -> int:
    """Returns a number that no other job has."""
    return 100 * job.seed + 10 * (job.variant == "plain") + int(job.split[-1])


def write_results(run: Run) -> EnsembleResult:
    """Writes what made-up nets say, with the nets; the rows' losses rise with their ids."""
    train, test = run.data_set.train, run.data_set.test
    for job, identity in run.identities.items():
        made_up = {"test": Probabilities(test.ids, np.full((len(test), 10), 0.1, np.float32))}
        if job.split != ALL_ROWS:
            rows = run.folds.split(job.split)[1]
            sure = [one_sure(train.labels[row], 0.99 - row / 200) for row in rows]
            made_up["out_of_fold"] = Probabilities(train.ids[rows], np.array(sure, np.float32))
        write_made_up_result(job, identity, **made_up)
        if job.split != ALL_ROWS:
            one_pixel_net(seed=seed_of(job)).save(job.folder() / paths.MODEL)
    return combine([run])


@pytest.fixture
def made(run) -> EnsembleResult:
    return write_results(run)


def test_each_row_is_shown_to_the_nets_of_the_first_seed_that_held_it_out(run, made):
    ids = run.data_set.train.ids[::7]
    assignments = assignments_by_variant(run, made.member_predictions, ids)
    assert list(assignments) == ["plain seed0", "perceptron seed0"]
    for found in assignments.values():
        assert [assignment.job.split for assignment in found] == ["fold0", "fold1", "fold2"]
        for fold, assignment in enumerate(found):
            expected = np.flatnonzero(run.folds.folds[::7] == fold)
            np.testing.assert_array_equal(assignment.rows, expected)


def test_a_row_that_is_held_out_twice_is_shown_once(run, made):
    held_out = run.folds.held_out | {"fold1": run.folds.held_out["fold0"]}
    folds = dataclasses.replace(run.folds, held_out=held_out)
    twice = dataclasses.replace(run, folds=folds)
    rows = run.data_set.train.ids[run.folds.held_out["fold0"]]
    by_variant = assignments_by_variant(twice, made.member_predictions, rows)
    splits = {name: [each.job.split for each in found] for name, found in by_variant.items()}
    assert splits == {name: ["fold0"] for name in ("plain seed0", "perceptron seed0")}


def test_rows_are_explained_by_nets_that_never_saw_them(run, made):
    asked = TWIN + 1
    found = explain(run, made, [asked])
    assert len(found.predicted) == 101
    assert found.asked == 1
    assert found.predicted.digits.ids[0] == asked
    assert found.predicted.digits.ids[1:].tolist() == list(range(120, 20, -1))
    folds, train = run.folds.folds, run.data_set.train
    for name, explained in found.by_variant.items():
        assert explained.neighbours.shape == explained.distances.shape == (101, 6)
        assert (folds[explained.neighbours] != found.predicted.folds[:, None]).all()
        np.testing.assert_array_equal(explained.labels, train.labels[explained.neighbours])
        assert explained.neighbours[0, 0] == twin_of(run)
        assert explained.distances[0, 0] == pytest.approx(0, abs=1e-6)
        assert (np.diff(explained.distances, axis=1) >= 0).all()
        for row in (0, 1, 50):
            job = Job("tiny", name.split()[0], 0, f"fold{found.predicted.folds[row]}")
            kernel = np.random.default_rng(seed_of(job)).normal(0, 0.2, (784, 10))
            image = found.predicted.digits.images[row].reshape(1, 784) / 255
            np.testing.assert_allclose(explained.values[row], softmax(image @ kernel)[0], rtol=1e-3)
            rival = found.rivals[row]
            assert rival != found.predicted.digits.labels[row]
            hidden = image.reshape(28, 28).copy()
            hidden[:4, :4] = round(train.images.mean()) / 255
            lost = (softmax(image @ kernel) - softmax(hidden.reshape(1, 784) @ kernel))[0, rival]
            assert explained.drops[row, 1, 0, 0] == pytest.approx(lost, abs=1e-5)


def test_similar_digits_are_those_of_the_first_net_that_is_there(run, made):
    findings, jobs = find(run, made), made.member_predictions.manifests()
    found = similar_digits(findings, jobs)
    assert found.by == "plain seed0 fold0"
    assert list(found.labelled) == findings.worth_a_look.tolist()
    assert list(found.test) == findings.uncertain_test.tolist()
    net = load_net(Job("tiny", "plain", 0, "fold0"))
    labelled, test = (np.concatenate([*net.features(digits.images)])
                      for digits in (run.data_set.train, run.data_set.test))  # fmt: skip
    for features, by_row, own in ((labelled, found.labelled, True), (test, found.test, False)):
        for row, nearest in by_row.items():
            distances = cdist(features[[row]], labelled, "cosine")[0]
            others = np.delete(distances, row) if own else distances
            np.testing.assert_allclose(distances[nearest], np.sort(others)[:6], atol=1e-6)
            assert not own or row not in nearest
    for job in jobs:
        (job.folder() / paths.MODEL).unlink()
    assert similar_digits(findings, jobs).by == "pixels"


@pytest.mark.long
def test_progress_counts_every_image_that_a_net_is_asked_about(run, made, monkeypatch):
    shown = []

    class Display(ProgressDisplay):
        def __init__(self, description: str, total: float):
            super().__init__(description, total)
            shown.append((description, total))

        def update(self, done: float) -> None:
            shown.append(done)

    monkeypatch.setattr("competition.analysis.explain.ProgressDisplay", Display)
    left_out = int(run.data_set.train.ids[TWIN])
    explain(dataclasses.replace(run, label_errors={left_out: None}), made, [])
    (description, total), *counts = shown
    assert description == "asking 6 nets"
    # Two variants: 100 rows, each with 196 patches hidden, whole, and for its features. Each of 120
    # digits is learnt by two nets of three, but for the one that is left out.
    assert total == counts[-1] == 2 * (100 * 198 + 119 * 2)
    assert counts == sorted(counts)


@pytest.mark.long
def test_label_errors_are_left_out_or_learnt_as_a_person_has_them(run):
    train, twin = run.data_set.train, twin_of(run)
    mended = np.where(np.arange(len(train)) % 2, 5, train.labels)
    wrong = dict(zip(train.ids[1::2].tolist(), mended[1::2].tolist(), strict=True))
    wrong |= {int(train.ids[twin]): None}
    marked = dataclasses.replace(run, label_errors=wrong)
    explained = explain(marked, write_results(marked), [TWIN + 1]).by_variant["plain seed0"]
    assert twin not in explained.neighbours
    np.testing.assert_array_equal(explained.labels, mended[explained.neighbours])
    assert (explained.neighbours % 2).any()


def test_all_models_that_are_missing_are_named_before_any_work(run, made):
    for split in ("fold0", "fold2"):
        (Job("tiny", "perceptron", 0, split).folder() / paths.MODEL).unlink()
    with pytest.raises(UserError, match=r"2 of 6 nets have no model\.keras") as refused:
        explain(run, made, [])
    assert "  perceptron seed0 fold0 fold2: no model" in str(refused.value)
    assert 'SET="name=mine"' in str(refused.value)


def _unknown_layer(path: Path) -> None:
    import keras

    class Doubled(keras.layers.Layer):
        def call(self, inputs):
            return 2 * inputs

    model = one_pixel_net()
    keras.Model(model.inputs, Doubled()(model.outputs[0])).save(path)


def _code(path: Path) -> None:
    import keras

    model = one_pixel_net()
    keras.Model(model.inputs, keras.layers.Lambda(lambda it: it)(model.outputs[0])).save(path)


def _other_shape(path: Path) -> None:
    import keras

    images = keras.Input((28, 28))
    keras.Model(images, keras.layers.Dense(10)(keras.layers.Flatten()(images))).save(path)


def _one_changed_byte(path: Path) -> None:
    one_pixel_net().save(path)
    with zipfile.ZipFile(path) as archive:
        place = archive.getinfo("config.json").header_offset + 60
    content = bytearray(path.read_bytes())
    content[place] ^= 255
    path.write_bytes(content)


def _cut(path: Path) -> None:
    one_pixel_net().save(path)
    path.write_bytes(path.read_bytes()[:2000])


BAD_MODELS = {
    "empty": (lambda path: path.write_bytes(b""), "it is not a zip file"),
    "cut": (_cut, "it is not a zip file"),
    "a folder's zip": (lambda path: zipfile.ZipFile(path, "w").close(), "no item named"),
    "damaged": (_one_changed_byte, "Bad CRC-32"),
    "a layer that nobody knows": (_unknown_layer, "could not be deserialized"),
    "code": (_code, "Lambda"),
    "another shape": (_other_shape, r"it maps \(None, 28, 28\) to"),
}


@pytest.mark.parametrize(("make", "reason"), BAD_MODELS.values(), ids=BAD_MODELS.keys())
def test_a_model_that_cannot_be_trusted_is_refused(tmp_path, monkeypatch, make, reason):
    monkeypatch.chdir(tmp_path)
    job = Job("tiny", "plain", 0, "fold0")
    job.folder().mkdir(parents=True)
    make(job.folder() / paths.MODEL)
    with pytest.raises(UserError, match=f"is damaged, or not a model of this project .*{reason}"):
        load_net(job)


def test_a_model_of_a_newer_keras_is_not_called_damaged(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    job = Job("tiny", "plain", 0, "fold0")
    write_made_up_result(job, {}, facts={"versions": {"keras": "9.1.0"}})
    _unknown_layer(job.folder() / paths.MODEL)
    with pytest.raises(UserError, match=r"was saved by Keras 9\.1\.0, .* cannot read it .*again"):
        load_net(job)
