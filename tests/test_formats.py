"""Digits in other formats than the competition's, whole and broken."""

import gzip
import io
import os
import shutil
import struct
import zipfile
import zlib
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
from conftest import ROOT

from competition import commands, paths
from competition.config.loading import load_config
from competition.data import builtin
from competition.data.loading import load_data_set
from competition.errors import UserError

CONFIGS = ROOT / "configs"

NAMES = {("train", "images"): "x_train", ("train", "labels"): "y_train"}
NAMES |= {("test", "images"): "x_test", ("test", "labels"): "y_test"}


@pytest.fixture
def arrays(tiny) -> dict:
    """The tiny digits by part and kind; the test part is labelled, too."""
    train = tiny.train
    return {
        ("train", "images"): train.images[:90],
        ("train", "labels"): train.labels[:90],
        ("test", "images"): train.images[90:],
        ("test", "labels"): train.labels[90:],
    }


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "input" / "own"
    folder.mkdir(parents=True)
    return folder


def idx_bytes(values: np.ndarray) -> bytes:
    header = struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape)
    return header + values.tobytes()


def write_idx(folder: Path, arrays: dict, pack=lambda content: content, ending: str = "") -> None:
    for (part, kind), values in arrays.items():
        start = {"train": "train", "test": "t10k"}[part]
        name = f"{start}-{kind}-idx{values.ndim}-ubyte{ending}"
        (folder / name).write_bytes(pack(idx_bytes(values)))


def write_gzip(folder: Path, arrays: dict) -> None:
    write_idx(folder, arrays, gzip.compress, ".gz")


def write_npz(folder: Path, arrays: dict) -> None:
    np.savez(folder / "mnist.npz", **{NAMES[key]: values for key, values in arrays.items()})


def write_flat_hdf5(folder: Path, arrays: dict) -> None:
    with h5py.File(folder / "mnist.hdf5", "w") as file:
        for key, values in arrays.items():
            file[NAMES[key]] = values


def write_grouped_hdf5(folder: Path, arrays: dict) -> None:
    with h5py.File(folder / "mnist.hdf5", "w") as file:
        for (part, kind), values in arrays.items():
            file[f"{kind.removesuffix('s')}/{part}"] = values


def write_images(folder: Path, arrays: dict, ending: str = ".png") -> None:
    for part in ("train", "test"):
        for number, image in enumerate(arrays[part, "images"]):
            labels = arrays.get((part, "labels"))
            inside = folder / part / ("" if labels is None else str(labels[number]))
            inside.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(inside / f"{number:05d}{ending}"), image)


WRITERS = [write_idx, write_gzip, write_npz, write_flat_hdf5, write_grouped_hdf5]


def as_set(images: np.ndarray, labels: np.ndarray) -> set:
    return {(image.tobytes(), int(label)) for image, label in zip(images, labels, strict=True)}


@pytest.mark.parametrize("write", WRITERS)
def test_digits_are_the_same_in_every_format(write, folder, arrays):
    write(folder, arrays)
    found = load_data_set("own")
    images = np.concatenate([arrays["train", "images"], arrays["test", "images"]])
    np.testing.assert_array_equal(found.train.images, images)
    labels = np.concatenate([arrays["train", "labels"], arrays["test", "labels"]])
    np.testing.assert_array_equal(found.train.labels, labels)
    np.testing.assert_array_equal(found.test.images, arrays["test", "images"])
    assert found.held_out.tolist() == list(range(91, 121))


def test_image_files_are_read_with_the_class_of_their_folder(folder, arrays):
    write_images(folder, arrays)
    found = load_data_set("own")
    held_out = np.isin(found.train.ids, found.held_out)
    for rows, part in ((~held_out, "train"), (held_out, "test")):
        expected = as_set(arrays[part, "images"], arrays[part, "labels"])
        assert as_set(found.train.images[rows], found.train.labels[rows]) == expected


@pytest.mark.parametrize("write", [*WRITERS, write_images])
def test_test_labels_may_be_unknown(write, folder, arrays):
    del arrays["test", "labels"]
    write(folder, arrays)
    found = load_data_set("own")
    assert (len(found.train), len(found.test), found.held_out) == (90, 30, None)


