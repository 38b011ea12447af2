"""What a report tells, in its order: sections of sentences, tables and figures."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from competition import paths
from competition.analysis.predictions import ENSEMBLE
from competition.analysis.summary import Summary
from competition.console import with_progress
from competition.metrics import marked
from competition.pages.figures import Plot, write_plot
from competition.pages.html import render
from competition.pages.report_figures import (
    agreement_plot,
    class_plots,
    confusion_plots,
    learning_plots,
    reliability_plot,
    sample_plots,
)
from competition.pages.report_tables import (
    agreement_tables,
    class_counts_table,
    classes_table,
    confusion_table,
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


@dataclass(frozen=True)
class Section:
    """A part of a report under a heading of its own.

    Attributes:
        key: its place in the page.
        title: its heading.
        words: paragraphs, in which names out of a configuration stand in backticks.
        tables: shown first.
        plots: shown below, two side by side where there is room.
    """

    key: str
    title: str
    words: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    plots: list[Plot] = field(default_factory=list)


def sections_of(summary: Summary) -> list[Section]:
    """Returns the sections that have something to tell of a run."""
    return [
        _glance(summary),
        _by_fold(summary),
        *_resampling(summary),
        _learning(summary),
        _confusion(summary),
        _classes(summary),
        _calibration(summary),
        *_agreement(summary),
        *_methods(summary),
        *_contributions(summary),
        *_tuning(summary),
        _samples(summary),
        Section("jobs", "Jobs", tables=[jobs_table(summary.jobs)]),
    ]


def _glance(summary: Summary) -> Section:
    tables = [preset_table(summary), glance_table(summary)]
    return Section("glance", "At a glance", tables=tables)


def _tuning(summary: Summary) -> list[Section]:
    found = paths.tuning_summaries(summary.subject.run.config.name)
    words = [f"`{each.parent.name}` was tuned: see `{each}`." for each in found]
    return [Section("tuning", "Tuning", words)] if words else []


def _by_fold(summary: Summary) -> Section:
    rows, labelled = len(summary.subject.predicted), len(summary.subject.run.data_set.train)
    some = f"each of {rows:,} rows, out of {labelled:,} labelled ones,"
    which = "every labelled row" if rows == labelled else some
    words = [
        f"Out of fold: {which} is predicted by nets that never learnt from it. Where nothing is "
        "said to be selected, the last epoch is the one that counts."
        if summary.scores.is_selected
        else f"Out of fold: {which} is predicted by nets that never saw it; the last epoch is the "
        "one that counts."
    ]
    tables = [scores_table(summary.scores, summary.subject.name), folds_table(summary)]
    return Section("folds", "Members and ensemble", words, tables)


def _resampling(summary: Summary) -> list[Section]:
    table = class_counts_table(summary)
    return [Section("resampling", "Resampling", tables=[table])] if len(table.frame) else []


def _learning(summary: Summary) -> Section:
    variants = list(dict.fromkeys(job.variant for job in summary.histories))
    as_they_are = [name for name in variants if not _is_augmented(summary, name)]
    words = [
        f"Training figures are of {_learnt_digits(variants, as_they_are)}, averaged over each "
        "epoch while the net changes; validation figures are of the held-out digits as they are, "
        "at the epoch's end."
    ]
    of_variants = [_learning_plots(summary, variant) for variant in variants]
    # The same figure of all variants first, to be compared.
    plots = [plot for alike in zip(*of_variants, strict=True) for plot in alike]
    return Section("learning", "Learning curves", words, plots=plots)


def _learnt_digits(variants: list[str], as_they_are: list[str]) -> str:
    if as_they_are == variants:
        return "digits without augmentation"
    names = ", ".join(f"`{name}`" for name in as_they_are)
    return "augmented digits" + (f" (of {names}: without augmentation)" if names else "")


def _is_augmented(summary: Summary, variant: str) -> bool:
    return summary.subject.run.config.variants[variant].augmentation.name != "none"


def _learning_plots(summary: Summary, variant: str) -> list[Plot]:
    own = {job: curve for job, curve in summary.histories.items() if job.variant == variant}
    return learning_plots(own, variant, _is_augmented(summary, variant))


def _confusion(summary: Summary) -> Section:
    tables = [confusions_table(summary), confusion_table(summary)]
    return Section("confusion", "Confusions", tables=tables, plots=confusion_plots(summary))


def _classes(summary: Summary) -> Section:
    tables = [classes_table(summary)]
    return Section("classes", "Classes", tables=tables, plots=class_plots(summary))


def _calibration(summary: Summary) -> Section:
    words = [
        f"The expected calibration error is {summary.calibration_error:.5f}: "
        "confidence and accuracy differ by this much on average over the rows."
    ]
    return Section("calibration", "Calibration", words, plots=[reliability_plot(summary)])


def _agreement(summary: Summary) -> list[Section]:
    if len(summary.subject.member_predictions.members) < 2:
        return []
    share = summary.agreement.unanimous / len(summary.subject.predicted)
    words = [f"All members predict the same class for {share:.2%} of the rows."]
    # Of two members the figure would be a single number.
    plots = [agreement_plot(summary)] if len(summary.subject.member_predictions.members) > 2 else []
    return [Section("agreement", "Member agreement", words, agreement_tables(summary), plots)]


def _methods(summary: Summary) -> list[Section]:
    comparison = summary.subject.comparison
    if not comparison:
        return []
    words = methods_words(comparison)
    return [Section("methods", "Ensemble methods", words, [methods_table(comparison)])]


def _contributions(summary: Summary) -> list[Section]:
    tables = contributions_tables(summary.contributions)
    title = "What each variant contributes"
    return [Section("contributions", title, tables=tables)] if tables else []


def _samples(summary: Summary) -> Section:
    words = ["The gallery has all mistakes, and lets you filter, sort and mark them."]
    return Section(
        "samples", "Sample predictions", words, plots=sample_plots(summary.subject.predicted)
    )


def report_page(summary: Summary, sections: list[Section], drawn: dict[str, str]) -> str:
    """Returns the page.

    Args:
        summary: what it is of.
        sections: what it tells.
        drawn: each figure as SVG, by its key.
    """
    name = summary.subject.run.config.name
    gallery = paths.gallery_folder(name)
    return render(
        "report.html",
        name=name,
        subject=summary.subject,
        tiles=_tiles(summary),
        sections=sections,
        drawn={key: _markup(svg) for key, svg in drawn.items()},
        in_code=_in_code,
        others=_other_reports(summary),
        gallery=f"../{gallery.name}/{paths.PAGE}" if (gallery / paths.PAGE).exists() else None,
        folders={"figures": paths.FIGURES, "tables": paths.TABLES, "results": paths.RESULTS},
    )


def _tiles(summary: Summary) -> list[tuple[str, str, str]]:
    """Returns the figures on top: what, how much, and what it says of itself."""
    score = summary.scores.ensemble
    low, high = score.interval()
    return [
        ("errors", f"{score.errors:,}", f"in {score.rows:,} out-of-fold digits"),
        (
            marked("accuracy", summary.scores.is_selected),
            f"{score.accuracy:.5f}",
            f"95 %: {low:.5f} – {high:.5f}",
        ),
        ("log-loss", f"{score.log_loss:.5f}", "nats a digit"),
        ("calibration error", f"{summary.calibration_error:.5f}", "confidence beside accuracy"),
        ("training", f"{summary.minutes:.1f} min", f"{summary.cpu_minutes:.1f} of processor time"),
    ]


def _other_reports(summary: Summary) -> list[tuple[str, str]]:
    """Returns the name and the address of this run's other reports, as far as they are written."""
    run, shown = summary.subject.run, summary.subject.variant
    folders = {
        variant or ENSEMBLE: paths.report_folder(run.config.name, variant)
        for variant in (None, *run.config.variants)
        if variant != shown
    }
    return [
        (name, f"../{folder.name}/{paths.PAGE}")
        for name, folder in folders.items()
        if (folder / paths.PAGE).exists()
    ]


def _in_code(text: str):
    """Returns a sentence, escaped, with what stands in backticks as code."""
    from markupsafe import escape

    return _markup(re.sub("`([^`]*)`", r"<code>\1</code>", str(escape(text))))


def _markup(text: str):
    """Returns HTML that is to stay as it is."""
    from markupsafe import Markup

    return Markup(text)  # noqa: S704 (what was not written by us is escaped in it)


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
    rows = [table.markdown()] if len(table.frame) else []
    return [f"### {table.title}", *rows, *([table.note] if table.note else [])]
