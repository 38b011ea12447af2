"""Tiny projects in temporary folders, made of real small digits."""

import io
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import pytest

from competition.__main__ import main
from competition.analysis.mistakes import Findings
from competition.analysis.predictions import PredictedDigits
from competition.digits import DataSet, Digits
from competition.probabilities import Probabilities
from competition.results import HISTORY_COLUMNS, Job, write_result

ROOT = Path(__file__).parent.parent

pytest.register_assert_rewrite("kaggle_world")

TINY_CONFIG = """\
data: tiny
folds: {count: 2}
defaults: {epochs: 2, batch_size: 16, precision: float32}
variants:
  plain: {architecture: {width: 4}}
  perceptron: {architecture: {hidden: "16"}}
"""

# The files that take longest, the longest first: begun last, one would keep a single core busy.
LONGEST = (
    "shipped_results", "command_line", "export", "baselines", "notebook", "training", "benchmarks",
    "kaggle_download", "kaggle_errors", "kaggle_submissions", "tuning_command", "tuning",
    "distillation", "gallery_page", "report", "explain", "processes",
)  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    """In continuous integration, no test of the competition's archive is skipped unseen."""
    archive = os.environ.get("DIGITS_ZIP")
    if archive and not Path(archive).is_file():
        raise pytest.UsageError(f"DIGITS_ZIP is {archive}, and there is no such file")
    if os.environ.get("CI") and not archive and not os.environ.get("WITHOUT_ARCHIVE"):
        raise pytest.UsageError(
            "CI is set and DIGITS_ZIP names no archive of the competition; set WITHOUT_ARCHIVE=1 "
            "to skip the tests that need it"
        )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {f"test_{name}.py": place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.name, len(places)))


@pytest.fixture(scope="session")
def tiny() -> DataSet:
    """120 labelled and 40 unlabelled digits of scikit-learn, at 28x28."""
    from sklearn.datasets import load_digits

    from competition.data.builtin import mnist_style

    small, labels = load_digits(return_X_y=True)
    images = np.stack([mnist_style(image) for image in small[:160].reshape(-1, 8, 8)])
    labels = labels[:160].astype(np.uint8)
    train = Digits(np.arange(1, 121, dtype=np.int32), images[:120], labels[:120])
    return DataSet("tiny", train, Digits(np.arange(1, 41, dtype=np.int32), images[120:]))


@pytest.fixture(scope="session")
def tiny_files(tiny, tmp_path_factory) -> Path:
    """A folder with the tiny digits in the competition's three files."""
    from competition.data.builtin import write_csv
    from competition.submission import write_rows

    folder = tmp_path_factory.mktemp("tiny")
    write_csv(folder / "train.csv", tiny.train.images, tiny.train.labels)
    write_csv(folder / "test.csv", tiny.test.images)
    write_rows(folder / "sample_submission.csv", tiny.test.ids, np.zeros_like(tiny.test.ids))
    return folder


@pytest.fixture(scope="session")
def export(tiny, tmp_path_factory) -> Path:
    """A folder with a stock Keras net that has learnt the tiny digits, in all three formats."""
    from competition.training.resources import start_keras, started_threads

    if started_threads() is None:  # another test of this process may have started it
        start_keras(2)
    import keras

    net = keras.Sequential(
        [
            keras.Input((28, 28, 1), name="images"),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Flatten(),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(10, activation="softmax", name="probabilities"),
        ]
    )
    net.compile("adam", "sparse_categorical_crossentropy")
    images = tiny.train.images[..., None].astype(np.float32)
    net.fit(images, tiny.train.labels, epochs=40, verbose=0)
    folder = tmp_path_factory.mktemp("export")
    net.save(folder / "digits.keras")
    signature = [keras.InputSpec("float32", (None, 28, 28, 1), name="images")]
    for form, name in (("onnx", "digits.onnx"), ("litert", "digits.tflite")):
        net.export(folder / name, format=form, input_signature=signature, verbose=False)
    return folder


@pytest.fixture(autouse=True)
def same_random_numbers() -> None:
    """A net that a test builds begins with the same weights each time."""
    if keras := sys.modules.get("keras"):
        keras.utils.set_random_seed(0)


@pytest.fixture
def workplace(tmp_path, monkeypatch) -> Path:
    """An empty working folder, entered; worker processes follow their command into it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def project(workplace, tiny_files) -> Path:
    """A working folder with the tiny data set and `configs/tiny.yaml`."""
    make_project(workplace, tiny_files)
    return workplace


@pytest.fixture
def answering():
    """Ctrl-C raises here, even if these tests run in the background, where it is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def make_project(folder: Path, tiny_files: Path) -> None:
    shutil.copytree(tiny_files, folder / "input" / "tiny")
    (folder / "configs").mkdir()
    (folder / "configs" / "tiny.yaml").write_text(TINY_CONFIG)


def write_made_up_result(
    job: Job,
    identity: dict,
    machine: str = "A, 2 cores",
    facts: dict[str, float] | None = None,
    **predictions: Probabilities,
) -> None:
    """Writes a result as a training leaves it, of two epochs, with an empty file for its model.

    Every fact of its manifest is 1, unless `facts` say otherwise.
    """
    told = dict.fromkeys(("minutes", "cpu_minutes", "parameters", "workers"), 1) | (facts or {})
    told["code_version"] = "unknown"
    manifest = {"identity": identity, **told, "machine": machine}
    write_result(job, manifest, made_up_history(), predictions, lambda path: path.touch())