def test_rows_of_the_competition_can_be_had_as_hdf5(workplace, tiny_files, tiny):
    shutil.copytree(tiny_files, "input/digit-recognizer")
    assert builtin.install_hdf5_example() is True
    found = load_data_set("mnist-hdf5")
    assert (len(found.train), len(found.test), len(found.held_out)) == (120, 17, 17)
    rows = as_set(found.train.images, found.train.labels)
    assert rows == as_set(tiny.train.images, tiny.train.labels)
    judged = found.train.labels[np.isin(found.train.ids, found.held_out)]
    assert np.bincount(judged, minlength=10).min() >= 1
    assert builtin.install_hdf5_example() is False
    assert builtin.install_hdf5_example(force=True) is True
    assert load_data_set("mnist-hdf5").fingerprint() == found.fingerprint()


def cut(content: bytes) -> bytes:
    return content[:-1000]


def no_digits(content: bytes) -> bytes:
    return b"<html>403 Forbidden"


@pytest.mark.parametrize(
    ("damage", "force", "message"),
    [
        (bytes, True, r"mnist\.hdf5 was not written by this program and stays"),
        (cut, False, r"mnist\.hdf5 cannot be read"),
        (no_digits, False, r"mnist\.hdf5 holds no digits in a known format"),
    ],
)
def test_a_file_of_somebody_else_is_never_replaced(
    workplace, tiny_files, arrays, damage, force, message
):
    shutil.copytree(tiny_files, "input/digit-recognizer")
    own = Path("input/mnist-hdf5")
    own.mkdir()
    write_flat_hdf5(own, arrays)
    file = own / "mnist.hdf5"
    file.write_bytes(content := damage(file.read_bytes()))
    with pytest.raises(UserError, match=message):
        builtin.install_hdf5_example(force)
    assert file.read_bytes() == content


def test_hidden_files_and_good_ones_of_somebody_else_stay(workplace, tiny_files, arrays):
    shutil.copytree(tiny_files, "input/digit-recognizer")
    own = Path("input/mnist-hdf5")
    own.mkdir()
    (own / ".DS_Store").write_bytes(b"of macOS")
    assert builtin.install_hdf5_example() is True
    (own / "mnist.hdf5").unlink()
    write_flat_hdf5(own, arrays)
    assert builtin.install_hdf5_example() is False


def test_download_says_what_is_wrong_with_a_file_of_ones_own(workplace, arrays):
    config = load_config(CONFIGS / "mnist_hdf5.yaml")
    own = paths.DataPaths(config.data).folder
    own.mkdir(parents=True)
    hdf5_of(some=arrays[IMAGES])(own, arrays)
    with pytest.raises(UserError, match=r"mnist\.hdf5 has no images of test"):
        commands.download(config)
    write_flat_hdf5(own, {key: arrays[key] for key in arrays if key != ("test", "labels")})
    with pytest.raises(UserError, match="has no labelled test rows of its own; add their labels"):
        commands.download(config)
    write_flat_hdf5(own, arrays)
    commands.download(config)


def test_download_names_files_in_which_it_finds_no_format(folder):
    (folder / "mnist.npz").write_bytes(b"<html>403 Forbidden")
    config = load_config(CONFIGS / "mnist_hdf5.yaml", ["data=own"])
    with pytest.raises(UserError, match=r"it holds none of these, but mnist\.npz"):
        commands.download(config)


def test_without_the_competitions_rows_there_is_no_example_of_hdf5(workplace):
    with pytest.raises(UserError, match="are not here; run `make download` first"):
        builtin.install_hdf5_example()


ALIKE = {
    "flat rows": ("images", lambda values: values.reshape(-1, 784)),
    "a channel": ("images", lambda values: values[..., None]),
    "floats from 0 to 1": ("images", lambda values: (values / 255).astype(np.float32)),
    "floats from 0 to 255": ("images", lambda values: values.astype(np.float64)),
    "whole numbers": ("images", lambda values: values.astype(np.int64)),
    "one-hot labels": ("labels", lambda values: np.eye(10, dtype=np.float32)[values]),
    "one-hot truth values": ("labels", lambda values: np.eye(10, dtype=bool)[values]),
    "float labels": ("labels", lambda values: values.astype(np.float32)),
}


@pytest.mark.parametrize(("kind", "change"), ALIKE.values(), ids=ALIKE.keys())
def test_what_means_the_same_is_read_the_same(kind, change, folder, arrays):
    write_npz(folder, {k: change(v) if k[1] == kind else v for k, v in arrays.items()})
    found = load_data_set("own").train
    np.testing.assert_array_equal(found.images[:90], arrays["train", "images"])
    np.testing.assert_array_equal(found.labels[90:], arrays["test", "labels"])


