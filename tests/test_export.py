"""Exports: each format answers as the net does, in other programs; what does not is refused."""

import re
import shutil
import subprocess
import sys
from contextlib import chdir
from pathlib import Path

import numpy as np
import pytest
from conftest import made_up_history, make_project, run_main
from conftest import write_made_up_result as write

from competition import paths
from competition.config.loading import load_config
from competition.config.registry import ARCHITECTURES, Architecture
from competition.data.augmented_epochs import make_pool
from competition.data.run import load_run
from competition.deployment import export
from competition.deployment.distillation import (
    STUDENT,
    Student,
    StudentRun,
    student_data,
    student_epochs,
    student_run,
    teacher_of,
)
from competition.deployment.file_formats import stock_net, write_file
from competition.deployment.pruning import FINE_TUNING_EPOCHS, prune, smallest_masked
from competition.deployment.runtimes import answers
from competition.ensemble.comparison import combine
from competition.paths import EXPORTED
from competition.probabilities import Probabilities
from competition.results import ALL_ROWS, write_result
from competition.training.predict import load_model, predict
from competition.training.resources import use_precision

PRECISIONS = ("float32", "bfloat16")


@pytest.fixture(autouse=True)
def keras_as_it_is(monkeypatch):
    """Threads cannot be set where TensorFlow has begun already."""
    use_precision("float32")
    monkeypatch.setattr("competition.deployment.export.start_keras", lambda threads: None)


def net_with_a_past(architecture: str, precision: str = "float32"):
    """Returns a net whose every weight and statistic differs from what a new net has."""
    use_precision(precision)
    model = Architecture(name=architecture).build()
    random = np.random.default_rng(0)
    weights = []
    for each in model.get_weights():
        each = each * random.uniform(1, 1.5, each.shape)
        if each.ndim == 1:  # biases and statistics, of which new ones are all 0 or all 1
            each += random.uniform(0, 0.05, each.shape)
        weights.append(each)
    model.set_weights(weights)
    use_precision("float32")
    return model


def distance(some: np.ndarray, others: np.ndarray) -> float:
    """Returns the mean total variation distance of probabilities `[n, 10]`."""
    return np.abs(some - others).sum(axis=1).mean() / 2


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_net_of_stock_layers_answers_as_the_original(architecture, precision, tiny):
    model = net_with_a_past(architecture, precision)
    net = stock_net(model)
    images = tiny.train.images[:20]
    found = net.predict(images[..., None].astype(np.float32), verbose=0)
    expected = predict(model, images)
    between_digits = distance(expected, np.roll(expected, 1, axis=0))
    assert distance(found, expected) < (between_digits / 10 if precision == "float32" else 0.02)
    layers = list(net._flatten_layers(include_self=False))
    assert all(type(layer).__module__.startswith("keras.") for layer in layers)
    assert {layer.dtype_policy.name for layer in layers} == {"float32"}


@pytest.mark.long
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture_exports_in_every_format(architecture, precision, tiny, tmp_path):
    model = net_with_a_past(architecture, precision)
    expected, net = predict(model, tiny.train.images[:60]), stock_net(model)
    for form, name in EXPORTED.items():
        write_file(net, form, tmp_path / name, tiny.train.images[60:])
        found = answers(tmp_path / name, tiny.train.images[:60])
        # These nets have learnt next to nothing, so rounding moves their answers more than usual.
        assert distance(found, expected) < 0.05, form
        assert found.dtype == np.float32


@pytest.fixture(scope="module")
def exported(tmp_path_factory, tiny_files) -> Path:
    """A project with students that have learnt nothing, exported by the command."""
    folder = tmp_path_factory.mktemp("exported")
    make_project(folder, tiny_files)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("competition.deployment.export.start_keras", lambda threads: None)
        make_up_students()
        done = run_main(*COMMAND, folder=folder)
        assert done.returncode == 0, done.stderr
        (folder / "printed.txt").write_text(done.stdout)
    return folder


