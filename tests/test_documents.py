"""README and docs: nothing that is there is left out, and no link leads nowhere."""

import re

import pytest
import yaml
from conftest import ROOT

from competition.config import registry
from competition.config.components import SECTIONS, components_page
from competition.config.loading import Config
from competition.config.schema import Variant

PACKAGE = ROOT / "competition"
README = ROOT / "README.md"
DOCUMENTS = [README, ROOT / "EXPERIMENTS.md", *sorted((ROOT / "docs").glob("*.md"))]


def table_keys(name: str) -> dict[str, str]:
    """Returns of all tables of a document the first cell in backticks, with the cell after it."""
    text = (ROOT / "docs" / name).read_text()
    return dict(re.findall(r"^\| `([^`]+)` \| ([^|]*?) \|", text, re.MULTILINE))


def anchors(text: str) -> set[str]:
    """Returns the names that GitHub gives to a document's headings."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_file_has_a_line():
    files = [*PACKAGE.rglob("*.py"), *(ROOT / "benchmarks").glob("*.py")]
    paths = {str(file.relative_to(ROOT)) for file in files if file.name != "__init__.py"}
    named = {name for name in table_keys("files.md") if name.endswith(".py")}
    assert named == paths


def test_the_readme_has_every_target():
    makefile, readme = (ROOT / "Makefile").read_text(), README.read_text()
    (targets,) = re.findall(r"^TARGETS := (.*)$", makefile, re.MULTILINE)
    table = "\n".join(line for line in readme.splitlines() if line.startswith("| `make "))
    assert [name for name in targets.split() if f"`make {name}`" not in table] == []


def test_every_setting_has_a_line_with_its_default():
    told = table_keys("settings.md")
    assert told.keys() == Config.model_fields.keys() | Variant.model_fields.keys()
    for name, field in Variant.model_fields.items():
        if re.fullmatch("`.*`", told[name]):
            assert told[name] == f"`{getattr(field.default, 'name', field.default)}`"


def test_the_page_of_components_is_what_the_code_says():
    """`make docs` writes it."""
    assert (ROOT / "docs/components.md").read_text() == components_page()


@pytest.mark.parametrize(("title", "_", "kind"), SECTIONS)
def test_every_component_has_a_line_with_its_parameters(title, _, kind):
    (section,) = re.findall(
        rf"^## {title}$(.*?)(?=^## |\Z)", components_page(), re.MULTILINE | re.DOTALL
    )
    rows = re.findall(r"^\| `([^`]+)` \| (.*?) \| (.*) \|$", section, re.MULTILINE)
    told = {name: yaml.safe_load("{" + cell.strip("`–") + "}") for name, cell, _ in rows}
    assert told == {
        name: {key: value for key, (_, value) in registry.parameters(location).items()}
        for name, location in kind.choices.items()
    }
    assert all(words for *_, words in rows)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document):
    for link in re.findall(r"\]\(([^)]+)\)", document.read_text()):
        if not link.startswith("https://"):
            path, _, anchor = link.partition("#")
            target = document.parent / path if path else document
            assert target.exists(), link
            assert not anchor or anchor in anchors(target.read_text()), link
