"""The figures of a report, counted by hand and by scikit-learn; tables as text and as CSV."""

import csv
import re
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import made_up_findings, made_up_history, write_made_up_result
from sklearn import metrics

from competition import paths
from competition.analysis.classes import (
    CURVE_STEPS,
    Confused,
    class_curves,
    class_figures,
    confusion_counts,
    most_confused,
)
from competition.analysis.predictions import PredictedDigits, Subject, agreement
from competition.analysis.summary import fold_scores, mean_and_deviation
from competition.digits import Digits
from competition.ensemble.comparison import Comparison
from competition.ensemble.members import Member, MemberPredictions
from competition.errors import UserError
from competition.metrics import Score
from competition.probabilities import Probabilities, mean_of
from competition.results import Job, read_history
from competition.tables import SCORE_COLUMNS, Column, Table, print_table, score_values


@pytest.fixture(scope="module")
def predicted() -> PredictedDigits:
    return made_up_findings().labelled


def test_confusions_and_the_classification_report_are_counted(predicted):
    labels, predictions = predicted.digits.labels, predicted.predictions
    cells = [[((labels == one) & (predictions == other)).sum() for other in range(10)]
             for one in range(10)]  # fmt: skip
    np.testing.assert_array_equal(confusion_counts(labels, predictions), cells)
    found = class_figures(labels, predictions)
    for label in range(10):
        precision = (labels[predictions == label] == label).mean()
        recall = (predictions[labels == label] == label).mean()
        assert found.precision[label] == precision
        assert found.recall[label] == recall
        assert found.f1[label] == pytest.approx(2 / (1 / precision + 1 / recall), rel=1e-12)
        assert found.support[label] == (labels == label).sum()
    means = found.precision.mean(), found.recall.mean(), found.f1.mean()
    assert found.means() == pytest.approx(means, rel=1e-12)


def test_classes_without_rows_or_predictions_have_no_figure():
    found = class_figures(np.array([3, 3, 5]), np.array([3, 4, 3]))
    assert found.precision[3] == found.recall[3] == found.f1[3] == 1 / 2
    assert (found.precision[4], found.recall[5]) == (0, 0)
    assert np.isnan([found.recall[4], found.precision[5], found.f1[0]]).all()
    assert (found.f1[4], found.f1[5]) == (0, 0)
    assert found.support.tolist() == [0, 0, 0, 2, 0, 1, 0, 0, 0, 0]
    # The means are over the classes that have a figure: 3 and 4; 3 and 5; 3, 4 and 5.
    assert found.means() == pytest.approx((1 / 4, 1 / 4, 1 / 6))


def test_areas_are_those_of_scikit_learn(predicted):
    values, labels = predicted.ensemble, predicted.digits.labels
    curves = class_curves(values, labels)
    assert [curve.label for curve in curves] == list(range(10))
    # The whole sum is told exactly, so that scikit-learn takes the rows.
    exact = values.astype(float) / values.astype(float).sum(axis=1, keepdims=True)
    areas = metrics.roc_auc_score(labels, exact, multi_class="ovr", average=None)
    np.testing.assert_allclose([curve.roc_area for curve in curves], areas, atol=2e-4)
    for curve in curves:
        is_label, digit_class = labels == curve.label, values[:, curve.label]
        precision = metrics.average_precision_score(is_label, digit_class)
        assert curve.average_precision == pytest.approx(precision, abs=1e-12)
        higher = digit_class[is_label][:, None] - digit_class[~is_label]
        assert curve.roc_area == pytest.approx(((higher > 0) + (higher == 0) / 2).mean())


def test_long_curves_are_thinned_and_look_the_same():
    random = np.random.default_rng(0)
    labels = random.integers(0, 10, 20000)
    values = random.dirichlet(np.ones(10), 20000)
    curve = class_curves(values, labels)[0]
    whole = metrics.roc_curve(labels == 0, values[:, 0])
    assert len(whole[0]) > 2 * CURVE_STEPS >= len(curve.false_positive_rate) > CURVE_STEPS / 2
    for rates in (curve.false_positive_rate, curve.true_positive_rate):
        assert (rates[0], rates[-1]) == (0, 1)
        assert (np.diff(rates) >= 0).all()
    read = np.interp(whole[0], curve.false_positive_rate, curve.true_positive_rate)
    assert np.abs(read - whole[1]).max() < 2 / CURVE_STEPS
    assert (curve.recall[0], curve.recall[-1], curve.precision[-1]) == (1, 0, 1)
    assert len(curve.recall) <= 2 * CURVE_STEPS