def changed(key: tuple[str, str], change):
    """Returns a writer of `.npz` files in which one array is changed."""
    return lambda folder, arrays: write_npz(folder, {**arrays, key: change(arrays[key])})


def with_value(position, value):
    def change(values):
        values = values.astype(value.dtype)
        values[position] = value
        return values

    return change


def one_hot_with(row: list):
    """Returns a change of labels into one-hot rows, the seventh of which is another one."""
    return lambda labels: with_value(6, np.float32(row))(np.eye(10)[labels])


def after(write, change):
    """Returns a writer after which the folder is changed."""

    def broken(folder: Path, arrays: dict) -> None:
        write(folder, arrays)
        change(folder)

    return broken


def truncated(write, keep: float):
    """Returns a writer whose largest file is cut."""

    def cut_largest(folder: Path) -> None:
        file = max(folder.iterdir(), key=lambda file: file.stat().st_size)
        content = file.read_bytes()
        file.write_bytes(content[: int(len(content) * keep)])

    return after(write, cut_largest)


def replaced(write, name: str, content: bytes):
    """Returns a writer of files, one of which holds other bytes."""
    return after(write, lambda folder: (folder / name).write_bytes(content))


def renamed(write, *names: tuple[str, str]):
    """Returns a writer of files and folders, some of which get another name or place."""

    def rename(folder: Path) -> None:
        for old, new in names:
            (folder / old).rename(folder / new)

    return after(write, rename)


