"""Studies in a real PostgreSQL server, which starts on a free port of this machine."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pandas as pd
import pytest
import test_tuning
from conftest import environment, make_project, run_code, run_main
from test_tuning import RATES, run_trials

from competition.data.run import load_run
from competition.errors import UserError
from competition.metrics import LossGap, Score
from competition.tuning import outcome, storage, tune
from competition.tuning.study import open_study
from competition.tuning.tune import prepared_study

psycopg = pytest.importorskip("psycopg", reason="requirements-cluster.txt")

search, known_losses = test_tuning.search, test_tuning.known_losses

pytestmark = pytest.mark.long

USER, PASSWORD = "me", "eim@77"
CONFIG = """\
data: tiny
folds: {count: 2}
defaults: {epochs: 1, batch_size: 16, precision: float32, augmentation: none}
variants:
  plain:
    architecture: {width: 4}
    search_space: {learning_rate: {choices: [1e-3, 4e-3, 8e-3]}}
tuning: {sampler: grid, pruner: none}
"""


class Server:
    """A PostgreSQL server; it refuses to run as root, so root starts it as the user `postgres`."""

    def __init__(self, programs: Path):
        self.programs, self.folder = programs, Path(tempfile.mkdtemp(prefix="postgres-"))
        (file := self.folder / "password").write_text(PASSWORD)
        if os.geteuid() == 0:
            for path in (self.folder, file):
                shutil.chown(path, "postgres")
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            self.port = bound.getsockname()[1]
        login = (f"--username={USER}", f"--pwfile={file}", "--auth=scram-sha-256")
        self._run("initdb", *login, "--no-sync", "--no-locale", "--encoding=UTF8")
        self.start()

    def _run(self, program: str, *arguments: str) -> None:
        as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        command = [*as_user, str(self.programs / program), "-D", str(self.folder / "data")]
        subprocess.run(
            [*command, *arguments], check=True, cwd=self.folder, stdout=subprocess.DEVNULL
        )

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories=''"
        log = str(self.folder / "log")
        self._run("pg_ctl", "-w", "-l", log, "-o", f"{options} -c fsync=off", "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-w", "-m", "immediate", "stop")

    def url(self, database: str) -> str:
        return f"postgresql://{USER}:eim%4077@127.0.0.1:{self.port}/{database}"

    def new(self, database: str) -> str:
        """Makes an empty database, and returns its URL."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{database}"')
        return self.url(database)


@pytest.fixture(scope="module")
def postgres():
    """A server. Without PostgreSQL the tests are skipped; in continuous integration they fail."""
    found = shutil.which("initdb") or next(Path("/usr/lib/postgresql").glob("*/bin/initdb"), None)
    if found is None:
        message = "PostgreSQL's initdb is not installed"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    server = Server(Path(found).parent)
    yield server
    server.stop()
    shutil.rmtree(server.folder)


def kept_in(url: str) -> str:
    return f"tuning.storage={url}"


def test_commands_that_start_together_on_an_empty_database_both_work(postgres, search):
    of_this = search(RATES, "sampler: grid", kept_in(postgres.new("together")))
    run, ready, opened = load_run(of_this.config), threading.Barrier(4), []

    def start() -> None:
        ready.wait()
        opened.append(prepared_study(of_this, run).study_name)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert opened == ["some/plain"] * 4


KILLED = """
import os, signal, sys
from pathlib import Path
from competition.config.loading import load_config
from competition.tuning import storage, trial
from competition.tuning.study import find_search, open_study
storage.HEARTBEAT_SECONDS, storage.SILENT_SECONDS = 1, 2
search = find_search(load_config(Path("configs/some.yaml"), [sys.argv[1]]), None)
def die(asked):
    trial.suggested(search, asked)
    os.kill(os.getpid(), signal.SIGKILL)
open_study(search).optimize(die, n_trials=1)
"""


def test_the_trial_of_a_killed_command_is_found(postgres, search, known_losses, monkeypatch):
    monkeypatch.setattr(storage, "HEARTBEAT_SECONDS", 1)
    monkeypatch.setattr(storage, "SILENT_SECONDS", 2)
    known_losses(lambda variant, fold, epoch: variant.learning_rate)
    of_this = search(RATES, "sampler: grid", setting := kept_in(postgres.new("killed")))
    run = load_run(of_this.config)
    study = prepared_study(of_this, run)
    code = KILLED.replace("sys.argv[1]", repr(setting))
    assert run_code(code, folder=Path.cwd()).returncode == -signal.SIGKILL
    (before,) = study.trials
    assert before.state.name == "RUNNING"
    run_trials(of_this, 3)
    tune._wait_for_others(study)
    run_trials(of_this, 2)
    states = [one.state.name for one in study.get_trials()]
    assert sorted(states) == ["COMPLETE"] * 4 + ["FAIL"]
    rates = {one.params["learning_rate"] for one in study.get_trials() if one.value is not None}
    assert rates == {1e-3, 2e-3, 4e-3, 8e-3}


