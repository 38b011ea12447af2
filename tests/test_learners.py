"""Learners that are not nets: their features by hand, and as variants like any other."""

import json

import numpy as np
import pytest
from conftest import run_main
from sklearn.decomposition import PCA
from sklearn.svm import SVC

from competition.config import registry
from competition.config.schema import Variant, code_hash
from competition.models.classical import (
    VERY_FAR,
    class_distances,
    direction_planes,
    gradient_features,
    gradient_planes,
    gradient_svm,
    moment_normalised,
    sampling,
    sobel,
)
from competition.storage import read_arrays

SETTINGS = {
    "gradient_svm": {"cells": 5, "components": 30},
    "distortion_neighbours": {"warp": 1, "candidates": 4, "neighbours": 2},
}


def rectangle(top: int, left: int, height: int, width: int) -> np.ndarray:
    image = np.zeros((28, 28), np.uint8)
    image[top : top + height, left : left + width] = 200
    return image


def moments(image: np.ndarray) -> tuple[float, ...]:
    """Returns the mean place and the standard deviations, across and down, and the covariance."""
    down, right = np.mgrid[: image.shape[0], : image.shape[1]]
    weights = image / image.sum()
    x, y = (weights * right).sum(), (weights * down).sum()
    covariance = (weights * (right - x) * (down - y)).sum()
    spread = ((weights * (each - at) ** 2).sum() ** 0.5 for each, at in ((right, x), (down, y)))
    return x, y, *spread, covariance


def test_a_normalised_image_has_its_mass_in_the_middle_and_four_deviations_on_its_longer_side():
    # A shape that covers 12 x 6 pixels: the shorter side keeps sqrt(sin(quarter turn x 1/2)).
    [normalised] = moment_normalised(rectangle(4, 9, 12, 6)[None])
    x, y, across, down, covariance = moments(normalised)
    assert (x, y) == pytest.approx((17, 17), abs=0.05)
    assert down == pytest.approx(35 / 4, rel=0.02)
    ratio = (35 / 12) ** 0.5 / (143 / 12) ** 0.5  # of the deviations of 6 and 12 pixels
    assert across == pytest.approx(35 / 4 * np.sin(np.pi / 2 * ratio) ** 0.5, rel=0.03)
    assert covariance == pytest.approx(0, abs=0.1)


def test_place_and_size_do_not_count():
    images = np.stack([rectangle(2, 3, 8, 4), rectangle(14, 17, 8, 4), rectangle(4, 6, 16, 8)])
    first, moved, twice = moment_normalised(images)
    np.testing.assert_allclose(moved, first, atol=1e-3)
    assert np.abs(twice - first).mean() < 0.1 * first.mean()


def test_slant_is_taken_out():
    slanted = np.zeros((28, 28), np.uint8)
    for row in range(6, 22):
        slanted[row, 20 - row // 2 - 2 : 20 - row // 2 + 2] = 255
    [normalised] = moment_normalised(slanted[None])
    *_, across, down, covariance = moments(normalised)
    assert abs(covariance / (across * down)) < 0.02
    *_, across, down, covariance = moments(slanted.astype(float))
    assert abs(covariance / (across * down)) > 0.8


def test_an_empty_image_stays_empty():
    assert not moment_normalised(np.zeros((1, 28, 28), np.uint8)).any()
    assert not gradient_features(np.zeros((1, 28, 28), np.uint8), 7).any()


def test_gradients_of_a_step_are_sobels():
    image = np.zeros((1, 5, 6), np.float32)
    image[:, :, 3:] = 1
    across, down = sobel(image)
    np.testing.assert_array_equal(across[0, 2], [0, 0, 4, 4, 0, -4])  # 0 lies around the image
    np.testing.assert_array_equal(down[0, 2], np.zeros(6))
    np.testing.assert_array_equal(down[0, 0], [0, 0, 1, 3, 4, 3])


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        (2, 0, {0: 2}),
        (0, 3, {2: 3}),
        (-1, 0, {4: 1}),
        (1, -1, {7: 2**0.5}),
        (2, 1, {0: 1, 1: 2**0.5}),  # (2, 1) is (1, 0) and (1, 1)
        (-2, 1, {4: 1, 3: 2**0.5}),
        (0, 0, {}),
    ],
)
def test_a_gradient_is_the_sum_of_two_along_its_neighbouring_directions(x, y, expected):
    planes = direction_planes(*np.array([[[[x]]], [[[y]]]], np.float32))
    by_hand = np.zeros(8)
    by_hand[list(expected)] = list(expected.values())
    np.testing.assert_allclose(planes.ravel(), by_hand, atol=1e-6)