def linked(write, name: str):
    """Returns a writer of files, one of which is a broken link."""

    def link(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(folder / "elsewhere")

    return after(write, link)


def only(write, *keys: tuple[str, str]):
    """Returns a writer of some arrays, the others left out."""
    return lambda folder, arrays: write(folder, {key: arrays[key] for key in keys})


def with_folder(name: str):
    """Returns a writer of image files and one more folder."""
    return after(write_images, lambda folder: (folder / name).mkdir(parents=True))


def longer_header(folder: Path) -> None:
    file = folder / "train-images-idx3-ubyte"
    file.write_bytes(struct.pack(">BBBBIII", 0, 0, 8, 3, 91, 28, 28) + file.read_bytes()[16:])


def hdf5_of(**datasets: np.ndarray):
    def write(folder: Path, arrays: dict) -> None:
        with h5py.File(folder / "mnist.hdf5", "w") as file:
            file.update(datasets)

    return write


def linked_outside(folder: Path) -> None:
    (folder / "mnist.hdf5").rename(folder.parent / "elsewhere.hdf5")
    with h5py.File(folder / "mnist.hdf5", "w") as file:
        for name in NAMES.values():
            file[name] = h5py.ExternalLink(str(folder.parent / "elsewhere.hdf5"), name)


def hdf5_with(make):
    """Returns a writer of HDF5 in which `make` makes another `x_train`."""

    def remake(folder: Path) -> None:
        with h5py.File(folder / "mnist.hdf5", "a") as file:
            del file["x_train"]
            make(file)

    return after(write_flat_hdf5, remake)


def never_written(shape: tuple[int, ...]):
    return hdf5_with(
        lambda file: file.create_dataset("x_train", shape, np.uint8, chunks=(1, 28, 28))
    )


def of_times(file: h5py.File) -> None:
    h5py.h5d.create(file.id, b"x_train", h5py.h5t.UNIX_D32LE, h5py.h5s.create_simple((90,)))


def pickled(folder: Path, arrays: dict) -> None:
    images = np.array([{"a": 1}], dtype=object)
    np.savez(folder / "mnist.npz", x_train=images, y_train=images, x_test=images)


def npz_with(name: str, content: bytes, *keys: tuple[str, str]):
    """Returns a writer of `.npz` with some arrays, all by default, and one more member."""

    def add(folder: Path) -> None:
        with zipfile.ZipFile(folder / "mnist.npz", "a") as archive:
            archive.writestr(name, content)

    return after(only(write_npz, *keys) if keys else write_npz, add)


def giant_array() -> bytes:
    """The beginning of an array whose header promises 7.84 TB."""
    head = io.BytesIO()
    header = {"descr": "|u1", "fortran_order": False, "shape": (10**10, 28, 28)}
    np.lib.format.write_array_header_1_0(head, header)
    return head.getvalue() + b"\1" * 1000


def both(first, second):
    """Returns a writer of two formats into one folder."""

    def write(folder: Path, arrays: dict) -> None:
        first(folder, arrays)
        second(folder, arrays)

    return write


def with_third_part(folder: Path) -> None:
    with np.load(folder / "mnist.npz") as file:
        everything = dict(file)
    np.savez(folder / "mnist.npz", x_valid=everything["x_train"], **everything)


def image_bytes(ending: str, image: np.ndarray | None = None) -> bytes:
    image = np.full((28, 28), [[9] * 27 + [0]], np.uint8) if image is None else image
    return cv2.imencode(ending, image)[1].tobytes()


def among_images(name: str, content: bytes):
    """Returns a writer of image files with another file among them."""
    return replaced(write_images, name, content)


def giant_png() -> bytes:
    """A PNG whose header, with the right checksum, promises 200,000 × 200,000 pixels."""
    head = b"IHDR" + struct.pack(">IIBBBBB", 200_000, 200_000, 8, 0, 0, 0, 0)
    content = image_bytes(".png")
    return content[:12] + head + struct.pack(">I", zlib.crc32(head)) + content[33:]


def no_idx(name: str) -> str:
    return f"own/{name} does not begin like an IDX file"


def no_image(name: str) -> str:
    return f"/3/{name} cannot be read as a picture; expected PNG, JPEG"


IMAGES, LABELS = ("train", "images"), ("train", "labels")
WITHOUT_TRAIN = only(write_idx, ("test", "images"), ("test", "labels"))
UNLABELLED_TEST = only(write_images, IMAGES, LABELS, ("test", "images"))
CLASS_FOLDERS = [(f"train/{label}", str(label)) for label in range(10)]
TALL, HALF = np.full((32, 32), 9, np.uint8), np.full((28, 28), [[9] * 14 + [200] * 14], np.uint8)
NOT_ONE_HOT = "image 7 has a row of labels that is not a single 1 among zeros"
IDX_LABELS = "t10k-labels-idx1-ubyte"
IDX_EXPECTED = (
    "no images of train, labels of train; expected train-images…, .* and perhaps t10k-labels…"
)
GZIP_LABELS, GZIP_IMAGES = f"{IDX_LABELS}.gz", "train-images-idx3-ubyte.gz"
GZIP_HEAD = gzip.compress(b"digits")[:12]
BROKEN = {
    "cut gzip": (truncated(write_gzip, 0.7), "is cut or damaged"),
    "cut idx": (truncated(write_idx, 0.9), "its header promises 90 × 28 × 28 values, 70,560"),
    "idx without its header": (truncated(write_idx, 0.0001), "is cut or damaged"),
    "lying idx": (
        after(write_idx, longer_header), "promises 91 × 28 × 28 values, 71,344 bytes, but 70,560"),
    "gzip cut to its head": (replaced(write_gzip, GZIP_LABELS, GZIP_HEAD), no_idx(GZIP_LABELS)),
    "cut gzip of images": (replaced(write_gzip, GZIP_IMAGES, GZIP_HEAD), no_idx(GZIP_IMAGES)),
    "page in place of gzip": (
        replaced(write_gzip, GZIP_LABELS, b"<html>403 Forbidden"), no_idx(GZIP_LABELS)),
    "empty idx": (replaced(write_idx, IDX_LABELS, b""), no_idx(IDX_LABELS)),
    "gzip of something else": (
        replaced(write_idx, "more.gz", gzip.compress(b"no digits")), no_idx("more.gz")),
    "cut npz": (truncated(write_npz, 0.7), "cannot be read as arrays"),
    "cut hdf5": (truncated(write_flat_hdf5, 0.7), "mnist.hdf5 cannot be read .*; fetch it again"),
    "hdf5 without the groups": (
        hdf5_of(some=TALL), "has no images of test, images of train, labels of"),
    "hdf5 that links outside": (after(write_flat_hdf5, linked_outside), "it holds nothing"),
    "npz with objects": (pickled, "cannot be read as arrays"),
    "npz with a text": (
        npz_with("notes.txt", b"0" * 1000), "mnist.npz: 'notes.txt' is not an array; expected"),
    "giant npz": (
        npz_with("x_train.npy", giant_array(), LABELS, ("test", "images")),
        r"mnist\.npz.* (promises|cannot be read as arrays)"),
    "giant hdf5": (
        never_written((10**10, 28, 28)), "'/x_train': an array of 7,840,000,000,000 bytes; expec"),
    "hdf5 never written": (never_written((90, 28, 28)), "no ink at all"),
    "hdf5 of times": (hdf5_with(of_times), r"mnist.hdf5 cannot be read \(No NumPy equivalent"),
    "two files": (
        both(write_npz, write_flat_hdf5),
        "holds digits in 2 formats: mnist.hdf5; mnist.npz; keep only one"),
    "idx and a damaged zip": (
        replaced(write_idx, "archive.zip", b"PK\x03\x04"), "2 formats: archive.zip; t10k-images-"),
    "plain and gzip": (
        both(write_idx, write_gzip),
        "twice, as 't10k-images-idx3-ubyte' and 't10k-images-idx3-ubyte.gz'"),
    "idx without train": (
        WITHOUT_TRAIN, f"{IDX_EXPECTED}; it holds t10k-images-idx3-ubyte, {IDX_LABELS}$"),
    "idx of no part": (
        replaced(write_idx, "10k-labels", idx_bytes(np.zeros(3, np.uint8))),
        "own/10k-labels is an IDX file, but its name does not tell its part and kind; expecte"),
    "mixed sizes": (
        among_images("train/3/big.png", image_bytes(".png", TALL)),
        "big.png has 32 × 32 pixels; expected 28 × 28, all images alike"),
    "half light": (
        among_images("train/3/half.png", image_bytes(".png", HALF)),
        "half.png: it is unclear whether its ink is the light or the dark; expected paper all"),
    "cut image": (among_images("train/3/a.png", image_bytes(".png")[:50]), no_image("a.png")),
    "cut head of an image": (among_images("train/3/a.png", b"\x89PNG\r\n"), no_image("a.png")),
    "empty image": (among_images("train/3/a.png", b""), no_image("a.png")),
    "giant image": (
        among_images("train/3/a.png", giant_png()), "a.png has more than 50,000,000 pixels"),
    "text among test images": (among_images("test/3/labels.txt", b"3"), no_image("labels.txt")),
    "file in no class": (among_images("train/a.png", image_bytes(".png")), "not a class from 0 to"),
    "folder as an image": (with_folder("train/3/old.png"), "old.png is not a file; expected"),
    "lost labels": (
        linked(write_idx, IDX_LABELS), f"{IDX_LABELS} is a broken link; mount its"),
    "dangling link": (
        linked(write_images, "train/3/link.png"), "link.png is a broken link"),
    "train twice": (with_folder("training/3"), "train and .*training are both the part train"),
    "empty test folder": (
        after(renamed(UNLABELLED_TEST, ("test", ".old")), lambda folder: (folder / "test").mkdir()),
        "has no images of test; expected train/0/"),
    "folder of another name": (
        renamed(write_images, ("train/3", "train/ten")), "which is not a class from 0 to 9"),
    "no test folder": (
        renamed(UNLABELLED_TEST, ("test", "others")),
        "has no folder test/: put images to predict into it, or"),
    "classes alone": (
        renamed(UNLABELLED_TEST, *CLASS_FOLDERS, ("train", ".train"), ("test", ".test")),
        "has no folder test/: put images to predict into it, or"),
    "classes here and there": (with_folder("3"), "own/3 and .*/train are both the part"),
    "class 12": (
        renamed(write_images, *CLASS_FOLDERS, ("3", "12"), ("train", ".train")),
        "own/12 is no class from 0 to 9 and no part; expected"),
    "image beside the classes": (
        among_images("a.png", image_bytes(".png")), "own/a.png is no class"),
    "black image": (
        among_images("train/3/a.png", image_bytes(".png", np.zeros((28, 28)))),
        "train/3/a.png has no ink at all"),
    "npz with a third part": (
        after(write_npz, with_third_part), "mnist.npz holds 'x_valid', which belongs neither to"),
    "other side": (changed(IMAGES, lambda v: v[:, 1:]), r"have the shape \(90, 27, 28\)"),
    "no images": (changed(IMAGES, lambda v: v[:0]), r"have the shape \(0, 28, 28\)"),
    "no ink": (changed(IMAGES, with_value(4, np.uint8(0))), "image 5 has no ink at all"),
    "binarised bytes": (changed(IMAGES, lambda v: (v > 99).astype(np.uint8)), "no pixel is brig"),
    "dark on white": (changed(IMAGES, lambda v: 255 - v), "dark on white"),
    "standardised": (changed(IMAGES, lambda v: (v - 33.4) / 78.7), "they go from -0.4"),
    "not finite": (changed(IMAGES, with_value((4, 4), np.float32("nan"))), "the pixels are float"),
    "beyond 255": (changed(IMAGES, with_value((4, 4), np.int32(256))), "they go from 0 to 256"),
    "text": (changed(LABELS, lambda v: v.astype(str)), "the labels are <U"),
    "truth values": (changed(LABELS, lambda v: v > 4), "the labels are bool"),
    "label 10": (changed(LABELS, with_value(6, np.int32(10))), "image 7 has the label 10; expec"),
    "label -1": (changed(LABELS, with_value(6, np.int32(-1))), "image 7 has the label -1; expec"),
    "half a label": (changed(LABELS, with_value(6, np.float32(2.5))), "image 7 has the label 2.5"),
    "one-hot without a 1": (changed(LABELS, one_hot_with([0] * 10)), NOT_ONE_HOT),
    "one-hot with a NaN": (changed(LABELS, one_hot_with([0] * 9 + [np.nan])), NOT_ONE_HOT),
    "one-hot with two": (changed(LABELS, one_hot_with([1, 1] + [0] * 8)), NOT_ONE_HOT),
    "one-hot with a share": (changed(LABELS, one_hot_with([0.9] + [0] * 9)), NOT_ONE_HOT),
    "one-hot with less than 0": (changed(LABELS, one_hot_with([1, -1] + [0] * 8)), NOT_ONE_HOT),
    "one-hot text": (changed(LABELS, lambda v: np.eye(10, dtype=int)[v].astype(str)), "are <U"),
    "too few labels": (changed(LABELS, lambda v: v[1:]), "one label per image, for 90 images"),
}  # fmt: skip


@pytest.mark.parametrize(("write", "message"), BROKEN.values(), ids=BROKEN.keys())
def test_broken_data_gets_one_clear_error(write, message, folder, arrays):
    write(folder, arrays)
    with pytest.raises(UserError, match=message):
        load_data_set("own")


@pytest.mark.parametrize("write", [*WRITERS, write_images])
def test_unchanged_files_are_read_once(write, folder, arrays):
    write(folder, arrays)
    first = load_data_set("own")
    cache = paths.cache_folder(folder) / "digits.npz"
    with np.load(cache) as file:
        kept = dict(file)
    kept["train_images"][0, 0, 0] ^= 1
    np.savez(cache, **kept)
    again = load_data_set("own")
    assert (again.train.images != first.train.images).sum() == 1  # so it comes from the cache


IMAGE = "train/9/00009.png"


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / IMAGE).write_bytes(image_bytes(".png")),
        lambda folder: (folder / IMAGE).unlink(),
        lambda folder: (folder / "test/3/more.png").write_bytes(image_bytes(".png")),
        lambda folder: (folder / IMAGE).rename(folder / "train/0/00009.png"),
    ],
    ids=["replaced", "removed", "added", "moved"],
)
def test_changed_image_files_are_read_again(change, folder, arrays):
    write_images(folder, arrays)
    first = load_data_set("own")
    change(folder)
    assert load_data_set("own").fingerprint() != first.fingerprint()


