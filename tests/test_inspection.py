"""Rows worth a look are found, ordered and drawn; tables show what was computed."""

import csv
import dataclasses
from base64 import b64decode

import cv2
import matplotlib.image
import numpy as np
import pytest
from conftest import made_up_findings

from competition import paths
from competition.analysis.mistakes import (
    Findings,
    confused_pairs,
    least_certain,
    likely_label_errors,
    write_label_errors,
)
from competition.analysis.predictions import PredictedDigits
from competition.digits import Digits
from competition.metrics import score
from competition.pages.contact_sheet import (
    CELL_HEIGHT,
    CELL_WIDTH,
    COLUMNS,
    DIGIT,
    HEADER_HEIGHT,
    MARGIN,
    WIDTH,
)
from competition.pages.gallery import (
    DIGITS_PER_SHEET,
    SHEETS_PER_KIND,
    write_gallery,
    write_sheets,
)
from competition.pages.html import DIGITS_PER_SPRITE, render, sprites


def sure_of(prediction: int, confidence: float, other: int | None = None) -> np.ndarray:
    """Returns a row that gives `confidence` to one class, and the rest to another or to all."""
    row = np.full(10, (1 - confidence) / 9) if other is None else np.zeros(10)
    if other is not None:
        row[other] = 1 - confidence
    row[prediction] = confidence
    return row


def cases_of(labels: list[int], *members: list[np.ndarray]) -> PredictedDigits:
    """Returns cases with ids from 11, whose ensemble is the mean of the members."""
    values = np.array(members, np.float32)
    images = np.arange(len(labels), dtype=np.uint8)[:, None, None] * np.ones((28, 28), np.uint8)
    ids = np.arange(11, 11 + len(labels), dtype=np.int32)
    digits = Digits(ids, images, np.array(labels, np.uint8))
    return PredictedDigits(digits, np.zeros(len(labels), np.int8), values.mean(axis=0), values)


def findings_in(predicted: PredictedDigits) -> Findings:
    return Findings("some", "f" * 64, ["plain seed0"], predicted, predicted)


def test_the_figures_of_a_row():
    predicted = cases_of(
        [3, 4], [sure_of(3, 0.9, 5), np.eye(10)[1]], [sure_of(3, 0.7, 5), np.eye(10)[2]]
    )
    assert predicted.predictions.tolist() == [3, 1]
    assert predicted.runners_up.tolist() == [5, 2]
    np.testing.assert_allclose(predicted.margins, [0.6, 0], atol=1e-6)
    np.testing.assert_allclose(predicted.losses, [-np.log(0.8), 24 * np.log(2)], rtol=1e-6)
    assert predicted.votes.tolist() == [[3, 1], [3, 2]]
    # Two members that are sure of different classes disagree by a whole bit.
    assert predicted.disagreements[1] == pytest.approx(np.log(2), rel=1e-4)
    entropy = lambda p: -p * np.log(p) - (1 - p) * np.log(1 - p)  # noqa: E731
    expected = entropy(0.8) - (entropy(0.9) + entropy(0.7)) / 2
    assert predicted.disagreements[0] == pytest.approx(expected, abs=1e-6)
    assert predicted.wrong.tolist() == [False, True]
    assert predicted.unanimous_against_label.tolist() == [False, False]


def test_the_mean_of_the_losses_is_the_log_loss():
    labelled = made_up_findings().labelled
    reached = score(labelled.ensemble, labelled.digits.labels)
    assert labelled.losses.mean() == pytest.approx(reached.log_loss)
    assert labelled.confusion().sum() == labelled.wrong.sum() == reached.errors


def test_confusion_counts_labels_in_rows():
    confusion = cases_of([1, 1, 2], [np.eye(10)[c] for c in (7, 7, 2)]).confusion()
    assert confusion[1, 7] == confusion.sum() == 2
    assert not cases_of([1, 2], [np.eye(10)[c] for c in (1, 2)]).confusion().any()


def test_taking_keeps_rows_together():
    labelled = made_up_findings().labelled
    taken = labelled.take(np.array([30, 4]))
    assert taken.digits.ids.tolist() == [31, 5]
    np.testing.assert_array_equal(taken.losses, labelled.losses[[30, 4]])
    np.testing.assert_array_equal(taken.votes, labelled.votes[:, [30, 4]])
    np.testing.assert_array_equal(taken.digits.images[0], labelled.digits.images[30])
    assert taken.folds.tolist() == [0, 1]


