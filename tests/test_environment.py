"""What a user's environment and dot files say changes nothing."""

import io
import json
import os
import sys

import pytest
from conftest import run_code, run_main

from competition.console import ProgressDisplay, terminal
from competition.environment import settle

OURS = {
    "KERAS_HOME": os.devnull,
    "NO_ALBUMENTATIONS_UPDATE": "1",
    "MPLBACKEND": "agg",
    "MATPLOTLIBRC": os.devnull,
}


@pytest.fixture
def no_notebook(monkeypatch):
    """Another test of this process may have started a kernel."""
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)


@pytest.mark.usefixtures("no_notebook")
@pytest.mark.parametrize(
    "given",
    [
        {},
        {"MPLBACKEND": "module://matplotlib_inline.backend_inline"},
        {"MPLBACKEND": "Qt4Agg", "MATPLOTLIBRC": "/home/somebody/.config/matplotlib"},
        {"KERAS_HOME": "/home/somebody/.keras", "KERAS_MAX_EPOCHS": "1"},
        {"KERAS_MAX_STEPS_PER_EPOCH": "3", "KERAS_NNX_ENABLED": "true"},
        {"JOBLIB_MULTIPROCESSING": "0", "LOKY_PICKLER": "dill"},
        {"GIT_DIR": "/elsewhere/.git", "GIT_INDEX_FILE": "index", "GIT_WORK_TREE": "/elsewhere"},
        {"NO_ALBUMENTATIONS_UPDATE": "0"},
    ],
)
def test_settings_of_other_libraries_are_ours(given):
    found = dict(given)
    settle(found)
    assert found == OURS


@pytest.mark.usefixtures("no_notebook")
@pytest.mark.parametrize(
    "offered",
    [{"KERAS_BACKEND": "jax"}, {"TF_ENABLE_ONEDNN_OPTS": "0"}, {"CUDA_VISIBLE_DEVICES": "1"},
     {"HOME": "/home/somebody"}, {"TMPDIR": "/scratch"}, {"https_proxy": "http://proxy:8080"}],
)  # fmt: skip
def test_what_belongs_to_the_user_stays(offered):
    found = dict(offered)
    settle(found)
    assert found == OURS | offered


def test_a_notebook_keeps_its_drawing(monkeypatch):
    monkeypatch.setitem(sys.modules, "ipykernel", None)
    found = {"MPLBACKEND": "module://matplotlib_inline.backend_inline", "KERAS_HOME": "/home/x"}
    settle(found)
    assert found["MPLBACKEND"].startswith("module://")
    assert found["KERAS_HOME"] == os.devnull
    assert "MATPLOTLIBRC" not in found


FIGURE = """
import competition, hashlib
from competition.pages.figures import Figure
from competition.pages.contact_sheet import ContactSheet
draw = lambda canvas: canvas.subplots().plot([1, 2, 3])
svg, png = Figure("key", "title", "caption", draw).svg_and_png()
ContactSheet(1, "a title", "a note").save(__import__("pathlib").Path("sheet.png"))
sheet = open("sheet.png", "rb").read()
print(*(hashlib.sha256(each).hexdigest() for each in (svg.encode(), png, sheet)))
"""
RC = "text.usetex: True\nlines.linewidth: 9\naxes.prop_cycle: cycler('color', ['r'])\nfont.size: 4"


def test_figures_begin_from_matplotlibs_defaults(tmp_path, monkeypatch):
    before = run_code(FIGURE, tmp_path)
    assert len(before.stdout.split()) == 3, before.stderr
    for place in (".config/matplotlib", "named", "."):
        (tmp_path / place).mkdir(parents=True, exist_ok=True)
        (tmp_path / place / "matplotlibrc").write_text(RC)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MPLBACKEND", "Qt4Agg")
    assert run_code(FIGURE, tmp_path).stdout == before.stdout
    monkeypatch.setenv("MATPLOTLIBRC", str(tmp_path / "named"))
    assert run_code(FIGURE, tmp_path).stdout == before.stdout


KERAS = """
from competition.training.resources import start_keras
start_keras(1)
import keras
from keras import config
print(config.backend(), config.floatx(), config.epsilon(), config.image_data_format(),
      config.max_epochs(), config.dtype_policy().name)
"""


