"""Distillation: exactly what teaches which student, and that the command trains and judges them."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import make_project, run_main
from conftest import write_made_up_result as write

from competition import paths
from competition.config.loading import load_config
from competition.data.augmented_epochs import make_pool
from competition.data.run import Run, load_run
from competition.deployment.distillation import (
    STUDENT,
    Student,
    StudentRun,
    distil,
    judge,
    student_data,
    student_epochs,
    student_run,
    teacher_of,
)
from competition.ensemble.comparison import combine
from competition.errors import UserError
from competition.metrics import log_losses
from competition.probabilities import Probabilities
from competition.results import ALL_ROWS, Job, read_history, read_manifest, read_predictions
from competition.storage import read_arrays
from competition.training.jobs import jobs_left
from competition.training.training_data import one_hot


def load(*overrides: str) -> Run:
    return load_run(load_config(Path("configs/tiny.yaml"), ["ensemble.method=mean", *overrides]))


def some_probabilities(ids: np.ndarray, seed: int) -> Probabilities:
    """Returns probabilities that float16 keeps exactly: multiples of 1/64."""
    counts = np.random.default_rng(seed).multinomial(64, np.full(10, 0.1), len(ids))
    return Probabilities(ids, (counts / 64).astype(np.float32))


def make_up_members(run: Run, seed: int = 0) -> Run:
    """Makes up a result of every job; all differ, and with `seed` those of other folds than 0."""
    for number, (job, identity) in enumerate(run.identities.items()):
        own = number if job.split == "fold0" else number + 100 * seed
        _, held_out = run.folds.split(job.split)
        predictions = {"test": some_probabilities(run.data_set.test.ids, own)}
        if len(held_out):
            ids = run.data_set.train.ids[held_out]
            predictions["out_of_fold"] = some_probabilities(ids, own + 50)
        write(job, identity, **predictions)
    return run


def students_of(run: Run) -> StudentRun:
    return student_run(run, teacher_of(combine([run])))


def said_by(run: Run, *splits: str) -> np.ndarray:
    """Returns the mean of what the nets of some splits say of the test rows."""
    jobs = [job for job in run.identities if job.split in splits]
    return np.mean([read_predictions(job, "test").values for job in jobs], axis=0)


@pytest.fixture
def run(project) -> Run:
    return make_up_members(load())


def student_of(students: StudentRun, split: str):
    return student_data(students, Student("tiny", STUDENT, 0, split))


def test_a_fold_is_taught_by_the_nets_that_held_it_out(run):
    teacher = teacher_of(combine([run]))
    np.testing.assert_allclose(teacher.test["fold0"].values, said_by(run, "fold0"), atol=1e-6)
    np.testing.assert_allclose(teacher.test["fold1"].values, said_by(run, "fold1"), atol=1e-6)
    both = said_by(run, "fold0", "fold1")
    np.testing.assert_allclose(teacher.test[ALL_ROWS].values, both, atol=1e-6)
    assert np.abs(teacher.test["fold0"].values - teacher.test["fold1"].values).max() > 0.05


def test_nets_of_all_rows_teach_the_student_to_use_only(project):
    run = make_up_members(load("defaults.all_rows_seeds=[0]"))
    teacher = teacher_of(combine([run]))
    np.testing.assert_allclose(teacher.test["fold0"].values, said_by(run, "fold0"), atol=1e-6)
    everything = said_by(run, "fold0", "fold1", ALL_ROWS)
    np.testing.assert_allclose(teacher.test[ALL_ROWS].values, everything, atol=1e-6)


@pytest.mark.parametrize("split", ["fold0", "fold1"])
def test_the_student_of_a_fold_learns_other_labels_and_soft_targets(run, split):
    students, train = students_of(run), run.data_set.train
    data = student_of(students, split)
    rows, held_out = run.folds.split(split)
    count = len(train)
    np.testing.assert_array_equal(data.training_rows, [*rows, *range(count, count + 40)])
    np.testing.assert_array_equal(data.validation_rows, held_out)
    np.testing.assert_array_equal(data.targets[:count], one_hot(train.labels))
    np.testing.assert_allclose(data.targets[count:], said_by(run, split), atol=1e-6)
    np.testing.assert_array_equal(data.digits.images[count:], run.data_set.test.images)
    assert not set(held_out) & set(data.training_rows)


def test_nothing_of_the_other_folds_nets_reaches_the_student_of_a_fold(run):
    """They have learnt the labels that the student is judged on."""
    rows = run.folds.split("fold0")[0]
    before = student_of(students_of(run), "fold0")
    make_up_members(run, seed=1)  # other nets of fold 1, the same of fold 0
    after = student_of(students_of(run), "fold0")
    seen = np.concatenate([rows, np.arange(len(run.data_set.train), len(before.digits))])
    np.testing.assert_array_equal(after.targets[seen], before.targets[seen])
    everything = [student_of(students_of(run), ALL_ROWS).targets]
    make_up_members(run)
    everything.append(student_of(students_of(run), ALL_ROWS).targets)
    assert (everything[0] != everything[1]).any(axis=1).mean() > 0.4


def test_a_fitted_method_teaches_a_fold_by_weights_of_the_others(run):
    config = load("ensemble.method=weighted_mean")
    result = combine([config])
    members, teacher = result.member_predictions, teacher_of(result)
    others = members.folds != 0
    fitted = result.chosen.method.function()(
        members.out_of_fold[:, others], members.labels[others], is_net=members.is_net
    )
    jobs = [Job("tiny", variant, 0, "fold0") for variant in ("plain", "perceptron")]
    values = fitted.combine(np.stack([read_predictions(job, "test").values for job in jobs]))
    np.testing.assert_allclose(teacher.test["fold0"].values, values, atol=1e-6)
    assert 0.01 < fitted.settings["weights"][0] < 0.99


def test_the_student_to_use_learns_every_row_half_from_its_label(run):
    students, train = students_of(run), run.data_set.train
    data, count = student_of(students, ALL_ROWS), len(run.data_set.train)
    np.testing.assert_array_equal(data.training_rows, range(count + 40))
    assert len(data.validation_rows) == 0
    soft = students.teacher.out_of_fold.aligned_to(train.ids).values
    expected = (one_hot(train.labels) + soft) / 2
    np.testing.assert_allclose(data.targets[:count], expected, atol=1e-6)
    expected = said_by(run, "fold0", "fold1")
    np.testing.assert_allclose(data.targets[count:], expected, atol=1e-6)


def test_unlabelled_rows_have_augmented_images_of_their_own(run):
    students = students_of(run)
    joined = student_epochs(students)
    for part in joined.parts:
        make_pool(part, 1, run.data_set)
    data = student_of(students, "fold0")
    rows = np.array([0, 119, 120, 159])
    images, targets = data.arrays(0, rows)
    train, test = (np.load(part.file(0)) for part in joined.parts)
    np.testing.assert_array_equal(images[..., 0], [train[0], train[119], test[0], test[39]])
    assert (images[..., 0] != data.digits.images[rows]).any(axis=(1, 2)).all()
    np.testing.assert_array_equal(targets, data.targets[rows])


def test_the_student_is_small_and_answers_as_its_export_does(run):
    variant = students_of(run).config.variants[STUDENT]
    assert variant.architecture.build().count_params() == 326_826
    assert (variant.test_time_shift, variant.test_time_draws) == (0, 0)
    assert (variant.epochs, variant.batch_size) == (2, 16)  # of `defaults:`


@pytest.fixture(scope="module")
def distilled(tmp_path_factory, tiny_files) -> Path:
    """A project whose students are trained, of made-up members; the members' nets are absent."""
    folder = tmp_path_factory.mktemp("distilled")
    make_project(folder, tiny_files)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        make_up_members(load())
        done = run_main(*COMMAND, folder=folder)
        assert done.returncode == 0, done.stderr
        (folder / "first.txt").write_text(done.stdout)
    return folder