COMMAND = ("export", "--config", "configs/tiny.yaml", "--set", "ensemble.method=mean")


def load_tiny(*overrides: str):
    return load_run(load_config(Path("configs/tiny.yaml"), ["ensemble.method=mean", *overrides]))


def predictions_of(run, job, predicted) -> dict[str, Probabilities]:
    """Returns what a result holds; `predicted` is a function from images to probabilities."""
    train, (_, held_out) = run.data_set.train, run.folds.split(job.split)
    parts = {"test": run.data_set.test} | (
        {"out_of_fold": train.take(held_out)} if len(held_out) else {}
    )
    return {name: Probabilities(part.ids, predicted(part.images)) for name, part in parts.items()}


def uniform(images: np.ndarray) -> np.ndarray:
    return np.full((len(images), 10), 0.1)


def write_net(run, job, model) -> None:
    """Writes a result with a real net, which predicts what the result says."""
    predictions = predictions_of(run, job, lambda images: predict(model, images))
    counts = dict.fromkeys(("minutes", "cpu_minutes", "parameters", "workers"), 1)
    names = {"machine": "A", "code_version": "unknown"}
    manifest = {"identity": run.identities[job], **counts, **names}
    write_result(job, manifest, made_up_history(), predictions, model.save)


def make_up_students() -> StudentRun:
    """Makes up members without nets, and a student per split that is a real net."""
    run = load_tiny()
    for job, identity in run.identities.items():
        write(job, identity, **predictions_of(run, job, uniform))
        (job.folder() / paths.MODEL).unlink()
    students = student_run(run, teacher_of(combine([run])))
    for number, job in enumerate(students.identities):
        model = net_with_a_past("plain", "bfloat16")
        *others, bias = model.get_weights()
        model.set_weights([*others, np.roll(bias, number)])
        write_net(students, job, model)
    return students


def test_an_export_has_every_format_and_fits_into_the_repository(exported):
    folder = exported / "output/tiny/export"
    files = {file.name: file.stat().st_size for file in folder.iterdir()}
    assert files.keys() == {*EXPORTED.values(), "model_card.md"}
    assert sum(files.values()) < 2_000_000


@pytest.mark.long
def test_a_keras_file_opens_without_this_package(exported, tiny, tmp_path):
    """In a Python that sees neither the checkout nor PYTHONPATH."""
    np.save(tmp_path / "images.npy", tiny.test.images[..., None].astype(np.float32))
    code = (
        "import importlib.util, sys, numpy, keras\n"
        "assert importlib.util.find_spec('competition') is None\n"
        "net = keras.saving.load_model(sys.argv[1])\n"
        "assert net.dtype == 'float32'\n"
        "numpy.save(sys.argv[3], net.predict(numpy.load(sys.argv[2]), verbose=0))"
    )
    file = exported / "output/tiny/export/digits.keras"
    names = map(str, (file, tmp_path / "images.npy", tmp_path / "found.npy"))
    subprocess.run([sys.executable, "-I", "-c", code, *names], check=True, cwd=tmp_path)
    found = np.load(tmp_path / "found.npy")
    expected = predict(load_model_of(exported, ALL_ROWS), tiny.test.images)
    assert distance(found, expected) < 0.01
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)


def load_model_of(folder: Path, split: str):
    with chdir(folder):
        return load_model(Student("tiny", STUDENT, 0, split))


