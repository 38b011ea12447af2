"""Results on disk: complete or absent, stale when made differently, aligned by id."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, made_up_history

from competition import paths
from competition.config.loading import Config, load_config
from competition.config.schema import Variant
from competition.data.run import Run, load_run
from competition.errors import UserError
from competition.probabilities import (
    Probabilities,
    mean_of,
    read_probabilities,
    write_probabilities,
)
from competition.results import (
    CODE,
    HISTORY_COLUMNS,
    Job,
    JobStatus,
    Manifest,
    by_variant,
    checked_file,
    identity_hash,
    job_identity,
    job_status,
    minutes_of,
    read_history,
    read_predictions,
    require_complete,
    write_result,
)
from competition.storage import (
    PARTIAL_NAME,
    atomic_file,
    atomic_folder,
    clear_folder,
    parse_json,
    remove_partials,
)
from competition.training.jobs import jobs_left


def probabilities(ids, seed: int = 0) -> Probabilities:
    values = np.random.default_rng(seed).dirichlet(np.ones(10), len(ids)).astype(np.float32)
    return Probabilities(np.asarray(ids, np.int32), values)


def identities(**settings) -> dict:
    config = Config(
        name="some", variants={"plain": {"architecture": {"name": "plain"}, **settings}}
    )
    jobs = [Job("some", "plain", 0, f"fold{number}") for number in range(2)]
    return {job: job_identity(config.variants["plain"], job, "data", "folds") for job in jobs}


def write(
    job: Job, identity: dict, save_model=lambda path: path.write_text("model"), **more
) -> None:
    predictions = {"out_of_fold": probabilities([1, 2]), "test": probabilities([1, 2, 3])}
    counts = dict.fromkeys(("minutes", "cpu_minutes", "parameters", "workers"), 1)
    manifest = {"identity": identity, **counts, "machine": "A", "code_version": "1", **more}
    write_result(job, manifest, made_up_history(), predictions, save_model)


@pytest.fixture(autouse=True)
def _working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_a_result_is_done_missing_or_stale():
    first, second = identities()
    write(first, identities()[first])
    found = job_status(identities())
    assert (found.done, found.missing, found.stale) == ([first], [second], {})
    changed = job_status(identities(epochs=3))
    assert changed.stale == {first: "variant.epochs: not set → 3"}
    with pytest.raises(UserError) as caught:
        require_complete(identities(epochs=3))
    assert str(caught.value) == (
        "some: 2 of 2 jobs have no result that fits; `make train-folds` trains them, or give the "
        "SET= that they were trained with:\n"
        "  plain seed0 fold1: not trained yet\n"
        "  plain seed0 fold0: trained differently (variant.epochs: not set → 3)"
    )
    other = {Job("other", "wide", 0, "fold0"): {}}
    with pytest.raises(
        UserError, match=r"^some, other: 2 of 3 jobs .*\n  some/plain .*\n  other/wide seed0 fold0"
    ):
        require_complete(identities() | other)


def test_minutes_are_shared_by_workers_side_by_side():
    facts = [{"minutes": 6.0, "workers": 2}, {"minutes": 5.0, "workers": 1}]
    assert minutes_of(facts) == 8.0


def test_what_other_code_trained_is_done_and_named_in_a_line():
    jobs = {**identities(), Job("some", "wide", 0, "fold0"): {"variant": "wide"}}
    first, second, third = jobs
    write(first, jobs[first], **{CODE: "old"})
    write(second, jobs[second], **{CODE: "new"})
    write(third, jobs[third], **{CODE: "old"})
    found = require_complete(jobs, dict.fromkeys(jobs, "new"))
    assert (found.done, found.other_code) == ([first, second, third], [first, third])
    line = found.other_code_in_words()
    assert line.startswith("trained by code that has changed since: plain, wide; `make train-folds")
    assert "\n" not in line


def test_variants_of_two_configurations_are_named_with_these():
    jobs = [Job("one", "plain", 0, "fold0"), Job("other", "plain", 0, "fold0")]
    line = JobStatus(other_code=jobs).other_code_in_words()
    assert line.startswith("trained by code that has changed since: one/plain, other/plain; ")


def test_a_result_without_a_hash_says_nothing_of_its_code():
    job, _ = identities()
    write(job, identities()[job])
    assert job_status({job: identities()[job]}, {job: "new"}).other_code == []


def test_jobs_with_the_same_remark_share_a_line():
    jobs = [
        Job("some", variant, seed, split)
        for split in ("fold0", "fold1")
        for variant in ("plain", "perceptron")
        for seed in (0, 7)
    ]
    remarks = dict.fromkeys(jobs, "not trained yet")
    remarks[Job("some", "plain", 7, "fold1")] = "trained differently"
    assert by_variant(remarks) == [
        "  plain seed0 fold0 fold1, seed7 fold0: not trained yet",
        "  perceptron seed0 fold0 fold1, seed7 fold0 fold1: not trained yet",
        "  plain seed7 fold1: trained differently",
    ]


def test_values_that_change_no_weight_make_nothing_stale():
    job, _ = identities()
    write(job, identities()[job])
    assert job_status(
        identities(validate_every=4, seeds=[0, 1], all_rows_seeds=[2], epochs=12)
    ).done == [job]


def test_other_components_are_named_with_all_that_differs():
    job, _ = identities()
    write(job, identities()[job])
    changed = identities(augmentation={"name": "affine", "rotation": 7.0})
    assert job_status(changed).stale[job] == (
        "variant.augmentation: not set → {'name': 'affine', 'rotation': 7.0}"
    )


def test_what_is_trained_on_all_rows_depends_on_no_fold():
    job = Job("mine", "plain", 0, "all")
    variant = Variant(architecture="plain")
    assert "folds" not in job_identity(variant, job, "data", "folds")


@pytest.mark.parametrize("argument", ["data", "folds"])
def test_other_data_or_folds_make_a_result_stale(argument):
    job, _ = identities()
    write(job, identities()[job])
    changed = {**identities()[job], argument: "f" * 64}
    assert job_status({job: changed}).stale == {job: f"{argument}: {argument} → ffffffff"}


def test_a_result_that_fails_half_way_never_existed():
    job, _ = identities()

    def full_disk(path):
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        write(job, identities()[job], full_disk)
    assert job_status(identities()).done == []
    assert list(job.folder().parent.iterdir()) == []


def test_a_stale_result_is_replaced_only_by_a_complete_one():
    job, _ = identities()
    write(job, identities()[job])

    def killed(path):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(job, identities(epochs=3)[job], killed)
    assert job_status(identities()).done == [job]
    write(job, identities(epochs=3)[job])
    assert job_status(identities(epochs=3)).done == [job]
    assert {file.name for file in job.folder().iterdir()} == {
        paths.MANIFEST, paths.HISTORY, paths.PROBABILITIES, paths.MODEL
    }  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "{}",
        lambda text: "7",
        lambda text: text[:-20],
        lambda text: text.replace('"workers"', '"helpers"'),
    ],
)
def test_a_damaged_manifest_is_named(change):
    job, _ = identities()
    write(job, identities()[job])
    file = job.folder() / paths.MANIFEST
    file.write_text(change(file.read_text()))
    with pytest.raises(UserError, match=r"manifest.json is damaged .*make train-folds"):
        job_status(identities())


def test_identity_hashes_ignore_the_order_of_keys():
    assert identity_hash({"a": 1, "b": 2}) == identity_hash({"b": 2, "a": 1})
    assert identity_hash({"a": 1}) != identity_hash({"a": 2})


def test_what_killed_processes_left_is_removed(tmp_path):
    kept = tmp_path / "jobs" / "plain" / "fold0"
    kept.mkdir(parents=True)
    (kept.parent / "fold1.partial-77aa00ff").mkdir()
    (kept.parent / "fold1.partial-77aa00ff" / "model.keras").write_text("half")
    (tmp_path / "jobs" / "table.csv.partial-78aa00ff").write_text("half")
    (kept / "my-own.partial-2.png").write_text("whole")
    remove_partials(tmp_path / "jobs", idle_seconds=60)
    assert (kept.parent / "fold1.partial-77aa00ff" / "model.keras").exists()  # it may be at work
    remove_partials(tmp_path / "jobs")
    assert [str(p.relative_to(tmp_path)) for p in sorted(tmp_path.rglob("*"))] == [
        "jobs", "jobs/plain", "jobs/plain/fold0", "jobs/plain/fold0/my-own.partial-2.png"
    ]  # fmt: skip


def test_a_folder_is_at_work_while_any_file_in_it_grows(tmp_path):
    """A download that goes on changes nothing but the part that is there."""
    folder = tmp_path / "digits.partial-download"
    folder.mkdir()
    (folder / "digits.zip").write_text("part")
    os.utime(folder, (0, 0))
    remove_partials(tmp_path, idle_seconds=3600)
    assert (folder / "digits.zip").exists()
    os.utime(folder / "digits.zip", (0, 0))
    remove_partials(tmp_path, idle_seconds=3600)
    assert not folder.exists()


def test_a_folder_that_cannot_be_replaced_stays(tmp_path, monkeypatch):
    """As an interruption at the worst moment leaves it."""
    folder = tmp_path / "folder"
    with atomic_folder(folder) as partial:
        (partial / "old").touch()
    rename = Path.rename

    def interrupted(path: Path, target: Path) -> Path:
        if PARTIAL_NAME.search(path.name):
            raise KeyboardInterrupt
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt), atomic_folder(folder) as partial:
        (partial / "new").touch()
    assert [str(path.relative_to(tmp_path)) for path in sorted(tmp_path.rglob("*"))] == [
        "folder", "folder/old"
    ]  # fmt: skip


def test_what_a_link_leads_to_is_emptied_and_the_link_stays(tmp_path):
    disk, link = tmp_path / "disk", tmp_path / "pools"
    (disk / "pool").mkdir(parents=True)
    link.symlink_to(disk)
    clear_folder(link)
    assert link.is_symlink()
    assert list(disk.iterdir()) == []
    clear_folder(disk)
    assert not disk.exists()


def fail_half_way(partial):
    (partial / "half" if partial.is_dir() else partial).write_text("half")
    raise ZeroDivisionError


def test_atomic_files_and_folders_leave_the_old_one_when_they_fail(tmp_path):
    file, folder = tmp_path / "file", tmp_path / "folder"
    for text in ("old", "new"):
        with atomic_file(file) as partial:
            partial.write_text(text)
        with atomic_folder(folder) as partial:
            (partial / text).touch()
    for manager in (atomic_file(file), atomic_folder(folder)):
        with pytest.raises(ZeroDivisionError), manager as partial:
            fail_half_way(partial)
    assert file.read_text() == "new"
    assert [path.name for path in folder.iterdir()] == ["new"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_a_folder_behind_a_link_is_replaced_and_the_link_stays(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    link, disk = tmp_path / "input" / "embedded", tmp_path / "disk"
    for folder in (link.parent, disk):
        folder.mkdir()
    link.symlink_to("../disk/digits")
    for text in ("old", "new"):  # at first, the link leads to nothing yet
        with atomic_folder(link) as partial:
            assert partial.parent == disk
            (partial / text).touch()
        assert link.is_symlink()
        assert [path.name for path in (disk / "digits").iterdir()] == [text]
    with pytest.raises(ZeroDivisionError), atomic_folder(link) as partial:
        fail_half_way(partial)
    assert [path.name for path in disk.iterdir()] == ["digits"]
    assert [path.name for path in link.iterdir()] == ["new"]


def test_a_link_to_a_disk_that_is_not_there_says_so(tmp_path):
    link = tmp_path / "embedded"
    link.symlink_to(tmp_path / "disk" / "digits")
    with pytest.raises(UserError, match=r"embedded is a link to .*/disk/digits, but there is no "):
        atomic_folder(link).__enter__()
    assert [path.name for path in tmp_path.iterdir()] == ["embedded"]


def test_a_folder_that_is_a_disk_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr("os.path.ismount", lambda path: path.name == "disk")
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    for path in (tmp_path / "disk", tmp_path / "link"):
        with pytest.raises(UserError, match=f"{path} is a disk of its own"):
            atomic_folder(path).__enter__()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["disk", "link"]


def test_probabilities_follow_ids_and_not_rows():
    one = probabilities([3, 1, 2])
    aligned = one.aligned_to(np.array([1, 2, 3]))
    np.testing.assert_array_equal(aligned.values, one.values[[1, 2, 0]])
    with pytest.raises(UserError, match="ids asked for are missing, the first is 4"):
        one.aligned_to(np.array([1, 4]))


def test_of_a_row_that_several_splits_hold_out_the_mean_counts():
    one, other = probabilities([4, 2]), probabilities([1, 2], seed=1)
    joined = mean_of([one, other])
    assert joined.ids.tolist() == [1, 2, 4]
    np.testing.assert_array_equal(joined.values[[0, 2]], [other.values[0], one.values[0]])
    np.testing.assert_allclose(joined.values[1], (one.values[1] + other.values[1]) / 2)


NO_SHARES = "must be at least 0, finite, and sum to 1"


@pytest.mark.parametrize(
    ("ids", "values", "complaint"),
    [
        ([1, 2], np.full((2, 10), 0.2), NO_SHARES),
        ([1, 2], np.full((2, 10), np.nan), NO_SHARES),
        ([1, 2], np.eye(10)[:2] * 2, NO_SHARES),
        ([1, 2], np.eye(10)[:2] + np.eye(10)[2:4] - np.eye(10)[4:6], NO_SHARES),
        ([1, 2], np.full((2, 9), 1 / 9), r"the shape \(2, 10\), not \(2, 9\)"),
        ([1, 1], np.eye(10)[:2], "these come again: 1"),
    ],
)
def test_probabilities_refuse_what_they_are_not(ids, values, complaint):
    with pytest.raises(UserError, match=complaint):
        Probabilities(np.array(ids), values)


def test_probabilities_survive_the_disk_as_float16_with_sums_of_one(tmp_path):
    written = probabilities(range(1, 200))
    write_probabilities(tmp_path / "p.npz", test=written)
    read = read_probabilities(tmp_path / "p.npz", "test")
    np.testing.assert_array_equal(read.ids, written.ids)
    np.testing.assert_allclose(read.values, written.values, rtol=2e-3, atol=1e-6)
    np.testing.assert_allclose(read.values.sum(axis=1), 1, atol=1e-6)
    assert read.values.dtype == np.float32


@pytest.mark.parametrize("damage", ["missing", "cut", "other name", "pickle"])
def test_unreadable_probabilities_say_so(tmp_path, damage):
    path = tmp_path / "p.npz"
    write_probabilities(path, test=probabilities([1, 2]))
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:100])
    elif damage == "pickle":
        np.savez(path, test=np.array([{}], dtype=object), test_ids=np.array([1]))
    name = "out_of_fold" if damage == "other name" else "test"
    with pytest.raises(UserError, match=r"no readable .* train that job again"):
        read_probabilities(path, name)


def test_no_changed_byte_gets_through_as_a_traceback(tmp_path):
    path = tmp_path / "p.npz"
    write_probabilities(path, test=probabilities(range(1, 40)))
    whole, refused = path.read_bytes(), 0
    for position in range(0, len(whole), 7):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0xFF]) + whole[position + 1 :])
        try:
            read_probabilities(path, "test")
        except UserError:
            refused += 1
    assert refused > len(whole) / 7 * 0.8  # the rest hits dates and the like


def test_a_manifest_reads_back_as_json():
    job, _ = identities()
    write(job, identities()[job])
    manifest = json.loads((job.folder() / paths.MANIFEST).read_text())
    assert manifest["identity"]["recipe_version"] >= 1
    assert read_predictions(job, "test").ids.tolist() == [1, 2, 3]


@pytest.fixture
def trained_run(project) -> Run:
    """The tiny configuration with made-up results for all of its jobs."""
    run = load_run(load_config(Path("configs/tiny.yaml")))
    for job, identity in run.identities.items():
        write(job, identity)
    return run


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("folds.seed=1", "folds changed since it was trained (folds: "),
        ("data=other", "data changed since it was trained (data: "),
    ],
)
def test_results_of_other_data_or_folds_are_not_replaced(trained_run, change, reason, capsys):
    """One changed digit, in the data or in the folds, would cost all that was trained."""
    other = Path("input/other")
    shutil.copytree("input/tiny", other)
    text = (other / "train.csv").read_text()
    (other / "train.csv").write_text(text.replace(",0\n", ",1\n", 1))
    settings = [change, "variants.perceptron.epochs=1"]
    changed = load_run(load_config(Path("configs/tiny.yaml"), settings))
    with pytest.raises(UserError) as caught:
        jobs_left(changed, changed.identities, force=False)
    assert f"plain seed0 fold0 fold1: {reason}" in str(caught.value)
    assert str(caught.value).endswith(
        "`make train-folds FORCE=1` replaces these results; to keep them, copy output/tiny/ first"
    )
    assert jobs_left(changed, changed.identities, force=True) == [*changed.identities]
    elsewhere = load_run(load_config(Path("configs/tiny.yaml"), [*settings, "name=tiny-2"]))
    assert len(jobs_left(elsewhere, elsewhere.identities, force=False)) == 4


def test_results_of_other_settings_are_replaced(trained_run, capsys):
    setting = ["variants.perceptron.epochs=1"]
    changed = load_run(load_config(Path("configs/tiny.yaml"), setting))
    left = jobs_left(changed, changed.identities, force=False)
    assert {job.variant for job in left} == {"perceptron"}
    assert "was trained differently and is trained again" in capsys.readouterr().out
    assert jobs_left(trained_run, trained_run.identities, force=False) == []


def test_one_changed_digit_in_the_folds_costs_no_result(trained_run):
    (file,) = Path("output/tiny").glob("folds*.csv")
    text = file.read_text()
    file.write_text(text[:-2] + ("0" if text[-2] == "1" else "1") + "\n")
    again = load_run(load_config(Path("configs/tiny.yaml")))
    assert jobs_left(again, again.identities, force=False) == []


SWAPPED = {
    paths.PROBABILITIES: lambda job: read_predictions(job, "test"),
    paths.HISTORY: read_history,
    paths.MODEL: lambda job: checked_file(job, paths.MODEL),
}


@pytest.mark.parametrize("name", SWAPPED)
def test_the_file_of_another_job_is_refused(name, workplace):
    """Nothing else tells them apart: its ids and shapes are the same."""
    job, other = identities()
    write(job, identities()[job])
    write(other, identities()[other])
    read = SWAPPED[name]
    read(job)
    file = job.folder() / name
    file.write_bytes((other.folder() / name).read_bytes())
    read(job)  # it is the same in these results
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read(job)
    assert str(caught.value) == (
        f"{file} is damaged (it is not the file that this job wrote); remove its folder, and "
        "`make train-folds` makes it again"
    )


def test_older_results_without_hashes_are_read(workplace):
    job, _ = identities()
    write(job, identities()[job])
    file = job.folder() / paths.MANIFEST
    manifest = json.loads(file.read_text())
    assert manifest.pop("files").keys() == {paths.PROBABILITIES, paths.HISTORY, paths.MODEL}
    file.write_text(json.dumps(manifest))
    (job.folder() / paths.HISTORY).write_text(",".join(HISTORY_COLUMNS) + "\n1,0.5,0.9,0.1,,\n")
    assert read_history(job)["loss"].tolist() == [0.5]
    (job.folder() / paths.HISTORY).write_text(",".join(HISTORY_COLUMNS) + "\n1,inf,0.9,0.1,,\n")
    with pytest.raises(UserError, match="it has infinite values"):
        read_history(job)


def changed(**values):
    return lambda manifest: json.dumps(manifest | values)


DAMAGED_MANIFESTS = {
    "a list": lambda manifest: json.dumps([manifest]),
    "a text for an object": changed(identity="plain"),
    "a list for a text": changed(machine=["A", "2 cores"]),
    "a number for a text": changed(code_version=7),
    "a text for a number": changed(minutes="1"),
    "no workers at all": changed(workers=0),
    "half a worker": changed(workers=0.5),
    "negative minutes": changed(minutes=-1),
    "endless minutes": lambda manifest: json.dumps(manifest | {"minutes": float("inf")}),
    "nothing for a hash": changed(identity_hash=None),
    "hashes that are none": changed(files={"history.csv": 3}),
    "deep nesting": lambda manifest: "[" * 100_000,
    "deep nesting inside": lambda manifest: '{"identity": ' + '{"a":' * 50_000,
    "no UTF-8": lambda manifest: "\udcff",
    "empty": lambda manifest: "",
}


@pytest.mark.parametrize("change", DAMAGED_MANIFESTS.values(), ids=DAMAGED_MANIFESTS)
def test_a_manifest_of_other_types_is_named_in_one_line(change, workplace):
    job, _ = identities()
    write(job, identities()[job])
    file = job.folder() / paths.MANIFEST
    text = change(json.loads(file.read_text()))
    file.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(UserError) as caught:
        job_status(identities())
    assert str(caught.value).startswith(f"{file} is damaged (")
    assert str(caught.value).endswith("remove its folder, and `make train-folds` makes it again")
    assert len(str(caught.value).splitlines()) == 1


def test_every_shipped_manifest_is_read():
    files = sorted((ROOT / "output").glob("*/jobs/**/manifest.json"))
    assert len(files) > 50
    for file in files:
        assert parse_json(file.read_bytes(), Manifest) == json.loads(file.read_text())
