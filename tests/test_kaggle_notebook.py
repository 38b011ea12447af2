"""`make kaggle-notebook`: what the notebook does by hand, and the real client at the stand-in."""

import io
import json
import shutil
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import nbformat
import numpy as np
import pytest
from conftest import one_sure, run_command, write_made_up_result
from kaggle_server import STORAGE, json_answer, refusal, stored
from kaggle_world import World, interrupted, is_told, silent_at
from nbclient import NotebookClient

from competition import paths
from competition.config.loading import load_config
from competition.data.run import load_run
from competition.kaggle import notebook
from competition.kaggle.notebook import write_notebook
from competition.probabilities import Probabilities
from competition.results import job_status

CONFIG = "{data: tiny, folds: {count: 2}, variants: {perceptron: {epochs: 1}}}"
PUSH = ("kaggle-notebook", "--config", "configs/tiny.yaml", "--push")
RECORD = paths.OutputPaths("tiny").kaggle / paths.PUSHED
NAME = "somebody/digit-recognizer-tiny"


def state(name: str, **more: str):
    return json_answer({"status": name, **more})


def brought(archive: bytes):
    """Returns the notebook's output: two files, of which one is wanted, and its log."""
    files = [
        {"fileName": name, "url": f"{STORAGE}/{name}"} for name in ("page.html", "results.zip")
    ]
    log = json.dumps([{"stream_name": "stdout", "time": 1, "data": "first\n\x1b[31mlast\n"}])
    return json_answer({"files": files, "log": log}), stored(archive)


@pytest.fixture
def place(world: World, tiny_files) -> World:
    """A world with a configuration of two jobs, which Kaggle has trained; here they are missing."""
    shutil.copytree(tiny_files, paths.INPUT / "tiny")
    Path("configs/tiny.yaml").write_text(CONFIG)
    world.answer("SaveKernel", json_answer({"ref": NAME, "versionNumber": 3}))
    world.answer("GetKernelSessionStatus", state("COMPLETE"))
    world.answer("ListKernels", json_answer({"kernels": []}))
    deliver(world, trained())
    return world


def deliver(world: World, archive: bytes) -> None:
    world.answer("ListKernelSessionOutput", brought(archive)[0])
    world.answer("results.zip", brought(archive)[1])


def trained(change=lambda folder: None, **identity) -> bytes:
    """Returns an archive with made-up results of every job, and removes them here."""
    run = load_run(load_config(Path("configs/tiny.yaml")))
    for job, own in run.identities.items():
        ids = {"test": run.data_set.test.ids, "out_of_fold": run.data_set.train.ids[:5]}
        values = {name: np.stack([one_sure(3, 0.9)] * len(of)) for name, of in ids.items()}
        predictions = {
            name: Probabilities(ids[name], values[name].astype(np.float32)) for name in ids
        }
        write_made_up_result(job, {**own, **identity}, **predictions)
        change(job.folder())
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as opened:
        for file in sorted(paths.OutputPaths("tiny").jobs.rglob("*")):
            opened.write(file)
        opened.writestr("../escaped.txt", "nothing")
    shutil.rmtree(paths.OutputPaths("tiny").jobs)
    return archive.getvalue()


def done() -> int:
    run = load_run(load_config(Path("configs/tiny.yaml")))
    return len(job_status(run.identities).done)


def test_jobs_come_home_and_nothing_is_left_over(place: World):
    code, printed = place.run(*PUSH)
    assert (code, done()) == (0, 2), printed
    assert is_told(f"{NAME} trains 'tiny' ... 2 jobs from Kaggle ... make ensemble", printed)
    sent = json.loads(place.server.received("SaveKernel").body)
    assert sent["slug"] == NAME
    assert sent["isPrivate"] is True
    assert sent["machineShape"] == "NvidiaTeslaT4"
    assert "perceptron" not in sent["text"]  # it is packed
    assert {file.name for file in RECORD.parent.iterdir()} == {
        paths.NOTEBOOK,
        paths.NOTEBOOK_METADATA,
    }
    code, printed = place.run(*PUSH)
    assert (code, place.server.count("SaveKernel")) == (0, 1)
    assert "no job is missing, so nothing is sent" in printed


