"""Scores and ensembles, with exact arithmetic; submissions that are what Kaggle expects."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest

from competition.config import load_config
from competition.data.run import Run, load_run
from competition.ensemble.averages import mean
from competition.ensemble.blend import blend, write_blend
from competition.errors import UserError
from competition.probabilities import Probabilities
from competition.results import FACTS, write_result
from competition.scores import score, wilson_interval
from competition.submission import check_submission, read_message, write_rows, write_submission


def one_sure(label: int, confidence: float) -> np.ndarray:
    """Returns a row that gives `confidence` to one class and shares the rest."""
    row = np.full(10, (1 - confidence) / 9)
    row[label] = confidence
    return row


def test_score_counts_and_averages_exactly():
    values = np.array([one_sure(3, 0.5), one_sure(4, 0.7), one_sure(5, 0.1)])
    reached = score(values, np.array([3, 5, 5]))
    assert (reached.rows, reached.errors) == (3, 2)  # ten equal shares count as class 0
    assert reached.accuracy == pytest.approx(1 / 3)
    expected = -(np.log(0.5) + np.log(0.3 / 9) + np.log(0.1)) / 3
    assert reached.log_loss == pytest.approx(expected)


def test_a_probability_of_zero_costs_much_and_not_infinitely():
    assert score(np.eye(10)[[1]], np.array([2])).log_loss == pytest.approx(24 * np.log(2))


@pytest.mark.parametrize(("successes", "trials"), [(9, 10), (41800, 42000), (5, 5), (0, 5)])
def test_wilson_intervals_are_those_of_scipy(successes, trials):
    expected = binomtest(successes, trials).proportion_ci(method="wilson")
    assert wilson_interval(successes, trials) == pytest.approx(tuple(expected), abs=1e-7)


def test_the_mean_is_the_mean_and_ignores_order():
    members = np.random.default_rng(0).dirichlet(np.ones(10), (3, 5))
    np.testing.assert_allclose(mean(members), (members[0] + members[1] + members[2]) / 3)
    np.testing.assert_allclose(mean(members[::-1]), mean(members))


@pytest.fixture
def trained(project) -> Run:
    """A run whose results are made up: known probabilities, rows in another order."""
    run = load_run(load_config(Path("configs/tiny.yaml")))
    labels, test = run.data_set.train.labels, run.data_set.test.ids
    for job in run.identities:
        confidence = {"plain": 0.4, "residual": 0.8}[job.variant]
        _, held_out = run.folds.split(job.split)
        held_out = np.random.default_rng(0).permutation(held_out)
        out_of_fold = np.array([one_sure(labels[row], confidence) for row in held_out])
        fold = int(job.split[-1])
        rows = np.array([one_sure(id % 10, 0.3 + 0.2 * fold) for id in test])
        predictions = {
            "out_of_fold": Probabilities(run.data_set.train.ids[held_out], out_of_fold),
            "test": Probabilities(test, rows),
        }
        manifest = {"identity": run.identities[job], **dict.fromkeys(FACTS, 1)}
        write_result(job, manifest, [{"epoch": 1}], predictions, lambda path: path.touch())
    return run


def test_a_blend_aligns_by_id_and_averages_folds_then_members(trained):
    made = blend(trained)
    train, test = trained.data_set.train, trained.data_set.test
    assert made.score.errors == 0
    of_truth = made.out_of_fold.values[np.arange(120), train.labels]
    np.testing.assert_allclose(of_truth, (0.4 + 0.8) / 2, atol=1e-3)
    np.testing.assert_array_equal(made.test.predictions(), test.ids % 10)
    np.testing.assert_allclose(made.test.values.max(axis=1), (0.3 + 0.5) / 2, atol=1e-3)
    assert [str(member) for member in made.members] == ["plain seed0", "residual seed0"]


def test_a_written_blend_has_provenance_and_is_made_again_as_it_was(trained):
    path = write_blend(trained, blend(trained))
    first = path.read_bytes(), path.with_suffix(".json").read_bytes()
    assert first[0].decode().splitlines()[:3] == ["ImageId,Label", "1,1", "2,2"]
    provenance = json.loads(first[1])
    assert provenance["data_fingerprint"] == trained.fingerprint
    assert provenance["out_of_fold"]["errors"] == 0
    assert [member["variant"] for member in provenance["members"]] == ["plain", "residual"]
    assert read_message(path) == "tiny: 4 nets, out-of-fold 1.00000"
    write_blend(trained, blend(trained))
    assert (path.read_bytes(), path.with_suffix(".json").read_bytes()) == first


@pytest.fixture
def sample(tmp_path):
    path = tmp_path / "sample.csv"
    write_rows(path, np.arange(1, 4), np.zeros(3, int))
    return path


BAD_SUBMISSIONS = {
    "header": ("Id,Label\n1,0\n2,0\n3,0\n", "the first line is expected to be ImageId,Label"),
    "too few": ("ImageId,Label\n1,0\n2,0\n", "has 2 rows, but .* asks for 3"),
    "too many": ("ImageId,Label\n1,0\n2,0\n3,0\n4,0\n", "has 4 rows, but .* asks for 3"),
    "twice": ("ImageId,Label\n1,0\n2,0\n2,0\n", "come again: 2"),
    "unknown id": ("ImageId,Label\n1,0\n2,0\n9,0\n", "has an ImageId 9 that"),
    "label 10": ("ImageId,Label\n1,0\n2,10\n3,0\n", "ImageId 2 has the label 10"),
    "label -1": ("ImageId,Label\n1,0\n2,-1\n3,0\n", "ImageId 2 has the label -1"),
    "fraction": ("ImageId,Label\n1,0\n2,1.0\n3,0\n", r"line 3: two whole numbers .* '1.0'"),
    "three columns": ("ImageId,Label\n1,0,0\n2,0,0\n3,0,0\n", "line 2: two whole numbers"),
    "blank line": ("ImageId,Label\n1,0\n\n2,0\n3,0\n", r"line 3: two whole numbers .* not \[\]"),
    "huge": (f"ImageId,Label\n1,{'9' * 40}\n2,0\n3,0\n", "line 2: two whole numbers"),
    "underscore": ("ImageId,Label\n1,0_1\n2,0\n3,0\n", "line 2: two whole numbers"),
    "only a header": ("ImageId,Label\n", "has 0 rows, but .* asks for 3"),
    "empty": ("", "the first line is expected to be ImageId,Label"),
    "binary": ("ImageId,Label\n\x00\n", "line 2: two whole numbers"),
}


@pytest.mark.parametrize(("text", "message"), BAD_SUBMISSIONS.values(), ids=BAD_SUBMISSIONS.keys())
def test_a_bad_submission_is_refused(tmp_path, sample, text, message):
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        check_submission(path, sample)


def test_a_submission_that_does_not_fit_leaves_nothing(tmp_path, sample):
    path = tmp_path / "submissions" / "some.csv"
    with pytest.raises(UserError, match="asks for 3"):
        write_submission(path, np.arange(1, 3), np.zeros(2, int), {}, sample)
    assert list(path.parent.iterdir()) == []


def test_the_error_names_the_submission_and_not_its_temporary_file(tmp_path, sample):
    path = tmp_path / "some.csv"
    with pytest.raises(UserError, match=f"^{path} has 2 rows"):
        write_submission(path, np.arange(1, 3), np.zeros(2, int), {}, sample)


def test_rows_may_come_in_any_order(tmp_path, sample):
    path = tmp_path / "good.csv"
    write_rows(path, np.array([3, 1, 2]), np.array([9, 0, 5]))
    check_submission(path, sample)