def made_up_history() -> list[dict]:
    """Returns two epochs, of which the last one was validated."""
    rows = [(1, 0.5, 0.8, 0.003, "", ""), (2, 0.25, 0.9, 0.001, 0.3, 0.875)]
    return [dict(zip(HISTORY_COLUMNS, row, strict=True)) for row in rows]


def one_sure(label: int, confidence: float) -> np.ndarray:
    """Returns a row that gives `confidence` to one class and shares the rest."""
    row = np.full(10, (1 - confidence) / 9)
    row[label] = confidence
    return row


def made_up_findings(
    name: str = "some", members: tuple[str, ...] = ("plain seed0", "residual seed0", "wide seed1")
) -> Findings:
    """Returns findings in 300 labelled and 130 test rows of noise, a quarter of them wrong."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 10, 300).astype(np.uint8)
    evidence = 3.2 * np.eye(10)[labels]
    labelled = made_up_cases(random, evidence, len(members), labels)
    test = made_up_cases(random, random.normal(0, 2, (130, 10)), len(members), None)
    return Findings(name, "0123456789abcdef" * 4, list(members), labelled, test)


def made_up_cases(
    random, evidence: np.ndarray, members: int, labels: np.ndarray | None
) -> PredictedDigits:
    count = len(evidence)
    shared = evidence + random.normal(0, 1.2, evidence.shape)
    powers = np.exp(shared + random.normal(0, 1, (members, *evidence.shape)))
    values = (powers / powers.sum(axis=2, keepdims=True)).astype(np.float32)
    images = random.integers(0, 256, (count, 28, 28)).astype(np.uint8)
    folds = None if labels is None else (np.arange(count) % 3).astype(np.int8)
    ids = np.arange(1, count + 1, dtype=np.int32)
    return PredictedDigits(Digits(ids, images, labels), folds, values.mean(axis=0), values)


@pytest.fixture
def world(tmp_path, monkeypatch, capsys):
    """A user of Kaggle with a token, a working folder, and a stand-in server for every client."""
    from kaggle_world import made_world

    with made_world(tmp_path, monkeypatch, capsys) as made:
        yield made


@pytest.fixture(scope="session")
def chromium():
    """Headless Chromium. Without it such tests are skipped; in continuous integration they fail."""
    from playwright.sync_api import sync_playwright

    names = ("chromium", "chromium-browser", "google-chrome")
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        message = f"the pages are tested in Chromium, and there is none of {', '.join(names)}"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    quiet = ("no-first-run", "disable-background-networking", "disable-component-update")
    flags = [f"--{name}" for name in ("no-sandbox", "disable-gpu", "disable-sync", *quiet)]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium):
    """Opens a page as a file; the test fails if the page had an error, or asked for anything."""
    contexts, trouble = [], []

    def watched(request):
        if not request.url.startswith(("file:", "data:", "blob:")):
            trouble.append(f"it asked for {request.url}")

    def opened(file: Path, address: str = "", script: str | None = None, **settings):
        context = chromium.new_context(**{"viewport": {"width": 1280, "height": 800}} | settings)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: trouble.append(message.text))
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on("dialog", lambda dialog: trouble.append(dialog.message))
        page.on("request", watched)
        if script:
            page.add_init_script(script)
        page.goto(f"{file.absolute().as_uri()}#{address}" if address else file.absolute().as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    assert trouble == []


def paper(*digits: np.ndarray, margin: int = 60) -> np.ndarray:
    """Returns dark digits in a row on white paper, ten times as large."""
    import cv2

    row = np.hstack([np.pad(digit, 2).repeat(10, axis=0).repeat(10, axis=1) for digit in digits])
    return 255 - np.pad(cv2.GaussianBlur(row, (0, 0), 4), margin)


def environment() -> dict[str, str]:
    """Returns the environment in which `python -m competition` works from any folder."""
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def run_main(*arguments: str, folder: Path) -> subprocess.CompletedProcess:
    """Runs a command in this process, where all is imported already, as if it were one of its own.

    Worker processes are kept from one such command to the next.
    """
    texts = [io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2)]
    out, errors = texts
    with chdir(folder), redirect_stdout(out), redirect_stderr(errors):
        try:
            code = main([*arguments])
        except SystemExit as stopped:  # as argparse ends a wrong call
            code = stopped.code
    told = [text.buffer.getvalue().decode() for text in texts]
    return subprocess.CompletedProcess(arguments, code, *told)


def run_command(*arguments: str, folder: Path, seconds: float = 300):
    """Runs `python -m competition` as a user does, and returns the finished process."""
    return _run_python("-m", "competition", *arguments, folder=folder, seconds=seconds)


def run_code(code: str, folder: Path = ROOT, seconds: float = 300):
    """Runs code in a Python where nothing was imported before, and returns the finished process."""
    return _run_python("-c", code, folder=folder, seconds=seconds)


def _run_python(*arguments: str, folder: Path, seconds: float):
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=seconds
    )


def wait_for_orphans(session: int) -> None:
    """Waits until no process of a killed command's session is left; they must end by themselves."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if not _runs(session):
            return
        time.sleep(0.1)
    pytest.fail("worker processes outlive their killed command")


def _runs(session: int) -> bool:
    """Says whether a process of a session runs; in containers, ended ones may stay as zombies."""
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, of_session, *_ = file.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(of_session) == session and state not in "ZX":
            return True
    return False
