"""Systems side by side, beside what their authors claim, as a table; computes nothing."""

from pathlib import Path

from competition import paths
from competition.atomic import atomic_file, write_text
from competition.inspection.evaluation.systems import System
from competition.inspection.presentation.table import Column, Table
from competition.inspection.report.ensemble_tables import SCORE_COLUMNS, note_of, score_cells


def systems_table(systems: list[System]) -> Table:
    """Returns a line for each system."""
    errors, accuracy, interval, _ = SCORE_COLUMNS
    columns = [
        Column("system"),
        Column("what it is", names=("title",)),
        Column("nets"),
        Column("parameters", "{:,}"),
        Column("minutes", "{:.1f}"),
        Column("rows", "{:,}"),
        *(errors, accuracy, interval),
        *(Column(what, "{:.4f}") for what in ("precision", "recall", "F1")),
        Column("claimed"),
    ]
    is_selected = any(system.is_selected for system in systems)
    note = " ".join([_note(systems), note_of(is_selected)]).strip()
    return Table("systems", "Systems", columns, [_cells(each) for each in systems], note)


def _note(systems: list[System]) -> str:
    others = len({system.score.rows for system in systems}) > 1
    return (
        "Errors are counted on the held-out rows, as many as the column `rows` says"
        f"{'; some systems have other rows, so only shares can be compared' if others else ''}. "
        "A variant of several seeds stands here with its first one, and then with the mean of "
        "all. Parameters are of one net; minutes are of training, divided by the jobs side by "
        "side; precision, recall and F1 are means over the classes. What is claimed was measured "
        "by its authors on rows of their own; it is not reached where the accuracy here is below "
        "it."
    )


def _cells(system: System) -> list:
    figures = [*score_cells(system.score)[:3], system.precision, system.recall, system.f1]
    return [
        *(system.name, system.title, system.nets, system.parameters, system.minutes),
        system.score.rows,
        *figures,
        f"{system.claim} (not reached)" if system.falls_short else system.claim,
    ]


def write_systems(config_name: str, table: Table) -> Path:
    """Writes `output/<config>/systems.md` and `systems.csv`, and returns the former."""
    path = paths.systems_file(config_name)
    write_text(path, f"# Systems of `{config_name}`\n\n{table.markdown_with_note()}\n")
    with atomic_file(path.with_suffix(".csv")) as partial:
        table.write_csv(partial)
    return path