def test_mistakes_are_the_wrong_rows_most_confident_first():
    rows = [sure_of(*each) for each in ((1, 0.82), (2, 0.82), (3, 0.6), (4, 0.7))]
    found = findings_in(cases_of([1, 7, 8, 9], rows))
    assert found.mistakes.tolist() == [1, 3, 2]
    assert found.uncertain.tolist() == [2, 3, 0, 1]
    assert (found.score.errors, found.score.rows) == (3, 4)


def test_the_least_certain_have_the_smallest_margins():
    test = made_up_findings().test
    rows = least_certain(test, 5)
    assert set(test.margins[rows]) == set(np.sort(test.margins)[:5])
    assert (np.diff(test.margins[rows]) >= 0).all()


def test_confused_pairs_count_both_ways_most_frequent_first():
    predicted = cases_of([4, 3, 9, 1], [np.eye(10)[c] for c in (9, 5, 4, 7)])
    pairs = confused_pairs(predicted, np.arange(4))
    assert list(pairs) == [(4, 9), (1, 7), (3, 5)]
    assert pairs[4, 9].tolist() == [0, 2]


def label_error_cases() -> PredictedDigits:
    """Two members; confident learning has the thresholds 0.6625 for class 0, and 0.5925 for 1."""
    first = [sure_of(0, 0.9, 1), sure_of(0, 0.9, 1), sure_of(1, 0.9, 0), sure_of(1, 0.9, 0)]
    last = [sure_of(0, 0.6, 1), sure_of(1, 0.6, 0), sure_of(0, 0.96, 1), sure_of(0, 0.9, 1)]
    one = [*first, *last]
    two = [*one[:5], sure_of(1, 0.9, 0), sure_of(0, 0.6, 1), sure_of(1, 0.6, 0)]
    return cases_of([0, 0, 1, 1, 0, 0, 1, 1], one, two)


def test_label_errors_are_ranked_by_the_normalised_margin():
    predicted = label_error_cases()
    found = likely_label_errors(predicted)
    # Row 5 by both members, row 6 by both; row 7 is contested, and no member is against row 4.
    assert found.rows.tolist() == [6, 5]
    assert found.suggested.tolist() == [0, 1]
    np.testing.assert_allclose(found.margins, [-0.56, -0.5], atol=1e-6)
    assert found.confident.tolist() == [True, True]


def test_confident_learning_needs_the_threshold_of_the_other_class():
    rows = [np.eye(10)[0]] * 3 + [sure_of(0, 0.9, 1)] + [sure_of(1, 0.6, 0)] * 2
    found = likely_label_errors(cases_of([0, 0, 0, 1, 1, 1], rows))
    assert found.rows.tolist() == [3]
    assert found.confident.tolist() == [False]  # 0.9 is less than class 0's own mean, 1.0


def test_label_errors_are_written_as_a_table(tmp_path):
    predicted = label_error_cases()
    write_label_errors(tmp_path / "errors.csv", likely_label_errors(predicted), predicted)
    with (tmp_path / "errors.csv").open() as file:
        first, second = csv.DictReader(file)
    assert first == {
        "rank": "1",
        "id": "17",
        "label": "1",
        "suggested": "0",
        "label_probability": "0.2200",
        "suggested_probability": "0.7800",
        "margin": "-0.5600",
        "confident": "yes",
    }
    assert (second["rank"], second["id"]) == ("2", "16")


def test_no_label_errors_are_a_table_without_lines(tmp_path):
    predicted = cases_of([4], [np.eye(10)[4]])
    write_label_errors(tmp_path / "errors.csv", likely_label_errors(predicted), predicted)
    assert (tmp_path / "errors.csv").read_text() == (
        "rank,id,label,suggested,label_probability,suggested_probability,margin,confident\n"
    )


@pytest.fixture
def small_sheets(monkeypatch):
    """Sheets of one line, which take less time."""
    monkeypatch.setattr("competition.pages.gallery.DIGITS_PER_SHEET", COLUMNS)


def sheet_names(folder) -> list[str]:
    return sorted(file.name for file in folder.glob("*.png"))


