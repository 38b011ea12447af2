"""`tune` as a user has it: a real study on tiny data, killed, resumed, and evaluated."""

import csv
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import optuna
import pytest
from conftest import environment, make_project, run_main, wait_for_orphans
from optuna.trial import FrozenTrial, TrialState

from competition.__main__ import main
from competition.config.loading import load_config
from competition.metrics import score
from competition.probabilities import read_probabilities
from competition.tuning.storage import open_storage

pytestmark = pytest.mark.long  # the study that they share takes half a minute

TINY_STUDY = """\
data: tiny
folds: {count: 2}
defaults: {epochs: 2, batch_size: 16, precision: float32}
variants:
  plain:
    architecture: {name: perceptron}
    search_space:
      learning_rate: {choices: [1e-3, 1e30]}
      augmentation.rotation: {low: 5, high: 15}
  residual: {architecture: {name: perceptron}}
tuning: {sampler: random, pruner: median, folds: [0], trials: 5}
"""


def tune(project, *more: str):
    return run_main("tune", "--config", "configs/study.yaml", *more, folder=project)


def states(project) -> list[TrialState]:
    journal = project / "output/study/tuning/plain/journal.log"
    if not journal.exists() or "state" not in journal.read_text():
        return []
    return [one.state for one in trials_in(journal)]


def trials_in(journal) -> list[FrozenTrial]:
    storage = open_storage(None, journal)
    return optuna.load_study(study_name="study/plain", storage=storage).trials


