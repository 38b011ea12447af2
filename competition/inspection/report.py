"""The results of a run as Markdown; computes nothing."""

from pathlib import Path

from competition import paths
from competition.atomic import atomic_file
from competition.inspection.ensemble_tables import (
    contributions_text,
    methods_text,
    scores_table,
)
from competition.inspection.evaluation import JobRow, Summary
from competition.markdown import score_cells, table
from competition.scores import Score


def jobs_table(rows: list[JobRow]) -> str:
    """Returns the finished jobs: errors, accuracy, and wall-clock and processor minutes."""
    header = ["variant", "seed", "fold", "errors", "rows", "accuracy", "minutes", "CPU minutes"]
    cells = [
        [
            row.job.variant,
            f"{row.job.seed}",
            row.job.split.removeprefix("fold"),
            *_held_out_cells(row.score),
            f"{row.minutes:.1f}",
            f"{row.cpu_minutes:.1f}",
        ]
        for row in rows
    ]
    return table(header, cells)


def _held_out_cells(score: Score | None) -> list[str]:
    """Returns errors, rows and accuracy; nothing where no rows were held out."""
    if score is None:
        return ["", "", ""]
    return [f"{score.errors}", f"{score.rows:,}", f"{score.accuracy:.5f}"]


def preset_table(summary: Summary) -> str:
    """Returns the one line that the README's results table has of a preset."""
    header = ["preset", "nets", "errors", "out-of-fold", "95 % interval", "log-loss"]
    header += ["training minutes", "CPU minutes", "machine"]
    # Jobs that ran side by side spent the same minutes.
    minutes = f"{sum(row.minutes / row.workers for row in summary.jobs):.1f}"
    cpu_minutes = f"{sum(row.cpu_minutes for row in summary.jobs):.1f}"
    cells = [f"`{summary.name}`", f"{summary.nets}", *score_cells(summary.scores.ensemble)]
    return table(header, [[*cells, minutes, cpu_minutes, "; ".join(summary.machines)]])


def write_report(config_name: str, summary: Summary) -> Path:
    """Writes `output/<config>/report/results.md` and returns it."""
    sections = {
        "At a glance": preset_table(summary),
        "Members and ensemble": scores_table(summary.scores),
        "Ensemble methods": methods_text(summary.comparison),
        "What each variant contributes": contributions_text(summary.contributions),
        "Jobs": jobs_table(summary.jobs),
        "Tuning": "\n".join(
            f"- [{tuned.parent.name}](../{tuned.relative_to(paths.output_folder(config_name))})"
            for tuned in paths.tuning_summaries(config_name)
        ),
    }
    parts = [f"# Results of `{config_name}`"]
    parts += [f"## {heading}\n\n{text}" for heading, text in sections.items() if text]
    path = paths.results_markdown(config_name)
    with atomic_file(path) as partial:
        partial.write_text("\n\n".join(parts) + "\n")
    return path
