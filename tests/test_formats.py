"""Digits in other formats than the competition's, whole and broken."""

import gzip
import io
import os
import shutil
import struct
import zipfile
import zlib
from functools import partial
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
from conftest import ROOT

from competition import commands, paths
from competition.config.loading import load_config
from competition.data import builtin, formats
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
        (bytes, True, r"mnist\.hdf5 was not written by this program and is not replaced"),
        (cut, False, r"mnist\.hdf5 is cut or damaged"),
        (no_digits, False, r"mnist\.hdf5 holds no digits in a format that is read"),
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
    own = paths.data_folder(config.data)
    own.mkdir(parents=True)
    other_groups(own, arrays)
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
    with pytest.raises(UserError, match=r"what is there is none of these: mnist\.npz"):
        commands.download(config)


def test_without_the_competitions_rows_there_is_no_example_of_hdf5(workplace):
    with pytest.raises(UserError, match="these have to be here first: `make download`"):
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


def truncated(write, keep: float):
    def broken(folder: Path, arrays: dict) -> None:
        write(folder, arrays)
        file = max(folder.iterdir(), key=lambda file: file.stat().st_size)
        content = file.read_bytes()
        file.write_bytes(content[: int(len(content) * keep)])

    return broken


def lying_header(folder: Path, arrays: dict) -> None:
    write_idx(folder, arrays)
    file = folder / "train-images-idx3-ubyte"
    file.write_bytes(struct.pack(">BBBBIII", 0, 0, 8, 3, 91, 28, 28) + file.read_bytes()[16:])


def giant_header(folder: Path, arrays: dict) -> None:
    write_idx(folder, arrays)
    file = folder / "train-images-idx3-ubyte"
    file.write_bytes(struct.pack(">BBBB3I", 0, 0, 8, 3, *[2**32 - 1] * 3) + file.read_bytes()[16:])


def replaced(write, name: str, content: bytes):
    """Returns a writer of files, one of which holds other bytes."""

    def broken(folder: Path, arrays: dict) -> None:
        write(folder, arrays)
        (folder / name).write_bytes(content)

    return broken


def with_stray(name: str, content: bytes):
    """Returns a writer of IDX files with a file beside them."""
    return replaced(write_idx, name, content)


def other_groups(folder: Path, arrays: dict) -> None:
    with h5py.File(folder / "mnist.hdf5", "w") as file:
        file["some/data"] = arrays["train", "images"]


def linked_outside(folder: Path, arrays: dict) -> None:
    write_flat_hdf5(folder, arrays)
    (folder / "mnist.hdf5").rename(folder.parent / "elsewhere.hdf5")
    with h5py.File(folder / "mnist.hdf5", "w") as file:
        for name in NAMES.values():
            file[name] = h5py.ExternalLink(str(folder.parent / "elsewhere.hdf5"), name)


def sparse_hdf5(folder: Path, arrays: dict) -> None:
    write_flat_hdf5(folder, arrays)
    with h5py.File(folder / "mnist.hdf5", "a") as file:
        del file["x_train"]
        file.create_dataset("x_train", (90, 28, 28), np.uint8, chunks=(1, 28, 28))


GIANT = (10**10, 28, 28)


def npz_with_a_text(folder: Path, arrays: dict) -> None:
    write_npz(folder, arrays)
    with zipfile.ZipFile(folder / "mnist.npz", "a") as archive:
        archive.writestr("notes.txt", "0" * 1000)


def giant_npz(folder: Path, arrays: dict) -> None:
    write_npz(folder, {key: arrays[key] for key in arrays if key != IMAGES})
    header = {"descr": "|u1", "fortran_order": False, "shape": GIANT}
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, header)
    with zipfile.ZipFile(folder / "mnist.npz", "a") as archive:
        archive.writestr("x_train.npy", head.getvalue() + arrays[IMAGES].tobytes())


def giant_hdf5(folder: Path, arrays: dict) -> None:
    write_flat_hdf5(folder, arrays)
    with h5py.File(folder / "mnist.hdf5", "a") as file:
        del file["x_train"]
        file.create_dataset("x_train", GIANT, np.uint8, chunks=(1, 28, 28))


def hdf5_of_times(folder: Path, arrays: dict) -> None:
    write_flat_hdf5(folder, arrays)
    with h5py.File(folder / "mnist.hdf5", "a") as file:
        del file["x_train"]
        h5py.h5d.create(file.id, b"x_train", h5py.h5t.UNIX_D32LE, h5py.h5s.create_simple((90,)))


def pickled(folder: Path, arrays: dict) -> None:
    images = np.array([{"a": 1}], dtype=object)
    np.savez(folder / "mnist.npz", x_train=images, y_train=images, x_test=images)