def test_one_command_evaluates_and_the_others_read_it(postgres, search, known_losses, capsys):
    known_losses(lambda variant, fold, epoch: variant.learning_rate)
    of_this = search(RATES, "sampler: grid", kept_in(postgres.new("evaluated")))
    prepared_study(of_this, load_run(of_this.config))
    run_trials(of_this, 4)
    folds = of_this.settings.folds_left(of_this.config.folds.numbers)
    gap = LossGap(-0.1, -0.15, -0.05)
    made = outcome.FinalEvaluation(folds, Score(60, 3, 0.1), Score(60, 5, 0.2), gap)
    begun, found = [], []

    def evaluate() -> outcome.FinalEvaluation:
        begun.append(time.monotonic())
        time.sleep(1)
        return made

    def command() -> None:
        study = open_study(of_this)
        best = outcome.best_trial(study, of_this)
        found.append(outcome.shared_evaluation(study, best, of_this, evaluate))

    threads = [threading.Thread(target=command) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(begun) == 1
    assert found == [made, made]
    assert capsys.readouterr().out.count("another command evaluated it") == 1


def test_two_commands_share_a_study_and_its_final_evaluation(postgres, tiny_files, tmp_path):
    url, commands = postgres.new("shared"), []
    for name in ("one", "two"):
        make_project(folder := tmp_path / name, tiny_files)
        (folder / "configs/some.yaml").write_text(CONFIG)
        words = ("tune", "--config", "configs/some.yaml", "--jobs", "1", "--set", kept_in(url))
        commands.append(
            subprocess.Popen(
                [sys.executable, "-m", "competition", *words],
                cwd=folder, env=environment(), text=True,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )
        )  # fmt: skip
    told = [command.communicate(timeout=900)[0] for command in commands]
    assert [command.returncode for command in commands] == [0, 0], told
    assert sum("another command evaluated it" in each for each in told) == 1
    assert not any("eim" in each for each in told)
    tables = [
        pd.read_csv(tmp_path / name / "output/some/tuning/plain/trials.csv")
        for name in ("one", "two")
    ]
    assert sorted(tables[0]["learning_rate"]) == [0.001, 0.004, 0.008]
    pd.testing.assert_frame_equal(*tables)
    summaries = [
        (tmp_path / name / "output/some/tuning/plain/summary.md").read_text().split("## ")[1]
        for name in ("one", "two")
    ]
    assert summaries[0] == summaries[1]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda url: url.replace("eim%4077", "eim77"), "it refuses the user or the password"),
        (lambda url: url.replace("/me:", "/you:"), "it refuses the user or the password"),
        (lambda url: url + "2", "the server has no such database"),
        (lambda url: url.replace(url.split(":")[3].split("/")[0], "1"), "no server answers there"),
    ],
)
def test_what_is_wrong_with_a_database_is_said_in_a_line(postgres, project, wrong, message):
    (project / "configs/some.yaml").write_text(CONFIG)
    url = wrong(postgres.url("postgres"))
    words = ("tune", "--config", "configs/some.yaml", "--set", kept_in(url))
    done = run_main(*words, folder=project)
    assert done.returncode == 1
    start = f"error: the storage postgresql://127.0.0.1 cannot be used ({message})"
    assert done.stderr.startswith(start)
    assert done.stderr.count("\n") == 1
    assert "eim" not in done.stdout + done.stderr


def test_a_database_that_goes_away_in_between_is_said_in_a_line(
    postgres, search, known_losses, capfd
):
    of_this = search(RATES, "sampler: grid", kept_in(postgres.new("away")))

    def loss(variant, fold, epoch) -> float:
        if loss.trials == 2:
            postgres.stop()
        loss.trials += epoch == variant.epochs
        return variant.learning_rate

    loss.trials = 0
    known_losses(loss)
    try:
        with pytest.raises(UserError) as caught:
            run_trials(of_this, 4)
    finally:
        postgres.start()
    assert str(caught.value).startswith("the storage postgresql://127.0.0.1 cannot be used (")
    assert "; finished trials are kept, run it again when it is back" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "Traceback" not in capfd.readouterr().err
    known_losses(lambda variant, fold, epoch: variant.learning_rate)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and not open_study(of_this).trials:
        time.sleep(0.1)
    states = [one.state.name for one in open_study(of_this).trials]
    assert states == ["COMPLETE", "COMPLETE", "RUNNING"]  # which others will find, by its silence