def test_onnx_and_litert_take_and_give_float32(exported, tiny):
    onnxruntime = pytest.importorskip("onnxruntime")
    interpreter = pytest.importorskip("ai_edge_litert.interpreter")
    folder = exported / "output/tiny/export"
    session = onnxruntime.InferenceSession(folder / "digits.onnx")
    (into,), (out,) = session.get_inputs(), session.get_outputs()
    assert (into.name, into.type, into.shape[1:]) == ("images", "tensor(float)", [28, 28, 1])
    assert (out.name, out.type, out.shape[1:]) == ("probabilities", "tensor(float)", [10])
    reader = interpreter.Interpreter(str(folder / "digits.tflite"))
    for details in (reader.get_input_details(), reader.get_output_details()):
        assert [each["dtype"] for each in details] == [np.float32]
    kinds = [each["dtype"] for each in reader.get_tensor_details() if len(each["shape"]) == 4]
    assert kinds.count(np.int8) >= 14  # seven kernels and what they give
    expected = predict(load_model_of(exported, ALL_ROWS), tiny.test.images)
    for name in EXPORTED.values():
        for count in (1, 40):  # one digit or many
            found = answers(folder / name, tiny.test.images[:count])
            assert distance(found, expected[:count]) < 0.02, name


def test_every_format_is_judged_out_of_fold(exported):
    with chdir(exported):
        run, errors, others = load_tiny(), 0, 0
        for split in ("fold0", "fold1"):
            digits = run.data_set.train.take(run.folds.split(split)[1])
            model = load_model_of(Path(), split)
            net = stock_net(model)
            found = net.predict(digits.images[..., None].astype(np.float32), verbose=0)
            errors += (found.argmax(axis=1) != digits.labels).sum()
            others += (found.argmax(axis=1) != predict(model, digits.images).argmax(axis=1)).sum()
    printed = (exported / "printed.txt").read_text()
    rows = {
        cells[0].strip(): cells
        for cells in (re.split(" {2,}", line.strip()) for line in printed.splitlines())
        if cells
    }
    assert rows.keys() >= {*EXPORTED.values()}
    cells = [cell.strip() for cell in rows["digits.keras"]]
    # Nets that have learnt nothing are undecided in some rows, where rounding decides.
    assert int(cells[3]) == pytest.approx(errors, abs=2)
    assert int(cells[5]) == pytest.approx(others, abs=2)
    assert "in 120 rows: the students of the folds" in printed
    card = (exported / "output/tiny/export/model_card.md").read_text()
    assert f"| digits.keras | {cells[1]} | {cells[2]} | {cells[3]} |" in card
    assert "It differs from them: it learnt all 120 labels" in card


@pytest.mark.long
def test_a_format_alone_replaces_the_others(exported, tmp_path):
    shutil.copytree(exported, tmp_path / "copy")
    done = run_main(*COMMAND, "--format", "keras", folder=tmp_path / "copy")
    assert done.returncode == 0, done.stderr
    names = {file.name for file in (tmp_path / "copy/output/tiny/export").iterdir()}
    assert names == {"digits.keras", "model_card.md"}


@pytest.mark.long
def test_a_file_that_answers_otherwise_is_not_put_into_place(exported, tmp_path, monkeypatch):
    shutil.copytree(exported, tmp_path / "copy")
    folder = tmp_path / "copy/output/tiny/export"
    before = {file.name: file.read_bytes() for file in folder.iterdir()}

    def write_another(net, form, path, calibration):
        other = stock_net(Architecture(name="perceptron", hidden="4").build())
        write_file(other, form, path, calibration)

    monkeypatch.setattr(export, "write_file", write_another)
    done = run_main(*COMMAND, "--format", "keras", folder=tmp_path / "copy")
    assert done.returncode == 1
    assert "digits.keras does not answer as the net does: over 60 digits" in done.stderr
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
    assert len(list(folder.parent.glob("export*"))) == 1


@pytest.mark.long
def test_a_pruned_student_has_zeros_and_compresses_better(exported, tmp_path):
    shutil.copytree(exported, tmp_path / "copy")
    file = tmp_path / "copy/output/tiny/export/digits.keras"
    before = file.stat().st_size
    arguments = ("--format", "keras", "--sparsity", "0.75")
    done = run_main(*COMMAND, *arguments, folder=tmp_path / "copy")
    assert done.returncode == 0, done.stderr
    assert "75% of the weights are pruned" in done.stdout
    assert file.stat().st_size < 0.5 * before
    import keras

    weights = keras.saving.load_model(file).get_weights()
    kernels = np.concatenate([weight.ravel() for weight in weights if weight.ndim > 1])
    assert (kernels == 0).mean() == pytest.approx(0.75, abs=0.001)