def test_no_corner_of_a_simple_curve_is_lost():
    """Many rows with probabilities of their own, and all of class 3 before all others."""
    random = np.random.default_rng(0)
    labels = np.repeat([3, 5], 3000)
    values = np.zeros((6000, 10))
    values[:, 3] = np.where(labels == 3, random.uniform(0.6, 1, 6000), random.uniform(0, 0.4, 6000))
    values[:, 5] = 1 - values[:, 3]
    curves = class_curves(values, labels)
    assert [curve.label for curve in curves] == [3, 5]
    for curve in curves:
        assert curve.false_positive_rate.tolist() == [0, 0, 1]
        assert curve.true_positive_rate.tolist() == [0, 1, 1]
        assert curve.recall.tolist()[-2:] == [1, 0]
        assert curve.precision.tolist()[-2:] == [1, 1]


def test_only_classes_that_can_be_judged_have_curves():
    values = np.eye(10)[[3, 3, 5]]
    assert [curve.label for curve in class_curves(values, np.array([3, 3, 5]))] == [3, 5]
    assert class_curves(values, np.array([3, 3, 3])) == []


def test_the_most_common_confusions_come_first():
    labels, predictions = np.array([4, 4, 4, 9, 9, 2, 2]), np.array([9, 9, 4, 4, 9, 7, 2])
    assert most_confused(confusion_counts(labels, predictions), 2) == [
        Confused(4, 9, 2, 2 / 3),
        Confused(2, 7, 1, 1 / 2),
    ]
    assert most_confused(confusion_counts(labels, labels), 5) == []


def test_mean_and_sample_deviation():
    assert mean_and_deviation([0.5, 0.75, 1.0]) == (0.75, 0.25)
    mean, deviation = mean_and_deviation([0.75])
    assert mean == 0.75
    assert np.isnan(deviation)


def subject_of(members: list[Member], folds: list[int], comparison: Comparison | None) -> Subject:
    """Returns a subject of rows that are all of class 1."""
    count = len(folds)
    member_predictions = MemberPredictions(
        members, np.ones(count, np.uint8), np.array(folds, np.int8)
    )
    digits = Digits(
        member_predictions.ids, np.zeros((count, 28, 28), np.uint8), member_predictions.labels
    )
    values = member_predictions.out_of_fold.astype(np.float32)
    predicted = PredictedDigits(digits, member_predictions.folds, values.mean(axis=0), values)
    return Subject(
        "ensemble" if comparison else "plain", None, member_predictions, predicted, comparison
    )


def probabilities(first_id: int, truth_values: list[float]) -> Probabilities:
    """Returns rows that give the true class 1 so much, and the rest to class 0."""
    values = np.zeros((len(truth_values), 10), np.float32)
    values[:, 1], values[:, 0] = truth_values, 1 - np.array(truth_values)
    return Probabilities(np.arange(first_id, first_id + len(truth_values), dtype=np.int32), values)


def member(variant: str, seed: int, truth_values: list[float]) -> Member:
    """Returns a member whose first half of the rows is fold 0, and the other fold 2."""
    found, half = probabilities(1, truth_values), len(truth_values) // 2
    by_split = {0: found.aligned_to(found.ids[:half]), 2: found.aligned_to(found.ids[half:])}
    return Member(variant, seed, {}, by_split, found, found)


