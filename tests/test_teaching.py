"""Teachers: what is learnt of the unlabelled rows, and from whom."""

import json
import os
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from conftest import one_sure, run_command, write_made_up_result

from competition.config.loading import Config, load_config
from competition.config.registry import Augmentation
from competition.data.augmented_epochs import Pool
from competition.data.run import Run, load_run
from competition.errors import UserError
from competition.probabilities import Probabilities
from competition.results import Job, identity_hash, read_manifest, read_predictions
from competition.training import worker
from competition.training.progress import ProgressBoard
from competition.training.resources import Plan
from competition.training.training_data import Fold, Taught, fold_of, one_hot, taught, view_pools_of
from competition.training.worker import WorkerContext, run_job

PUPIL = """\
data: tiny
folds: {count: 2}
defaults: {epochs: 2, batch_size: 16, precision: float32}
variants:
  taught:
    architecture: {name: perceptron}
    teacher: configs/tiny.yaml
    teacher_confidence: 0
    all_rows_seeds: [0]
ensemble: {method: mean}
"""


@pytest.fixture
def school(project) -> Path:
    """The tiny project with a pupil of `configs/tiny.yaml`; all nets are perceptrons."""
    (project / "configs/pupil.yaml").write_text(PUPIL)
    teacher = project / "configs/tiny.yaml"
    teacher.write_text(teacher.read_text().replace("{width: 4}", "{name: perceptron}"))
    return project


def pupil(*overrides: str) -> Run:
    return load_run(load_config(Path("configs/pupil.yaml"), overrides))


def of_pupil(split: str) -> Job:
    return Job("pupil", "taught", 0, split)


def test_a_job_is_taught_by_nets_that_held_out_the_same_rows(school):
    run = pupil()
    names = {split: [*map(str, run.teaching(of_pupil(split)))] for split in ("fold1", "all")}
    assert names["fold1"] == ["plain seed0 fold1", "perceptron seed0 fold1"]
    assert len(names["all"]) == 4


def make_up_teachers(run: Run) -> None:
    """Writes results of which each is sure of every fourth row, and disagrees about the others."""
    test, train = run.data_set.test.ids, run.data_set.train.ids
    for label, (job, identity) in enumerate(run.teachers["configs/tiny.yaml"].identities.items()):
        held_out = train[run.folds.split(job.split)[1]]
        parts = {"test": test[::-1], "out_of_fold": held_out}
        said = {
            part: Probabilities(ids, made_up_answers(label, ids)) for part, ids in parts.items()
        }
        write_made_up_result(job, identity, **said)


def made_up_answers(label: int, ids: np.ndarray) -> np.ndarray:
    """Returns what a made-up teacher says: of rows with an id that four divides, that it is 7."""
    unsure, sure = one_sure(label, 0.91), one_sure(7, 0.9999)
    return np.where((ids % 4 == 0)[:, None], sure, unsure).astype(np.float32)


def lesson(*overrides: str) -> tuple[Run, Taught]:
    """Returns what made-up teachers teach the pupil that holds out fold 1."""
    run = pupil(*overrides)
    make_up_teachers(run)
    return run, taught(run, of_pupil("fold1"), Pool(Augmentation(name="warp"), 0, run.fingerprint))


def test_what_is_learnt_is_the_mean_of_what_they_say(school):
    run, said = lesson()
    unsure = np.array([0.01, 0.01, 0.46, 0.46, *[0.01] * 6])
    for ids, answers in (
        (run.data_set.test.ids, said.answers),
        (run.data_set.train.ids[run.folds.split("fold1")[1]], said.held_out_answers),
    ):
        expected = np.where((ids % 4 == 0)[:, None], one_sure(7, 0.9999), unsure)
        np.testing.assert_allclose(answers, expected, atol=1e-5)
    assert said.digits is run.data_set.test
    assert said.pool == Pool(Augmentation(name="warp"), 0, run.fingerprint, part="test")


def test_rows_of_which_they_are_unsure_are_not_learnt(school):
    """Held-out rows are chosen as unlabelled ones are, so that their figures say the same."""
    run, said = lesson("variants.taught.teacher_confidence=0.99")
    held_out = run.folds.split("fold1")[1]
    of_test, of_held_out = run.data_set.test.ids % 4, run.data_set.train.ids[held_out] % 4
    np.testing.assert_array_equal(said.rows, np.flatnonzero(of_test == 0))
    np.testing.assert_array_equal(said.held_out_rows, held_out[of_held_out == 0])
    assert len(said.held_out_answers) == len(said.held_out_rows)
    _, of_all = lesson()
    np.testing.assert_array_equal(of_all.rows, np.arange(40))
    np.testing.assert_array_equal(of_all.held_out_rows, held_out)


