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
from competition.data.folds import Splits, assign_folds, load_folds
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


def test_a_row_has_the_number_of_the_first_split_that_holds_it_out():
    held_out = {"holdout0": [True, False, False], "holdout1": [True, True, False]}
    splits = Splits(np.arange(3), {name: np.array(rows) for name, rows in held_out.items()})
    assert splits.folds.tolist() == [0, 1, -1]


def test_more_folds_than_rows_of_a_class_are_refused(tiny):
    with pytest.raises(UserError, match="the rarest class has only"):
        assign_folds(tiny.train, Folds(count=50))


VARIANTS = {"p": {"architecture": {"name": "plain"}}}
SCHEMES = {"kfold": {"count": 3}, "holdout": {"scheme": "holdout", "count": 2, "share": 0.1}}


def kept_folds(tiny, scheme: str) -> tuple[Config, str, Path]:
    """Returns a configuration, the fingerprint of its splits, and the file that keeps them."""
    config = Config(name="a", folds=SCHEMES[scheme], variants=VARIANTS)
    made = load_folds(config, tiny, "f" * 64)
    assert made.fingerprint() == assign_folds(tiny.train, config.folds).fingerprint()
    (file,) = paths.OutputPaths("a").folder.iterdir()
    return config, made.fingerprint(), file


@pytest.mark.parametrize("scheme", SCHEMES)
def test_folds_are_kept_and_read_again(scheme, tiny, workplace, monkeypatch):
    """Also where another release of scikit-learn would draw others."""
    config, made, file = kept_folds(tiny, scheme)
    written = file.read_bytes()
    assert (
        file.name
        == {
            "kfold": "folds3-seed0-ffffffff.csv",
            "holdout": "holdouts-of-0.1-times-2-seed0-ffffffff.csv",
        }[scheme]
    )
    monkeypatch.setattr("competition.data.folds.assign_folds", lambda *_: pytest.fail("not read"))
    assert load_folds(config, tiny, "f" * 64).fingerprint() == made
    assert file.read_bytes() == written


DAMAGE = {
    "one digit": lambda lines: [
        *lines[:9],
        lines[9][:-1] + str(lines[9][-1] % 2).encode(),
        *lines[10:],
    ],
    "two rows swapped": lambda lines: [*lines[:7], lines[8], lines[7], *lines[9:]],
    "the last row missing": lambda lines: lines[:-1],
    "another id": lambda lines: [*lines[:5], b"5" + lines[5], *lines[6:]],
    "the checksum": lambda lines: [lines[0][:-1] + b"g", *lines[1:]],
    "no checksum": lambda lines: [*lines[1:4], b"3,7"],
    "empty": lambda lines: [],
    "of a spreadsheet": lambda lines: [line.replace(b",", b";") + b"\r" for line in lines],
    "no text": lambda lines: [b"\xff\xfe\x00"],
}


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_changed_folds_are_made_again_from_seed_and_data(damage, scheme, tiny, workplace, capsys):
    """Results must not be taken for those of other folds; what was changed is kept beside."""
    config, made, file = kept_folds(tiny, scheme)
    whole = file.read_bytes()
    changed = b"\n".join(damage(whole.splitlines()))
    assert changed != whole
    file.write_bytes(changed)
    assert load_folds(config, tiny, "f" * 64).fingerprint() == made
    assert file.read_bytes() == whole
    assert file.with_suffix(".changed").read_bytes() == changed
    assert f"{file} was changed; it is made again from seed and data" in capsys.readouterr().out


def test_folds_of_an_earlier_version_get_a_checksum(tiny, workplace, capsys):
    config, made, file = kept_folds(tiny, "kfold")
    whole = file.read_text()
    assert whole.startswith("# SHA-256 of the lines below: ")
    file.write_text(whole.partition("\n")[2])
    assert file.read_text().startswith("id,fold\n1,")
    assert load_folds(config, tiny, "f" * 64).fingerprint() == made
    assert file.read_text() == whole
    assert capsys.readouterr().out == ""


def test_folds_of_other_ids_are_not_taken(tiny, workplace):
    config, _, _ = kept_folds(tiny, "kfold")
    others = DataSet("other", tiny.train.take(np.arange(119, -1, -1)), tiny.test)
    assert load_folds(config, others, "f" * 64).ids.tolist() == list(range(120, 0, -1))


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
