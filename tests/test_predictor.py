"""Exported nets predict pictures, from Python and from the command line."""

import shutil
import subprocess

import cv2
import numpy as np
import pandas as pd
import pytest
from conftest import make_project, paper, run_code, run_main
from PIL import Image

from competition import paths
from competition.deployment.predictor import DOUBTFUL, NO_DIGIT, PROBABILITIES, Predictor
from competition.deployment.runtimes import chosen
from competition.errors import UserError

COLUMNS = ["picture", "position", "digit", "probability", *PROBABILITIES, "note"]


@pytest.fixture(scope="session")
def predictor(export) -> Predictor:
    return Predictor.load(export)


def test_all_formats_say_the_same(export, predictor, tiny):
    expected = predictor.probabilities(tiny.train.images)
    assert predictor.file.name == "digits.tflite"
    assert (expected.argmax(axis=1) == tiny.train.labels).mean() > 0.95
    assert (expected.shape, expected.dtype) == ((120, 10), np.float32)
    for name in ("digits.onnx", "digits.keras"):
        found = Predictor.load(export / name).probabilities(tiny.train.images)
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_neither_litert_nor_onnx_loads_tensorflow(export):
    for name in ("digits.tflite", "digits.onnx"):
        done = run_code(
            "import sys; import numpy as np\n"
            "from competition.deployment.predictor import Predictor\n"
            f"print(len(Predictor.load({str(export / name)!r})"
            ".predict(np.full((3, 28, 28), 99, np.uint8))))\n"
            "print([name for name in ('tensorflow', 'keras') if name in sys.modules])"
        )
        assert done.stdout.split("\n")[:2] == ["3", "[]"], done.stderr


def test_digits_as_mnist_shows_them_are_predicted_as_they_are(predictor, tiny):
    images = tiny.test.images.copy()
    images[7] = 0
    found = predictor.predict(images)
    values = predictor.probabilities(images)
    assert list(found.columns) == COLUMNS
    assert found["picture"].tolist() == [str(number) for number in range(1, 41)]
    assert found["digit"].isna().tolist() == [row == 7 for row in range(40)]
    assert found["note"].tolist() == [NO_DIGIT if row == 7 else "" for row in range(40)]
    known = found.drop(index=7)
    assert known["digit"].tolist() == np.delete(values, 7, axis=0).argmax(axis=1).tolist()
    np.testing.assert_allclose(known["probability"], np.delete(values, 7, axis=0).max(axis=1))
    np.testing.assert_allclose(known[PROBABILITIES], np.delete(values, 7, axis=0))
    assert found.loc[7, ["probability", *PROBABILITIES]].isna().all()


def test_a_single_picture_may_be_anything_that_holds_one(predictor, tiny, tmp_path):
    image, label = tiny.train.images[0], tiny.train.labels[0]
    picture = paper(image)
    file = tmp_path / "one.png"
    cv2.imwrite(str(file), picture)
    colour = np.dstack([picture] * 3)
    for one in (file, str(file), file.read_bytes(), picture, colour, Image.fromarray(picture)):
        found = predictor.predict(one)
        assert found["digit"].tolist() == [label]
        pd.testing.assert_frame_equal(predictor.predict([one]), found)
    assert predictor.predict(image)["digit"].tolist() == [label]


def test_each_digit_of_a_row_has_a_line(predictor, tiny):
    images, labels = tiny.train.images[:3], tiny.train.labels[:3].tolist()
    found, seen = predictor.examine([paper(*images), np.full((90, 90), 255, np.uint8)])
    assert found["picture"].tolist() == ["1", "1", "1", "2"]
    assert found["position"].tolist() == [1, 2, 3, 0]
    assert found["digit"].tolist()[:3] == labels
    assert seen[3].max() == 0
    assert seen.shape == (4, 28, 28)
    assert seen[:3].max(axis=(1, 2)).min() > 200


def test_doubt_is_said(predictor):
    halves = np.full((28, 28), [200] * 9 + [0] * 19, np.uint8)
    assert predictor.predict(halves)["note"].tolist() == [DOUBTFUL]


def test_nothing_to_predict_is_an_empty_table(predictor):
    for nothing in ([], np.zeros((0, 28, 28), np.uint8)):
        found = predictor.predict(nothing)
        assert list(found.columns) == COLUMNS
        assert found.empty


@pytest.mark.parametrize("values", [np.zeros((2, 28, 28)), np.zeros((9, 9), np.float32)])
def test_pixels_of_another_type_are_refused(predictor, values):
    with pytest.raises(UserError, match=r"the pixels are float\d+; expected uint8, from 0 to 255"):
        predictor.predict(values)


def test_a_folders_quickest_net_with_its_runtime_is_taken(export, tmp_path, monkeypatch):
    for name in ("digits.keras", "digits.onnx"):
        shutil.copy(export / name, tmp_path)
    assert chosen(tmp_path).name == "digits.onnx"
    missing = {"onnxruntime"}
    monkeypatch.setattr(
        "competition.deployment.runtimes.find_spec", lambda name: name not in missing or None
    )
    assert chosen(tmp_path).name == "digits.keras"
    needed = r"digits.onnx needs the package onnxruntime; .*pip install -r requirements-deploy"
    with pytest.raises(UserError, match=needed):
        chosen(tmp_path / "digits.onnx")
    missing.add("keras")
    with pytest.raises(UserError, match=needed):
        chosen(tmp_path)