def test_a_net_of_all_rows_learns_every_label(school):
    run = pupil("variants.taught.teacher_confidence=0.99")
    make_up_teachers(run)
    said = taught(run, of_pupil("all"), Pool(Augmentation(name="warp"), 0, run.fingerprint))
    assert len(said.rows) == np.count_nonzero(run.data_set.test.ids % 4 == 0)
    assert len(said.held_out_rows) == len(said.held_out_answers) == 0


def test_who_teaches_is_part_of_what_identifies_a_result(school):
    job = of_pupil("fold0")
    identity = pupil().identities[job]
    assert len(identity["taught_by"]) == 64
    assert "teacher" not in identity["variant"]
    (school / "configs/other.yaml").write_text((school / "configs/tiny.yaml").read_text())
    teacher = school / "configs/tiny.yaml"
    assert pupil("variants.taught.teacher=configs/other.yaml").identities[job] == identity
    teacher.write_text(teacher.read_text().replace("epochs: 2", "epochs: 3"))
    assert pupil().identities[job]["taught_by"] != identity["taught_by"]


def test_rows_are_learnt_with_labels_or_with_answers_and_never_with_both(tiny):
    unchanged = Augmentation(name="none")
    answers = np.tile(one_sure(3, 0.7), (40, 1)).astype(np.float32)
    of_held_out = np.tile(one_sure(4, 0.6), (2, 1)).astype(np.float32)
    behind = Pool(unchanged, 0, "data", part="test")
    told = Taught(tiny.test, behind, np.array([0, 39]), answers, np.array([5, 7]), of_held_out)
    rows = np.arange(120)
    fold = Fold(tiny.train, rows[20:], rows[:20], Pool(unchanged, 0, "data"), number=0, taught=told)
    np.testing.assert_array_equal(fold.learnt_rows(), [*range(20, 120), 5, 7, 120, 159])
    images, targets = fold.learnt(0, np.array([159, 20, 7, 120]))
    test, train = tiny.test.images, tiny.train
    expected = [test[39], train.images[20], train.images[7], test[0]]
    np.testing.assert_array_equal(images[..., 0], expected)
    np.testing.assert_array_equal(targets[[0, 3]], answers[:2])
    np.testing.assert_array_equal(targets[1], one_hot(train.labels[20:21])[0])
    np.testing.assert_array_equal(targets[2], of_held_out[0])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("variants.taught.teacher=configs/pupil.yaml", "has a teacher itself"),
        ("variants.taught.teacher=configs/absent.yaml", "configs/absent.yaml"),
        ("folds.count=3", "holds out other rows than pupil"),
        ('variants.taught.teacher=""', "variants.taught.teacher"),
        ("folds.seed=1", "holds out other rows than pupil"),
        ("variants.taught.resampling=class_weights", "leave teacher or resampling out"),
        (
            "variants.taught.search_space={learning_rate: {low: 1e-3, high: 1e-2}}",
            "leave teacher or search_space out",
        ),
    ],
)
def test_who_cannot_teach_is_refused(school, override, message):
    with pytest.raises(UserError, match=message):
        pupil(override)


def test_a_teacher_needs_a_net_for_each_fold(school):
    teacher = school / "configs/tiny.yaml"
    teacher.write_text(teacher.read_text().replace("{count: 2}", "{count: 2, only: [1]}"))
    with pytest.raises(UserError, match="trains no net for fold0"):
        pupil()


def test_a_teacher_that_was_selected_by_held_out_rows_is_refused(school):
    teacher = school / "configs/tiny.yaml"
    watched = "{epochs: 2, callbacks: [best_checkpoint], "
    teacher.write_text(teacher.read_text().replace("{epochs: 2, ", watched))
    with pytest.raises(UserError, match=r"the teacher configs/tiny\.yaml has callbacks"):
        pupil()


def test_a_teacher_needs_the_same_data(school):
    (school / "input/tiny").rename(school / "input/others")
    with pytest.raises(UserError, match="has learnt tiny, and pupil learns others"):
        pupil("data=others")


@pytest.fixture
def small_school(school, monkeypatch) -> Path:
    """Teacher and pupil are one net each, and need no pool; jobs run in this process."""
    monkeypatch.setattr(worker, "start_keras", lambda threads: None)
    quick = "defaults: {augmentation: none, test_time_shift: 0, "
    for file in (school / "configs").iterdir():
        lines = [line for line in file.read_text().splitlines() if "  perceptron:" not in line]
        file.write_text("\n".join(lines).replace("defaults: {", quick))
    return school


def relabelled(config: Config, labels: np.ndarray) -> Run:
    """Returns a run that has other labels, and still the folds of the right ones."""
    run = load_run(config)
    digits = replace(run.data_set.train, labels=labels)
    return replace(run, data_set=replace(run.data_set, train=digits))