COMMAND = ("distil", "--config", "configs/tiny.yaml", "--jobs", "1")


def test_distil_trains_each_student_once_and_compares_them(distilled):
    first = (distilled / "first.txt").read_text()
    assert "tiny: 3 jobs, 0 done already" in first
    again = run_main(*COMMAND, folder=distilled).stdout
    assert "tiny: 3 jobs, 3 done already" in again
    assert again.partition("\n\n")[2] == first.partition("\n\n")[2]
    assert "\n student " in again
    assert "\n its teacher, `tiny` " in again


@pytest.mark.long
def test_an_interrupted_command_goes_on_with_the_same_student(distilled):
    folder = distilled / "output/tiny/student/fold1"
    before = read_arrays(folder / paths.PROBABILITIES)
    shutil.rmtree(folder)
    done = run_main(*COMMAND, folder=distilled)
    assert "tiny: 3 jobs, 2 done already" in done.stdout
    after = read_arrays(folder / paths.PROBABILITIES)
    np.testing.assert_array_equal(after["out_of_fold"], before["out_of_fold"])


def test_a_student_has_a_result_like_any_job(distilled, monkeypatch):
    monkeypatch.chdir(distilled)
    run = load()
    for split in ("fold0", ALL_ROWS):
        job = Student("tiny", STUDENT, 0, split)
        assert job.folder() == Path("output/tiny/student") / split
        assert {file.name for file in job.folder().iterdir()} == {
            paths.MANIFEST, paths.HISTORY, paths.PROBABILITIES, paths.MODEL,
        }  # fmt: skip
        assert read_manifest(job)["parameters"] == 326_826
        assert len(read_history(job)) == 2
        assert len(read_predictions(job, "test").ids) == 40
    held_out = run.data_set.train.ids[run.folds.split("fold0")[1]]
    out_of_fold = read_predictions(Student("tiny", STUDENT, 0, "fold0"), "out_of_fold")
    np.testing.assert_array_equal(np.sort(out_of_fold.ids), np.sort(held_out))


