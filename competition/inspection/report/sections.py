"""What a report tells, in its order: sections of sentences, tables and figures."""

from dataclasses import dataclass, field

from competition import paths
from competition.inspection.evaluation.summary import Summary
from competition.inspection.presentation.drawing import Plot
from competition.inspection.presentation.table import Table
from competition.inspection.report.curve_plots import class_plots, learning_plots, reliability_plot
from competition.inspection.report.ensemble_tables import (
    contributions_tables,
    methods_table,
    methods_words,
    scores_table,
)
from competition.inspection.report.grid_plots import agreement_plot, confusion_plots, sample_plots
from competition.inspection.report.result_tables import (
    agreement_tables,
    class_counts_table,
    classes_table,
    confusion_table,
    confusions_table,
    folds_table,
    glance_table,
    jobs_table,
    preset_table,
)


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
    rows, labelled = len(summary.subject.cases), len(summary.subject.run.data_set.train)
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
    return [Section("resampling", "Resampling", tables=[table])] if table.rows else []


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
    if len(summary.subject.panel.members) < 2:
        return []
    share = summary.agreement.unanimous / len(summary.subject.cases)
    words = [f"All members predict the same class for {share:.2%} of the rows."]
    # Of two members the figure would be a single number.
    plots = [agreement_plot(summary)] if len(summary.subject.panel.members) > 2 else []
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
        "samples", "Sample predictions", words, plots=sample_plots(summary.subject.cases)
    )