def running_study(project, *more: str, finished: int, running: int) -> subprocess.Popen:
    """Starts a study of two processes, and waits until so many trials are done and so many run."""
    command = [sys.executable, "-m", "competition", "tune", "--config", "configs/study.yaml"]
    process = subprocess.Popen(
        [*command, "--jobs", "2", *more], cwd=project, env=environment(), start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        found = states(project)
        done = sum(map(TrialState.is_finished, found))
        if done >= finished and found.count(TrialState.RUNNING) >= running:
            return process
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    pytest.fail(f"after 300 s, {finished} finished and {running} running trials were never seen")


def kill_after_its_first_trial(project) -> None:
    process = running_study(project, finished=1, running=1)
    os.killpg(process.pid, signal.SIGKILL)  # with its workers, as a power cut does
    process.wait()


@pytest.fixture(scope="module")
def tuned(tiny_files, tmp_path_factory):
    """A project with a study that was killed and then ended: what the kill left, and the rest."""
    project = tmp_path_factory.mktemp("tuned")
    make_project(project, tiny_files)
    (project / "configs/study.yaml").write_text(TINY_STUDY)
    kill_after_its_first_trial(project)
    left = states(project)
    return project, left, tune(project, "--jobs", "2")


def trials_of(project) -> list[dict[str, str]]:
    with (project / "output/study/tuning/plain/trials.csv").open() as file:
        return list(csv.DictReader(file))


def test_two_processes_work_on_one_journal_and_end_with_their_killed_study(project):
    (project / "configs/study.yaml").write_text(TINY_STUDY)
    process = running_study(project, "--set", "defaults.epochs=1000", finished=0, running=2)
    process.kill()
    process.wait()
    wait_for_orphans(process.pid)
    assert states(project).count(TrialState.RUNNING) == 2


def test_a_killed_study_goes_on(tuned):
    project, left, resumed = tuned
    assert resumed.returncode == 0, resumed.stderr
    running = left.count(TrialState.RUNNING)
    done = len([state for state in left if state.is_finished()])
    assert 1 <= running <= 2
    assert 1 <= done < 5
    assert (
        f"study/plain: re-queued {running} interrupted trial{'s' if running > 1 else ''}\n"
        in resumed.stdout
    )
    assert f"study/plain: 5 trials, {done} done already" in resumed.stdout
    trials = trials_of(project)
    interrupted = [row for row in trials if row["remark"].startswith("interrupted")]
    assert len(interrupted) == running
    assert len(trials) == 5 + running
    assert not list((project / "output/pools").glob("*trial*"))
    assert "Traceback" not in resumed.stderr


def test_a_trial_whose_loss_is_no_number_is_recorded(tuned):
    """The seed draws both rates."""
    project, _, resumed = tuned
    ended_rows = [row for row in trials_of(project) if not row["remark"].startswith("interrupted")]
    assert {(row["learning_rate"], row["state"]) for row in ended_rows} == {
        ("0.001", "complete"), ("1e+30", "fail")
    }  # fmt: skip
    failed = [row for row in ended_rows if row["state"] == "fail"]
    assert all("no longer a number in epoch" in row["remark"] for row in failed)
    assert "`make train-folds CONFIG=output/study/tuning/plain/best.yaml`" in resumed.stdout


def test_the_final_evaluation_is_on_a_fold_where_no_trial_was_scored(tuned, open_page):
    project, _, resumed = tuned
    config = load_config(project / "output/study/tuning/plain/best.yaml")
    best = min(
        (row for row in trials_of(project) if row["state"] == "complete"),
        key=lambda row: float(row["log_loss"]),
    )
    assert config.variants["plain"].augmentation.parameters["rotation"] == float(
        best["augmentation.rotation"]
    )
    summary = (project / "output/study/tuning/plain/summary.md").read_text()
    assert f"| trial {best['trial']} | fold 0: optimistic |" in summary
    assert "| plain as it is | fold 1 |" in summary
    answer = resumed.stdout.splitlines()[-4:]
    assert answer[0].startswith(f"trial {best['trial']}: log_loss")
    assert re.match("keep it: |not proven: |drop it: ", answer[1])
    assert answer[1][1:] in summary
    pictures = {file.name for file in project.glob("output/study/tuning/plain/pictures/*.png")}
    assert pictures == {"history.png", "parallel_coordinates.png", "importances.png", "slices.png"}
    assert all(f"](pictures/{name})" in summary for name in pictures)
    page = open_page(project / "output/study/tuning/plain/index.html")
    assert page.locator("#verdict").inner_text() == answer[1].replace("`", "")
    assert page.locator('.run [aria-current="page"]').inner_text() == "Tuning of plain"
    assert page.locator("table").count() == 3
    assert page.evaluate("[...document.images].every((image) => image.naturalWidth > 300)")
    assert page.locator("img").count() == 4
    jobs = {
        str(file.parent.relative_to(project / "output"))
        for file in project.glob("output/*/jobs/**/manifest.json")
    }
    assert jobs == {"study/jobs/plain/seed0/fold1", "study-plain-best/jobs/plain/seed0/fold1"}


def test_the_best_trial_trains_as_it_is_and_has_its_figure_again(tuned):
    project, *_ = tuned
    file = "output/study/tuning/plain/best.yaml"
    trained = run_main("train-folds", "--config", file, "--jobs", "2", folder=project)
    assert "study-plain-best: 2 jobs, 1 done already" in trained.stdout
    job = project / "output/study-plain-best/jobs/plain/seed0/fold0/probabilities.npz"
    predicted = read_probabilities(job, "out_of_fold")
    labels = np.loadtxt(project / "input/tiny/train.csv", int, delimiter=",", skiprows=1, usecols=0)
    reached = score(predicted.values, labels[predicted.ids - 1])
    best = min(float(row["log_loss"]) for row in trials_of(project) if row["log_loss"])
    assert reached.log_loss == pytest.approx(best, abs=2e-3)  # kept as float16


def test_a_finished_study_only_says_so(tuned):
    project, *_ = tuned
    before = (project / "output/study/tuning/plain/journal.log").read_bytes()
    again = tune(project)
    assert "study/plain: 5 trials, 5 done already" in again.stdout
    assert "study: 1 job, 1 done already" in again.stdout
    assert (project / "output/study/tuning/plain/journal.log").read_bytes() == before


def test_how_many_trials_a_study_has_can_be_said_with_the_command(tuned):
    project, *_ = tuned
    lowered = tune(project, "--trials", "3")
    assert lowered.returncode == 0, lowered.stderr
    assert "study/plain: 3 trials, 3 done already" in lowered.stdout


def test_a_study_has_one_trial_at_least(capsys):
    with pytest.raises(SystemExit):
        main(["tune", "--trials", "0"])
    assert "'0' is not a whole number from 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--variant", "residual"], "the variant 'residual' has no search_space to tune"),
        (["--set", "tuning.storage=sqlite:///a.db"], "SQLite breaks when several processes"),
        (["--set", "tuning.storage=nosuch://me:secret@host/name"],
         "the storage nosuch://host cannot be used (NoSuchModuleError)"),
        (["--set", "variants.plain.epochs=9"], "that cannot be compared with new ones"),
    ],
)  # fmt: skip
def test_a_mistake_gets_one_clear_error(tuned, monkeypatch, capsys, arguments, message):
    project, *_ = tuned
    monkeypatch.chdir(project)
    assert main(["tune", "--config", "configs/study.yaml", *arguments]) == 1
    refused = capsys.readouterr().err
    assert refused.startswith("error: ")
    assert message in refused
    assert "secret" not in refused