def twice(folder: Path, arrays: dict) -> None:
    write_npz(folder, arrays)
    write_flat_hdf5(folder, arrays)


def idx_of_test(folder: Path, arrays: dict) -> None:
    write_idx(folder, {key: values for key, values in arrays.items() if key[0] == "test"})


def plain_and_gzip(folder: Path, arrays: dict) -> None:
    write_idx(folder, arrays)
    write_gzip(folder, arrays)


def mixed_sizes(folder: Path, arrays: dict) -> None:
    write_images(folder, arrays)
    cv2.imwrite(str(folder / "train/3/big.png"), np.full((32, 32), 9, np.uint8))


def colourful(folder: Path, arrays: dict) -> None:
    write_images(folder, arrays)
    cv2.imwrite(str(folder / "train/3/red.png"), np.full((28, 28, 3), [9, 9, 99], np.uint8))


def image_bytes(ending: str) -> bytes:
    return cv2.imencode(ending, np.full((28, 28), [[9] * 27 + [0]], np.uint8))[1].tobytes()


def among_images(name: str, content: bytes):
    """Returns a writer of image files with another file among them."""
    return replaced(write_images, name, content)


def giant_png() -> bytes:
    """A PNG whose header, with the right checksum, promises 200,000 × 200,000 pixels."""
    head = b"IHDR" + struct.pack(">IIBBBBB", 200_000, 200_000, 8, 0, 0, 0, 0)
    content = image_bytes(".png")
    return content[:12] + head + struct.pack(">I", zlib.crc32(head)) + content[33:]


def folder_among_images(folder: Path, arrays: dict) -> None:
    write_images(folder, arrays)
    (folder / "train/3/old.png").mkdir()


def dangling_link(folder: Path, arrays: dict) -> None:
    write_images(folder, arrays)
    (folder / "train/3/link.png").symlink_to(folder / "elsewhere.png")


def lost_labels(folder: Path, arrays: dict) -> None:
    write_idx(folder, arrays)
    (folder / IDX_LABELS).unlink()
    (folder / IDX_LABELS).symlink_to(folder / "elsewhere")


def train_twice(folder: Path, arrays: dict) -> None:
    write_images(folder, arrays)
    (folder / "training/3").mkdir(parents=True)


def classes_alone(folder: Path, arrays: dict) -> None:
    no_test_folder(folder, arrays)
    shutil.rmtree(folder / "others")
    for label in range(10):
        (folder / "train" / str(label)).rename(folder / str(label))
    (folder / "train").rmdir()


def classes_here_and_there(folder: Path, arrays: dict) -> None:
    write_images(folder, arrays)
    (folder / "3").mkdir()


def empty_test_folder(folder: Path, arrays: dict) -> None:
    no_test_folder(folder, arrays)
    (folder / "others").rename(folder / ".others")
    (folder / "test").mkdir()


def eleventh_class(folder: Path, arrays: dict) -> None:
    write_images(folder, arrays)
    (folder / "train/3").rename(folder / "train/ten")


def twelfth_class(folder: Path, arrays: dict) -> None:
    write_images(folder, arrays)
    for label in range(10):
        (folder / "train" / str(label)).rename(folder / str({3: 12}.get(label, label)))
    (folder / "train").rmdir()


def with_third_part(folder: Path, arrays: dict) -> None:
    write_npz(folder, arrays)
    with np.load(folder / "mnist.npz") as file:
        everything = dict(file)
    np.savez(folder / "mnist.npz", x_valid=arrays[IMAGES], **everything)


def no_test_folder(folder: Path, arrays: dict) -> None:
    del arrays["test", "labels"]
    write_images(folder, arrays)
    (folder / "test").rename(folder / "others")


def no_idx(name: str) -> str:
    return f"own/{name} does not begin as an IDX file does"


def no_image(name: str) -> str:
    return f"/3/{name} cannot be read as a PNG or JPEG image"


