"""Marks of labelled rows: read from a CSV, or refused with the line that is wrong."""

from pathlib import Path

import numpy as np
import pytest

from competition.config.loading import load_config
from competition.data.label_marks import (
    LABEL_ERROR,
    Mark,
    label_errors_in_words,
    read_marks,
    without_label_errors,
)
from competition.data.run import load_run
from competition.digits import Digits
from competition.errors import UserError
from competition.training.training_data import training_data

HEADER = "id,given_label,mark,label\n"


@pytest.fixture
def digits() -> Digits:
    ids, labels = np.array([5, 7, 9, 11], np.int32), np.array([4, 7, 0, 3], np.uint8)
    return Digits(ids, np.zeros((4, 28, 28), np.uint8), labels)


def marks_file(tmp_path: Path, text: str, encoding: str = "utf-8") -> Path:
    path = tmp_path / "marks.csv"
    path.write_bytes(text.encode(encoding))
    return path


def test_marks_are_read_in_their_order(tmp_path, digits):
    text = f"{HEADER}9,0,real mistake,\n5,4,label error,9\n7,7,ambiguous,\n11,3,label error,\n"
    assert read_marks(marks_file(tmp_path, text), digits) == [
        Mark(9, "real mistake", None),
        Mark(5, LABEL_ERROR, 9),
        Mark(7, "ambiguous", None),
        Mark(11, LABEL_ERROR, None),
    ]


def test_a_spreadsheet_may_have_saved_them(tmp_path, digits):
    text = f"{HEADER}5,4,label error,9\n\n".replace("\n", "\r\n")
    path = marks_file(tmp_path, text, "utf-8-sig")
    assert read_marks(path, digits) == [Mark(5, LABEL_ERROR, 9)]


def test_a_job_learns_the_rows_as_they_are_marked(project):
    given = load_run(load_config(Path("configs/tiny.yaml"))).data_set.train.labels
    other = (given[4] + 1) % 10
    lines = f"5,{given[4]},label error,{other}\n9,{given[8]},label error,\n"
    Path("marks.csv").write_text(f"{HEADER}{lines}")
    run = load_run(load_config(Path("configs/tiny.yaml"), ["marks=marks.csv"]))
    for job in run.identities:
        training, held_out = run.folds.split(job.split)
        fold = training_data(run, job)
        assert {*fold.training_rows} == {*training} - {8}
        np.testing.assert_array_equal(fold.validation_rows, held_out)
        assert fold.digits.labels[4] == (other if 4 in training else given[4])


def test_no_marks_are_fine(tmp_path, digits):
    assert read_marks(marks_file(tmp_path, HEADER), digits) == []


@pytest.mark.parametrize(
    "end", ["\n", ",,,\n", ",,,\n,,,\n\n", " , ,,\n", '"","","",""\n', "\r\n,,,\r\n"]
)
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_what_a_spreadsheet_adds_is_passed_over(tmp_path, digits, start, end):
    line = "5,4,ambiguous,\n"
    marks = read_marks(marks_file(tmp_path, f"{start}{HEADER}{line}{end}"), digits)
    assert [mark.id for mark in marks] == [5]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the first line is expected to be id,given_label,mark,label"),
        ("id,label\n5,4\n", "the first line is expected to be id,given_label,mark,label"),
        (f"{HEADER}5,4\n", "line 2: the mark is '', expected one of label error"),
        (f"{HEADER}5,4,label error,9,9\n", "line 2: 4 values are expected, not more"),
        (f"{HEADER}six,4,ambiguous,\n", "line 2: no labelled row has the id 'six'"),
        (f"{HEADER}6,4,ambiguous,\n", "line 2: no labelled row has the id '6'"),
        (f"{HEADER}5,4,ambiguous,\n7,1,ambiguous,\n", "line 3: the label of row 7 is 7, not '1'"),
        (f"{HEADER}5,4,Ambiguous,\n", "one of label error, ambiguous, real mistake"),
        (f"{HEADER}5,4,ambiguous,9\n", "only a 'label error' may have a label, not"),
        (f"{HEADER}5,4,label error,10\n", "the label is '10', expected 0 to 9"),
        (f"{HEADER}5,4,label error,4\n", "the label 4 is the one that the row has already"),
        (f"{HEADER}5,4,ambiguous,\n5,4,ambiguous,\n", "line 3: the id 5 is on an earlier"),
    ],
)
def test_a_bad_line_is_named(tmp_path, digits, text, message):
    with pytest.raises(UserError, match=r"marks\.csv") as refused:
        read_marks(marks_file(tmp_path, text), digits)
    assert message in str(refused.value)


def test_a_missing_and_a_binary_file_are_told_apart(tmp_path, digits):
    with pytest.raises(UserError, match=r"there is no .*elsewhere\.csv"):
        read_marks(tmp_path / "elsewhere.csv", digits)
    path = tmp_path / "marks.csv"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="is not a CSV file"):
        read_marks(path, digits)


def test_only_training_rows_are_corrected(digits):
    corrected, rows = without_label_errors(digits, np.array([0, 1, 3]), {5: 9, 9: 6, 11: None})
    assert rows.tolist() == [0, 1]
    assert corrected.labels.tolist() == [9, 7, 0, 3]  # row 2 is held out: its label stays
    assert digits.labels.tolist() == [4, 7, 0, 3]


def test_what_becomes_of_label_errors_is_said_in_words():
    words = label_errors_in_words({5: 9, 7: 1, 11: None})
    assert words == "2 label errors corrected for training, 1 left out"


def test_without_marks_nothing_changes(digits):
    corrected, rows = without_label_errors(digits, np.array([0, 1]), {})
    assert corrected is digits
    assert rows.tolist() == [0, 1]


def test_a_configuration_takes_label_errors_into_its_jobs_identities(project):
    label = load_run(load_config(Path("configs/tiny.yaml"))).data_set.train.labels[4]
    other = (label + 1) % 10
    Path("marks.csv").write_text(f"{HEADER}5,{label},label error,{other}\n")
    plain, marked = (
        load_run(load_config(Path("configs/tiny.yaml"), changes))
        for changes in ([], ["marks=marks.csv"])
    )
    assert marked.label_errors == {5: other}
    for job, identity in marked.identities.items():
        assert identity == plain.identities[job] | {"label_errors": {"5": int(other)}}
    Path("marks.csv").write_text(f"{HEADER}5,{other},label error,{label}\n")
    with pytest.raises(UserError, match="were the marks made on other data"):
        load_run(load_config(Path("configs/tiny.yaml"), ["marks=marks.csv"]))
