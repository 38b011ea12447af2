"""The notebook as it is committed, and executed once with nets that take seconds."""

import json
import shutil
from pathlib import Path

import nbformat
import pytest
import yaml
from conftest import ROOT, run_command
from nbclient import NotebookClient

NOTEBOOK = ROOT / "notebooks" / "walkthrough.ipynb"
LARGEST_FILE = 500_000


@pytest.fixture(scope="module")
def committed() -> nbformat.NotebookNode:
    return nbformat.read(NOTEBOOK, as_version=4)


@pytest.fixture(scope="module")
def executed(committed, tiny_files, tmp_path_factory) -> tuple[Path, nbformat.NotebookNode]:
    """A checkout with small nets and few digits, and the notebook as it ran there."""
    checkout = tmp_path_factory.mktemp("checkout")
    copy = checkout / "notebooks" / NOTEBOOK.name
    copy.parent.mkdir()
    shutil.copy(NOTEBOOK, copy)
    shutil.copytree(tiny_files, checkout / "input" / "embedded")
    write_small_preset(checkout / "configs" / "demo.yaml")
    notebook = nbformat.read(copy, as_version=4)
    own = {"PYTHONPATH": str(ROOT), "IPYTHONDIR": str(checkout / ".ipython")}
    own |= {"JUPYTER_RUNTIME_DIR": str(checkout / ".jupyter")}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in own.items():
            patch.setenv(name, value)
        resources = {"metadata": {"path": str(copy.parent)}}
        NotebookClient(notebook, timeout=900, resources=resources).execute()
    return checkout, notebook


def write_small_preset(path: Path) -> None:
    preset = yaml.safe_load((ROOT / "configs" / "demo.yaml").read_text())
    preset["defaults"] |= {"epochs": 2, "validate_every": 1, "precision": "float32"}
    for variant in preset["variants"].values():
        variant["architecture"] = {"width": 4}
    path.parent.mkdir()
    path.write_text(yaml.safe_dump(preset))


@pytest.mark.long
def test_the_demo_goes_from_download_to_report(tmp_path, tiny_files):
    shutil.copytree(tiny_files, tmp_path / "input" / "embedded")
    write_small_preset(tmp_path / "configs" / "demo.yaml")
    done = run_command("demo", "--jobs", "2", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    for file in ("output/demo/gallery/index.html", "output/demo/report/index.html"):
        assert (tmp_path / file).exists()
    assert (tmp_path / "submissions/demo.csv").exists()


def code_cells(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def kinds(cell: nbformat.NotebookNode) -> set[str]:
    """Returns what a cell shows: streams by their names, the rest by their media types.

    Without HTML, of which progress bars are made: they show up only where work takes time.
    """
    found = set()
    for output in cell.outputs:
        found |= {output.name} if output.output_type == "stream" else output.data.keys()
    return found - {"text/html"}


@pytest.mark.long
def test_it_runs_as_it_is_committed(committed, executed):
    checkout, ran = executed
    sources = [(cell.cell_type, cell.source) for cell in committed.cells]
    assert [(cell.cell_type, cell.source) for cell in ran.cells] == sources
    assert (checkout / "output/walkthrough/report/index.html").exists()
    assert (checkout / "output/walkthrough/gallery/index.html").exists()
    assert (checkout / "submissions/walkthrough.csv").exists()
    assert len(list(checkout.glob("output/walkthrough/jobs/*/*/*/manifest.json"))) == 9


@pytest.mark.long
def test_what_is_committed_shows_what_the_code_shows(committed, executed):
    shown = {cell.id: kinds(cell) for cell in code_cells(committed)}
    assert {cell.id: kinds(cell) for cell in code_cells(executed[1])} == shown
    assert [kind for of_cell in shown.values() for kind in of_cell].count("image/png") == 5


def test_it_is_committed_as_it_ran_from_the_first_cell_to_the_last(committed):
    cells = code_cells(committed)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = json.dumps([cell.outputs for cell in cells])
    assert "stderr" not in outputs
    assert str(Path.home()) not in outputs
    assert NOTEBOOK.stat().st_size < LARGEST_FILE