IMAGES, LABELS = ("train", "images"), ("train", "labels")
NOT_ONE_HOT = "image 7 has a row of labels that is not a single 1 among zeros"
IDX_LABELS = "t10k-labels-idx1-ubyte"
IDX_EXPECTED = "no images of train, labels of train; expected train-images…, .*, t10k-labels…"
GZIP_LABELS, GZIP_IMAGES = f"{IDX_LABELS}.gz", "train-images-idx3-ubyte.gz"
BROKEN = {
    "cut gzip": (truncated(write_gzip, 0.7), "is cut or damaged"),
    "cut idx": (truncated(write_idx, 0.9), "its header promises 90 × 28 × 28 values, 70,560"),
    "idx without its header": (truncated(write_idx, 0.0001), "ends within its header"),
    "lying idx": (lying_header, "promises 91 × 28 × 28 values, 71,344 bytes, but 70,560"),
    "giant idx": (giant_header, "but 70,560 follow"),
    "gzip cut to its head": (
        replaced(write_gzip, GZIP_LABELS, gzip.compress(b"digits")[:12]), no_idx(GZIP_LABELS)),
    "cut gzip of images": (
        replaced(write_gzip, GZIP_IMAGES, gzip.compress(b"digits")[:12]), no_idx(GZIP_IMAGES)),
    "page in place of gzip": (
        replaced(write_gzip, GZIP_LABELS, b"<html>403 Forbidden"), no_idx(GZIP_LABELS)),
    "empty idx": (replaced(write_idx, IDX_LABELS, b""), no_idx(IDX_LABELS)),
    "gzip of something else": (
        with_stray("more.gz", gzip.compress(b"no digits")), no_idx("more.gz")),
    "cut npz": (truncated(write_npz, 0.7), "cannot be read as arrays"),
    "cut hdf5": (truncated(write_flat_hdf5, 0.7), "is cut or damaged"),
    "hdf5 without the groups": (other_groups, "has no images of test, images of train, labels of"),
    "hdf5 that links outside": (linked_outside, "it holds nothing"),
    "npz with objects": (pickled, "cannot be read as arrays"),
    "npz with a text": (npz_with_a_text, "mnist.npz, 'notes.txt', is no array; expected arrays"),
    "giant npz": (giant_npz, r"mnist.npz cannot be read as arrays: Unable to allocate 7\.13 TiB"),
    "giant hdf5": (giant_hdf5, r"is cut or damaged \(Unable to allocate 7\.13 TiB"),
    "hdf5 never written": (sparse_hdf5, "train, image 1 has no ink at all: every pixel is 0"),
    "hdf5 of times": (hdf5_of_times, "No NumPy equivalent .*; expected numbers"),
    "two files": (twice, "holds digits in 2 ways: mnist.hdf5; mnist.npz; leave one there"),
    "idx and a damaged zip": (
        with_stray("archive.zip", b"PK\x03\x04"), "2 ways: archive.zip; t10k-images-idx3"),
    "plain and gzip": (
        plain_and_gzip, "twice, as 't10k-images-idx3-ubyte' and 't10k-images-idx3-ubyte.gz'"),
    "idx without train": (
        idx_of_test, f"{IDX_EXPECTED}; it holds t10k-images-idx3-ubyte, {IDX_LABELS}$"),
    "idx of no part": (
        with_stray("10k-labels", idx_bytes(np.zeros(3, np.uint8))),
        "own/10k-labels is an IDX file, but its name does not say of which part; expected train"),
    "mixed sizes": (mixed_sizes, r"big.png has the shape \(32, 32\)"),
    "colours": (colourful, r"red.png has the shape \(28, 28, 3\)"),
    "cut image": (among_images("train/3/a.png", image_bytes(".png")[:-9]), no_image("a.png")),
    "cut head of an image": (among_images("train/3/a.png", b"\x89PNG\r\n"), no_image("a.png")),
    "empty image": (among_images("train/3/a.png", b""), no_image("a.png")),
    "giant image": (among_images("train/3/a.png", giant_png()), no_image("a.png")),
    "photograph": (
        among_images("train/3/a.png", image_bytes(".png") + bytes(100_000)),
        "a.png has more than 100,000 bytes, and so more than one digit"),
    "other image": (among_images("train/3/more.bmp", image_bytes(".bmp")), no_image("more.bmp")),
    "image of another name": (
        among_images("train/3/a.png", image_bytes(".bmp")), no_image("a.png")),
    "text among test images": (among_images("test/3/labels.txt", b"3"), no_image("labels.txt")),
    "file in no class": (among_images("train/a.png", image_bytes(".png")), "not a class from 0 to"),
    "folder as an image": (folder_among_images, "old.png is no file; expected"),
    "lost labels": (lost_labels, f"{IDX_LABELS} is a link to what is not there; mount its disk"),
    "dangling link": (dangling_link, "link.png is a link to what is not there"),
    "train twice": (train_twice, "train and .*training are both the part train"),
    "empty test folder": (empty_test_folder, "has no images of test; expected train/0/"),
    "folder of another name": (eleventh_class, "which is not a class from 0 to 9"),
    "no test folder": (no_test_folder, "has no folder test/: put images to predict into it, or"),
    "classes alone": (classes_alone, "has no folder test/: put images to predict into it, or"),
    "classes here and there": (classes_here_and_there, "own/3 and .*/train are both the part"),
    "class 12": (twelfth_class, "own/12 belongs to no class from 0 to 9 and to no part; expected"),
    "image beside the classes": (
        among_images("a.png", image_bytes(".png")), "own/a.png belongs to no class"),
    "black image": (
        among_images("train/3/a.png", cv2.imencode(".png", np.zeros((28, 28)))[1].tobytes()),
        "train/3/a.png has no ink at all"),
    "npz with a third part": (with_third_part, "mnist.npz holds 'x_valid', which is neither of"),
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
    "too few labels": (changed(LABELS, lambda v: v[1:]), "one for each of the 90 images"),
}  # fmt: skip


