"""The house rules: who may import whom, and that nothing heavy happens at import."""

import ast
import statistics
from pathlib import Path

import pytest
from conftest import ROOT, run_code

from competition import catalogue

PACKAGE = ROOT / "competition"
WINGS = (
    "bench", "data", "ensemble", "inspection", "kaggle", "models", "training", "tuning"
)  # fmt: skip
GROUND = "ground floor"

# Each wing, and the wings that it may import besides itself and the ground floor.
MAY_IMPORT = {
    GROUND: set(),
    "data": set(),
    "models": set(),
    "kaggle": {"data"},
    "training": {"data", "models"},
    "tuning": {"data", "training"},
    "ensemble": {"data"},
    "bench": {"data", "training"},
    "inspection": {"ensemble", "data", "training"},
}
# The same within inspection: numbers draw nothing, and pages compute nothing.
NUMBERS = {"evaluation": set(), "data_study": set(), "maps": {"evaluation"}}
PAGES = {
    "presentation": set(),
    "gallery": {"evaluation", "presentation"},
    "report": {"evaluation", "presentation"},
    "exploration": {"data_study", "presentation"},
    "why": {"evaluation", "maps", "presentation"},
}
INSPECTION = PACKAGE / "inspection"
MAPS_NEED = ("batches", "prediction", "runtime")
TO_DRAW = {"matplotlib", "jinja2", "markupsafe", "cv2"}
TO_COMPUTE = {"scipy", "sklearn", "threadpoolctl", "tensorflow", "keras"}
# The command line may import all, and nobody imports it.
TOP = {PACKAGE / "__main__.py", PACKAGE / "commands.py"}
FILES = sorted(PACKAGE.rglob("*.py"))


def module_of(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts)


def imported_modules(file: Path) -> set[str]:
    """Returns the project's modules that a file imports anywhere in its text."""
    return {name for name in imports(file) if name.startswith("competition.")}


def imports(file: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} has a relative import"
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return names


def wing_of(module: str) -> str:
    second = module.split(".")[1]
    return second if second in WINGS else GROUND


@pytest.mark.parametrize("file", [f for f in FILES if f not in TOP], ids=str)
def test_imports_point_downwards(file):
    module = module_of(file)
    own = wing_of(module) if file.parent != PACKAGE else GROUND
    allowed = MAY_IMPORT[own] | {own} | (set() if own == "models" else {GROUND})
    modules = imported_modules(file)
    assert not any(name.startswith("competition.commands") for name in modules)
    found = {wing_of(name) for name in modules}
    assert found <= allowed, f"{module} imports {found - allowed}"


def test_kaggle_reads_digits_but_makes_none():
    files = (PACKAGE / "kaggle").glob("*.py")
    used = {name for file in files for name in imported_modules(file) if ".data." in name}
    assert all(name.startswith("competition.data.sources") for name in used)


def test_every_folder_of_inspection_has_its_rule():
    folders = {file.parent.name for file in INSPECTION.glob("*/__init__.py")}
    assert folders == NUMBERS.keys() | PAGES.keys()
    assert [file.name for file in INSPECTION.glob("*.py")] == ["__init__.py"]


@pytest.mark.parametrize("folder", [*NUMBERS, *PAGES])
def test_numbers_draw_nothing_and_pages_compute_nothing(folder):
    allowed = {folder} | (NUMBERS | PAGES)[folder]
    forbidden = TO_DRAW if folder in NUMBERS else TO_COMPUTE
    for file in (INSPECTION / folder).glob("*.py"):
        inner = {n for n in imported_modules(file) if n.startswith("competition.inspection.")}
        assert {name.split(".")[2] for name in inner} <= allowed, file
        assert not {name.split(".")[0] for name in imports(file)} & forbidden, file


def test_maps_alone_load_models_and_train_none():
    for file in INSPECTION.rglob("*.py"):
        used = {name for name in imports(file) if name.split(".")[0] in ("keras", "tensorflow")}
        used |= {name for name in imported_modules(file) if wing_of(name) in ("training", "models")}
        allowed = ("keras", *(f"competition.training.{n}" for n in MAPS_NEED))
        assert all(file.parent.name == "maps" and name.startswith(allowed) for name in used), file


def test_there_is_no_circle():
    files = [file for file in FILES if file not in TOP and file.name != "__init__.py"]
    waiting = {module_of(file): imported_modules(file) - {module_of(file)} for file in files}
    while waiting:
        free = {name for name, needs in waiting.items() if not needs & waiting.keys()}
        assert free, f"a circle among {sorted(waiting)}"
        waiting = {name: needs for name, needs in waiting.items() if name not in free}


def lines_without_docstring(function: ast.FunctionDef) -> int:
    text = ast.get_docstring(function, clean=False)
    return function.end_lineno - function.lineno + 1 - (text.count("\n") + 1 if text else 0)


def test_functions_and_files_stay_short():
    trees = {file: ast.parse(file.read_text()) for file in FILES}
    functions = [
        node for tree in trees.values() for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
    ]  # fmt: skip
    assert statistics.median(map(lines_without_docstring, functions)) <= 10
    assert max(map(lines_without_docstring, functions)) <= 35
    assert max(len(file.read_text().splitlines()) for file in FILES) <= 300


@pytest.mark.parametrize("module", ["competition.__main__", "competition.commands"])
def test_nothing_heavy_is_imported_early(module):
    heavy = ("tensorflow", "keras", "albumentations", "matplotlib", "pandas", "kaggle", "sklearn")
    heavy += ("optuna",)
    code = f"import sys, {module}; print([n for n in {heavy!r} if n in sys.modules])"
    done = run_code(code)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize(
    "location",
    [*catalogue.ARCHITECTURES.values(), *catalogue.AUGMENTATIONS.values(),
     *catalogue.ENSEMBLE_METHODS.values(), *catalogue.SAMPLERS.values(),
     *catalogue.PRUNERS.values(), *catalogue.SCHEDULES.values(), *catalogue.CALLBACKS.values(),
     *catalogue.RESAMPLINGS.values()],
)  # fmt: skip
def test_every_name_of_the_catalogue_resolves(location):
    module, function = location.split(":")
    found = catalogue.resolve(location)
    assert callable(found)
    assert (found.__module__, found.__name__) == (module, function)
    assert found.__doc__


@pytest.mark.parametrize(
    ("signature", "problem"), [("width=16", "nothing"), ("sizes: tuple = (3, 5)", "tuple")]
)
def test_a_parameter_that_yaml_cannot_give_is_named(tmp_path, monkeypatch, signature, problem):
    (tmp_path / "unusual.py").write_text(f"def net({signature}):\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(TypeError, match=f"is annotated with {problem}, but a configuration"):
        catalogue.parameters.__wrapped__("unusual:net")


def test_parameters_are_read_without_importing():
    found = catalogue.parameters("competition.models.large_kernel:large_kernel")
    assert found == {"width": ("int", 16), "kernel_size": ("int", 7)}