@pytest.mark.parametrize("damage", [lambda b: b[:-200], lambda b: b[:900] + b"\xff" + b[901:]])
def test_a_damaged_cache_of_another_format_is_made_again(damage, folder, arrays):
    write_images(folder, arrays)
    first = load_data_set("own").fingerprint()
    cache = paths.cache_folder(folder) / "digits.npz"
    whole = cache.read_bytes()
    cache.write_bytes(damage(whole))
    assert load_data_set("own").fingerprint() == first
    assert len(cache.read_bytes()) == len(whole)


def test_a_name_of_a_file_need_not_be_text(folder, arrays):
    write_images(folder, arrays)
    (folder / "train/3" / os.fsdecode(b"scan_\xe9.png")).write_bytes(image_bytes(".png"))
    assert len(load_data_set("own").train) == 121


def test_a_folder_that_takes_no_cache_is_read_all_the_same(folder, arrays):
    write_npz(folder, arrays)
    paths.cache_folder(folder).write_text("no folder")
    assert len(load_data_set("own").train) == 120


def test_images_are_known_by_their_content_and_hidden_files_left_out(folder, arrays):
    write_images(folder, arrays)
    (folder / "train/3/more.PNG").write_bytes(image_bytes(".jpg"))
    (folder / "train/3/without_ending").write_bytes(image_bytes(".png"))
    (folder / "train/3/more.png").write_bytes(image_bytes(".bmp"))
    (folder / "train/3/.DS_Store").write_bytes(b"of macOS")
    (folder / "train/.cache").mkdir()
    assert len(load_data_set("own").train) == 123


