"""The results of a run as Markdown; computes nothing."""

from pathlib import Path

from competition import paths
from competition.atomic import atomic_file
from competition.inspection.evaluation import JobRow, Summary
from competition.markdown import score_cells, table


def jobs_table(rows: list[JobRow]) -> str:
    """Returns the finished jobs: errors, accuracy, and wall-clock and processor minutes."""
    header = ["variant", "seed", "fold", "errors", "rows", "accuracy", "minutes", "CPU minutes"]
    cells = [
        [
            row.job.variant,
            f"{row.job.seed}",
            row.job.split.removeprefix("fold"),
            f"{row.score.errors}",
            f"{row.score.rows:,}",
            f"{row.score.accuracy:.5f}",
            f"{row.minutes:.1f}",
            f"{row.cpu_minutes:.1f}",
        ]
        for row in rows
    ]
    return table(header, cells)


def scores_table(summary: Summary) -> str:
    """Returns the out-of-fold scores of the members and, last, of their ensemble.

    Its last line leaves out fold 0, on which settings are tried out.
    """
    header = ["out of fold", "errors", "accuracy", "95 % interval", "log-loss"]
    scores = {
        **summary.members,
        "**ensemble**": summary.ensemble,
        "ensemble, without fold 0": summary.without_fold0,
    }
    return table(header, [[name, *score_cells(score)] for name, score in scores.items()])


def preset_table(summary: Summary) -> str:
    """Returns the one line that the README's results table has of a preset."""
    header = ["preset", "nets", "errors", "out-of-fold", "95 % interval", "log-loss"]
    header += ["training minutes", "CPU minutes", "machine"]
    # Jobs that ran side by side spent the same minutes.
    minutes = f"{sum(row.minutes / row.workers for row in summary.jobs):.1f}"
    cpu_minutes = f"{sum(row.cpu_minutes for row in summary.jobs):.1f}"
    cells = [f"`{summary.name}`", f"{len(summary.jobs)}", *score_cells(summary.ensemble)]
    return table(header, [[*cells, minutes, cpu_minutes, "; ".join(summary.machines)]])


def write_report(config_name: str, summary: Summary) -> Path:
    """Writes `output/<config>/report/results.md` and returns it."""
    sections = {
        "At a glance": preset_table(summary),
        "Members and ensemble": scores_table(summary),
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
