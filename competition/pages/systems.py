"""Systems side by side, as tables and files; and a short page of any command's answer."""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from competition import paths
from competition.analysis.systems import Baseline, Compared
from competition.ensemble.comparison import SIGNIFICANT
from competition.metrics import SELECTED_NOTE
from competition.pages.html import render
from competition.pages.overview import linked
from competition.storage import atomic_file, atomic_folder, write_text
from competition.tables import (
    ERRORS_COLUMN,
    SCORE_COLUMNS,
    Column,
    Table,
    errors_values,
    score_values,
)

COMPARED_NOTE = (
    "The difference is to the first run, on the rows of both, with its 95% interval (paired "
    "bootstrap): below 0 is better. Gained, lost: rows that only this run, or only the first, "
    "predicts correctly, with the p of McNemar's test. Training again with another seed changes a "
    "run, too."
)
BASELINES_NOTE = (
    "Errors are counted on the held-out rows; the column `rows` has their number{}. A variant with "
    "several seeds has two lines: its first seed, and the mean of all. Parameters are per net; "
    "minutes are training time, divided by the number of jobs side by side; precision, recall and "
    "F1 are means over the classes. Authors measured their claims on rows of their own; a claim "
    "is not reached if the accuracy here is below it."
)


def compared_table(runs: list[Compared]) -> Table:
    """Returns one line per run; the first is the one that all others stand beside."""
    rows = [
        {
            "run": each.name,
            **errors_values(each.score),
            "accuracy": each.score.accuracy,
            "log_loss": each.score.log_loss,
            "best_member": each.best_member[0],
            "best_member_errors": each.best_member[1].errors,
            "minutes": each.minutes,
            "rows_of_both": each.rows or None,
            **dict(zip(GAP, each.gap or (None,) * 3, strict=True)),
            "gained": each.errors and each.errors.gained,
            "lost": each.errors and each.errors.lost,
            "mcnemar_p": each.errors and each.errors.p_value,
            "verdict": each.gap.verdict if each.gap else "",
        }
        for each in runs
    ]
    frame = pd.DataFrame(rows).astype(dict.fromkeys(["rows_of_both", "gained", "lost"], "Int64"))
    columns = [
        Column("run"), ERRORS_COLUMN, replace(SCORE_COLUMNS[1], is_detail=True), SCORE_COLUMNS[-1],
        Column("best member alone", "{}: {}", ("best_member", "best_member_errors"),
               is_detail=True),
        Column("minutes", "{:.1f}"),
        Column("difference in log-loss", "{:+.5f} ({:+.5f} … {:+.5f})", GAP),
        Column("gained, lost", "{}, {}", ("gained", "lost"), is_detail=True),
        Column("p", "{:.2g}", ("mcnemar_p",), is_detail=True),
        Column("verdict"),
    ]  # fmt: skip
    title = f"Runs beside {runs[0].name}"
    return Table("runs", title, frame, columns, COMPARED_NOTE, strong=runs[0].name)


GAP = ("log_loss_above_first", "log_loss_above_first_low", "log_loss_above_first_high")


def verdict_of_runs(runs: list[Compared]) -> str:
    """Returns in one sentence which runs are better or worse than the first."""
    first, *others = runs
    if not others:
        return f"{first.name} is the only run: train another under a name of its own, and compare"
    found: dict[str, list[str]] = {}
    for each in others:
        verdict = each.gap.verdict if each.gap else "no row in common"
        if verdict in ("better", "worse"):
            verdict = f"{verdict} than {first.name} by log-loss"
        found.setdefault(verdict, []).append(each.name)
    # The rows of both may be fewer than those that the table counts errors in.
    tied = [
        f"{each.name} ({each.errors.gained} gained, {each.errors.lost} lost of {each.rows:,} rows)"
        for each in others
        if each.errors and each.errors.p_value >= SIGNIFICANT
    ]
    said = found | ({"errors within chance": tied} if tied else {})
    return "; ".join(f"{verdict}: {', '.join(names)}" for verdict, names in said.items())


def write_comparison(runs: list[Compared], table: Table) -> Path:
    """Writes `output/comparison/` with page and CSV, and returns the page's path."""
    with atomic_folder(paths.COMPARISON) as folder:
        table.write_csv(folder / "runs.csv")
        links = [
            (each.name, f"../{each.config}/{page.name}")
            for each in runs
            if (page := paths.OutputPaths(each.config).page).exists()
        ]
        text = linked(answer_page("Runs compared", verdict_of_runs(runs), [table]), links)
        (folder / paths.PAGE).write_text(text, encoding="utf-8")
    return paths.COMPARISON / paths.PAGE


def answer_page(
    title: str, verdict: str, tables: list[Table], pictures: Sequence[Path] = ()
) -> str:
    """Returns a page with a verdict, tables, and PNG files inside."""
    drawn = {
        picture.stem.replace("_", " "): f"data:image/png;base64,{_base64(picture)}"
        for picture in pictures
    }
    return render("answer.html", title=title, verdict=verdict, tables=tables, pictures=drawn)


def _base64(file: Path) -> str:
    return b64encode(file.read_bytes()).decode()


def baselines_table(baselines: list[Baseline]) -> Table:
    """Returns one line per system."""
    rows = [
        {
            "system": each.name,
            "configuration": each.config,
            "title": each.title,
            "nets": each.nets,
            "parameters": each.parameters,
            "minutes": each.minutes,
            "rows": each.score.rows,
            **score_values(each.score),
            "precision": each.precision,
            "recall": each.recall,
            "F1": each.f1,
            "claimed": f"{each.claim} (not reached)" if each.falls_short else each.claim,
        }
        for each in baselines
    ]
    frame = pd.DataFrame(rows).drop(columns="log_loss")
    columns = [
        Column("system"), Column("configuration"),
        Column("what it is", names=("title",), is_detail=True),
        Column("nets", is_detail=True), Column("parameters", "{:,}", is_detail=True),
        Column("minutes", "{:.1f}"), Column("rows", "{:,}"),
        *SCORE_COLUMNS[:2], replace(SCORE_COLUMNS[2], is_detail=True),
        *(Column(each, "{:.4f}", is_detail=True) for each in ("precision", "recall", "F1")),
        Column("claimed"),
    ]  # fmt: skip
    has_other_rows = len({each.score.rows for each in baselines}) > 1
    others = "; it differs between systems, so compare only shares"
    note = BASELINES_NOTE.format(others if has_other_rows else "")
    if any(each.is_selected for each in baselines):
        note = f"{note} {SELECTED_NOTE}"
    return Table("systems", "Systems", frame, columns, note)


def write_baselines(config_name: str, table: Table) -> Path:
    """Writes `output/<config>/baselines.md` and `.csv`, and returns the path of the former."""
    path = paths.OutputPaths(config_name).baselines
    write_text(path, f"# Systems of `{config_name}`\n\n{table.markdown_with_note()}\n")
    with atomic_file(path.with_suffix(".csv")) as partial:
        table.write_csv(partial)
    return path
