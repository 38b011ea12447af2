"""The results of a run as tables: at a glance, by job, fold and class; computes nothing."""

from math import isnan
from statistics import fmean

from competition.data.marks import label_errors_in_words
from competition.data.run import Run
from competition.inspection.evaluation.fold_scores import FoldScores, overlap
from competition.inspection.evaluation.per_class import most_confused
from competition.inspection.evaluation.summary import JobRow, Summary
from competition.inspection.presentation.table import Column, Table
from competition.inspection.report.ensemble_tables import (
    SCORE_COLUMNS,
    note_of,
    pairs_table,
    score_cells,
)
from competition.results import CLASS_COUNTS
from competition.scores import Score
from competition.selected import SELECTED, SELECTED_NOTE, marked
from competition.settings.folds import Folds

PARTITION_NOTE = "; so the mean may differ in the last digit from the figure of all rows together."
OVERLAP_NOTE = (
    ". A hold-out's figure is that of its own nets on all of its rows. The errors of all rows "
    "count each row once, by the mean of the nets that held it out: so does an ensemble, which "
    "has no figure of a single hold-out."
)
# As many confusions as somebody may want to read.
CONFUSIONS = 15


def preset_table(summary: Summary) -> Table:
    """Returns the one line that the README's results table has of a preset."""
    is_selected = summary.scores.is_selected
    errors, accuracy, *others = score_cells(summary.scores.ensemble)
    of_errors, _, *of_others = SCORE_COLUMNS
    of_accuracy = Column("out-of-fold", "{:.5f}", ("accuracy",))
    if is_selected:
        of_accuracy = Column("out-of-fold", "{:.5f} ({})", ("accuracy", "remark"))
        accuracy = (accuracy, SELECTED)
    columns = [
        Column("preset", is_code=True), Column("nets"), of_errors, of_accuracy, *of_others,
        Column("training minutes", "{:.1f}"), Column("CPU minutes", "{:.1f}"), Column("machine"),
    ]  # fmt: skip
    name, variant = summary.subject.run.config.name, summary.subject.variant
    named = f"{name}, {variant}" if variant else name
    row = [named, len(summary.manifests), errors, accuracy, *others]
    row += [summary.minutes, summary.cpu_minutes, "; ".join(summary.distinct("machine"))]
    return Table("key-figures", "Key figures", columns, [row], note_of(is_selected))


def glance_table(summary: Summary) -> Table:
    """Returns what was trained on what, and what is looked at."""
    subject = summary.subject
    data, members = subject.run.data_set, subject.panel.members
    rows = {
        "looked at": f"{subject.title}, the {subject.method} of its members"
        if len(members) > 1
        else f"{subject.title}, one member",
        "data": f"{data.name}, {len(data.train):,} labelled rows and {len(data.test):,} test rows",
        **_marks(subject.run),
        "data fingerprint": subject.run.fingerprint[:16],
        "held out": _held_out_words(summary),
        "members": f"{len(members)}: " + ", ".join(map(str, members)),
        "nets": str(len(summary.manifests)),
        "training": f"{summary.minutes:.1f} minutes, {summary.cpu_minutes:.1f} of processor time",
        **_teacher_costs(summary),
        "machine": "; ".join(summary.distinct("machine")),
        "code": ", ".join(summary.distinct("code_version")),
    }
    columns = [Column("what"), Column("value")]
    return Table("at-a-glance", "The run", columns, [[what, told] for what, told in rows.items()])


def _marks(run: Run) -> dict[str, str]:
    words = f"{run.config.marks}: {label_errors_in_words(run.label_errors)}"
    return {"marks": words} if run.config.marks else {}


def _teacher_costs(summary: Summary) -> dict[str, str]:
    told = [
        f"the nets of {cost.config} ({cost.nets} of them here), which took "
        f"{cost.minutes:.1f} minutes more, {cost.cpu_minutes:.1f} of processor time"
        for cost in summary.teacher_costs
    ]
    return {"taught by": "; ".join(told)} if told else {}


