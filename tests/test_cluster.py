"""Jobs on a real Dask cluster, whose workers have other folders than the command."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from conftest import environment, make_project, run_command, run_main

from competition.training import cluster

distributed = pytest.importorskip("distributed", reason="requirements-cluster.txt")

CONFIG = ("--config", "configs/tiny.yaml")
LONG = ("defaults.epochs=5000", "defaults.augmentation=none")
TIMEOUT = 900.0  # a busy machine starts TensorFlow in minutes


class Machines:
    """A scheduler and workers, each in a folder of its own below `folder`."""

    def __init__(self, folder: Path):
        self.folder, self.workers = folder, dict[str, subprocess.Popen]()
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            self.address = f"tcp://127.0.0.1:{bound.getsockname()[1]}"
        port = self.address.rpartition(":")[2]
        where = ("--host", "127.0.0.1", "--port", port, "--dashboard-address", "127.0.0.1:0")
        self.scheduler = self._start("scheduler", "scheduler", *where)

    def join(self, name: str) -> None:
        once = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--memory-limit", "0")
        self.workers[name] = self._start(name, "worker", self.address, "--name", name, *once)

    def _start(self, name: str, *command: str) -> subprocess.Popen:
        (folder := self.folder / name).mkdir()
        with (folder / "log").open("w") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "dask", *command],
                cwd=folder, env=environment(), stdout=log, stderr=log,
            )  # fmt: skip

    def stop(self) -> None:
        for process in (*self.workers.values(), self.scheduler):
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def machines(tmp_path_factory):
    made = Machines(tmp_path_factory.mktemp("machines"))
    made.join("one")
    made.join("two")
    with distributed.Client(made.address, timeout=TIMEOUT, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=TIMEOUT)
    yield made
    made.stop()


@pytest.fixture
def watching(machines):
    """A client that sees what the workers do."""
    with distributed.Client(machines.address, timeout=300, set_as_default=False) as client:
        yield client


@pytest.fixture
def local(project, tmp_path_factory, tiny_files) -> Path:
    """A second project, for what is trained without a cluster."""
    folder = tmp_path_factory.mktemp("local")
    make_project(folder, tiny_files)
    return folder


def wait_for(what: Callable[[], object], process: subprocess.Popen | None = None):
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        if found := what():
            return found
        assert process is None or process.poll() is None, "it ended before"
        time.sleep(0.1)
    raise TimeoutError


def trainings(client) -> dict[str, str]:
    """Returns the keys of the trainings that workers have, by the address of the worker."""
    keys = client.sync(client.scheduler.processing)
    return {worker: str(key) for worker in keys for key in keys[worker] if "train_job" in str(key)}


def start_training(folder: Path, address: str, *changes: str) -> subprocess.Popen:
    changed = (word for change in changes for word in ("--set", change))
    command = ("-m", "competition", "train-folds", *CONFIG, *changed, "--cluster", address)
    log = (folder / "log").open("w")
    return subprocess.Popen(
        [sys.executable, *command], cwd=folder, env=environment(), stdout=log, stderr=log,
        start_new_session=True,
        # Commands in the background, this test perhaps, ignore Ctrl-C and so does what they start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip


def results(folder: Path) -> dict[str, tuple[bytes, bytes]]:
    """Returns what tells trainings apart: predictions, and each epoch's loss with all digits."""
    jobs = folder / "output/tiny/jobs"
    return {
        str(file.parent.relative_to(jobs)): (
            file.read_bytes(),
            (file.parent / "history.csv").read_bytes(),
        )
        for file in jobs.rglob("probabilities.npz")
    }


@pytest.mark.long
def test_a_cluster_trains_what_loky_trains_to_the_last_bit(machines, project, local):
    done = run_main("train-folds", *CONFIG, "--cluster", machines.address, folder=project)
    assert done.returncode == 0, done.stderr
    assert f"4 jobs on {machines.address}, dashboard http://127.0.0.1:" in done.stdout
    assert "(2 workers, one job at a time on each)" in done.stdout
    assert run_main("train-folds", *CONFIG, "--jobs", "2", folder=local).returncode == 0
    assert len(results(project)) == 4
    assert results(project) == results(local)
    # The augmented epochs are made where the jobs run; results are written by the command alone.
    assert not [*project.glob("output/pools/*")]
    for name in machines.workers:
        assert [*(machines.folder / name).glob("output/pools/*/epoch001.npy")]
        assert not [*(machines.folder / name).rglob("manifest.json")]


@pytest.mark.long
def test_a_killed_command_ends_its_jobs_and_leaves_no_half_result(machines, project, watching):
    command = start_training(project, machines.address, *LONG)
    wait_for(lambda: len(trainings(watching)) == 2, command)
    time.sleep(2)  # into the training
    command.kill()
    command.wait()
    wait_for(lambda: not watching.sync(watching.scheduler.processing)[first(watching)])
    wait_for(lambda: not any(watching.run(lambda: cluster.ONE_AT_A_TIME.locked()).values()))
    assert not results(project)


def first(client) -> str:
    return next(iter(client.nthreads()))


