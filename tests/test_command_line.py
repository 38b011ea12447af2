"""The command line as a user has it: real trainings on tiny data, and mistakes of every kind."""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, environment, make_project, run_command, run_main, wait_for_orphans

from competition.__main__ import COMMANDS
from competition.console import count_of
from competition.probabilities import read_probabilities


def train(project, *more: str):
    return run_main("train-folds", "--config", "configs/tiny.yaml", *more, folder=project)


def assert_refused(process, message: str) -> None:
    """Asserts that a user's mistake got one clear error, and no traceback."""
    assert process.returncode == 1
    assert process.stderr.startswith("error: ")
    assert message in process.stderr
    assert "Traceback" not in process.stderr


@pytest.fixture(scope="session")
def training(tiny_files, tmp_path_factory):
    """A project whose two variants were trained on two folds, two side by side, and how it went."""
    project = tmp_path_factory.mktemp("trained")
    make_project(project, tiny_files)
    command = ("train-folds", "--config", "configs/tiny.yaml", "--jobs", "2")
    return project, run_command(*command, folder=project)


@pytest.fixture
def trained(project, training):
    """A project of this test's own, with those results."""
    shutil.copytree(training[0] / "output", project / "output")
    return project


def manifests(project) -> dict[str, int]:
    """Returns every finished job with the time at which its manifest was written."""
    files = project.glob("output/tiny/jobs/*/*/*/manifest.json")
    return {
        str(file.parent.relative_to(project)): file.stat().st_mtime_ns
        for file in files
        if ".partial-" not in file.parent.name  # not finished yet
    }


def results(project) -> dict[str, tuple]:
    """Returns what each job predicted, and its history, where losses stand with all digits."""
    return {
        job: (
            read_probabilities(project / job / "probabilities.npz", "out_of_fold").values.tolist(),
            read_probabilities(project / job / "probabilities.npz", "test").values.tolist(),
            (project / job / "history.csv").read_text(),
        )
        for job in manifests(project)
    }


def test_help_explains_every_command(project):
    shown = run_command("--help", folder=project)
    assert shown.returncode == 0
    for command in COMMANDS:
        assert re.search(rf"^ +{command}\b", shown.stdout, re.MULTILINE), command
        assert run_main(command, "--help", folder=project).returncode == 0


def test_a_terminal_without_its_characters_gets_others(project):
    command = [sys.executable, "-m", "competition", "--help"]
    shown = subprocess.run(
        command, cwd=project, env=environment() | {"PYTHONIOENCODING": "ascii"}, capture_output=True
    )
    assert (shown.returncode, shown.stderr) == (0, b"")
    assert b"download ?? train-folds" in shown.stdout


def test_the_home_of_nobody_is_a_mistake(project):
    refused = run_main("report", "--config", "~nobody-here/some.yaml", folder=project)
    assert refused.returncode == 2
    assert "'~nobody-here': no such user" in refused.stderr


def test_training_says_what_it_does(training):
    project, done = training
    assert done.returncode == 0, done.stderr
    assert "tiny: 4 jobs, 0 done already" in done.stdout
    assert "\n4 jobs on this machine (2 jobs side by side" in done.stdout
    assert "tiny: 4 of 4 jobs trained, " in done.stdout
    assert "perceptron seed0 fold1: done" in done.stderr
    assert "oneDNN" not in done.stderr
    assert "WARNING" not in done.stderr
    assert len(manifests(project)) == 4
    assert (project / "output/tiny/config.yaml").exists()