def _held_out_words(summary: Summary) -> str:
    """Returns which rows the nets are judged on, as the scheme of the splits says it."""
    subject, settings = summary.subject, summary.subject.run.config.folds
    numbers = sorted(summary.folds[0].by_fold)
    is_share = settings.scheme == "holdout"
    share = f" of {100 * settings.share:g} % of the rows each" if is_share else ""
    some = f"{len(numbers)} of {settings.count} stratified {_split_noun(settings)}s{share}: "
    splits = some + ", ".join(map(str, numbers))
    if settings.scheme == "given":
        splits = "what the data itself holds out"
    rows, labelled = len(subject.cases), len(subject.run.data_set.train)
    return f"{splits}; {rows:,} of {labelled:,} labelled rows count"


def _split_noun(settings: Folds) -> str:
    """Returns what a reader calls one of the splits."""
    return "fold" if settings.scheme == "kfold" else "hold-out"


def folds_table(summary: Summary) -> Table:
    """Returns the errors in each fold or hold-out, and mean and standard deviation over them."""
    scores, noun = summary.folds, _split_noun(summary.subject.run.config.folds)
    folds = sorted(scores[0].by_fold)
    columns = [
        Column("out of fold", names=("name",)),
        *(Column(f"{noun} {fold}", names=(f"errors_fold{fold}",)) for fold in folds),
        Column("errors"),
        Column("accuracy", "{:.5f} ± {:.5f}", ("accuracy_mean", "accuracy_std")),
        Column("log-loss", "{:.5f} ± {:.5f}", ("log_loss_mean", "log_loss_std")),
    ]
    if len(folds) == 1:
        columns[-2:] = [Column("accuracy", "{:.5f}"), Column("log-loss", "{:.5f}")]
    return Table(
        "folds",
        f"Errors by {noun}",
        columns,
        [_fold_cells(each, folds) for each in scores],
        f"Accuracy and log-loss: mean ± standard deviation (n − 1) over the {noun}s"
        + (OVERLAP_NOTE if overlap(summary.subject.panel) else PARTITION_NOTE),
        strong=scores[-1].name,
    )


def _fold_cells(scores: FoldScores, folds: list[int]) -> list:
    if not scores.by_fold:
        return [scores.name, *[None] * len(folds), scores.whole.errors, None, None]
    errors = [scores.by_fold[fold].errors for fold in folds]
    spread = [_without_nan(each) for each in (scores.accuracy(), scores.log_loss())]
    return [scores.name, *errors, scores.whole.errors, *spread]


def _without_nan(spread: tuple[float, float]) -> tuple[float, ...]:
    return spread[:1] if isnan(spread[1]) else spread


def jobs_table(rows: list[JobRow]) -> Table:
    """Returns the finished jobs: errors, accuracy, and wall-clock and processor minutes."""
    columns = [
        Column("variant"),
        Column("seed"),
        Column("split"),
        Column("errors"),
        Column("rows", "{:,}"),
        Column("accuracy", "{:.5f}"),
        Column("minutes", "{:.1f}"),
        Column("CPU minutes", "{:.1f}"),
    ]
    return Table(
        "jobs",
        "Finished jobs",
        columns,
        [_job_cells(row) for row in rows],
        "Every net by itself, on the rows that it held out; a net of all rows held none out. "
        "Minutes are not divided by the jobs that ran side by side."
        + (f" {SELECTED_NOTE}" if any(row.is_selected for row in rows) else ""),
    )


def _job_cells(row: JobRow) -> list:
    job, name = row.job, marked(row.job.variant, row.is_selected)
    held_out = _held_out_cells(row.score)
    split = job.split.removeprefix("fold")
    return [name, job.seed, split, *held_out, row.minutes, row.cpu_minutes]


def _held_out_cells(score: Score | None) -> list:
    return [score.errors, score.rows, score.accuracy] if score else [None, None, None]


