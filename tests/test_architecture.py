"""The house rules: who may import whom, and that nothing heavy happens at import."""

import ast
from pathlib import Path

import pytest
from conftest import ROOT, run_code

from competition.config import registry

PACKAGE = ROOT / "competition"
GROUND = "ground floor"

# Each wing, and the wings that it may import besides itself and the ground floor.
MAY_IMPORT: dict[str, set[str]] = {
    GROUND: {"config"},
    "config": set(),
    "data": {"config"},
    "models": set(),
    "training": {"config", "data", "models"},
    "tuning": {"config", "data", "training"},
    "ensemble": {"config", "data"},
    "analysis": {"config", "data", "ensemble", "training"},
    "pages": {"config", "data", "ensemble", "analysis"},
    "deployment": {"config", "data", "models", "training", "ensemble"},
    "kaggle": {"config", "data"},
}
# Where a wing may use a part of another one only.
ONLY = {
    ("kaggle", "data"): {"competition.data.loading", "competition.data.run"},
    ("analysis", "training"): {"competition.training.predict", "competition.training.resources"},
}
# Numbers draw nothing, and pages compute nothing.
NEVER = {
    "analysis": {"matplotlib", "jinja2", "markupsafe", "cv2"},
    "pages": {"scipy", "sklearn", "threadpoolctl", "tensorflow", "keras"},
    "kaggle": {"tensorflow", "keras"},
}
# The command line may import all, and nobody imports it.
TOP = {PACKAGE / "__main__.py", PACKAGE / "commands.py"}
FILES = sorted(PACKAGE.rglob("*.py"))


def module_of(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(file: Path) -> set[str]:
    """Returns every module and name that a file imports, anywhere in its text."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} has a relative import"
            names |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return names


MODULES = {module_of(file): file for file in FILES}
IMPORTS = {name: imports(file) for name, file in MODULES.items()}


def wing_of(module: str) -> str:
    second = module.split(".")[1]
    return second if second in MAY_IMPORT else GROUND


def rooms_imported(module: str) -> set[str]:
    """Returns the project's files that a module imports; a package's own file is none of them."""
    return {name for name in IMPORTS[module] & MODULES.keys() if not is_package(name)} - {module}


def is_package(module: str) -> bool:
    return MODULES[module].name == "__init__.py"


ROOMS = [name for name in MODULES if not is_package(name) and MODULES[name] not in TOP]


@pytest.mark.parametrize("module", ROOMS)
def test_imports_point_downwards(module):
    wing = wing_of(module)
    allowed = MAY_IMPORT[wing] | {wing} | (set() if wing == "models" else {GROUND})
    used = rooms_imported(module)
    assert not used & {"competition.__main__", "competition.commands"}
    assert {wing_of(name) for name in used} <= allowed
    for other in MAY_IMPORT[wing]:
        rooms = {name for name in used if wing_of(name) == other}
        assert rooms <= ONLY.get((wing, other), rooms)
    assert not {name.split(".")[0] for name in IMPORTS[module]} & NEVER.get(wing, set())
    assert "benchmarks" not in {name.split(".")[0] for name in IMPORTS[module]}


def test_only_one_room_of_analysis_loads_models():
    loading = {name for name in ROOMS if wing_of(name) == "analysis" and "keras" in IMPORTS[name]}
    assert loading == {"competition.analysis.trained_net"}


def test_there_is_no_circle():
    waiting = {name: rooms_imported(name) for name in ROOMS}
    while waiting:
        free = {name for name, needs in waiting.items() if not needs & waiting.keys()}
        assert free, f"a circle among {sorted(waiting)}"
        waiting = {name: needs for name, needs in waiting.items() if name not in free}


@pytest.mark.parametrize("module", ["competition.__main__", "competition.commands"])
def test_nothing_heavy_is_imported_early(module):
    heavy = ("tensorflow", "keras", "albumentations", "matplotlib", "pandas", "kaggle", "sklearn")
    heavy += ("optuna", "scipy")
    code = f"import sys, {module}; print([n for n in {heavy!r} if n in sys.modules])"
    done = run_code(code)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize(
    "location",
    [*registry.ARCHITECTURES.values(), *registry.AUGMENTATIONS.values(),
     *registry.ENSEMBLE_METHODS.values(), *registry.SAMPLERS.values(),
     *registry.PRUNERS.values(), *registry.SCHEDULES.values(), *registry.CALLBACKS.values(),
     *registry.RESAMPLINGS.values()],
)  # fmt: skip
def test_every_name_of_the_registry_resolves(location):
    module, function = location.split(":")
    found = registry.resolve(location)
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
        registry.parameters.__wrapped__("unusual:net")


def test_parameters_are_read_without_importing():
    found = registry.parameters("competition.models.large_kernel:large_kernel")
    assert found == {"width": ("int", 16), "kernel_size": ("int", 7)}