def test_samples_are_means_around_the_middles_of_cells():
    weights = sampling(35, 7)
    assert weights.shape == (7, 35)
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-6)
    assert weights.argmax(axis=1).tolist() == [2, 7, 12, 17, 22, 27, 32]
    width = 2**0.5 * 5 / np.pi
    assert weights[3, 19] / weights[3, 17] == pytest.approx(np.exp(-4 / (2 * width**2)))


def test_features_are_roots_of_sampled_directions(tiny):
    image = tiny.train.images[:1]
    planes = direction_planes(*sobel(moment_normalised(image)))
    blur = sampling(35, 7)
    by_hand = np.sqrt([blur @ plane @ blur.T for plane in planes[0]])
    np.testing.assert_allclose(gradient_features(image, 7)[0], by_hand.ravel(), rtol=1e-4)


@pytest.mark.parametrize("classes", [range(10), (1, 4, 7), (3, 8)])
def test_votes_are_the_decision_function_of_scikit_learn(classes, tiny):
    taken = np.isin(tiny.train.labels, list(classes))
    images, labels = tiny.train.images[taken], tiny.train.labels[taken]
    learner = gradient_svm(components=10, virtual=False)
    learner.fit(images, labels)
    features = gradient_features(images, 7)
    reduced = PCA(10, random_state=0).fit_transform(features)
    machine = SVC(C=10, gamma=1 / (10 * reduced.var())).fit(reduced, labels)
    expected, votes = machine.decision_function(reduced), learner.votes(features)
    if len(classes) > 2:
        np.testing.assert_allclose(votes, expected, atol=1e-3)
    else:
        np.testing.assert_array_equal(votes.argmax(axis=1), expected > 0)
    found = learner.probabilities(images)
    np.testing.assert_array_equal(found.argmax(axis=1), machine.predict(reduced))
    assert (found[:, ~np.isin(np.arange(10), list(classes))] == 0).all()


def test_virtual_vectors_are_copies_of_support_vectors(tiny):
    images, labels = tiny.train.images, tiny.train.labels
    plain, virtual = gradient_svm(virtual=False), gradient_svm()
    plain.fit(images, labels)
    virtual.fit(images, labels)
    before, after = (each.arrays["support_vectors"] for each in (plain, virtual))
    assert len(before) < len(after) <= 7 * len(before)


def by_definition(test: np.ndarray, reference: np.ndarray, warp: int) -> float:
    """Returns the distance of gradients `[2, 28, 28]`, pixel by pixel and move by move."""
    near = np.pad(test, [(0, 0), (1, 1), (1, 1)])
    far = np.pad(reference, [(0, 0), (1 + warp, 1 + warp), (1 + warp, 1 + warp)])
    moves = [(down, right) for down in range(2 * warp + 1) for right in range(2 * warp + 1)]
    total = 0.0
    for row in range(28):
        for column in range(28):
            context = near[:, row : row + 3, column : column + 3]
            total += min(
                ((context - far[:, row + d : row + d + 3, column + r : column + r + 3]) ** 2).sum()
                for d, r in moves
            )
    return total


def distances(tests, references, nearest, neighbours: int, warp: int) -> np.ndarray:
    planes = gradient_planes(tests, 1, warp), gradient_planes(references, warp + 1, warp)
    return class_distances(*planes, np.array(nearest), neighbours, warp)


@pytest.mark.parametrize("warp", [0, 1, 2])
def test_the_distance_is_that_of_its_definition(warp, tiny):
    images = tiny.train.images[:3]
    gradients = np.stack(sobel(images.astype(np.float32) / 255), axis=1)
    found = distances(images[:1], images, [[[1], [2]]], 1, warp)
    expected = [by_definition(gradients[0], gradients[other], warp) for other in (1, 2)]
    np.testing.assert_allclose(found, [expected], rtol=1e-4)


def test_what_moves_within_the_warp_is_the_same_image():
    still, near, far = (rectangle(10, 10 + by, 8, 5) for by in (0, 2, 4))
    found = distances(still[None], np.stack([near, far]), [[[0], [1]]], 1, 2)
    assert found[0, 0] == pytest.approx(1e-3)  # nothing is nearer than this
    assert found[0, 1] > 10


