"""Reading, caching, splitting and making digits."""

import hashlib
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from competition import paths
from competition.config.loading import Config, Folds
from competition.data import builtin
from competition.data.folds import assign_folds, load_folds
from competition.data.loading import PIXELS, load_data_set, read_cached, read_csv
from competition.digits import DataSet, Digits, positions
from competition.errors import UserError

INKED = ["7", *["0"] * 782, "9"]


@pytest.fixture
def write(tmp_path):
    def write(rows: list[list[str]], header: list[str] = PIXELS) -> Path:
        path = tmp_path / "some.csv"
        path.write_text("\n".join(",".join(row) for row in [header, *rows]) + "\n")
        return path

    return write


def changed(column: int, value: str) -> list[str]:
    return [*INKED[:column], value, *INKED[column + 1 :]]


def test_reading_gives_back_what_was_written(tiny, tiny_files):
    train = read_csv(tiny_files / "train.csv", labelled=True)
    np.testing.assert_array_equal(train.images, tiny.train.images)
    np.testing.assert_array_equal(train.labels, tiny.train.labels)
    np.testing.assert_array_equal(train.ids, np.arange(1, 121))
    assert train.images.dtype == train.labels.dtype == np.uint8


BROKEN_ROWS = {
    "too large": (changed(3, "256"), "row 2 (line 3), column pixel3: '256' is not an integer"),
    "negative": (changed(0, "-1"), "row 2 (line 3), column pixel0: '-1' is not an integer"),
    "fraction": (changed(5, "1.5"), "row 2 (line 3), column pixel5: '1.5' is not an integer"),
    "text": (changed(783, "x"), "row 2 (line 3), column pixel783: 'x' is not an integer"),
    "missing value": (changed(9, ""), "row 2 (line 3), column pixel9: the value is missing"),
    "short row": (INKED[:-1], "row 2 (line 3) has 783 values, expected 784"),
    "long row": ([*INKED, "1"], "row 2 (line 3) has 785 values, expected 784"),
    "empty line": ([""], "row 2 (line 3) has 0 values, expected 784"),
    "no ink": (["0"] * 784, "row 2 (line 3) has no ink at all"),
    "endless number": (changed(2, "9" * 5000), "row 2 (line 3), column pixel2: '999"),
}


@pytest.mark.parametrize(("row", "message"), BROKEN_ROWS.values(), ids=BROKEN_ROWS.keys())
def test_a_broken_row_is_named_with_file_row_and_column(write, row, message):
    path = write([INKED, row, INKED])
    with pytest.raises(UserError) as caught:
        read_csv(path, labelled=False)
    assert f"{path}, {message}" in str(caught.value)


BROKEN_HEADERS = {
    "missing column": (PIXELS[:-1], "has 783 columns"),
    "other order": (["pixel1", "pixel0", *PIXELS[2:]], "has 'pixel1' as column 1, not 'pixel0'"),
    "labelled": (["label", *PIXELS], "has 785 columns"),
    "empty": ([], "has 0 columns"),
}


@pytest.mark.parametrize(("header", "message"), BROKEN_HEADERS.values(), ids=BROKEN_HEADERS.keys())
def test_a_broken_header_is_named(write, header, message):
    with pytest.raises(UserError, match=message):
        read_csv(write([INKED], header), labelled=False)


def test_a_quote_that_nothing_ends_is_no_csv(write):
    path = write([INKED, changed(1, '"0'), *[INKED] * 100])
    with pytest.raises(UserError, match=r"some\.csv is not a CSV file: field larger than"):
        read_csv(path, labelled=False)


def test_a_byte_order_mark_is_passed_over(write):
    path = write([INKED])
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert len(read_csv(path, labelled=False)) == 1


def test_labels_beyond_nine_are_refused(write):
    path = write([["9", *INKED], ["10", *INKED]], ["label", *PIXELS])
    with pytest.raises(UserError, match=r"row 2 \(line 3\) has the label 10; expected a whole"):
        read_csv(path, labelled=True)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (["255"] * 783 + ["9"], r"some\.csv: the digits are dark on white; expected bright ink"),
        (["0"] * 783 + ["1"], r"some\.csv: no pixel is brighter than 1 of 255"),
    ],
)
def test_pixels_that_mean_something_else_are_refused(write, row, message):
    with pytest.raises(UserError, match=message):
        read_csv(write([row]), labelled=False)