def test_the_pipeline_goes_on_from_what_training_left(trained):
    config = ("--config", "configs/tiny.yaml")
    combined = run_main("ensemble", *config, folder=trained)
    assert combined.returncode == 0, combined.stderr
    with (trained / "submissions/tiny.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["ImageId"]) for row in rows] == list(range(1, 41))
    provenance = json.loads((trained / "submissions/tiny.json").read_text())
    answer = combined.stdout.splitlines()
    assert len(answer) == 5
    assert re.fullmatch(
        r"its best member alone \((plain|perceptron) seed0\) makes \d+: the difference is (within|"
        r"more than) chance \(McNemar's test, p = [\d.e-]+\)", answer[1],
    )  # fmt: skip
    assert answer[2].startswith(f"`{provenance['method']['name']}` makes the submission, as ")
    assert answer[3].startswith("submissions/tiny.csv is written and checked; ")
    tables = run_main("ensemble", *config, "--verbose", folder=trained).stdout
    assert re.search("^ stacking ", tables, re.MULTILINE)
    assert tables.endswith(combined.stdout)
    assert (trained / "submissions/tiny-mean.csv").exists()
    errors = provenance["out_of_fold"]["errors"]
    assert "it cannot be submitted to Kaggle, as it was made from 'tiny'" in answer[4]
    assert answer[0].startswith(f"tiny: {errors} errors in 120 digits out of fold (95% interval ")
    assert "the search for settings" not in combined.stdout  # it saw none of these digits

    shown = run_main("gallery", *config, folder=trained)
    assert f"{count_of(errors, 'mistake')} and" in shown.stdout
    assert "open output/tiny/gallery/index.html" in shown.stdout
    gallery = trained / "output/tiny/gallery"
    assert list(gallery.glob("mistakes*.png"))
    assert run_main("gallery", *config, "--all", folder=trained).returncode == 0
    page = (gallery / "index.html").read_text()
    assert json.loads(re.search(r'id="data">(.*?)</script>', page)[1])["labelled"] == 120
    reported = run_main("report", *config, folder=trained)
    results = (trained / "output/tiny/report/results.md").read_text()
    assert f"| `tiny` | {errors} (" in results
    assert "open output/tiny/report/index.html in a browser" in reported.stdout
    reported = run_main("report", *config, "--variant", "plain", folder=trained)
    assert "open output/tiny/report-plain/index.html in a browser" in reported.stdout
    link = 'href="../report/index.html"'
    assert link in (trained / "output/tiny/report-plain/index.html").read_text()
    logs = (trained / "output/tiny/tensorboard").glob("*/events.out.tfevents.*")
    assert {log.parent.name for log in logs} == {
        f"{variant}-seed0-fold{fold}" for variant in ("plain", "perceptron") for fold in (0, 1)
    }


@pytest.mark.long
def test_the_worst_rows_are_explained_and_linked(trained):
    config = ("--config", "configs/tiny.yaml")
    assert run_main("gallery", *config, folder=trained).returncode == 0
    explained = run_main("why", *config, "--rows", "3", "1", folder=trained)
    assert explained.returncode == 0, explained.stderr
    assert "rows by 2 variants; open output/tiny/why/index.html in a browser" in explained.stdout
    folder = trained / "output/tiny/why"
    with (folder / "neighbours.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    rows = list(dict.fromkeys(int(line["id"]) for line in lines))
    assert rows[:2] == [3, 1]
    assert 100 <= len(rows) <= 102
    assert len(lines) == len(rows) * 2 * 6
    assigned = pd.read_csv(next(trained.glob("output/tiny/folds*.csv")), comment="#")
    folds = dict(assigned.to_numpy().tolist())
    assert all(folds[int(line["id"])] != folds[int(line["neighbour"])] for line in lines)
    assert list(folder.glob("why-*.png"))
    page = (folder / "index.html").read_text()
    assert page.count("<article ") == len(rows)
    assert 'href="../gallery/index.html"' in page
    assert run_main("gallery", *config, folder=trained).returncode == 0
    gallery = (trained / "output/tiny/gallery/index.html").read_text()
    assert 'href="../why/index.html"' in gallery
    data = json.loads(re.search(r'id="data">(.*?)</script>', gallery)[1])
    assert data["explained"] == sorted(rows)


def test_what_cannot_be_explained_leaves_the_page_as_it_was(trained):
    config = ("--config", "configs/tiny.yaml")
    page = trained / "output/tiny/why/index.html"
    page.parent.mkdir()
    page.write_text("the old one")
    unknown = run_main("why", *config, "--rows", "121", folder=trained)
    assert_refused(unknown, "no held-out row has the id 121")
    model = trained / "output/tiny/jobs/plain/seed0/fold0/model.keras"
    model.write_bytes(model.read_bytes()[:1000])
    assert_refused(run_main("why", *config, folder=trained), f"{model.relative_to(trained)} is")
    model.unlink()
    missing = run_main("why", *config, folder=trained)
    assert_refused(missing, "1 of 4 nets have no model.keras")
    assert "  plain seed0 fold0: no model" in missing.stderr
    assert [file.name for file in page.parent.iterdir()] == ["index.html"]
    assert page.read_text() == "the old one"


def test_folders_may_be_links_to_another_disk(trained, tmp_path_factory):
    disk = tmp_path_factory.mktemp("disk")
    links = [trained / name for name in ("output", "submissions", "input/tiny")]
    (trained / "submissions").mkdir()
    for link in links:
        shutil.move(link, disk / link.name)
        link.symlink_to(disk / link.name)
    combined = run_main("ensemble", "--config", "configs/tiny.yaml", folder=trained)
    assert combined.returncode == 0, combined.stderr
    assert all(link.is_symlink() for link in links)
    assert (disk / "output/tiny/ensemble/methods.csv").exists()
    assert (disk / "submissions/tiny.csv").exists()
    (disk / "output").rename(disk / "elsewhere")
    lost = run_main("train-folds", "--config", "configs/tiny.yaml", folder=trained)
    assert_refused(lost, f"output is a link to {disk}/output, which is not there")


def test_several_configurations_are_blended_and_compared(trained, open_page):
    """The same results under another name: what identifies a result is not its configuration."""
    shutil.copytree(trained / "output/tiny", trained / "output/other")
    shutil.copy(trained / "configs/tiny.yaml", trained / "configs/other.yaml")
    both = ("--config", "configs/tiny.yaml", "--config", "configs/other.yaml")
    combined = run_main("ensemble", *both, "--set", "ensemble.method=mean", folder=trained)
    assert combined.returncode == 0, combined.stderr
    assert "`mean` makes the submission, as the configuration names it; " in combined.stdout
    assert "submissions/tiny+other.csv is written and checked" in combined.stdout
    (trained / "output/other/index.html").touch()
    compared = run_main("compare", *both, folder=trained)
    assert compared.returncode == 0, compared.stderr
    lines, same = compared.stdout.splitlines(), "0 gained, 0 lost of 120 rows"
    assert lines[-2] == f"not proven: other; errors within chance: other ({same})"
    row = next(line for line in lines if line.startswith(" other "))
    assert "+0.00000 (+0.00000 … +0.00000)" in row
    assert row.split()[-2:] == ["not", "proven"]
    page = open_page(trained / "output/comparison/index.html")
    assert page.locator("#verdict").inner_text() == lines[-2]
    assert page.locator(".run a").last.get_attribute("href") == "../other/index.html"
    with (trained / "output/comparison/runs.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["run"], row["rows_of_both"]) for row in rows] == [("tiny", ""), ("other", "120")]
    everything = run_main("compare", folder=trained).stdout
    assert everything.splitlines()[-2] == f"not proven: tiny; errors within chance: tiny ({same})"
    refused = run_main("ensemble", *both, "--set", "folds.count=3", folder=trained)
    assert_refused(
        refused,
        "  other: folds of scheme kfold, count 2, seed 0, not of scheme kfold, count 3, seed 0",
    )


def test_results_need_no_models_no_pool_and_no_cache(trained):
    """What the repository holds of a preset is enough for every stage after the training."""
    for model in trained.glob("output/tiny/jobs/**/model.keras"):
        model.unlink()
    before = manifests(trained)
    cleaned = run_main("clean", folder=trained)
    assert "removed output/pools/" in cleaned.stdout
    again = run_main("clean", folder=trained)
    assert again.stdout == "no caches and no augmented images are left; results are kept\n"
    again = train(trained)
    assert "4 jobs, 4 done already" in again.stdout
    assert manifests(trained) == before
    assert run_main("ensemble", "--config", "configs/tiny.yaml", folder=trained).returncode == 0


@pytest.mark.long
def test_a_changed_config_trains_only_what_it_changes(trained):
    before = manifests(trained)
    changed = train(trained, "--set", "variants.plain.epochs=1", "--jobs", "1")
    assert (
        "plain seed0 fold0 fold1: was trained differently and is trained again "
        "(variant.epochs: 2 → 1)" in changed.stdout
    )
    after = manifests(trained)
    assert {job for job in before if after[job] != before[job]} == {
        "output/tiny/jobs/plain/seed0/fold0",
        "output/tiny/jobs/plain/seed0/fold1",
    }
    stale = run_main("ensemble", "--config", "configs/tiny.yaml", folder=trained)
    assert stale.returncode == 1
    assert "plain seed0 fold0 fold1: trained differently (variant.epochs: 1 → 2)" in stale.stderr


@pytest.mark.long
def test_results_of_other_code_are_named_and_trained_again_where_that_is_asked_for(trained):
    before = manifests(trained)
    file = trained / "output/tiny/jobs/plain/seed0/fold0/manifest.json"
    manifest = json.loads(file.read_text())
    assert re.fullmatch("[0-9a-f]{64}", manifest["code"])
    file.write_text(json.dumps(manifest | {"code": "of an older net"}))
    told = "trained by code that has changed since: plain; `make train-folds FORCE=1` trains every"
    assert told in train(trained).stdout
    assert told in run_main("ensemble", "--config", "configs/tiny.yaml", folder=trained).stdout
    again = train(trained, "--force", "--variant", "plain")
    assert "tiny: 2 jobs, 2 done already\nall of them are trained again" in again.stdout
    after = manifests(trained)
    changed = {job.split("/")[3] for job in before if after[job] != before[job]}
    assert changed == {"plain"}
    assert "trained by code" not in train(trained).stdout
    assert_refused(train(trained, "--variant", "plan"), "did you mean 'plain'?")


@pytest.mark.long
def test_a_net_of_all_rows_is_trained_last_and_predicts_the_test_rows_only(trained):
    before = manifests(trained)
    done = train(trained, "--set", "variants.plain.all_rows_seeds=[7]")
    assert "5 jobs, 4 done already" in done.stdout
    assert "tiny: 5 of 5 jobs trained, " in done.stdout
    table = train(trained, "--set", "variants.plain.all_rows_seeds=[7]", "--verbose").stdout
    assert re.search(r"^ plain +7 +all +\d", table, re.MULTILINE)  # no errors, no rows
    folder = "output/tiny/jobs/plain/seed7/all"
    assert manifests(trained).keys() - before.keys() == {folder}
    predictions = np.load(trained / folder / "probabilities.npz", allow_pickle=False)
    assert sorted(predictions.files) == ["test", "test_ids"]
    with (trained / folder / "history.csv").open() as file:
        assert [row["validation_loss"] for row in csv.DictReader(file)] == ["", ""]


def killed_after_its_first_job(project) -> dict[str, int]:
    """Starts a training, two side by side, kills it, and returns the jobs that it had finished."""
    command = [sys.executable, "-m", "competition", "train-folds", "--config"]
    command += ["configs/tiny.yaml", "--jobs", "2"]
    process = subprocess.Popen(command, cwd=project, env=environment(), start_new_session=True)
    wait_until(lambda: manifests(project), "the first job's end", 300)
    os.killpg(process.pid, signal.SIGKILL)  # with its workers, as a power cut does
    process.wait()
    return manifests(project)


@pytest.mark.long
def test_killed_training_goes_on_where_it_stopped_to_the_same_predictions(project, training):
    finished = killed_after_its_first_job(project)
    assert 1 <= len(finished) < 4
    resumed = train(project, "--jobs", "2")
    assert resumed.returncode == 0, resumed.stderr
    after = manifests(project)
    assert len(after) == 4
    assert {job: after[job] for job in finished} == finished
    assert not list(project.glob("output/tiny/jobs/**/*.partial-*"))
    assert results(project) == results(training[0])


@pytest.mark.long
def test_a_single_job_left_is_trained_as_if_it_were_one_of_many(trained):
    """Its augmented images were damaged meanwhile, and are made again before."""
    expected = results(trained)
    shutil.rmtree(trained / "output/tiny/jobs/perceptron/seed0/fold1")
    pool = next(trained.glob("output/pools/*/epoch000.npy"))
    whole = pool.read_bytes()
    pool.write_bytes(whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:])
    again = train(trained, "--jobs", "2")
    assert "epoch000.npy are damaged and are made again" in again.stdout
    assert pool.read_bytes() == whole
    assert results(trained) == expected


def answer_interrupts() -> None:
    """Undoes what a shell does to commands in the background, this test suite perhaps: they and
    all that they start ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@contextmanager
def long_training(project, *more: str) -> Iterator[subprocess.Popen]:
    """Starts a training in a session of its own, yields when its jobs begin, and ends it."""
    more = ("--set", "defaults.epochs=500", *more)
    command = [sys.executable, "-m", "competition", "train-folds", "--config"]
    process = subprocess.Popen(
        [*command, "configs/tiny.yaml", *more],
        cwd=project,
        env=environment() | {"TMPDIR": str(project)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=answer_interrupts,
    )
    lines = iter(process.stdout.readline, "")
    try:
        assert any("jobs on this machine" in line for line in lines)  # the training begins
        yield process
    finally:
        process.kill()
        process.communicate()
        wait_for_orphans(process.pid)


def wait_until(happened: Callable[[], Any], what: str, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds} s"
        time.sleep(0.05)


def wait_for_augmented_images(project) -> None:
    wait_until(lambda: list(project.glob("output/pools/*/*.npy")), "augmenting")


def wait_for_steps(project, jobs: int) -> None:
    """Waits until so many jobs told of a step; a worker without a job would only be replaced."""

    def told() -> bool:
        boards = [np.fromfile(file) for file in project.glob("progress-*/shares")]
        return any(np.count_nonzero(board) >= jobs for board in boards)

    wait_until(told, "a training step")


@pytest.mark.long
@pytest.mark.parametrize(
    ("jobs", "number"), [("1", signal.SIGINT), ("2", signal.SIGINT), ("2", signal.SIGHUP)]
)
def test_interrupting_says_how_to_go_on(project, jobs, number):
    with long_training(project, "--jobs", jobs, "--set", "defaults.augmentation=none") as process:
        wait_for_steps(project, int(jobs))
        os.killpg(process.pid, number)  # as a terminal does
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 128 + number, errors
    assert "interrupted; finished work is kept, run it again to continue" in errors
    assert "Traceback" not in errors
    assert not list(Path("/dev/shm").glob(f"*[_-]{process.pid}[_-]*"))  # noqa: S108, semaphores
    assert not list(project.glob("output/tiny/jobs/**/*.partial-*"))


@pytest.mark.parametrize(("told", "codes"), [("--help", (0, 1)), ("scores", (1,))])
def test_a_reader_that_has_seen_enough_is_no_error(project, told, codes):
    """Whether a help that nobody reads is an error depends on Python's argparse."""
    command = [sys.executable, "-m", "competition", told]
    process = subprocess.Popen(
        command, cwd=project, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(timeout=60) in codes


def test_two_trainings_of_one_config_do_not_meet(project):
    import fcntl

    lock = project / "output/tiny/.training.lock"
    lock.parent.mkdir(parents=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        refused = train(project)
    assert refused.returncode == 1
    assert "another process is training 'tiny'" in refused.stderr


@pytest.mark.long
def test_a_failing_job_names_itself_and_the_others_go_on(project):
    bad = "variants.perceptron={learning_rate: 1e30, warm_up: 0.0, architecture: {hidden: '16'}}"
    failed = train(project, "--set", bad)
    assert failed.returncode == 1
    assert "2 jobs failed: perceptron seed0 fold0, perceptron seed0 fold1" in failed.stderr
    for fold in ("fold0", "fold1"):
        said = (
            rf"perceptron seed0 {fold}: FAILED, .* no longer a number in epoch \d, at a learning "
        )
        assert re.search(said + r"rate of \d", failed.stderr)
    assert "Traceback" not in failed.stderr
    assert {job.split("/")[3] for job in manifests(project)} == {"plain"}
    assert not list(project.glob("output/tiny/jobs/perceptron/*/*"))


@pytest.mark.long
def test_a_bug_in_an_architecture_is_named_with_its_own_traceback_alone(project):
    """A user's new function, at the first attempt."""
    shutil.copytree(ROOT / "competition", project / "competition")
    with (project / "competition/models/plain.py").open("a") as file:
        file.write("\n\ndef buggy():\n    return [][1]\n")
    registry = project / "competition/config/registry.py"
    entry = '"plain": "competition.models.plain:plain",'
    text = registry.read_text().replace(
        entry, f'{entry} "buggy": "competition.models.plain:buggy",'
    )
    registry.write_text(text)
    command = ("train-folds", "--config", "configs/tiny.yaml", "--set", "variants.buggy={}")
    failed = run_command(*command, folder=project)
    assert failed.returncode == 1
    assert failed.stderr.startswith("error: buggy seed0 fold0 cannot be trained: Traceback")
    assert "return [][1]" in failed.stderr
    assert "IndexError: list index out of range" in failed.stderr
    assert "joblib" not in failed.stderr
    assert not (project / "output/pools").exists()


def workers_of(command: int) -> list[int]:
    """Returns the process ids of a command's joblib workers."""
    children = Path(f"/proc/{command}/task/{command}/children").read_text().split()
    return [
        int(child) for child in children
        if b"popen_loky" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize(
    ("augmentation", "advice"),
    [
        ("none", "finished jobs are kept: run it again with JOBS=1"),
        ("warp", "finished epochs are kept: run it again where more memory is free"),
    ],
)
def test_a_worker_that_the_system_ends_is_reported_with_what_to_try(project, augmentation, advice):
    """In training, and before it, while images are augmented."""
    changes = ("--set", f"defaults.augmentation={augmentation}")
    with long_training(project, "--jobs", "2", *changes) as process:
        if augmentation == "none":
            wait_for_steps(project, jobs=2)
        else:
            wait_for_augmented_images(project)
        os.kill(workers_of(process.pid)[0], signal.SIGKILL)  # as the system does
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 1
    assert "error: the system ended a worker process" in errors
    assert advice in errors
    assert "Traceback" not in errors
    assert not list(project.glob("output/tiny/jobs/**/*.partial-*"))


def test_cleaning_removes_what_was_abandoned_and_nothing_at_work(project):
    old = project / "submissions/a.csv.partial-0123abcd"
    new = project / "input/digit-recognizer.partial-download/digit-recognizer.zip"
    for file in (old, new):
        file.parent.mkdir()
        file.touch()
    os.utime(old, (0, 0))
    assert run_main("clean", folder=project).returncode == 0
    assert not old.exists()
    assert new.exists()


@pytest.mark.long
def test_cleaning_leaves_a_running_training_what_it_reads(project):
    with long_training(project, "--jobs", "1"):
        wait_for_augmented_images(project)
        refused = run_main("clean", folder=project)
        assert_refused(refused, "a training in this folder reads output/pools/")
        assert list(project.glob("output/pools/*/*.npy"))
    assert run_main("clean", folder=project).returncode == 0
    assert not (project / "output/pools").exists()


# Mounts a small disk for results that nobody else sees, where the system lets ordinary users.
ON_A_SMALL_DISK = "mkdir -p output && mount -t tmpfs -o size={} none output && {}"


def on_a_small_disk(project, size: str, then: str) -> subprocess.CompletedProcess:
    """Trains in a project whose `output/` holds no more than `size`, then runs a shell command."""
    command = f"{sys.executable} -m competition train-folds --config configs/tiny.yaml --jobs 2"
    script = ON_A_SMALL_DISK.format(size, f"{command}; echo exit code $?; {then}")
    namespaces = ["unshare", "--user", "--map-root-user", "--mount"]
    if shutil.which("unshare") is None or subprocess.run([*namespaces, "true"]).returncode:
        pytest.skip("this system lets ordinary users mount nothing")
    return subprocess.run(
        [*namespaces, "sh", "-c", script],
        cwd=project, env=environment(), capture_output=True, text=True, timeout=300,
    )  # fmt: skip


@pytest.mark.long
def test_a_full_disk_leaves_no_half_result(project):
    done = on_a_small_disk(project, "700k", "find output -path '*seed0/*'")
    assert "exit code 1" in done.stdout
    assert "FAILED, the disk refused" in done.stderr
    assert "Traceback" not in done.stderr
    kept = done.stdout.partition("exit code 1\n")[2].split()
    folders = {path for path in kept if path.rpartition("/")[2].startswith("fold")}
    files = {"manifest.json", "history.csv", "probabilities.npz", "model.keras"}
    assert {f"{folder}/{file}" for folder in folders for file in files} == set(kept) - folders
    assert len(folders) < 4


@pytest.mark.long
def test_a_disk_too_small_for_the_images_is_refused(project):
    done = on_a_small_disk(project, "150k", "ls output/pools")
    assert "exit code 1" in done.stdout
    told = r"error: the augmented images .* need \d+ kB in .*, but the disk has \d+ kB free"
    assert re.search(told, done.stderr)
    assert "epoch" not in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "variants.large_kernel.architecture.kernel_size=1",
            "'large_kernel' cannot be built with {'kernel_size': 1}: kernel_size is 1",
        ),
        (
            "variants.plain.augmentation={name: affine_elastic, probability: 2.0}",
            "'affine_elastic' cannot be built with {'probability': 2.0}",
        ),
        (
            "variants.plain.augmentation={name: warp, rotation: -10}",
            "'warp' cannot be built with {'rotation': -10.0}: rotation is -10.0, expected 0 or m",
        ),
        (
            "variants.plain.augmentation={name: affine, zoom: 2}",
            "'affine' cannot be built with {'zoom': 2.0}: zoom is 2.0, expected 0 or more, and l",
        ),
        ("variants.plain.architecture.dropout=1", "'plain' cannot be built with"),
    ],
)
def test_a_variant_that_cannot_be_built_is_refused_before_any_work(trained, override, message):
    shutil.rmtree(trained / "output/pools")
    failed = train(trained, "--set", override)
    assert_refused(failed, message)
    assert not (trained / "output/pools").exists()


def full_size(tiny_files) -> dict[str, bytes]:
    """Returns the competition's files by name: tiny digits again and again, up to its rows."""
    sample = "ImageId,Label\n" + "".join(f"{number},0\n" for number in range(1, 28_001))
    files = {"sample_submission.csv": sample.encode()}
    for name, rows in {"train.csv": 42_000, "test.csv": 28_000}.items():
        header, *lines = (tiny_files / name).read_bytes().splitlines(keepends=True)
        files[name] = header + b"".join(lines) * (rows // len(lines))
    return files


@pytest.fixture
def archive(project, tiny_files):
    """An archive in the competition's format, and a config that uses it."""
    path = project / "digit-recognizer.zip"
    write_zip(path, {file.name: file.read_bytes() for file in tiny_files.glob("*.csv")})
    (project / "configs/real.yaml").write_text("variants: {plain: }")
    return path


def write_zip(path, files: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as opened:
        for name, content in files.items():
            opened.writestr(name, content)


def download(project, *more: str):
    return run_main("download", "--config", "configs/real.yaml", *more, folder=project)


@pytest.mark.long
def test_an_archive_at_hand_is_installed_once(project, archive, tiny_files):
    files = full_size(tiny_files)
    write_zip(archive, files)
    installed = download(project, "--zip", str(archive))
    assert installed.returncode == 0, installed.stderr
    folder = project / "input/digit-recognizer"
    for name, content in files.items():
        assert (folder / name).read_bytes() == content
    archive.unlink()
    again = download(project, "--zip", str(archive))
    assert "complete already, nothing done" in again.stdout


def test_data_of_the_users_own_is_looked_at(project):
    found = run_main("download", "--config", "configs/tiny.yaml", folder=project)
    assert found.stdout.splitlines() == [
        "input/tiny: complete already, nothing done",
        "next: `make explore`, or at once `make train-folds`, with the same CONFIG and SET",
    ]
    (project / "input/tiny/test.csv").write_text("label\n")
    broken = run_main("download", "--config", "configs/tiny.yaml", folder=project)
    assert_refused(broken, "input/tiny/test.csv has 1 columns")


def cut(archive):
    archive.write_bytes(archive.read_bytes()[:-300])


def flip(archive):
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 0xFF
    archive.write_bytes(content)


def without_test(archive):
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("train.csv", "label\n")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda archive: archive.unlink(), "there is no archive"),
        (lambda archive: archive.write_text("<html>"), "is not a whole zip archive"),
        (cut, "is not a whole zip archive"),
        (flip, "is not a whole zip archive"),
        (without_test, "has no test.csv and no sample_submission.csv"),
        (lambda archive: None, "train.csv has 120 rows, expected 42,000"),
    ],
    ids=["missing", "page", "cut", "flipped byte", "members missing", "rows missing"],
)
def test_a_bad_archive_leaves_nothing(project, archive, damage, message):
    damage(archive)
    refused = download(project, "--zip", str(archive))
    assert_refused(refused, message)
    assert sorted(path.name for path in (project / "input").iterdir()) == ["tiny"]


MISTAKES = {
    "a file where a folder belongs": (
        ["train-folds", "--config", "configs/tiny.yaml", "--set", "name=file"],
        "the disk refused at output/file",
    ),
    "a name alone": (
        ["train-folds", "--config", "tiny"],
        "there is no configuration tiny; did you mean 'configs/tiny.yaml'?",
    ),
    "nothing for a config": (["train-folds", "--config", ""], "'.' is a folder, not a config"),
    "no config": (["train-folds", "--config", "configs/tny.yaml"], "did you mean"),
    "default config missing": (["ensemble"], "there is no configuration configs/default.yaml"),
    "misspelt override": (
        ["train-folds", "--config", "configs/tiny.yaml", "--set", "folds.cout=3"],
        "did you mean 'count'?",
    ),
    "no data": (
        ["train-folds", "--config", "configs/tiny.yaml", "--set", "data=other"],
        "the data set 'other' is not here",
    ),
    "too many folds": (
        ["train-folds", "--config", "configs/tiny.yaml", "--set", "folds.count=30"],
        "the rarest class has only",
    ),
    "no such fold to combine": (
        ["ensemble", "--config", "configs/tiny.yaml", "--set", "ensemble.folds=[2]"],
        "ensemble.folds: there is no split '2'; there are: 0, 1",
    ),
    "no data to explore": (
        ["explore", "--config", "configs/tiny.yaml", "--set", "data=other"],
        "the data set 'other' is not here",
    ),
    "nothing trained": (["ensemble", "--config", "configs/tiny.yaml"], "4 of 4 jobs have no"),
    "gallery too early": (["gallery", "--config", "configs/tiny.yaml"], "4 of 4 jobs have no"),
    "why too early": (["why", "--config", "configs/tiny.yaml"], "4 of 4 jobs have no"),
    "report too early": (["report", "--config", "configs/tiny.yaml"], "4 of 4 jobs have no"),
    "report of an unknown variant": (
        ["report", "--config", "configs/tiny.yaml", "--variant", "plan"],
        "'tiny' has no variant 'plan'; did you mean 'plain'?",
    ),
    "nowhere to download from": (
        ["download", "--config", "configs/tiny.yaml", "--set", "data=other"],
        "unknown data set 'other': put its files into input/other/: train.csv, test.csv and "
        "sample_submission.csv in the competition's format, or MNIST's IDX files, one .npz or HDF5 "
        "file, or folders of images",
    ),
    "a data set mistyped": (
        ["explore", "--config", "configs/tiny.yaml", "--set", "data=embeded"],
        "says what to put there; did you mean 'embedded'?",
    ),
    "a parameter mistyped": (
        [
            "ensemble",
            "--config",
            "configs/tiny.yaml",
            "--set",
            "variants.plain.architecture.wdith=3",
        ],
        "'plain' has no parameter 'wdith'; did you mean 'width'?",
    ),
    "data without the split of its own": (
        ["download", "--config", "configs/tiny.yaml", "--set", "folds={scheme: given}"],
        "the data set 'tiny' has no labelled test rows of its own; add their labels to it, or",
    ),
    "zip for other data": (
        ["download", "--config", "configs/tiny.yaml", "--zip", "x.zip"],
        "ZIP is for the data set 'digit-recognizer'",
    ),
    "submit without data": (
        ["submit", "--config", "configs/tiny.yaml"],
        "input/digit-recognizer/sample_submission.csv is needed",
    ),
}


@pytest.mark.parametrize(("arguments", "message"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_gets_one_clear_error(project, arguments, message):
    (project / "output").mkdir()
    (project / "output/file").touch()
    refused = run_main(*arguments, folder=project)
    assert_refused(refused, message)
    assert not (project / "submissions").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train"], "argument command: invalid choice: 'train' (choose from "),
        (["train-folds", "--jobs", "0"], "argument --jobs: '0' is neither a whole number from 1 "),
        (["why", "--rows", "test-3"], "argument --rows: "),
        (["clean", "--forse"], "unrecognized arguments: --forse"),
        ([], "the following arguments are required: command"),
    ],
)
def test_a_wrong_call_gets_one_line(project, arguments, message):
    refused = run_main(*arguments, folder=project)
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"error: {message}")
    assert refused.stderr.endswith("--help` explains\n")
    assert refused.stderr.count("\n") == 1