def test_the_smallest_weights_of_a_kernel_are_pruned():
    kernel = np.array([[0.1, -0.5, 0.0], [-0.2, 0.3, -0.4]], np.float32)
    np.testing.assert_array_equal(smallest_masked(kernel, 0.5), [[0, 1, 0], [0, 1, 1]])
    np.testing.assert_array_equal(smallest_masked(kernel, 0), np.ones((2, 3)))


@pytest.mark.long
def test_fine_tuning_moves_what_is_left_and_only_that(exported):
    with chdir(exported):
        students = student_run(run := load_tiny(), teacher_of(combine([run])))
        for part in student_epochs(students).parts:
            make_pool(part, FINE_TUNING_EPOCHS, run.data_set)
        job = Student("tiny", STUDENT, 0, "fold0")
        model, variant = load_model(job), students.config.variants[STUDENT]
        before = [each for each in model.get_weights() if each.ndim > 1]
        prune(model, 0.5, variant, student_data(students, job))
    after = [each for each in model.get_weights() if each.ndim > 1]
    for old, new in zip(before, after, strict=True):
        mask = smallest_masked(old, 0.5)
        assert (new[mask == 0] == 0).all()
        assert (new[mask == 1] != old[mask == 1]).mean() > 0.9


def test_the_first_net_of_a_variant_is_exported_on_request(exported, tmp_path, tiny):
    shutil.copytree(exported, tmp_path / "copy")
    arguments = ("--variant", "perceptron", "--format", "keras")
    done = run_main(*COMMAND, *arguments, folder=tmp_path / "copy")
    assert done.returncode == 1
    assert "no net of 'perceptron' is on this disk" in done.stderr
    with chdir(tmp_path / "copy"):
        run = load_tiny()
        job = next(job for job in run.identities if job.variant == "perceptron")
        model = run.config.variants["perceptron"].architecture.build()
        write_net(run, job, model)
        done = run_main(*COMMAND, *arguments, folder=Path())
    assert done.returncode == 0, done.stderr
    file = tmp_path / "copy/output/tiny/export/digits.keras"
    expected = predict(model, tiny.test.images)
    assert distance(answers(file, tiny.test.images), expected) < 0.0005
    card = file.with_name("model_card.md").read_text()
    assert "The net `perceptron seed0 fold0` of `tiny`" in card
    assert "in the 60 digits that it held out" in card


def test_what_is_missing_is_named_in_one_line(exported, monkeypatch):
    known = export.find_spec
    monkeypatch.setattr(
        export,
        "find_spec",
        lambda name: None if name in ("onnx", "ai_edge_quantizer") else known(name),
    )
    done = run_main(*COMMAND, folder=exported)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "onnx, ai_edge_quantizer is missing" in line
    assert "pip install -r requirements-deploy.txt" in line


def test_without_a_student_the_command_says_how_to_get_one(project):
    run = load_tiny()
    for job, identity in run.identities.items():
        write(job, identity, **predictions_of(run, job, uniform))
    done = run_main(*COMMAND, "--format", "keras", folder=project)
    assert done.returncode == 1
    assert "'tiny' has no trained student; run `make distil`" in done.stderr


def test_a_clone_has_predictions_of_the_student_but_not_its_net(exported, tmp_path):
    shutil.copytree(exported, tmp_path / "copy")
    (tmp_path / "copy/output/tiny/student/all/model.keras").unlink()
    done = run_main(*COMMAND, "--format", "keras", folder=tmp_path / "copy")
    assert done.returncode == 1
    assert "a clone has only predictions and the finished export. Remove output/tiny" in done.stderr