def test_a_file_without_rows_is_refused(write):
    with pytest.raises(UserError, match="has a header but no rows"):
        read_csv(write([]), labelled=False)


def test_the_cache_serves_until_the_file_changes(write):
    path = write([INKED])
    first = read_cached(path, labelled=False)
    cache = paths.cache_folder(path.parent) / f"{path.stem}.npz"
    made = cache.stat().st_mtime_ns
    np.testing.assert_array_equal(read_cached(path, labelled=False).images, first.images)
    assert cache.stat().st_mtime_ns == made
    write([INKED, changed(3, "5")])
    assert len(read_cached(path, labelled=False)) == 2


def test_the_cache_is_not_of_a_file_that_was_edited_to_the_same_length(write):
    path = write([INKED])
    first = read_cached(path, labelled=False)
    length, modified = path.stat().st_size, path.stat().st_mtime_ns
    write([changed(3, "5")])
    os.utime(path, ns=(modified, modified + 1))  # as soon after as a disk can tell
    assert path.stat().st_size == length
    again = read_cached(path, labelled=False)
    assert np.flatnonzero((again.images != first.images).ravel()).tolist() == [3]
    assert again.images[0, 0, 3] == 5


@pytest.mark.parametrize("damage", [lambda b: b[:-200], lambda b: b[:900] + b"\xff" + b[901:]])
def test_a_damaged_cache_is_made_again(write, damage):
    path = write([INKED])
    expected = read_cached(path, labelled=False).images
    cache = paths.cache_folder(path.parent) / f"{path.stem}.npz"
    cache.write_bytes(damage(cache.read_bytes()))
    np.testing.assert_array_equal(read_cached(path, labelled=False).images, expected)


def test_a_missing_data_set_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"'digit-recognizer' is not here.*make download"):
        load_data_set("digit-recognizer")


@pytest.mark.parametrize("name", ["train.csv", "test.csv", "sample_submission.csv"])
def test_each_of_the_three_files_is_needed(project, name):
    (project / "input/tiny" / name).unlink()
    with pytest.raises(UserError, match=f"input/tiny/ has no {name};"):
        load_data_set("tiny")


def test_the_fingerprint_sees_every_part(tiny):
    train = tiny.train
    images, labels = train.images.copy(), train.labels.copy()
    images[5, 14, 14] ^= 1
    labels[7] = (labels[7] + 1) % 10
    variations = [Digits(train.ids, images, train.labels), Digits(train.ids, train.images, labels)]
    prints = {type(tiny)("tiny", v, tiny.test).fingerprint() for v in (train, *variations)}
    assert len(prints) == 3


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"ids": np.array([1, 1], np.int32)}, "but these come again: 1"),
        ({"ids": np.array([1, 2])}, "int32 ids, not int64"),
        ({"images": np.zeros((2, 28, 28), np.float32)}, "uint8 images .* not float32"),
        ({"images": np.zeros((2, 8, 8), np.uint8)}, r"not uint8 of shape \(2, 8, 8\)"),
        ({"labels": np.array([1, 10], np.uint8)}, "label from 0 to 9 for each of the 2"),
        ({"labels": np.array([1, -1])}, "uint8 label"),
        ({"labels": np.array([1, 2, 3], np.uint8)}, "for each of the 2 images"),
    ],
)
def test_digits_refuse_what_they_are_not(changed, complaint):
    right = {"ids": np.array([1, 2], np.int32), "images": np.zeros((2, 28, 28), np.uint8)}
    with pytest.raises(UserError, match=complaint):
        Digits(**right | changed)


def test_positions_follow_ids_and_not_rows():
    assert positions(np.array([30, 10, 20]), np.array([10, 20, 30, 10])).tolist() == [1, 2, 0, 1]
    with pytest.raises(UserError, match="the first is 40"):
        positions(np.array([30, 10, 20]), np.array([10, 40]))
    with pytest.raises(UserError, match="1 of the 1 ids asked for are missing"):
        positions(np.array([], int), np.array([10]))


