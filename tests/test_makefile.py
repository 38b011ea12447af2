"""The targets of the Makefile pass on what they are given."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from conftest import ROOT


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            ["ensemble", "CONFIG=a.yaml b.yaml", "SET=x=1 y=2"],
            "ensemble --config 'a.yaml' --config 'b.yaml' --set 'x=1' --set 'y=2'",
        ),
        (["download", "FORCE=0"], "download --config 'configs/default.yaml'"),
        (["download", "FORCE=1"], "--force"),
        (["why", "ROWS=3 5"], "--rows '3' '5'"),
        (["tune", "VARIANT=plain", "TRIALS=7", "JOBS=2"], "--variant 'plain' --trials '7'"),
        (["distil", "JOBS=1"], "distil --config 'configs/best.yaml' --jobs '1'"),
        (["predict", "IMAGES=a.png"], "predict --config 'configs/best.yaml' --images 'a.png'"),
        (["serve", "CONFIG=a.yaml"], "serve --config 'a.yaml'"),
        (["distil", "FORCE=1"], "--jobs 'auto' --force"),
        (["export", "FORMAT=onnx", "SPARSITY=0.5"], "--format 'onnx' --sparsity '0.5'"),
        (["ensemble", "VERBOSE=1"], "ensemble --config 'configs/default.yaml' --verbose"),
        (["compare"], "competition compare"),
        (["compare", "CONFIG=a.yaml b.yaml"], "compare --config 'a.yaml' --config 'b.yaml'"),
        (["baselines"], "baselines --config 'configs/baselines.yaml'"),
    ],
)
def test_make_passes_on_what_it_is_given(given, words):
    command = ["make", "--dry-run", *given]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    line = next(each for each in done.stdout.splitlines() if "-m competition" in each)
    assert words in " ".join(line.split())
    assert ("--force" in line) == ("FORCE=1" in given)


@pytest.mark.parametrize(("given", "is_long"), [("LONG=", 0), ("LONG=0", 0), ("LONG=1", 1)])
def test_make_races_where_it_is_told_to(given, is_long):
    command = ["make", "--dry-run", "bench", given]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.count("competition bench --config") == 1, done.stderr
    assert done.stdout.count("--long") == is_long


def make(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess:
    """Runs make in a folder with a copy of our Makefile, not as a part of the make that runs us."""
    shutil.copy(ROOT / "Makefile", folder)
    ours = ("VENV", "PYTHON", "MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKEOVERRIDES")
    inherited = {name: value for name, value in os.environ.items() if name not in ours}
    return subprocess.run(
        ["make", *arguments], cwd=folder, env={**inherited, **variables},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip


@pytest.fixture
def installed(tmp_path):
    """A folder where all is installed, and Python says the command that it is given."""
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(
        '#!/bin/sh\n[ "$3" = submit ] || sleep 0.3\n[ "$3" != "$FAILS" ] && echo "$3"\n'
    )
    python.chmod(0o700)
    for name in ("requirements.txt", ".venv/.installed"):
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize(
    ("flags", "variables"), [(["-j2"], {}), ([], {"MAKEFLAGS": "-j4"}), (["-j", "--silent"], {})]
)
def test_goals_run_in_the_order_given(installed, flags, variables):
    """A submission must not be sent while, or before, the ensemble writes it."""
    done = make(installed, *flags, "train-folds", "ensemble", "submit", **variables)
    assert done.stdout.split() == ["train-folds", "ensemble", "submit"], done.stderr


@pytest.mark.parametrize(("flags", "variables"), [(["-k"], {}), ([], {"MAKEFLAGS": "-k"})])
def test_nothing_is_sent_after_an_ensemble_that_failed(installed, flags, variables):
    done = make(installed, *flags, "ensemble", "submit", FAILS="ensemble", **variables)
    assert done.returncode != 0
    assert not done.stdout


def test_the_environment_gives_a_goal_no_arguments(installed):
    """A shell may well export HOST, PORT or FORMAT for another program."""
    given = {"HOST": "x", "PORT": "1", "FILE": "x.csv", "FORCE": "1", "MESSAGE": "x"}
    done = make(installed, "--dry-run", "submit", **given)
    line = next(each for each in done.stdout.splitlines() if "-m competition" in each)
    assert line.split()[-2:] == ["--config", "'configs/default.yaml'"]


@pytest.mark.parametrize(
    ("given", "meant"), [("zip", "ZIP"), ("Config", "CONFIG"), ("VARIENT", "VARIANT")]
)
def test_an_unknown_variable_is_noticed(installed, given, meant):
    done = make(installed, "download", f"{given}=x")
    assert done.returncode == 2
    assert f"unknown variable {given} (did you mean {meant}?)" in done.stderr
    assert not done.stdout
    assert make(installed, "download", **{given: "x"}).stdout == "download\n"


@pytest.mark.parametrize(
    ("given", "meant"), [("train_folds", "did you mean train-folds?"), ("x", "there are: help, ")]
)
def test_an_unknown_target_is_noticed(installed, given, meant):
    done = make(installed, given)
    assert done.returncode == 2
    assert f"unknown target {given} ({meant}" in done.stderr


def test_another_folder_is_noticed(installed):
    (installed / "requirements.txt").unlink()
    assert "run make in the folder of the Makefile" in make(installed, "download").stderr


def wheel(folder: Path, modules: tuple[str, ...]) -> Path:
    """Writes a package of empty modules, as pip installs it."""
    file = folder / "stubs-1-py3-none-any.whl"
    about = "stubs-1.dist-info"
    with zipfile.ZipFile(file, "w") as opened:
        for name in modules:
            opened.writestr(f"{name}.py", "")
        opened.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: stubs\nVersion: 1\n")
        opened.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        opened.writestr(f"{about}/RECORD", "")
    return file


@pytest.mark.long
def test_setup_installs_into_its_own_folder_or_fails(tmp_path):
    """Whatever a user's environment and pip.conf say, and never an empty one that looks done."""
    elsewhere = str(tmp_path / "elsewhere")
    (tmp_path / "pip.conf").write_text(f"[install]\ntarget = {elsewhere}\nuser = true\n")
    variables = {
        "PIP_CONFIG_FILE": str(tmp_path / "pip.conf"),
        "PIP_USER": "1", "PIP_PREFIX": elsewhere, "PIP_ROOT": elsewhere, "PIP_DRY_RUN": "1",
        "PYTHONPATH": elsewhere,
    }  # fmt: skip
    needed = ("albumentations", "jinja2", "keras", "optuna", "pandas", "sklearn", "tensorflow")
    python = f"PYTHON={sys.executable}"
    (tmp_path / "requirements.txt").write_text(f"{wheel(tmp_path, needed[1:])}\n")
    incomplete = make(tmp_path, "setup", python, **variables)
    assert incomplete.returncode == 2
    assert "No module named 'albumentations'" in incomplete.stderr
    assert not (tmp_path / ".venv" / ".installed").exists()
    shutil.rmtree(tmp_path / ".venv")
    wheel(tmp_path, needed)
    done = make(tmp_path, "setup", python, **variables)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / ".venv" / ".installed").exists()
    assert not Path(elsewhere).exists()
