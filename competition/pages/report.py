"""The report: sections of sentences, tables and figures, as a page, as Markdown and as files."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from competition import paths
from competition.analysis.summary import Summary
from competition.metrics import marked
from competition.pages.figures import Figure, write_figures
from competition.pages.html import render
from competition.pages.overview import refresh
from competition.pages.report_figures import (
    class_figures,
    confusion_figure,
    learning_figures,
    rates_figure,
    reliability_figure,
    sample_figures,
)
from competition.pages.report_tables import (
    agreement_tables,
    class_counts_table,
    classes_table,
    confusions_table,
    contributions_tables,
    folds_table,
    glance_table,
    jobs_table,
    methods_table,
    methods_words,
    preset_table,
    scores_table,
)
from competition.storage import atomic_folder
from competition.tables import Table

if TYPE_CHECKING:
    from markupsafe import Markup


@dataclass(frozen=True)
class Section:
    """A part of a report under a heading of its own.

    Attributes:
        key: its anchor in the page.
        words: paragraphs; names from a configuration stand in backticks.
        is_folded: whether the page shows only its title until a person opens it.
    """

    key: str
    title: str
    words: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    is_folded: bool = False


def write_report(summary: Summary) -> Path:
    """Writes and returns `output/<config>/report/`, or `report-<variant>/` of one variant.

    It has `index.html`, `results.md`, `figures/` (SVG and PNG) and `tables/` (CSV).
    """
    sections = sections_of(summary)
    final = paths.OutputPaths(summary.subject.run.config.name).report(summary.subject.variant)
    with atomic_folder(final) as folder:
        figures = [figure for section in sections for figure in section.figures]
        (folder / paths.FIGURES).mkdir()
        drawn = write_figures(folder / paths.FIGURES, figures, with_svg=True)
        (folder / paths.TABLES).mkdir()
        for table in [table for section in sections for table in section.tables]:
            table.write_csv(folder / paths.TABLES / f"{table.key}.csv")
        results, page = report_markdown(summary, sections), report_page(summary, sections, drawn)
        (folder / paths.RESULTS).write_text(results, encoding="utf-8")
        (folder / paths.PAGE).write_text(page, encoding="utf-8")
    refresh(summary.subject.run.config.name)
    return final


def sections_of(summary: Summary) -> list[Section]:
    """Returns the sections of a report, without those that would be empty."""
    classes = (
        f"The expected calibration error is {summary.calibration_error:.5f}: "
        "confidence and accuracy differ by this much on average over the rows."
    )
    return [
        _by_fold(summary),
        *_resampling(summary),
        _learning(summary),
        Section("confusion", "Confusions", tables=[confusions_table(summary)],
                figures=[confusion_figure(summary)]),
        Section("classes", "Classes and calibration", [classes], [classes_table(summary)],
                [*class_figures(summary), reliability_figure(summary)]),
        *_agreement(summary),
        *_methods(summary),
        *_contributions(summary),
        Section("samples", "Hard digits", figures=sample_figures(summary.subject.predicted)),
        Section("jobs", "Jobs", tables=[jobs_table(summary.jobs), glance_table(summary)],
                is_folded=True),
    ]  # fmt: skip


def _by_fold(summary: Summary) -> Section:
    rows, labelled = len(summary.subject.predicted), len(summary.subject.run.data_set.train)
    some = f"each of {rows:,} rows, out of {labelled:,} labelled ones,"
    which = "every labelled row" if rows == labelled else some
    words = (
        f"Out of fold: {which} is predicted by nets that were not trained on it. Unless a net is "
        "marked as selected, the last epoch is the one that counts."
        if summary.scores.is_selected
        else f"Out of fold: {which} is predicted by nets that never saw it; the last epoch is the "
        "one that counts."
    )
    tables = [scores_table(summary.scores, summary.subject.name), folds_table(summary)]
    return Section("folds", "Members and ensemble", [words], tables)


def _resampling(summary: Summary) -> list[Section]:
    table = class_counts_table(summary)
    return [Section("resampling", "Resampling", tables=[table])] if len(table.frame) else []


def _learning(summary: Summary) -> Section:
    variants = list(dict.fromkeys(job.variant for job in summary.histories))
    if not variants:
        return Section("learning", "Learning curves", ["Only nets learn in epochs."])
    settings = summary.subject.run.config.variants
    plain = [name for name in variants if settings[name].augmentation.name == "none"]
    digits = "digits without augmentation"
    if plain != variants:
        names = ", ".join(f"`{name}`" for name in plain)
        digits = "augmented digits" + (f" (of {names}: without augmentation)" if plain else "")
    words = (
        f"Training figures are of {digits}, averaged over each epoch while the net changes; "
        "validation figures are of the held-out digits as they are, at the epoch's end."
    )
    checks = [history["validation_loss"].count() for history in summary.histories.values()]
    if max(checks) <= 1:
        words += " These nets were validated once, at their end: that is a dot, and no curve."
    figures = []
    for variant in variants:
        own = {job: curve for job, curve in summary.histories.items() if job.variant == variant}
        figures += learning_figures(own, variant, variant not in plain)
    figures.append(rates_figure(summary.histories))
    return Section("learning", "Learning curves", [words], figures=figures)


def _agreement(summary: Summary) -> list[Section]:
    members = summary.subject.member_predictions.members
    if len(members) < 2:
        return []
    share = summary.agreement.unanimous / len(summary.subject.predicted)
    words = [f"All members predict the same class for {share:.2%} of the rows."]
    return [Section("agreement", "Member agreement", words, agreement_tables(summary))]


def _methods(summary: Summary) -> list[Section]:
    if not (comparison := summary.subject.comparison):
        return []
    tables = [methods_table(comparison)]
    return [Section("methods", "Ensemble methods", methods_words(comparison), tables)]


def _contributions(summary: Summary) -> list[Section]:
    # Pairs of members are in their own section.
    tables = contributions_tables(summary.contributions)[:1]
    title = "What each variant contributes"
    return [Section("contributions", title, tables=tables)] if tables else []


def report_page(summary: Summary, sections: list[Section], drawn: dict[str, "Markup"]) -> str:
    """Returns the page; `drawn` has each figure as SVG, by its key."""
    return render(
        "report.html",
        name=summary.subject.run.config.name,
        subject=summary.subject,
        tiles=_tiles(summary),
        sections=sections,
        drawn=drawn,
        folders={"figures": paths.FIGURES, "tables": paths.TABLES, "results": paths.RESULTS},
    )


def _tiles(summary: Summary) -> list[tuple[str, str, str]]:
    """Returns the key figures at the top of the page: name, value and note of each."""
    score = summary.scores.ensemble
    low, high = score.interval()
    return [
        ("errors", f"{score.errors:,}", f"in {score.rows:,} out-of-fold digits"),
        (
            marked("accuracy", summary.scores.is_selected),
            f"{score.accuracy:.5f}",
            f"95%: {low:.5f} – {high:.5f}",
        ),
        ("log-loss", f"{score.log_loss:.5f}", "nats per digit"),
        ("calibration error", f"{summary.calibration_error:.5f}", "confidence beside accuracy"),
        ("training", f"{summary.minutes:.1f} min", f"processor time {summary.cpu_minutes:.1f} min"),
    ]


def report_markdown(summary: Summary, sections: list[Section]) -> str:
    """Returns the report as Markdown, with links to its figures."""
    subject = summary.subject
    about = f", variant `{subject.variant}`" if subject.variant else ""
    key_figures = preset_table(summary).markdown_with_note()
    parts = [f"# Results of `{subject.run.config.name}`{about}", key_figures]
    for section in sections:
        parts += [f"## {section.title}", *section.words]
        for table in section.tables:
            rows = table.markdown() if len(table.frame) else ""
            parts += [f"### {table.title}", *filter(None, [rows, table.note])]
        for figure in section.figures:
            address = f"{paths.FIGURES}/{figure.key}.svg"
            parts.append(f"![{figure.title}]({address})\n\n{figure.title}. {figure.caption}")
    return "\n\n".join(parts) + "\n"