def class_counts_table(summary: Summary) -> Table:
    """Returns the training rows of each class before and after resampling, where there was any."""
    columns = [Column("net"), Column("rows", names=("counted",))]
    columns += [Column(str(label), "{:,.10g}") for label in range(10)]
    rows = [
        [str(job), when, *manifest[CLASS_COUNTS][when]]
        for job, manifest in summary.manifests.items()
        if CLASS_COUNTS in manifest
        for when in ("before", "after")
    ]
    return Table(
        "resampled-counts",
        "Rows of each class to learn from",
        columns,
        rows,
        "Before and after resampling, rows counted by their weights. Held-out rows had no part in "
        "it, and stay as they are.",
    )


def classes_table(summary: Summary) -> Table:
    """Returns the classification report, with the areas under each class's curves."""
    columns = [
        Column("class"),
        Column("precision", "{:.4f}"),
        Column("recall", "{:.4f}"),
        Column("F1", "{:.4f}", ("f1",)),
        Column("support", "{:,}"),
        Column("ROC AUC", "{:.6f}", ("roc_auc",)),
        Column("average precision", "{:.6f}"),
    ]
    return Table(
        "classes",
        "Classification report",
        columns,
        [*_class_rows(summary), _macro_row(summary)],
        "Precision: of the rows predicted as a class, the share that are of it. Recall: of the "
        "rows of a class, the share predicted as it. F1: their harmonic mean. The areas are those "
        "of the class against all others. The mean counts every class alike.",
        strong="mean of classes",
    )


def _class_rows(summary: Summary) -> list[list]:
    found, areas = summary.classes, {each.label: each for each in summary.curves}
    rows = []
    for label, support in enumerate(found.support.tolist()):
        shares = [_number(each[label]) for each in (found.precision, found.recall, found.f1)]
        curve = areas.get(label)
        both = [curve.roc_area, curve.average_precision] if curve else [None, None]
        rows.append([str(label), *shares, support, *both])
    return rows


def _macro_row(summary: Summary) -> list:
    """Returns the means of what is defined, and all rows."""
    found, curves = summary.classes, summary.curves
    areas = [(curve.roc_area, curve.average_precision) for curve in curves]
    means = [fmean(each) for each in zip(*areas, strict=True)] or [None, None]
    return ["mean of classes", *found.means(), int(found.support.sum()), *means]


def _number(value: float) -> float | None:
    return None if isnan(value) else float(value)


def confusions_table(summary: Summary) -> Table:
    """Returns the most common confusions."""
    columns = [
        Column("label → prediction", "{} → {}", ("label", "prediction")),
        Column("rows"),
        Column("of the label", "{:.2%}", ("share_of_label",)),
    ]
    found = most_confused(summary.confusion, CONFUSIONS)
    return Table(
        "confusions",
        "Most common confusions",
        columns,
        [[(each.label, each.predicted), each.count, each.share] for each in found],
        "" if found else "There are no mistakes.",
    )


def confusion_table(summary: Summary) -> Table:
    """Returns how many rows of each label were predicted as each class."""
    columns = [
        Column("label \\ prediction", names=("label",)),
        *(Column(f"{c}") for c in range(10)),
    ]
    rows = [[str(label), *row] for label, row in enumerate(summary.confusion.tolist())]
    return Table("confusion", "Confusion matrix", columns, rows)


def agreement_tables(summary: Summary) -> list[Table]:
    """Returns how many members are right at once, and how often two of them differ."""
    found, members = summary.agreement, summary.subject.panel.members
    columns = [Column("members that are right", names=("members_right",)), Column("rows", "{:,}")]
    columns += [Column(f"{summary.subject.name} is right", "{:,}", ("right",))]
    counts = zip(found.rows.tolist(), found.rescued.tolist(), strict=True)
    rows = [[f"{right} of {len(members)}", *both] for right, both in enumerate(counts)]
    names = [f"{number}. {member}" for number, member in enumerate(members, start=1)]
    return [
        Table("members-right", "How many members are right", columns, rows),
        pairs_table(
            "members-disagreement", "member", "predicted differently", names, found.disagreement
        ),
        pairs_table("members-both-wrong", "member", "wrong in both", names, found.both_wrong),
    ]