@pytest.mark.long
def test_it_waits_while_the_notebook_runs(place: World):
    place.answer("GetKernelSessionStatus", [state("QUEUED"), state("RUNNING"), state("COMPLETE")])
    code, printed = place.run(*PUSH)
    assert (code, done()) == (0, 2), printed
    assert is_told("the notebook is queued ... is running ... is complete", printed)


QUOTA = "Maximum weekly GPU quota of 30.00 hours reached."
REFUSED = [
    (
        json_answer({"error": QUOTA}),
        "did not take the notebook: Maximum weekly GPU quota of 30.00 hours reached; ACCELERATOR=",
    ),
    (
        json_answer({"invalidCompetitionSources": ["digit-recognizer"]}),
        "it cannot read digit-recognizer; accept the rules at",
    ),
    (refusal(401, "Unauthenticated"), "Kaggle refused the credentials"),
    (refusal(403, "Forbidden"), "Kaggle refuses access (403: Forbidden)"),
]


@pytest.mark.parametrize(("answer", "texts"), REFUSED, ids=["quota", "rules", "401", "403"])
def test_a_refused_notebook_is_not_remembered(place: World, answer, texts: str):
    place.answer("SaveKernel", answer)
    code, printed = place.run(*PUSH)
    assert code == 1
    assert is_told(texts, printed), printed
    assert not RECORD.exists()


FAILED = [
    ("ERROR", "ended on Kaggle as 'error': no disk ... Its log ends with:\n  first\n  [31mlast"),
    ("CANCEL_ACKNOWLEDGED", "ended on Kaggle as 'cancel_acknowledged': no disk"),
]


@pytest.mark.long
@pytest.mark.parametrize(("name", "texts"), FAILED, ids=["error", "cancelled"])
def test_a_notebook_that_fails_says_why_and_is_sent_again(place: World, name: str, texts: str):
    place.answer("GetKernelSessionStatus", state(name, failureMessage="no disk"))
    code, printed = place.run(*PUSH)
    assert code == 1
    assert is_told(texts, printed), printed
    place.answer("GetKernelSessionStatus", state("COMPLETE"))
    assert (place.run(*PUSH)[0], place.server.count("SaveKernel"), done()) == (0, 2, 2)


@pytest.mark.long
def test_a_notebook_that_takes_longer_is_waited_for_again(place: World, monkeypatch):
    monkeypatch.setattr(notebook, "SESSION_SECONDS", 0.5)
    place.answer("GetKernelSessionStatus", state("RUNNING"))
    code, printed = place.run(*PUSH)
    assert (code, done()) == (0, 0)
    assert "it is still running; the same command waits again" in printed
    place.answer("GetKernelSessionStatus", state("COMPLETE"))
    assert (place.run(*PUSH)[0], place.server.count("SaveKernel"), done()) == (0, 1, 2)


@pytest.mark.long
@pytest.mark.parametrize(("is_there", "sent"), [(True, 1), (False, 2)])
def test_a_sending_without_an_answer_is_asked_for(place: World, is_there: bool, sent: int):
    silent_at("SaveKernel")(place)
    code, printed = place.run(*PUSH)
    assert (code, "the client was sending the notebook" in printed) == (1, True)
    assert json.loads(RECORD.read_text())["notebook"] == ""
    ran = datetime.now(UTC) - timedelta(days=not is_there)
    known = {"ref": f"/code/{NAME}", "lastRunTime": f"{ran:%Y-%m-%dT%H:%M:%S.%f}Z"}
    place.answer("ListKernels", json_answer({"kernels": [known]}))
    place.answer("SaveKernel", json_answer({"ref": NAME, "versionNumber": 4}))
    code, printed = place.run(*PUSH)
    assert (code, done()) == (0, 2), printed
    assert ("was cut off; Kaggle has it" in printed) == is_there
    assert place.server.count("SaveKernel") == sent