@pytest.mark.parametrize(("write", "message"), BROKEN.values(), ids=BROKEN.keys())
def test_broken_data_gets_one_clear_error(write, message, folder, arrays):
    write(folder, arrays)
    with pytest.raises(UserError, match=message):
        load_data_set("own")


EVERY_FORMAT = [*WRITERS, write_images]


@pytest.fixture
def readings(monkeypatch) -> list:
    """Each reading of files that a cache could have spared."""
    seen = []
    for module, name in (
        (formats, "read_hdf5"), (formats, "read_npz"),
        (formats, "read_idx"), (formats, "_read_image"),
    ):  # fmt: skip
        read = getattr(module, name)
        monkeypatch.setattr(module, name, partial(noted, seen, read))
    return seen


def noted(seen: list, read, file: Path):
    seen.append(file)
    return read(file)


@pytest.mark.parametrize("write", EVERY_FORMAT)
def test_unchanged_files_are_read_once(write, folder, arrays, readings):
    write(folder, arrays)
    first = load_data_set("own")
    assert readings
    readings.clear()
    assert load_data_set("own").fingerprint() == first.fingerprint()
    assert readings == []


def replace_image(folder: Path) -> None:
    cv2.imwrite(str(folder / "train/9/00009.png"), np.full((28, 28), [[9] * 27 + [0]], np.uint8))


def remove_image(folder: Path) -> None:
    (folder / "train/9/00009.png").unlink()


def add_image(folder: Path) -> None:
    cv2.imwrite(str(folder / "test/3/more.png"), np.full((28, 28), [[9] * 27 + [0]], np.uint8))


def move_image(folder: Path) -> None:
    (folder / "train/9/00009.png").rename(folder / "train/0/00009.png")


@pytest.mark.parametrize("change", [replace_image, remove_image, add_image, move_image])
def test_changed_image_files_are_read_again(change, folder, arrays, readings):
    write_images(folder, arrays)
    first = load_data_set("own")
    readings.clear()
    change(folder)
    assert load_data_set("own").fingerprint() != first.fingerprint()
    assert len(readings) >= 119


@pytest.mark.parametrize("damage", [lambda b: b[:-200], lambda b: b[:900] + b"\xff" + b[901:]])
def test_a_damaged_cache_of_another_format_is_made_again(damage, folder, arrays, readings):
    write_images(folder, arrays)
    first = load_data_set("own").fingerprint()
    cache = paths.folder_cache_file(folder)
    cache.write_bytes(damage(cache.read_bytes()))
    for expected in (120, 0):
        readings.clear()
        assert load_data_set("own").fingerprint() == first
        assert len(readings) == expected


def test_a_name_of_a_file_need_not_be_text(folder, arrays):
    write_images(folder, arrays)
    (folder / "train/3" / os.fsdecode(b"scan_\xe9.png")).write_bytes(image_bytes(".png"))
    assert len(load_data_set("own").train) == 121


def test_a_folder_that_takes_no_cache_is_read_all_the_same(folder, arrays):
    write_npz(folder, arrays)
    paths.folder_cache_file(folder).parent.write_text("no folder")
    assert len(load_data_set("own").train) == 120


def test_images_are_known_by_their_content_and_hidden_files_left_out(folder, arrays):
    write_images(folder, arrays)
    (folder / "train/3/more.PNG").write_bytes(image_bytes(".jpg"))
    (folder / "train/3/without_ending").write_bytes(image_bytes(".png"))
    (folder / "train/3/.DS_Store").write_bytes(b"of macOS")
    (folder / "train/.cache").mkdir()
    assert len(load_data_set("own").train) == 122


def test_classes_may_lie_beside_the_folder_of_test_images(folder, arrays):
    write_images(folder, arrays)
    expected = load_data_set("own").fingerprint()
    for label in range(10):
        (folder / "train" / str(label)).rename(folder / str(label))
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