def test_there_is_a_sheet_a_page_and_a_pair(tmp_path):
    count = DIGITS_PER_SHEET + 3
    predicted = cases_of([4] * count + [1], [np.eye(10)[c] for c in [9] * count + [7]])
    write_sheets(tmp_path, findings_in(predicted))
    mistakes = {"mistakes-01.png": 8, "mistakes-02.png": 1}
    pairs = {"pair-1-7.png": 1, "pair-4-9-01.png": 8, "pair-4-9-02.png": 1}
    errors = {"label-errors-01.png": 8, "label-errors-02.png": 1}
    uncertain = {"least-certain.png": 8, "least-certain-test.png": 8}
    expected = mistakes | pairs | errors | uncertain
    assert sheet_names(tmp_path) == sorted(expected)
    for name, lines in expected.items():
        height, width, _ = matplotlib.image.imread(tmp_path / name).shape
        assert (height, width) == (HEADER_HEIGHT + lines * CELL_HEIGHT + MARGIN, WIDTH)


def test_a_bad_run_has_no_more_sheets_than_somebody_looks_at(tmp_path, small_sheets):
    count = (SHEETS_PER_KIND + 2) * COLUMNS
    write_sheets(tmp_path, findings_in(cases_of([4] * count, [np.eye(10)[9]] * count)))
    assert len(list(tmp_path.glob("mistakes-*.png"))) == SHEETS_PER_KIND


def test_a_run_without_mistakes_still_has_sheets(tmp_path):
    write_sheets(tmp_path, findings_in(cases_of([4], [np.eye(10)[4]])))
    assert {"mistakes.png", "label-errors.png"} <= set(sheet_names(tmp_path))


@pytest.mark.parametrize("name", ["some", "$x^2$" + "m" * 95])
def test_sheets_hold_each_digit_and_no_text_beyond_the_edge(tmp_path, small_sheets, name):
    findings = made_up_findings()
    few = findings.labelled.take(np.arange(8))
    findings = dataclasses.replace(findings, name=name, labelled=few)
    write_sheets(tmp_path, findings)
    sheets = {file.stem: cv2.imread(str(file), cv2.IMREAD_GRAYSCALE) for file in tmp_path.iterdir()}
    inset = MARGIN + (CELL_WIDTH - DIGIT) // 2
    drawn = sheets["least-certain-test"][HEADER_HEIGHT:][:DIGIT, inset : inset + DIGIT]
    image = findings.test.digits.images[findings.uncertain_test[0]]
    np.testing.assert_array_equal(drawn, 255 - np.kron(image, np.ones((4, 4), np.uint8)))
    for stem, sheet in sheets.items():
        frame = [sheet[:10], sheet[-10:], sheet[:, :10].T, sheet[:, -10:].T]
        assert all((edge == 255).all() for edge in frame), stem
        title_height = np.count_nonzero((sheet[:60] < 128).any(axis=1))
        assert title_height > (18 if name == "some" else 6), stem


def test_sprites_hold_the_digits_in_rows():
    images = np.random.default_rng(1).integers(0, 256, (DIGITS_PER_SPRITE + 2, 28, 28), np.uint8)
    first, second = (
        cv2.imdecode(
            np.frombuffer(b64decode(uri.removeprefix("data:image/png;base64,")), np.uint8),
            cv2.IMREAD_UNCHANGED,
        )
        for uri in sprites(images)
    )
    np.testing.assert_array_equal(first[28:56, 56:84], images[32 + 2])
    assert second.shape == (28, 32 * 28)
    np.testing.assert_array_equal(second[:, 28:56], images[DIGITS_PER_SPRITE + 1])


def test_a_gallery_takes_the_place_of_the_one_before_and_leaves_marks(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = paths.OutputPaths("some").gallery
    folder.mkdir(parents=True)
    (folder / "pair-0-1.png").write_text("an old sheet")
    (folder / "marks-some.csv").write_text("somebody's work")
    perfect = findings_in(cases_of([4], [np.eye(10)[4]]))
    assert write_gallery(perfect, all_rows=False) == folder
    assert (folder / "marks-some.csv").read_text() == "somebody's work"
    names = {"index.html", "label-errors.csv", "label-errors.png", "least-certain-test.png"}
    names |= {"least-certain.png", "marks-some.csv", "mistakes.png"}
    assert {file.name for file in folder.iterdir()} == names


def test_a_value_that_a_template_needs_must_be_given():
    from jinja2 import UndefinedError

    with pytest.raises(UndefinedError):
        render("gallery.html")