BAD = [
    (lambda: b"no archive", "results.zip of the notebook is damaged"),
    (lambda: trained(seed=9), "trained differently ... seed: 9 → 0 ... none of the 2 missing jobs"),
    (
        lambda: trained(lambda folder: (folder / paths.HISTORY).write_text("epoch\n1\n")),
        "history.csv is damaged (it is not the file that this job wrote)",
    ),
    (
        lambda: trained(lambda folder: (folder / paths.MODEL).unlink()),
        "has no model.keras",
    ),
]


@pytest.mark.long
@pytest.mark.parametrize(("make", "texts"), BAD, ids=["zip", "seed", "file", "net"])
def test_a_bad_result_is_not_put_into_place(place: World, make, texts: str):
    deliver(place, make())
    code, printed = place.run(*PUSH)
    assert (code, done()) == (1, 0)
    assert is_told(texts, printed), printed
    deliver(place, trained())
    assert (place.run(*PUSH)[0], place.server.count("SaveKernel"), done()) == (0, 1, 2)


def test_a_damaged_record_is_named(place: World):
    RECORD.parent.mkdir(parents=True)
    RECORD.write_text('{"time": 3}')
    code, printed = place.run(*PUSH)
    assert (code, is_told("pushed.json is damaged (time: ... remove the file", printed)) == (
        1,
        True,
    )


@pytest.mark.long
def test_ctrl_c_ends_only_the_waiting(place: World):
    place.answer("GetKernelSessionStatus", state("RUNNING"))
    shutil.copy("configs/tiny.yaml", "configs/default.yaml")
    asked = lambda: place.server.count("GetKernelSessionStatus") > 0  # noqa: E731
    command = interrupted("kaggle-notebook", asked, options=("--push",))
    assert command.returncode == 130
    assert "no longer waiting; https://www.kaggle.com/code/somebody/digit" in command.stderr


def test_the_notebook_says_what_it_needs(place: World):
    folder = write_notebook(load_config(Path("configs/default.yaml")), "none")
    first = (folder / paths.NOTEBOOK).read_bytes()
    metadata = json.loads((folder / paths.NOTEBOOK_METADATA).read_text())
    assert metadata["competition_sources"] == ["digit-recognizer"]
    assert (metadata["enable_gpu"], metadata["is_private"]) == (False, True)
    write_notebook(load_config(Path("configs/default.yaml")), "none")
    assert (folder / paths.NOTEBOOK).read_bytes() == first
    nbformat.validate(nbformat.read(folder / paths.NOTEBOOK, as_version=4))
    code, printed = place.run("kaggle-notebook", "--config", "configs/tiny.yaml")
    assert (code, "in Kaggle's editor" in printed) == (0, True)
    assert place.server.requests == []


def test_kaggles_own_copy_of_the_data_is_found(place: World, tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "KAGGLE_INPUTS", (tmp_path / "no", tmp_path / "kaggle/input"))
    (tmp_path / "kaggle").mkdir()
    (paths.INPUT).rename(tmp_path / "kaggle/input")
    monkeypatch.chdir(tmp_path)
    assert paths.DataPaths("tiny").train == tmp_path / "kaggle/input/tiny/train.csv"
    assert paths.DataPaths("other").folder == paths.INPUT / "other"


@pytest.mark.long
def test_the_notebook_trains_by_hand_what_counts_at_home(place: World, tmp_path, monkeypatch):
    """As "Run all" does it, in an empty folder; its archive is unpacked at home."""
    folder = write_notebook(load_config(Path("configs/tiny.yaml")), "none")
    read = nbformat.read(folder / paths.NOTEBOOK, as_version=4)
    working = tmp_path / "working"
    shutil.copytree(paths.INPUT / "tiny", working / "input/tiny")
    for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.delenv("PYTHONPATH")
    NotebookClient(read, timeout=600, resources={"metadata": {"path": str(working)}}).execute()
    left = {entry.name for entry in working.iterdir()}
    assert left == {"configs", "input", "output", "submissions", "results.zip"}
    assert (working / "submissions/tiny.csv").exists()
    with zipfile.ZipFile(working / "results.zip") as archive:
        archive.extractall()
    assert done() == 2
    combined = run_command("ensemble", "--config", "configs/tiny.yaml", folder=Path.cwd())
    assert combined.returncode == 0, combined.stderr