def test_what_is_no_net_is_refused(tmp_path, export):
    with pytest.raises(UserError, match="there is no exported net at"):
        Predictor.load(tmp_path)
    with pytest.raises(UserError, match=r"there is no exported net at .*`make export` writes them"):
        Predictor.load(tmp_path / "digits.onnx")
    (tmp_path / "model.h5").touch()
    with pytest.raises(UserError, match=r"is no exported net; expected \.tflite, \.onnx, \.keras"):
        Predictor.load(tmp_path / "model.h5")
    for name in paths.EXPORTED.values():
        (tmp_path / name).write_bytes((export / name).read_bytes()[:500])
        with pytest.raises(UserError, match=f"{name} cannot be opened: .*; `make export`"):
            Predictor.load(tmp_path / name)


# ----- The command -----


@pytest.fixture
def place(workplace, tiny_files, export):
    """A working folder with the tiny data set, its configuration, and its exported net."""
    make_project(workplace, tiny_files)
    shutil.copytree(export, workplace / "output/tiny/export")
    return workplace


def predict(place, *arguments: str) -> subprocess.CompletedProcess:
    return run_main("predict", "--config", "configs/tiny.yaml", *arguments, folder=place)


def test_pictures_and_folders_become_a_table_a_csv_and_a_sheet(place, tiny):
    (place / "scans").mkdir()
    for name, digits in {"a.png": [0], "scans/b.JPG": [1], "scans/row.webp": [2, 0]}.items():
        cv2.imwrite(str(place / name), paper(*tiny.train.images[digits]))
    cv2.imwrite(str(place / "scans/empty.png"), np.full((99, 99), 255, np.uint8))
    (place / "scans/notes.txt").write_text("no picture")
    done = predict(place, "--images", "a.png", "scans")
    assert done.returncode == 0, done.stderr
    labels = tiny.train.labels[:4].tolist()
    expected = [("a.png", 1, labels[0]), ("scans/b.JPG", 1, labels[1])]
    expected += [("scans/row.webp", 1, labels[2]), ("scans/row.webp", 2, labels[0])]
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["picture", "position", "digit", "probability", "note"] in lines
    for name, position, digit in expected:
        assert any(line[:3] == [name, str(position), str(digit)] for line in lines)
    assert ["scans/empty.png", "0", "no", "digit"] in lines
    written = pd.read_csv(place / "predictions.csv", keep_default_na=False)
    assert list(written.columns) == COLUMNS
    assert len(written) == 5
    assert cv2.imread(str(place / "predictions.png")).shape[1] == 1672


def test_the_csv_goes_where_it_is_told_and_another_net_may_answer(place, tiny):
    cv2.imwrite(str(place / "a.png"), paper(tiny.train.images[0]))
    model = "output/tiny/export/digits.onnx"
    done = predict(place, "--images", "a.png", "--model", model, "--out", "some/answers.csv")
    assert done.returncode == 0, done.stderr
    assert (place / "some/answers.csv").exists()
    assert (place / "some/answers.png").exists()
    assert not (place / "predictions.csv").exists()


def test_test_rows_become_a_checked_submission(place, tiny, predictor):
    done = predict(place, "--images", "input/tiny/test.csv")
    assert done.returncode == 0, done.stderr
    written = pd.read_csv(place / "submissions/tiny-export.csv")
    assert written["ImageId"].tolist() == tiny.test.ids.tolist()
    answers = predictor.probabilities(tiny.test.images).argmax(axis=1)
    assert written["Label"].tolist() == answers.tolist()
    assert "submissions/tiny-export.csv is written and checked" in done.stdout
    assert "digits.tflite" in (place / "submissions/tiny-export.json").read_text()


def test_a_submission_with_other_rows_than_the_sample_is_refused(place):
    sample = place / "input/tiny/sample_submission.csv"
    sample.write_text("".join(sample.read_text().splitlines(keepends=True)[:-1]))
    done = predict(place, "--images", "input/tiny/test.csv")
    assert done.returncode == 1
    assert "has 40 rows, but input/tiny/sample_submission.csv asks for 39" in done.stderr
    assert not (place / "submissions/tiny-export.csv").exists()


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (["nowhere.png"], "there is no nowhere.png; expected a picture or a folder of pictures"),
        (["configs"], "configs/ has no picture; expected .bmp, .jpeg, .jpg"),
        (["configs/tiny.yaml"], "configs/tiny.yaml cannot be read as a picture; expected PNG"),
        (["input/tiny/train.csv"], "has 785 columns; expected 784 columns"),
    ],
)
def test_what_cannot_be_predicted_is_named(place, images, message):
    done = predict(place, "--images", *images)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(place.glob("predictions*"))


def test_without_an_export_the_message_says_how_to_make_one(place):
    shutil.rmtree(place / "output")
    done = predict(place, "--images", "input/tiny/test.csv")
    assert done.returncode == 1
    assert "there is no exported net at output/tiny/export; `make export` writes" in done.stderr


def test_latency_has_a_row_for_each_file(place, monkeypatch):
    monkeypatch.setattr("benchmarks.latency.ROUNDS", 2)
    monkeypatch.setattr("benchmarks.latency.SINGLE_DIGITS", 5)
    command = ("latency", "--config", "configs/tiny.yaml")
    done = run_main(*command, folder=place)
    assert done.returncode == 0, done.stderr
    for name in ("digits.keras", "digits.onnx", "digits.tflite"):
        assert f" {name} float32 " in " ".join(done.stdout.split())
    shutil.rmtree(place / "output/tiny/export")
    (place / "output/tiny/export").mkdir()
    done = run_main(*command, folder=place)
    assert "there is no exported net at output/tiny/export; `make export`" in done.stderr