def test_scores_by_fold_of_members_seeds_and_ensemble():
    members = [member("plain", 0, [0.25, 0.75, 0.75, 0.75]),
               member("plain", 1, [1.0, 0.0, 1.0, 1.0]),
               member("wide", 0, [0.125, 0.25, 0.25, 1.0])]  # fmt: skip
    comparison = Comparison([], [], "mean")
    found = {each.name: each for each in fold_scores(subject_of(members, [0, 0, 2, 2], comparison))}
    assert list(found) == ["plain seed0", "plain seed1", "wide seed0", "plain, all seeds",
                           "ensemble"]  # fmt: skip
    errors = {name: [each.errors for each in scores.by_fold.values()]
              for name, scores in found.items()}  # fmt: skip
    assert errors == {"plain seed0": [1, 0], "plain seed1": [1, 0], "wide seed0": [2, 1],
                      "plain, all seeds": [1, 0], "ensemble": [2, 0]}  # fmt: skip
    scores = found["wide seed0"]
    assert list(scores.by_fold) == [0, 2]
    assert scores.whole.errors == 3
    assert scores.accuracy() == (0.25, pytest.approx(0.5 / np.sqrt(2)))
    losses = [(np.log(8) + np.log(4)) / 2, np.log(4) / 2]
    assert scores.log_loss() == pytest.approx((np.mean(losses), np.std(losses, ddof=1)))


def test_each_hold_out_is_scored_on_all_of_its_rows_by_its_own_net():
    """Hold-outs of rows 1 to 3 and 3 to 5; row 3 counts in both, and once by the mean."""
    by_split = {1: probabilities(3, [0.0, 0.25, 1.0]), 0: probabilities(1, [1.0, 1.0, 1.0])}
    joined = mean_of(list(by_split.values()))
    one = Member("plain", 0, {}, by_split, joined, joined)
    other = Member("plain", 1, {}, dict.fromkeys(by_split), joined, joined)
    other.by_split.update({0: by_split[0], 1: probabilities(3, [1.0, 1.0, 0.0])})
    subject = subject_of([one, other], [0, 0, 0, 1, 1], Comparison([], [], "mean"))
    found = {each.name: each for each in fold_scores(subject)}
    errors = {
        name: {number: each.errors for number, each in scores.by_fold.items()}
        for name, scores in found.items()
    }
    assert errors == {"plain seed0": {0: 0, 1: 2}, "plain seed1": {0: 0, 1: 1},
                      "plain, all seeds": {0: 0, 1: 2}, "ensemble": {}}  # fmt: skip
    assert [each.rows for each in found["plain seed0"].by_fold.values()] == [3, 3]
    assert found["plain seed0"].whole.errors == found["ensemble"].whole.errors == 2
    assert found["plain seed0"].accuracy() == pytest.approx((2 / 3, np.sqrt(2) / 3))


def test_a_variant_is_named_once_where_it_has_one_seed():
    one, two = member("plain", 0, [1.0, 1.0]), member("plain", 1, [1.0, 0.5])
    assert [each.name for each in fold_scores(subject_of([one], [0, 1], None))] == ["plain seed0"]
    names = [each.name for each in fold_scores(subject_of([one, two], [0, 1], None))]
    assert names == ["plain seed0", "plain seed1", "plain, all seeds"]


def test_agreement_counts_members_that_are_right():
    predicted = subject_of(
        [member("plain", 0, [1.0, 0.0, 0.0, 1.0]), member("wide", 0, [1.0, 1.0, 0.25, 0.75])],
        [0, 0, 1, 1], None,
    ).predicted  # fmt: skip
    found = agreement(predicted)
    assert found.rows.tolist() == [1, 1, 2]
    assert found.rescued.tolist() == [0, 0, 2]  # a half each is no majority: the first class wins
    assert found.disagreement.tolist() == [[0, 1], [1, 0]]
    assert found.both_wrong.tolist() == [[2, 1], [1, 1]]
    assert found.unanimous == 3


TABLE = Table(
    "some",
    "Some",
    pd.DataFrame({"name": ["plain", "all, seeds"], "f1": [0.125, np.nan], "rows": [1234, 0],
                  "mean": [1.0, np.nan], "std": [0.25, np.nan]}),
    [Column("name", is_code=True), Column("F1", "{:.2f}", ("f1",)), Column("rows", "{:,}"),
     Column("mean", "{:.1f} ± {:.1f}", ("mean", "std"))],
    note="A note with [brackets].",
    strong="plain",
)  # fmt: skip


