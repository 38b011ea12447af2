"""What the repository has of trained presets still belongs to their configurations."""

import json
import re
from pathlib import Path

import pytest
from conftest import ROOT

from competition.config import load_config
from competition.results import Job

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


def test_the_presets_of_the_readme_are_shipped():
    table = re.findall(r"^\| `(\w+)` \| (\d+) \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    shipped = [job_of(path).config for path in MANIFESTS]
    assert {"fast", "default"} <= {name for name, _ in table}
    assert {name: int(nets) for name, nets in table} == {
        name: shipped.count(name) for name, _ in table
    }


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: "-".join(path.parts[1:-1]))
def test_a_shipped_result_has_the_settings_of_its_configuration(path):
    job, identity = job_of(path), manifest(path)["identity"]
    variant = load_config(ROOT / f"configs/{job.config}.yaml").variants[job.variant]
    assert identity["variant"] == variant.identity()
    assert (identity["seed"], identity["split"]) == (job.seed, job.split)
    assert job.seed in variant.seeds


def test_the_table_of_the_classic_systems_is_of_the_shipped_results():
    text = (ROOT / "docs/baselines.md").read_text()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    told = {row[0].removesuffix(" (selected)"): row for row in rows if len(row) == 13}
    for path in MANIFESTS:
        job, known = job_of(path), manifest(path)
        if (job.config, job.seed) == ("baselines", 0):
            _, _, nets, parameters, minutes, *_ = told[job.variant]
            assert nets == "1"
            assert parameters == f"{known['parameters']:,}"
            assert minutes == f"{known['minutes'] / known['workers']:.1f}"