@pytest.mark.long
def test_keras_has_our_settings(tmp_path, monkeypatch):
    settings = {
        "floatx": "float16", "epsilon": 1e-3, "backend": "torch",
        "image_data_format": "channels_first",
    }  # fmt: skip
    (tmp_path / ".keras").mkdir()
    (tmp_path / ".keras" / "keras.json").write_text(json.dumps(settings))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KERAS_MAX_EPOCHS", "1")
    done = run_code(KERAS)
    assert done.stdout == "tensorflow float32 1e-07 channels_last None float32\n", done.stderr


def test_another_backend_is_refused_before_any_work(project, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    code = """
import sys
from competition.__main__ import main
code = main(["train-folds", "--config", "configs/tiny.yaml"])
sys.exit(code if "keras" not in sys.modules else "Keras was imported")
"""
    done = run_code(code, project)
    assert done.returncode == 1
    assert done.stderr == (
        "error: Keras would compute with 'jax', but this program needs its backend 'tensorflow'; "
        "unset KERAS_BACKEND\n"
    )
    assert not list((project / "output").rglob("manifest.json"))


SEMAPHORES = "competition.system.multiprocessing.Lock"


@pytest.fixture
def no_semaphores(monkeypatch):
    """As where /dev/shm is read-only."""
    from competition.system import no_workers

    def refuse():
        raise OSError(30, "Read-only file system")

    no_workers.cache_clear()
    monkeypatch.setattr(SEMAPHORES, refuse)
    yield
    no_workers.cache_clear()


@pytest.mark.usefixtures("no_semaphores")
def test_without_semaphores_several_jobs_are_refused_with_the_cause(project):
    done = run_main("train-folds", "--config", "configs/tiny.yaml", "--jobs", "2", folder=project)
    assert done.returncode == 1
    assert "worker processes need semaphores" in done.stderr
    assert "missing, or read-only? One job at a time needs none: JOBS=1" in done.stderr


ONE_JOB = """
import multiprocessing
def refuse(): raise OSError(30, "Read-only file system")
multiprocessing.Lock = refuse
from competition.__main__ import main
assert main([
    "train-folds", "--config", "configs/tiny.yaml", "--variant", "perceptron",
    "--set", "defaults.epochs=1", "--set", "defaults.augmentation=affine",
]) == 0
"""


@pytest.mark.long
def test_without_semaphores_one_job_runs_in_this_process(project):
    """So `auto` chooses; the augmented epochs are made there, too."""
    done = run_code(ONE_JOB, project)
    assert done.returncode == 0, done.stderr
    assert "2 jobs on this machine (one job at a time" in done.stdout


class Stream(io.StringIO):
    """A terminal, or a pipe."""

    def __init__(self, is_terminal: bool):
        super().__init__()
        self.is_terminal = is_terminal

    def isatty(self) -> bool:
        return self.is_terminal


@pytest.mark.parametrize(
    ("is_terminal", "variables", "can_draw"),
    [
        (True, {"TERM": "xterm-256color"}, True),
        (True, {"TERM": "dumb"}, False),
        (True, {"TERM": "unknown", "FORCE_COLOR": "1"}, False),
        (True, {"TERM": "dumb", "TTY_COMPATIBLE": "1"}, False),
        (True, {"TERM": "xterm", "TTY_COMPATIBLE": "0"}, True),
        (False, {"TERM": "xterm"}, False),
        (False, {"TERM": "xterm", "FORCE_COLOR": "1"}, False),
        (False, {"TERM": "xterm", "TTY_COMPATIBLE": "1", "TTY_INTERACTIVE": "1"}, False),
    ],
)
def test_a_bar_is_drawn_on_a_real_terminal_only(monkeypatch, is_terminal, variables, can_draw):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, Stream(is_terminal))
    monkeypatch.setattr("competition.console.SECONDS_BETWEEN_LOG_LINES", 0)
    assert terminal().is_terminal == can_draw
    with ProgressDisplay("training", 4) as display:
        display.update(2)
    shown = sys.stderr.getvalue()
    assert ("\x1b" in shown) == can_draw
    assert ("training: 50% \n" in shown) == (not can_draw)


def test_no_home_is_no_error(tmp_path):
    """As `docker run --user 12345` without HOME."""
    code = """
import os, pwd
pwd.getpwuid = lambda user: {}[user]
del os.environ["HOME"]
from pathlib import Path
from competition.__main__ import main
print(Path.home())
main(["doctor"])
"""
    done = run_code(code, tmp_path)
    assert "Traceback" not in done.stderr
    assert done.stdout.startswith("/nonexistent\n")
    assert "note      home          there is no home folder /nonexistent to look in" in done.stdout
    assert "The Kaggle client finds no credentials" in done.stdout
