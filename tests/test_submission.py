"""Scores, with exact arithmetic; submissions that are what Kaggle expects."""

import gzip

import numpy as np
import pytest

from competition.data.loading import read_csv as read_images
from competition.errors import UserError
from competition.submission import check_submission, read_message, write_rows, write_submission


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
    "unknown ids": ("ImageId,Label\n1,0\n8,0\n9,0\n", "has an ImageId 8 that"),
    "labels 10": ("ImageId,Label\n1,0\n2,10\n3,11\n", "ImageId 2 has the label 10"),
    "label -1": ("ImageId,Label\n1,0\n2,-1\n3,0\n", "ImageId 2 has the label -1"),
    "fraction": ("ImageId,Label\n1,0\n2,1.0\n3,0\n", r"line 3: two whole numbers .* '1.0'"),
    "three columns": (
        "ImageId,Label\n1,0,0\n2,0,0\n3,0,0\n",
        "line 2: 2 values are expected, not more",
    ),
    "blank line": (
        "ImageId,Label\n1,0\n\n2,0\n3,0\n",
        r"line 3: two whole numbers .* not \['', ''\]",
    ),
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


def test_a_provenance_tells_of_one_content_only(tmp_path, sample):
    path = tmp_path / "some.csv"
    write_submission(path, np.arange(1, 4), np.zeros(3, int), {"message": "all zeros"}, sample)
    assert read_message(path) == "all zeros"
    write_rows(path, np.arange(1, 4), np.ones(3, int))  # as an interruption leaves it, or a hand
    assert read_message(path) == "some"


def test_the_error_names_the_submission_and_not_its_temporary_file(tmp_path, sample):
    path = tmp_path / "some.csv"
    with pytest.raises(UserError, match=f"^{path} has 2 rows"):
        write_submission(path, np.arange(1, 3), np.zeros(2, int), {}, sample)
    with pytest.raises(UserError, match=f"^{path}: ImageId 2 has the label 10"):
        write_submission(path, np.arange(1, 3), np.array([9, 10]), {}, None)


def test_rows_may_come_in_any_order(tmp_path, sample):
    path = tmp_path / "good.csv"
    write_rows(path, np.array([3, 1, 2]), np.array([9, 0, 5]))
    check_submission(path, sample)


ROWS = "ImageId,Label\n1,0\n2,0\n3,0\n"
MISTAKEN_FILES = {
    "a web page": (b"<!DOCTYPE html>\n<html>", "'<!DOCTYPE html>', which looks like a web page"),
    "a web page after a line": (b"\r\n <html lang=en>", "which looks like a web page"),
    "Git LFS": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
        "which looks like a pointer of Git LFS; `git lfs pull` fetches the file itself",
    ),
    "gzip": (gzip.compress(ROWS.encode()), "which looks like a gzip archive; unpack it"),
    "a spreadsheet": (b"PK\x03\x04\x14\0\x06\0", "which looks like a zip archive or a spreadsheet"),
    "UTF-16": (ROWS.encode("utf-16"), "which looks like text in UTF-16; save it as UTF-8"),
    "UTF-16, the other way": (
        b"\xfe\xff" + ROWS.encode("utf-16-be"), "which looks like text in UTF-16"
    ),
    "JSON": (b'{"error": "not signed in"}', "which looks like JSON"),
    "semicolons": (
        ROWS.replace(",", ";").encode(),
        "'ImageId;Label', which looks like cells between semicolons or tabs; save it with commas",
    ),
    "tabs": (ROWS.replace(",", "\t").encode(), "which looks like cells between semicolons or tabs"),
    "another header": (b"Id,Label\n1,0\n", "expected to be ImageId,Label, not 'Id,Label'"),
    "a long line": (b"x" * 5000, f"not '{'x' * 60}…'"),
    "nothing": (b"", "not ''"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "message"), MISTAKEN_FILES.values(), ids=MISTAKEN_FILES)
def test_an_error_quotes_the_first_line_and_names_what_it_looks_like(
    tmp_path, sample, content, message
):
    path = tmp_path / "some.csv"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        check_submission(path, sample)
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{path}")
    with pytest.raises(UserError) as caught:
        read_images(path, labelled=True)
    assert message.removeprefix("expected to be ImageId,Label, ").removeprefix("not ") in (
        str(caught.value)
    )


def test_a_byte_order_mark_is_passed_over(tmp_path):
    marked = tmp_path / "marked.csv"
    marked.write_text(ROWS, encoding="utf-8-sig")
    check_submission(marked, marked)