def test_only_doubtful_rows_are_compared_with_more_than_three_images_of_a_class():
    same, other = rectangle(10, 10, 8, 5), rectangle(2, 2, 20, 20)
    references = np.stack([other, other, other, same, other, other, other, other])
    # The fourth image of the first class is the same; all that are looked at first are as far.
    doubtful = distances(same[None], references, [[[0, 1, 2, 3], [4, 5, 6, 7]]], 1, 2)
    assert doubtful[0, 0] == pytest.approx(1e-3)
    references[4] = same
    clear = distances(same[None], references, [[[0, 1, 2, 3], [4, 5, 6, 7]]], 1, 2)
    assert clear[0, 0] > 100
    assert clear[0, 1] == pytest.approx(1e-3)


def test_a_class_with_fewer_images_has_the_mean_of_these_and_one_without_any_is_very_far():
    same, other = rectangle(10, 10, 8, 5), rectangle(2, 2, 20, 20)
    references = np.stack([same, other])
    found = distances(same[None], references, [[[0, 1], [1, -1], [-1, -1]]], 2, 2)
    assert found[0, 0] == pytest.approx(found[0, 1] / 2, rel=1e-3)
    assert found[0, 2] == VERY_FAR


@pytest.mark.parametrize("name", registry.LEARNERS)
def test_a_learner_learns_survives_saving_and_repeats_itself(name, tiny, tmp_path):
    learner, again, loaded = (
        registry.resolve(registry.LEARNERS[name])(**SETTINGS[name]) for _ in range(3)
    )
    for each in (learner, again):
        each.fit(tiny.train.images, tiny.train.labels)
    expected = learner.probabilities(tiny.test.images)
    assert expected.dtype == np.float32
    np.testing.assert_allclose(expected.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(again.probabilities(tiny.test.images), expected)
    right = learner.probabilities(tiny.train.images).argmax(axis=1) == tiny.train.labels
    assert right.mean() > 0.9
    learner.save(tmp_path / "model.npz")
    loaded.load(read_arrays(tmp_path / "model.npz"))
    np.testing.assert_array_equal(loaded.probabilities(tiny.test.images), expected)
    assert learner.count_params() > 1000


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("gradient_svm", {"components": 393}, "components is 393, expected a number from 1 to 392"),
        ("gradient_svm", {"penalty": 0.0}, "penalty is 0.0"),
        ("gradient_svm", {"sharpness": -1.0}, "sharpness -1.0"),
        ("distortion_neighbours", {"warp": -1}, "warp of at least 0"),
        ("distortion_neighbours", {"candidates": 2}, "3 of 2"),
    ],
)
def test_settings_that_cannot_be_are_refused(name, settings, message):
    with pytest.raises(ValueError, match=message):
        registry.resolve(registry.LEARNERS[name])(**settings)


def variant(**settings) -> Variant:
    return Variant.model_validate({"architecture": {"name": "gradient_svm"}, **settings})


def test_settings_of_nets_do_not_identify_a_learner():
    other = variant(epochs=3, augmentation={"name": "none"}, precision="float32")
    assert variant().identity() == other.identity() == {"architecture": {"name": "gradient_svm"}}
    assert code_hash(variant()) == code_hash(other)
    resampled = variant(resampling={"name": "random_over"}).identity()
    assert resampled["resampling"] == {"name": "random_over"}


def test_callbacks_do_not_select_a_learner():
    assert not variant(callbacks=[{"name": "early_stopping"}]).is_selected


LEARNERS_CONFIG = """\
data: tiny
folds: {count: 2}
defaults: {epochs: 1, batch_size: 16, precision: float32}
variants:
  perceptron: {architecture: {hidden: "16"}}
  gradient_svm: {architecture: {components: 20}, all_rows_seeds: [0]}
  distortion_neighbours: {architecture: {candidates: 5}}
ensemble: {method: {name: logarithmic_pool, below: 0.97}}
"""


@pytest.fixture(scope="module")
def learned(tiny_files, tmp_path_factory):
    """A project of a net and two other learners, trained and combined."""
    from conftest import make_project

    folder = tmp_path_factory.mktemp("learned")
    make_project(folder, tiny_files)
    (folder / "configs" / "tiny.yaml").write_text(LEARNERS_CONFIG)
    for command in ("train-folds", "ensemble"):
        done = run_main(command, "--config", "configs/tiny.yaml", folder=folder)
        assert done.returncode == 0, done.stderr
    return folder