def test_classes_may_lie_beside_the_folder_of_test_images(folder, arrays):
    write_images(folder, arrays)
    expected = load_data_set("own").fingerprint()
    for old, new in CLASS_FOLDERS:
        (folder / old).rename(folder / new)
    (folder / "train").rmdir()
    assert load_data_set("own").fingerprint() == expected


def test_images_to_predict_are_numbered_as_people_count(folder, arrays):
    del arrays["test", "labels"]
    write_images(folder, arrays)
    shutil.rmtree(folder / "test")
    (folder / "test").mkdir()
    names = ["1.png", "01.png", "2.png", "10.png", "scan2 of 9.png", "scan10 of 9.png"]
    for ink, name in enumerate(names, start=1):
        cv2.imwrite(str(folder / "test" / name), np.full((28, 28), ink, np.uint8))
    found = load_data_set("own").test
    assert found.images[:, 0, 0].tolist() == [2, 1, 3, 4, 5, 6]
    assert found.ids.tolist() == [1, 2, 3, 4, 5, 6]


def test_a_class_folder_may_be_a_link(folder, arrays):
    write_images(folder, arrays)
    (folder / "train/3").rename(folder.parent / "elsewhere")
    (folder / "train/3").symlink_to(folder.parent / "elsewhere")
    assert len(load_data_set("own").train) == 120


