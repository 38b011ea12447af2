"""The targets of the Makefile pass on what they are given."""

import subprocess

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
        (["distil", "JOBS=1"], "distil --config 'configs/default.yaml' --jobs '1'"),
        (["export", "FORMAT=onnx", "SPARSITY=0.5"], "--format 'onnx' --sparsity '0.5'"),
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