def test_a_table_as_text_and_markdown():
    assert TABLE.texts().to_dict("list") == {
        "name": ["plain", "all, seeds"],
        "F1": ["0.12", ""],
        "rows": ["1,234", "0"],
        "mean": ["1.0 ± 0.2", ""],
    }
    assert TABLE.markdown().splitlines() == [
        "| name | F1 | rows | mean |",
        "| --- | ---: | ---: | ---: |",
        "| **`plain`** | 0.12 | 1,234 | 1.0 ± 0.2 |",
        "| `all, seeds` |  | 0 |  |",
    ]


def test_whole_numbers_stay_whole_beside_fractions_and_gaps():
    frame = pd.DataFrame({"errors": [12, None], "loss": [0.5, None]}).astype({"errors": "Int64"})
    table = Table("some", "Some", frame, [Column("both", "{}, {:.2f}", ("errors", "loss"))])
    assert table.texts()["both"].tolist() == ["12, 0.50", ""]


def test_a_table_without_columns_shows_all_of_its_frame():
    table = Table("some", "Some", pd.DataFrame({"what it is": ["a"], "value": [3]}))
    assert table.texts().to_dict("list") == {"what it is": ["a"], "value": ["3"]}


def test_the_columns_of_a_score_show_all_of_its_values():
    reached = Score(200, 1, 0.25)
    low, high = reached.interval()
    frame = pd.DataFrame([score_values(reached)])
    assert [name for column in SCORE_COLUMNS for name in column.sources] == list(frame)
    assert Table("some", "Some", frame, SCORE_COLUMNS).texts().iloc[0].tolist() == [
        "1", "0.99500", f"{low:.5f} – {high:.5f}", "0.25000"
    ]  # fmt: skip


def test_a_table_as_csv_is_not_rounded(tmp_path):
    TABLE.write_csv(tmp_path / "some.csv")
    with (tmp_path / "some.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [
            ["name", "f1", "rows", "mean", "std"],
            ["plain", "0.125", "1234", "1", "0.25"],
            ["all, seeds", "", "0", "", ""],
        ]


def test_a_table_is_plain_aligned_text_where_output_is_kept(capsys):
    note = "many words " * 30
    print_table(replace(TABLE, note=note))
    assert capsys.readouterr().out == (
        "Some\n\n"
        " name          F1   rows       mean\n"
        " ──────────────────────────────────\n"
        " plain       0.12  1,234  1.0 ± 0.2\n"
        " all, seeds            0\n\n"
        f"{note.strip()}\n"
    )


def test_a_terminal_shows_no_details(capsys):
    details = [replace(each, is_detail=each.title == "rows") for each in TABLE.columns]
    print_table(replace(TABLE, columns=details, note=""))
    assert "1,234" not in capsys.readouterr().out
    assert "1,234" in replace(TABLE, columns=details).markdown()


def test_a_table_is_drawn_in_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    print_table(TABLE)
    shown = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    lines = [line.split() for line in shown.splitlines() if line.strip()]
    assert lines[0] == ["Some"]
    assert lines[1] == ["name", "F1", "rows", "mean"]
    assert ["plain", "0.12", "1,234", "1.0", "±", "0.2"] in lines
    assert lines[-1] == ["A", "note", "with", "[brackets]."]


@pytest.fixture
def job(tmp_path, monkeypatch) -> Job:
    monkeypatch.chdir(tmp_path)
    job = Job("some", "plain", 0, "fold0")
    write_made_up_result(job, {})
    return job


def test_a_training_curve_is_read_back(job):
    found = read_history(job)
    assert list(found) == list(made_up_history()[0])
    assert found["loss"].tolist() == [0.5, 0.25]
    assert np.isnan(found["validation_loss"][0])
    assert found["validation_loss"][1] == 0.3


@pytest.mark.parametrize("text", [None, "epoch,loss\n1,0.5\n", "nonsense", "epoch\x00\n"])
def test_a_damaged_training_curve_is_named(job, text):
    path = job.folder() / paths.HISTORY
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(UserError, match=r"history\.csv is damaged.*remove its folder"):
        read_history(job)


def test_a_damaged_number_of_a_training_curve_is_named(job):
    path = job.folder() / paths.HISTORY
    path.write_text(path.read_text().replace("0.25", "low"))
    with pytest.raises(UserError, match="is damaged"):
        read_history(job)