def test_folds_are_stratified_partition_and_deterministic(tiny):
    folds = assign_folds(tiny.train, Folds(count=3))
    assert set(folds.folds) == {0, 1, 2}
    for fold in range(3):
        training, held_out = folds.split(f"fold{fold}")
        assert sorted([*training, *held_out]) == list(range(120))
        counts = np.bincount(tiny.train.labels[held_out], minlength=10)
        share = np.bincount(tiny.train.labels, minlength=10) / 3
        assert np.abs(counts - share).max() < 1
    training, held_out = folds.split("all")
    assert (training.tolist(), held_out.tolist()) == (list(range(120)), [])
    assert assign_folds(tiny.train, Folds(count=3)).fingerprint() == folds.fingerprint()
    assert assign_folds(tiny.train, Folds(count=3, seed=1)).fingerprint() != folds.fingerprint()


def test_more_folds_than_rows_of_a_class_are_refused(tiny):
    with pytest.raises(UserError, match="the rarest class has only"):
        assign_folds(tiny.train, Folds(count=50))


def test_folds_are_kept_and_read_again(tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = Config(
        name="a", folds={"count": 3}, variants={"p": {"architecture": {"name": "plain"}}}
    )
    made = load_folds(config, tiny, "f" * 64)
    file = paths.OutputPaths("a").folder / "folds3-seed0-ffffffff.csv"
    kept = file.read_text()
    swapped = kept.replace("\n1,", "\n001,", 1)  # reads the same: proves that the file is used
    file.write_text(swapped)
    assert load_folds(config, tiny, "f" * 64).fingerprint() == made.fingerprint()
    assert file.read_text() == swapped
    file.write_text(kept.replace("\n1,", "\n500,", 1))
    with pytest.raises(UserError, match="no longer assigns each training row to one of 3 folds"):
        load_folds(config, tiny, "f" * 64)


def test_splits_of_two_seeds_are_kept_beside_each_other(tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    variants = {"p": {"architecture": {"name": "plain"}}}
    configs = [Config(name="a", folds={"seed": seed}, variants=variants) for seed in (0, 1)]
    made = [load_folds(config, tiny, "f" * 64).fingerprint() for config in configs]
    assert made[0] != made[1]
    names = sorted(file.name for file in (tmp_path / "output" / "a").iterdir())
    assert names == ["folds5-seed0-ffffffff.csv", "folds5-seed1-ffffffff.csv"]
    again = [load_folds(config, tiny, "f" * 64).fingerprint() for config in configs]
    assert again == made == [assign_folds(tiny.train, each.folds).fingerprint() for each in configs]


@pytest.mark.parametrize(
    "content",
    [b"", b"id,fold\n", b"id,fold\n1,0\n", b"id,other\n1,0\n", b"id,fold\n1,0,0,0\n", b"\xff\xfe"],
)
def test_a_file_of_folds_that_is_none_is_refused(content, tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = Config(name="a", variants={"p": {"architecture": {"name": "plain"}}})
    file = paths.OutputPaths("a").folder / "folds5-seed0-ffffffff.csv"
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    with pytest.raises(UserError, match="no longer assigns each training row to one of 5 folds"):
        load_folds(config, tiny, "f" * 64)


# SHA-256 of splits of the tiny digits: shipped results are known by such fingerprints.
KNOWN_SPLITS = {
    "kfold": (Folds(count=3), "368712bd30943805"),
    "holdout": (Folds(scheme="holdout", count=2, share=0.25), "f0d016bb3f4396d0"),
}


@pytest.mark.parametrize(("settings", "expected"), KNOWN_SPLITS.values(), ids=KNOWN_SPLITS)
def test_the_same_seed_gives_the_same_splits_for_ever(settings, expected, tiny):
    assert assign_folds(tiny.train, settings).fingerprint()[:16] == expected


def test_the_embedded_digits_look_like_mnist(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert builtin.install_embedded()
    assert not builtin.install_embedded()
    data_set = load_data_set("embedded")
    assert (len(data_set.train), len(data_set.test)) == (1347, 450)
    ink = data_set.train.images.astype(float)
    grid = np.arange(28)
    masses = ink.sum(axis=(1, 2))
    rows, columns = ink.sum(axis=2) @ grid / masses, ink.sum(axis=1) @ grid / masses
    assert np.abs(rows - 13.5).max() < 0.6
    assert np.abs(columns - 13.5).max() < 0.6
    heights = ink.any(axis=2).sum(axis=1)
    assert heights.max() <= 22  # a box of 20 pixels, its edges shared between neighbours


def test_files_of_somebody_else_are_not_lost(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own = tmp_path / "input/embedded/my-marks.csv"
    own.parent.mkdir(parents=True)
    own.write_text("mine")
    with pytest.raises(
        UserError, match=r"input/embedded/ would be made again, and my-marks\.csv in"
    ):
        builtin.install_embedded()
    assert own.read_text() == "mine"
    own.unlink()
    assert builtin.install_embedded()
    load_data_set("embedded")  # it has a cache now
    assert builtin.install_embedded(force=True)


MEMBERS = {
    "train.csv": "cc10cd2dcac4fa2b67b8e9b7c90019cb8669668ed11a1ea71d980418785b5b11",
    "test.csv": "1e4c6240156c2316c012a655ff268e8b7f37b4a4dabe49853ab3a60af0ed1bca",
    "sample_submission.csv": "84a8e5d1e7618cc08d544cfb78769be96e6f2ff8f50b03a39dd4d396300e1225",
}


@pytest.mark.skipif("DIGITS_ZIP" not in os.environ, reason="DIGITS_ZIP names no real archive")
def test_the_real_archive_is_read_as_published(tmp_path, monkeypatch):
    from competition.kaggle.download import download

    archive = Path(os.environ["DIGITS_ZIP"]).resolve()
    with zipfile.ZipFile(archive) as opened:
        for name, digest in MEMBERS.items():
            assert hashlib.sha256(opened.read(name)).hexdigest() == digest
    monkeypatch.chdir(tmp_path)
    assert download(archive)
    assert not download(archive)
    data_set = load_data_set("digit-recognizer")
    assert (len(data_set.train), len(data_set.test)) == (42_000, 28_000)
    assert round(data_set.train.images.mean(), 6) == 33.408911
    assert np.bincount(data_set.train.labels).tolist() == [
        4132, 4684, 4177, 4351, 4072, 3795, 4137, 4401, 4063, 4188
    ]  # fmt: skip


def test_a_share_is_held_out_stratified_as_often_as_asked(tiny):
    splits = assign_folds(tiny.train, Folds(scheme="holdout", count=3, share=0.25))
    assert list(splits.held_out) == ["holdout0", "holdout1", "holdout2"]
    for name in splits.held_out:
        training, held_out = splits.split(name)
        assert (len(training), len(held_out)) == (90, 30)
        counts = np.bincount(tiny.train.labels[held_out], minlength=10)
        assert set(counts) <= {2, 3, 4}
    first, second = (splits.split(name)[1] for name in ("holdout0", "holdout1"))
    assert set(first) != set(second)
    covered = np.unique(np.concatenate([splits.split(name)[1] for name in splits.held_out]))
    assert np.flatnonzero(splits.folds >= 0).tolist() == covered.tolist()
    assert (splits.folds[first] == 0).all()


def test_hold_outs_are_kept_and_read_again(tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    variants = {"p": {"architecture": {"name": "plain"}}}
    config = Config(name="a", folds={"scheme": "holdout", "share": 0.1}, variants=variants)
    made = load_folds(config, tiny, "f" * 64)
    (file,) = (tmp_path / "output" / "a").iterdir()
    assert file.read_text().startswith("id,holdout0\n1,")
    assert load_folds(config, tiny, "f" * 64).fingerprint() == made.fingerprint()
    file.write_text(file.read_text().replace("\n1,", "\n500,", 1))
    with pytest.raises(UserError, match="remove it, and it will be made again"):
        load_folds(config, tiny, "f" * 64)


def test_the_datas_own_split_is_used_where_there_is_one(tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    variants = {"p": {"architecture": {"name": "plain"}}}
    config = Config(name="a", folds={"scheme": "given"}, variants=variants)
    split = DataSet("own", tiny.train, tiny.test, tiny.train.ids[100:])
    training, held_out = load_folds(config, split, "f" * 64).split("holdout0")
    assert (training.tolist(), held_out.tolist()) == (list(range(100)), list(range(100, 120)))
    with pytest.raises(UserError, match="'tiny' has no labelled test rows of its own"):
        load_folds(config, tiny, "f" * 64)


def test_a_share_too_small_for_the_classes_is_refused(tiny):
    with pytest.raises(UserError, match=r"a share of 0\.01 of 120 rows cannot be held out"):
        assign_folds(tiny.train, Folds(scheme="holdout", share=0.01))