def curve_and_predictions(job: Job) -> tuple[str, np.ndarray]:
    """Trains a job, and returns its history and what it says of all rows that it did not learn."""
    config = load_config(Path(f"configs/{job.config}.yaml"))
    with ProgressBoard.on_disk(1) as board:
        context = WorkerContext(Plan(1, 1), os.getpid(), board)
        assert run_job(config, job, 0, context) == (job, None)
    said = [read_predictions(job, part).values for part in ("out_of_fold", "test")]
    return (job.folder() / "history.csv").read_text(), np.concatenate(said)


def test_each_seed_is_another_net_with_its_own_images(small_school):
    file = small_school / "configs/tiny.yaml"
    file.write_text(file.read_text().replace("plain: {", "plain: {seeds: [0, 1], "))
    (_, one), (_, other) = (
        curve_and_predictions(Job("tiny", "plain", seed, "fold0")) for seed in (0, 1)
    )
    assert np.abs(one - other).max() > 1e-3
    run = load_run(load_config(file, ["variants.plain.augmentation=warp"]))
    for job in run.identities:
        assert fold_of(run, job).pool.seed == job.seed
        assert {pool.seed for pool in view_pools_of(run, job).values()} == {job.seed}


def test_labels_that_are_held_out_are_not_learnt_by_way_of_a_teacher_either(
    small_school, monkeypatch
):
    """Other ones change how the pupil of their fold is judged, and nothing of what it says."""
    run = pupil()
    labels, (_, held_out) = run.data_set.train.labels, run.folds.split("fold0")
    others = labels.copy()
    others[held_out] = (labels[held_out] + 1) % 10
    found = []
    for chosen in (labels, others):
        monkeypatch.setattr(worker, "load_run", partial(relabelled, labels=chosen))
        curve_and_predictions(Job("tiny", "plain", 0, "fold0"))
        found.append(curve_and_predictions(of_pupil("fold0")))
    (one_curve, one), (other_curve, other) = found
    assert one_curve != other_curve
    np.testing.assert_array_equal(one, other)


def test_a_damaged_teacher_fails_its_pupils_and_no_others(school):
    """The first fold's pupil cannot even be timed. A log that the disk refuses fails no job."""
    make_up_teachers(pupil())
    damaged = Job("tiny", "plain", 0, "fold0").folder() / "probabilities.npz"
    damaged.write_bytes(damaged.read_bytes()[:-100])
    (school / "output/pupil/tensorboard").write_text("no folder")
    done = run_command(
        "train-folds", "--jobs", "1", "--config", "configs/pupil.yaml", folder=school
    )
    assert done.returncode == 1
    assert f"taught seed0 fold0 could not be timed, and may fail: {damaged} holds no" in done.stdout
    assert "3 jobs on this machine (one job at a time, " in done.stdout
    for split, ending in {"fold0": "FAILED", "fold1": "done", "all": "FAILED"}.items():
        assert f"taught seed0 {split}: {ending}" in done.stderr
        assert of_pupil(split).folder().exists() == (ending == "done")
    assert "2 jobs failed" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_pupil_waits_for_its_teacher_and_learns_more_rows(school):
    train = ("train-folds", "--jobs", "2", "--config")
    too_early = run_command(*train, "configs/pupil.yaml", folder=school)
    assert too_early.returncode == 1
    assert (
        "tiny (configs/tiny.yaml) is to teach, but 4 of 4 jobs have no result" in too_early.stderr
    )
    for name in ("tiny", "pupil"):
        done = run_command(*train, f"configs/{name}.yaml", folder=school)
        assert done.returncode == 0, done.stderr
    blended = run_command("ensemble", "--config", "configs/pupil.yaml", folder=school)
    assert blended.returncode == 0, blended.stderr
    job = of_pupil("fold0")
    manifest = json.loads((job.folder() / "manifest.json").read_text())
    assert manifest["identity"] == pupil().identities[job]
    told = json.loads((school / "submissions/pupil.json").read_text())
    taught_by = pupil().teachers["configs/tiny.yaml"].identities
    assert told["teachers"] == {"tiny": sorted(map(identity_hash, taught_by.values()))}
    reported = run_command("report", "--config", "configs/pupil.yaml", folder=school)
    assert reported.returncode == 0, reported.stderr
    words = (school / "output/pupil/report/results.md").read_text()
    spent = [read_manifest(teacher) for teacher in taught_by]
    minutes = sum(each["minutes"] / each["workers"] for each in spent)
    assert f"the nets of configs/tiny.yaml (4 of them here), which took {minutes:.1f}" in words
