"""What the repository has of trained presets still belongs to their configurations."""

import json
import os
import re
import shutil
from pathlib import Path

import pytest
from conftest import ROOT, run_command

from competition.config.loading import load_config
from competition.data.run import load_run
from competition.deployment.distillation import judge, student_run, teacher_of
from competition.ensemble.comparison import combine
from competition.paths import EXPORTED, HISTORY, MODEL_CARD, PROBABILITIES
from competition.results import ALL_ROWS, Job, job_status
from competition.storage import file_hash

SHIPPED = re.findall(r"^!/output/(\w+)/jobs/$", (ROOT / ".gitignore").read_text(), re.MULTILINE)
MANIFESTS = sorted(
    file.relative_to(ROOT)
    for name in SHIPPED
    for file in ROOT.glob(f"output/{name}/jobs/*/*/*/manifest.json")
)


def manifest(path: Path) -> dict:
    return json.loads((ROOT / path).read_text())


def job_of(path: Path) -> Job:
    _, config, _, variant, seed, split, _ = path.parts
    return Job(config, variant, int(seed.removeprefix("seed")), split)


def presets_of_the_documents() -> dict[str, int]:
    """Returns how many trainings `docs/results.md` says that each preset has."""
    text = (ROOT / "docs/results.md").read_text()
    table = re.findall(r"^\| `(\w+)` \| (\d+) nets and (\d+) other learners \|", text, re.MULTILINE)
    return {name: int(nets) + int(others) for name, nets, others in table}


def test_the_presets_of_the_documents_are_shipped():
    told = presets_of_the_documents()
    shipped = [job_of(path).config for path in MANIFESTS]
    assert told.keys() == {"fast", "default", "best"}
    assert told == {name: shipped.count(name) for name in told}


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: "-".join(path.parts[1:-1]))
def test_a_shipped_result_has_the_settings_of_its_configuration(path):
    job, identity = job_of(path), manifest(path)["identity"]
    variant = load_config(ROOT / f"configs/{job.config}.yaml").variants[job.variant]
    assert identity["variant"] == variant.identity()
    assert (identity["seed"], identity["split"]) == (job.seed, job.split)
    assert job.seed in (variant.all_rows_seeds if job.split == ALL_ROWS else variant.seeds)


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: "-".join(path.parts[1:-1]))
def test_a_shipped_result_has_the_hashes_of_its_files(path):
    known = manifest(path)["files"]
    for name in (HISTORY, PROBABILITIES):
        assert known[name] == file_hash(ROOT / path.with_name(name))


SUBMISSIONS = re.findall(
    r"^!/submissions/(.*)\.\*$", (ROOT / ".gitignore").read_text(), re.MULTILINE
)


@pytest.mark.parametrize("name", SUBMISSIONS)
def test_a_shipped_submission_is_of_its_configuration(name):
    """A new setting is in its provenance, too, or `make ensemble` changes what git has."""
    told = json.loads((ROOT / f"submissions/{name}.json").read_text())
    config = load_config(ROOT / f"configs/{name.removesuffix('-mean')}.yaml")
    assert told["config"] == config.model_dump(mode="json")


def test_the_table_of_the_classic_systems_is_of_the_shipped_results():
    text = (ROOT / "docs/baselines.md").read_text()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    told = {row[0].removesuffix(" (selected)"): row for row in rows if len(row) == 14}
    shipped = {job_of(path): manifest(path) for path in MANIFESTS}
    single = {
        job.variant: known
        for job, known in shipped.items()
        if (job.config, job.seed) == ("baselines", 0)
    }
    assert single.keys() == load_config(ROOT / "configs/baselines.yaml").variants.keys()
    for variant, known in single.items():
        _, config, _, nets, parameters, minutes, *_ = told[variant]
        assert config == "baselines"
        assert nets == "1"
        assert parameters == f"{known['parameters']:,}"
        assert minutes == f"{known['minutes'] / known['workers']:.1f}"


def rows_of(text: str) -> set[str]:
    return {line for line in text.splitlines() if line.startswith("| ")}


@pytest.fixture
def clone(tmp_path) -> Path:
    """A working folder with what a clone has, and the competition's data."""
    archive = os.environ.get("DIGITS_ZIP")
    if archive is None:
        pytest.skip("DIGITS_ZIP names no real archive")
    for name in ("configs", "output"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("pools"))
    done = run_command("download", "--zip", str(Path(archive).resolve()), folder=tmp_path)
    assert done.returncode == 0, done.stderr
    return tmp_path


@pytest.mark.long
def test_the_tables_are_what_the_commands_write(clone):
    """Every figure of the classic systems, and every one of the README."""
    text = (ROOT / "docs/baselines.md").read_text()
    (named,) = re.findall(r'make baselines CONFIG="(.*)"', text)
    assert run_command("download", "--config", "configs/mnist_hdf5.yaml", folder=clone).stdout
    configs = [word for config in named.split() for word in ("--config", config)]
    done = run_command("baselines", *configs, folder=clone)
    assert done.returncode == 0, done.stderr
    (written,) = (clone / "output").glob("*/baselines.md")
    assert rows_of(written.read_text()) == rows_of(text)
    told = rows_of((ROOT / "README.md").read_text())
    for preset in presets_of_the_documents():
        assert not run_command("report", "--config", f"configs/{preset}.yaml", folder=clone).stderr
        results = rows_of((clone / f"output/{preset}/report/results.md").read_text())
        (row,) = (row for row in told if row.startswith(f"| `{preset}` |"))
        assert row in results


def test_the_shipped_student_is_small():
    """Three formats and their card, so that a clone predicts without training."""
    files = {file.name: file.stat().st_size for file in (ROOT / "output/best/export").iterdir()}
    assert files.keys() == {*EXPORTED.values(), MODEL_CARD}
    assert sum(files.values()) < 2_000_000


@pytest.mark.long
def test_the_card_of_the_student_tells_what_its_predictions_say(clone, monkeypatch):
    """The five students of the folds, whose nets are not in the repository."""
    monkeypatch.chdir(clone)
    result = combine([run := load_run(load_config(Path("configs/best.yaml")))])
    students = student_run(run, teacher_of(result))
    status = job_status(students.identities)
    assert (len(status.done), status.missing, status.stale) == (6, [], {})
    card = Path("output/best/export", MODEL_CARD).read_text()
    assert rows_of(judge(result, students).table().markdown()) <= rows_of(card)
