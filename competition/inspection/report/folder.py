"""The folder of a report: page, Markdown, figures, tables; computes nothing."""

from pathlib import Path

from competition import paths
from competition.atomic import atomic_folder
from competition.inspection.evaluation.summary import Summary
from competition.inspection.presentation.drawing import write_plot
from competition.inspection.presentation.table import Table
from competition.inspection.report.page import report_page
from competition.inspection.report.sections import Section, sections_of
from competition.progress import with_progress


def write_report(summary: Summary) -> Path:
    """Writes `output/<config>/report/` anew, or `report-<variant>/` of one variant.

    Returns:
        The folder: `index.html`, `results.md`, `figures/` (SVG and PNG), `tables/` (CSV).
    """
    sections = sections_of(summary)
    subject = summary.subject
    final = paths.report_folder(subject.run.config.name, subject.variant)
    with atomic_folder(final) as folder:
        drawn = _write_plots(folder / paths.FIGURES, sections)
        _write_tables(folder / paths.TABLES, sections)
        _write(folder / paths.RESULTS, report_markdown(summary, sections))
        _write(folder / paths.PAGE, report_page(summary, sections, drawn))
    return final


def _write_plots(folder: Path, sections: list[Section]) -> dict[str, str]:
    """Returns each figure for the page, by its key."""
    folder.mkdir()
    plots = [plot for each in sections for plot in each.plots]
    drawn = with_progress(f"drawing {len(plots)} figures", plots)
    return {plot.key: write_plot(folder, plot) for plot in drawn}


def _write_tables(folder: Path, sections: list[Section]) -> None:
    folder.mkdir()
    for section in sections:
        for table in section.tables:
            table.write_csv(folder / f"{table.key}.csv")


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def report_markdown(summary: Summary, sections: list[Section]) -> str:
    """Returns the report as Markdown, with links to its figures."""
    subject = summary.subject
    about = f", variant `{subject.variant}`" if subject.variant else ""
    parts = [f"# Results of `{subject.run.config.name}`{about}"]
    for section in sections:
        parts += [f"## {section.title}", *section.words]
        parts += [part for table in section.tables for part in _table_parts(table)]
        parts += [
            f"![{plot.title}]({paths.FIGURES}/{plot.key}.svg)\n\n{plot.title}. {plot.caption}"
            for plot in section.plots
        ]
    return "\n\n".join(parts) + "\n"


def _table_parts(table: Table) -> list[str]:
    rows = [table.markdown()] if table.rows else []
    return [f"### {table.title}", *rows, *([table.note] if table.note else [])]