def test_learners_are_trained_by_the_same_jobs(learned, tiny):
    folds = np.genfromtxt(next((learned / "output/tiny").glob("folds*.csv")), int, delimiter=",")
    held_out = folds[1:, 1] == 1
    job = learned / "output/tiny/jobs/gradient_svm/seed0/fold1"
    expected = gradient_svm(components=20)
    expected.fit(tiny.train.images[~held_out], tiny.train.labels[~held_out])
    stored = read_arrays(job / "probabilities.npz")
    np.testing.assert_array_equal(stored["out_of_fold_ids"], tiny.train.ids[held_out])
    found = expected.probabilities(tiny.train.images[held_out])
    np.testing.assert_allclose(stored["out_of_fold"], found, atol=1e-3)
    manifest = json.loads((job / "manifest.json").read_text())
    assert manifest["parameters"] == expected.count_params()
    assert {file.name for file in job.iterdir()} == {
        "history.csv", "manifest.json", "model.npz", "probabilities.npz",
    }  # fmt: skip
    assert (job.parent / "all/model.npz").exists()


def test_finished_learners_are_not_trained_again(learned):
    again = run_main("train-folds", "--config", "configs/tiny.yaml", folder=learned)
    assert "7 jobs, 7 done already" in again.stdout
    longer = run_main(
        "train-folds", "--config", "configs/tiny.yaml", "--set", "defaults.epochs=2",
        "--variant", "gradient_svm", folder=learned,
    )  # fmt: skip
    assert "3 jobs, 3 done already" in longer.stdout


@pytest.mark.long
@pytest.mark.parametrize("command", ["report", "gallery", "why"])
def test_pages_show_learners_beside_nets(learned, command, monkeypatch):
    # Another test may have started TensorFlow here, with other threads.
    monkeypatch.setattr("competition.analysis.explain.start_keras", lambda threads: None)
    done = run_main(command, "--config", "configs/tiny.yaml", folder=learned)
    assert done.returncode == 0, done.stderr
    pages = {
        "report": "report/index.html",
        "gallery": "gallery/index.html",
        "why": "why/index.html",
    }
    page = (learned / "output/tiny" / pages[command]).read_text()
    assert ("gradient_svm" in page) == (command != "why")
    assert "perceptron" in page


@pytest.mark.parametrize("test", ["folds", "all_rows"])
def test_a_configuration_says_which_nets_predict_the_test_rows(learned, test):
    changes = ("--set", "ensemble.variants=[gradient_svm]", "--set", "ensemble.method=mean")
    changes += ("--set", f"ensemble.test={test}", "--set", "name=tiny")
    done = run_main("ensemble", "--config", "configs/tiny.yaml", *changes, folder=learned)
    assert done.returncode == 0, done.stderr
    jobs = learned / "output/tiny/jobs/gradient_svm/seed0"
    taken = ["fold0", "fold1"] if test == "folds" else ["all"]
    parts = [read_arrays(jobs / split / "probabilities.npz")["test"] for split in taken]
    found = read_arrays(learned / "output/tiny/ensemble/probabilities.npz")["test"]
    np.testing.assert_allclose(found, np.mean(parts, axis=0, dtype=float), atol=1e-3)


def test_all_rows_are_not_asked_for_where_they_are_not_trained(learned):
    refused = run_main(
        "ensemble",
        "--config",
        "configs/tiny.yaml",
        "--set",
        "ensemble.test=all_rows",
        folder=learned,
    )
    assert refused.returncode == 1
    message = "ensemble.test: all_rows needs trainings on all rows, which perceptron, "
    assert f"{message}distortion_neighbours has not" in refused.stderr


@pytest.mark.long
def test_a_learner_is_tuned(learned):
    space = "variants.gradient_svm.search_space={architecture.penalty: {choices: [1.0, 10.0]}}"
    done = run_main(
        "tune", "--config", "configs/tiny.yaml", "--variant", "gradient_svm", "--trials", "2",
        "--set", space, "--set", "tuning.pruner=none", "--set", "tuning.sampler=grid",
        "--set", "name=tuned", "--jobs", "1", folder=learned,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    best = learned / "output/tuned/tuning/gradient_svm/best.yaml"
    assert f"`make train-folds CONFIG={best.relative_to(learned)}`" in done.stdout
    assert "gradient_svm" in best.read_text()