@pytest.mark.long
def test_ctrl_c_cancels_what_runs_and_what_waits(machines, project, watching):
    command = start_training(project, machines.address, *LONG)
    wait_for(lambda: len(trainings(watching)) == 2, command)
    command.send_signal(signal.SIGINT)
    assert command.wait(TIMEOUT) == 130
    wait_for(lambda: not any(watching.run(lambda: cluster.ONE_AT_A_TIME.locked()).values()))
    assert not trainings(watching)
    log = (project / "log").read_text()
    assert "interrupted; finished work is kept" in log
    assert "Traceback" not in log


@pytest.mark.long
def test_ctrl_c_in_a_terminal_reaches_workers_of_this_machine_too(project):
    command = start_training(project, "local:1", *LONG)
    wait_for(lambda: re.search("training: [1-9]", (project / "log").read_text()), command)
    os.killpg(command.pid, signal.SIGINT)
    assert command.wait(TIMEOUT) == 130
    log = (project / "log").read_text()
    assert "interrupted; finished work is kept" in log
    assert "Traceback" not in log


@pytest.mark.long
def test_a_job_whose_worker_is_killed_runs_on_one_that_joins_late(
    machines, project, local, watching
):
    epochs = 200
    command = start_training(project, machines.address, f"defaults.epochs={epochs}")
    busy = wait_for(lambda: len(trainings(watching)) == 2 and trainings(watching), command)
    pids = watching.run(os.getpid)
    os.kill(pids[next(iter(busy))], signal.SIGKILL)
    machines.join("late")
    assert command.wait(2 * TIMEOUT) == 0, (project / "log").read_text()
    log = (project / "log").read_text()
    # Whether the late one is counted already depends on how busy the machine is.
    assert re.search("a worker ended, (1 is|2 are) left; its job runs again", log)
    assert [*(machines.folder / "late").glob("output/pools/*/epoch199.npy")]  # it had work
    more = ("--set", f"defaults.epochs={epochs}", "--jobs", "2")
    assert run_command("train-folds", *CONFIG, *more, folder=local, seconds=900).returncode == 0
    assert len(results(project)) == 4
    assert results(project) == results(local)


SEARCHED = """\
data: tiny
folds: {count: 2}
defaults: {epochs: 2, batch_size: 16, precision: float32}
variants:
  plain:
    architecture: {width: 4}
    search_space: {learning_rate: {choices: [1e-3, 4e-3]}}
tuning: {sampler: grid, pruner: median}
"""


@pytest.mark.long
def test_trials_run_on_a_cluster_and_the_command_alone_has_the_study(machines, project, local):
    for folder in (project, local):
        (folder / "configs/some.yaml").write_text(SEARCHED)
    config = ("--config", "configs/some.yaml")
    done = run_main("tune", *config, "--cluster", machines.address, folder=project)
    assert done.returncode == 0, done.stderr
    assert run_main("tune", *config, "--jobs", "2", folder=local).returncode == 0
    there, here = (
        pd.read_csv(folder / "output/some/tuning/plain/trials.csv").set_index("learning_rate")
        for folder in (project, local)
    )
    assert (there["state"] == "complete").all()
    assert there["log_loss"].to_dict() == here["log_loss"].to_dict()
    assert not [*machines.folder.rglob("journal.log")]


@pytest.mark.long
def test_workers_of_this_machine_train_baselines(project, local):
    expected = {"output", *(path.name for path in project.iterdir())}
    shown = run_command("baselines", *CONFIG, "--cluster", "local:2", folder=project, seconds=900)
    assert shown.returncode == 0, shown.stderr
    assert "4 jobs on local:2, dashboard http://127.0.0.1:" in shown.stdout
    assert "(2 workers, one job at a time on each)" in shown.stdout
    assert run_main("baselines", *CONFIG, "--jobs", "2", folder=local).returncode == 0
    assert len(results(project)) == 4
    assert results(project) == results(local)
    assert {path.name for path in project.iterdir()} == expected  # none of Dask's files


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "told"),
    [("tensorflow", "has tensorflow 2."), ("numpy", "has numpy 2.")],
)
def test_workers_with_other_versions_are_refused_by_name(
    machines, project, monkeypatch, name, told
):
    here = {**cluster.library_versions(), name: "1.0"}
    monkeypatch.setattr(cluster, "library_versions", lambda: here)
    cluster.versions.cache_clear()
    done = run_main("train-folds", *CONFIG, "--cluster", machines.address, folder=project)
    cluster.versions.cache_clear()
    assert done.returncode == 1
    assert f"error: the worker {machines.address.rpartition(':')[0]}:" in done.stderr
    assert told in done.stderr
    assert f"this command has {name} 1.0" in done.stderr
    assert not (project / "output/tiny/jobs").exists()


@pytest.mark.parametrize(
    ("address", "more", "message"),
    [
        ("somewhere", (), "CLUSTER is 'somewhere', expected tcp://host:port"),
        ("local:0", (), "CLUSTER is 'local:0', expected tcp://host:port"),
        ("local:2", ("--jobs", "2"), "JOBS is for trainings without CLUSTER"),
        ("tcp://127.0.0.1:1", (), "no Dask scheduler answers at tcp://127.0.0.1:1"),
    ],
)
def test_a_cluster_that_cannot_be_used_is_refused_in_one_line(
    project, monkeypatch, address, more, message
):
    monkeypatch.setattr(cluster, "SECONDS_TO_CONNECT", 1)
    done = run_main("train-folds", *CONFIG, "--cluster", address, *more, folder=project)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {message}")
    assert done.stderr.count("\n") == 1