def test_the_figures_are_of_the_rows_that_each_student_held_out(distilled, monkeypatch):
    monkeypatch.chdir(distilled)
    run = load()
    judged = judge(result := combine([run]), students_of(run))
    parts = [
        read_predictions(Student("tiny", STUDENT, 0, f"fold{k}"), "out_of_fold") for k in (0, 1)
    ]
    ids = np.concatenate([part.ids for part in parts])
    values = np.concatenate([part.values for part in parts])
    labels = run.data_set.train.labels_of(ids)
    assert judged.score.rows == 120
    assert judged.score.errors == (values.argmax(axis=1) != labels).sum()
    frame = judged.table().frame.set_index("net")
    teacher = result.out_of_fold.aligned_to(ids).values
    gap = log_losses(values, labels).mean() - log_losses(teacher, labels).mean()
    assert frame.loc["its teacher, `tiny`", "gap"] == pytest.approx(gap, abs=1e-6)
    right = values.argmax(axis=1) == labels, teacher.argmax(axis=1) == labels
    assert frame.loc["its teacher, `tiny`", "gained"] == (right[0] & ~right[1]).sum()
    assert frame.loc["its teacher, `tiny`", "lost"] == (~right[0] & right[1]).sum()


def test_another_teacher_makes_the_students_stale(distilled, monkeypatch):
    monkeypatch.chdir(distilled)
    run = load("ensemble.method=geometric_mean")
    with pytest.raises(UserError, match="no student of a fold is trained yet; `make distil`"):
        judge(combine([run]), students_of(run))
    identity = json.loads(Path("output/tiny/student/fold0/manifest.json").read_text())["identity"]
    assert identity["teacher"]["method"] == {"name": "mean"}
    assert len(identity["teacher"]["results"]) == 4


def test_students_of_another_teacher_are_replaced_only_by_force(run, capsys):
    """Their identities differ in the teacher alone; one of them is not trained yet."""
    *trained, missing = students_of(run).identities.items()
    for job, identity in trained:
        some = some_probabilities(run.data_set.test.ids, 7)
        write(job, identity, facts={"code": "of an older net"}, test=some)
    changed = students_of(load("ensemble.method=geometric_mean"))
    before = {job: read_manifest(job) for job, _ in trained}
    with pytest.raises(UserError) as caught:
        distil(changed, 1)
    assert str(caught.value) == (
        "  student seed0 all fold0: teacher changed since it was trained "
        "(teacher.method.name: mean → geometric_mean)\n"
        "`make distil FORCE=1` replaces these results; to keep them, copy output/tiny/ first"
    )
    assert {job: read_manifest(job) for job, _ in trained} == before
    assert jobs_left(changed, changed.identities, force=True) == [*changed.identities]
    capsys.readouterr()
    assert jobs_left(students_of(run), changed.identities, force=False) == [missing[0]]
    told = "trained by code that has changed since: student; `make distil FORCE=1` trains every"
    assert told in capsys.readouterr().out


def test_the_same_net_taught_by_labels_alone_is_beside_the_student(project):
    """`plain` of width 32, in its own views and, by its history, in one."""
    wide = "variants.plain.architecture.width=32"
    run = make_up_members(load(wide))
    students = students_of(run)
    for job, identity in students.identities.items():
        predictions = {"test": some_probabilities(run.data_set.test.ids, 7)}
        if job.split != ALL_ROWS:
            ids = run.data_set.train.ids[run.folds.split(job.split)[1]]
            predictions["out_of_fold"] = some_probabilities(ids, 8)
        write(job, identity, **predictions)
    frame = judge(combine([run]), students).table().frame.set_index("net")
    assert list(frame.index) == [
        "student",
        "its teacher, `tiny`",
        "`plain seed0` by labels alone, 5 views",
        "`plain seed0` by labels alone, 1 view",
    ]
    in_one_view = frame.loc["`plain seed0` by labels alone, 1 view"]
    # The made-up histories end with an accuracy of 0.875 and a loss of 0.3, in 60 rows each.
    assert in_one_view["errors"] == 16
    assert in_one_view["log_loss"] == pytest.approx(0.3)