def test_a_zip_of_something_else_beside_the_digits_is_left_out(folder, arrays):
    write_idx(folder, arrays)
    with zipfile.ZipFile(folder / "archive.zip", "w") as archive:
        archive.writestr("notes.txt", "no digits")
    assert len(load_data_set("own").train) == 120


def test_hidden_files_beside_the_digits_are_not_looked_at(folder, arrays):
    write_gzip(folder, arrays)
    (folder / f"._{GZIP_LABELS}").write_bytes(b"\x00\x05\x16\x07")  # of macOS
    assert len(load_data_set("own").train) == 120


def test_an_empty_folder_says_what_is_expected(folder):
    with pytest.raises(UserError, match="'own' is not here"):
        load_data_set("own")


@pytest.mark.parametrize("write", [write_gzip, write_npz])
def test_rows_for_columns_as_in_emnist_are_turned(write, folder, arrays):
    write(folder, {key: v.swapaxes(1, 2) if v.ndim == 3 else v for key, v in arrays.items()})
    found = load_data_set("own")
    np.testing.assert_array_equal(found.train.images[:90], arrays["train", "images"])
    np.testing.assert_array_equal(found.test.images, arrays["test", "images"])
    assert found.train.labels[:90].tolist() == arrays["train", "labels"].tolist()


def test_each_picture_decides_which_of_light_and_dark_is_ink(folder, arrays):
    write_images(folder, arrays)
    expected = load_data_set("own").train.images
    for file in sorted(folder.glob("train/*/*.png"))[::10]:
        image = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
        cv2.imwrite(str(file), 255 - image)
    np.testing.assert_array_equal(load_data_set("own").train.images, expected)


def test_strokes_on_transparent_ground_are_ink_in_any_colour(folder, arrays):
    write_images(folder, arrays)
    expected = load_data_set("own").train.images
    for number, file in enumerate(sorted(folder.glob("train/*/*.png"))):
        ink = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
        colour = [np.zeros_like(ink), np.full_like(ink, 255), np.full_like(ink, 90), ink][
            number % 4
        ]
        cv2.imwrite(str(file), np.stack([colour] * 3 + [ink], axis=-1))
    np.testing.assert_array_equal(load_data_set("own").train.images, expected)
