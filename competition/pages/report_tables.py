"""The tables of an ensemble and of a report: DataFrames with the format of each column."""

import numpy as np
import pandas as pd

from competition.analysis.classes import most_confused
from competition.analysis.summary import JobRow, Scores, Summary, overlap
from competition.config.schema import Folds
from competition.data.label_marks import label_errors_in_words
from competition.ensemble.comparison import Comparison
from competition.ensemble.contributions import Contributions
from competition.metrics import SELECTED_NOTE, Score, marked
from competition.results import CLASS_COUNTS
from competition.tables import (
    ERRORS_COLUMN,
    SCORE_COLUMNS,
    Column,
    Table,
    errors_values,
    score_values,
)

METHODS_NOTE = (
    "The parameters of a method are fitted without the fold on which it is scored. Above the "
    "lowest: in log-loss, with the 95% interval of a paired bootstrap over rows. Calibration: "
    "expected calibration error. Gained and lost: rows that only the method, or only the mean, "
    "predicts correctly, with the p of McNemar's exact test."
)
VARIANTS_NOTE = (
    "Errors and log-loss of plain means over members: of the variant, of all others, and of the "
    "variant together with the best single variant."
)
PARTITION_NOTE = "; so the mean may differ in the last digit from the figure of all rows together."
OVERLAP_NOTE = (
    ". The figures of a hold-out are those of its own nets on all of its rows. The errors of all "
    "rows count each row once, by the mean of the nets that held it out. An ensemble predicts in "
    "the same way, so it has no figure of a single hold-out."
)
CLASSES_NOTE = (
    "Precision: of the rows predicted as a class, the share that belongs to it. Recall: of the "
    "rows of a class, the share predicted as it. F1: their harmonic mean. The areas are those of "
    "the class against all others. The mean weights all classes equally."
)
JOBS_NOTE = (
    "Every net alone, on the rows that it held out; nets trained on all rows have none. Minutes "
    "are not divided by the number of jobs side by side."
)
COUNTS_NOTE = (
    "Before and after resampling, rows counted by their weights. Held-out rows are never resampled."
)
PAIRS = "wrong in both; above the diagonal, predicted differently"
CONFUSIONS = 10  # in the table of the most common ones
# The dtype of integers with missing values.
COUNT = "Int64"


def ensemble_tables(
    scores: Scores, comparison: Comparison, contributions: Contributions
) -> list[Table]:
    """Returns the tables of `make ensemble`: scores, methods, and contributions of variants."""
    return [
        scores_table(scores, "ensemble"),
        methods_table(comparison),
        *contributions_tables(contributions),
    ]


def scores_table(scores: Scores, name: str) -> Table:
    """Returns the out-of-fold scores of the members and of their combination, called `name`."""
    name = marked(name, scores.is_selected)
    lines = {**scores.members, name: scores.ensemble}
    if scores.unsearched:
        lines[f"{name}, rows that the search for the presets did not see"] = scores.unsearched
    rows = [{"name": each, **score_values(score)} for each, score in lines.items()]
    columns = [Column("out of fold", names=("name",)), *SCORE_COLUMNS]
    note = SELECTED_NOTE if scores.is_selected else ""
    return Table("scores", "All rows together", pd.DataFrame(rows), columns, note, strong=name)


def methods_table(comparison: Comparison) -> Table:
    """Returns one line per ensemble method."""
    gap = ("log_loss_above_lowest", "log_loss_above_lowest_low", "log_loss_above_lowest_high")
    rows = [
        {
            "method": each.method.name,
            **score_values(each.score),
            **dict(zip(gap, each.gap_to_best, strict=True)),
            "calibration_error": each.calibration_error,
            "gained_on_mean": each.vs_mean.gained,
            "lost_to_mean": each.vs_mean.lost,
            "mcnemar_p": each.vs_mean.p_value,
        }
        for each in comparison.methods
    ]
    columns = [
        Column("method", is_code=True),
        *SCORE_COLUMNS,
        Column("above the lowest", "{:+.5f} ({:+.5f} … {:+.5f})", gap),
        Column("calibration", "{:.5f}", ("calibration_error",)),
        Column("gained", names=("gained_on_mean",)),
        Column("lost", names=("lost_to_mean",)),
        Column("p", "{:.2g}", ("mcnemar_p",)),
    ]
    chosen = comparison.chosen.method.name
    return Table("methods", "Methods compared", pd.DataFrame(rows), columns, METHODS_NOTE, chosen)


def methods_words(comparison: Comparison) -> list[str]:
    """Returns sentences: which method makes the submission, and which were left out."""
    sentences = [comparison.explain_choice(comparison.chosen)]
    if comparison.left_out:
        names = ", ".join(f"`{name}`" for name in comparison.left_out)
        sentences.append(f"Left out, as scoring them takes two folds or more: {names}.")
    return sentences


def contributions_tables(contributions: Contributions) -> list[Table]:
    """Returns each variant's contribution, and common errors of pairs; none for one variant."""
    if len(contributions.variants) < 2:
        return []
    titles = {
        "alone": "alone",
        "without": "all without it",
        "beside_best": f"{contributions.best.variant} with it",
    }
    rows = [
        {"variant": part.variant, **_short("alone", part.alone), **_short("without", part.without),
         **_short("beside_best", part.beside_best)}
        for part in contributions.variants
    ]  # fmt: skip
    rows.append({"variant": "all together", **_short("alone", contributions.together)})
    frame = pd.DataFrame(rows).astype({f"{what}_errors": COUNT for what in titles})
    columns = [
        Column("variant"),
        *(
            Column(title, "{}, {:.5f}", (f"{what}_errors", f"{what}_log_loss"))
            for what, title in titles.items()
        ),
    ]
    names = [part.variant for part in contributions.variants]
    title, both_wrong = "Alone, left out, and added to the best", contributions.error_overlap
    return [
        Table("contributions", title, frame, columns, VARIANTS_NOTE),
        _pairs_table("error-overlap", "variant", "wrong in both", names, both_wrong),
        _pairs_table("disagreement", "variant", "predicted differently", names,
                     contributions.disagreement),
    ]  # fmt: skip


def _short(what: str, score: Score | None) -> dict[str, float]:
    return {f"{what}_errors": score.errors, f"{what}_log_loss": score.log_loss} if score else {}


def _pairs_table(key: str, noun: str, what: str, names: list[str], counts: np.ndarray) -> Table:
    """Returns a table of row counts, `[k, k]`, for each pair of names."""
    frame = pd.DataFrame(counts, columns=[name.replace(" ", "_") for name in names])
    frame.insert(0, noun, names)
    columns = [Column(f"{noun} \\ {noun}", names=(noun,)), *map(Column, names)]
    return Table(key, f"{noun.capitalize()}s: rows {what}", frame, columns)


def preset_table(summary: Summary) -> Table:
    """Returns one line, as the README's results table has it for each preset."""
    score, is_selected = summary.scores.ensemble, summary.scores.is_selected
    name, variant = summary.subject.run.config.name, summary.subject.variant
    values = {
        "preset": f"{name}, {variant}" if variant else name,
        **errors_values(score),
        "accuracy": score.accuracy,
        "minutes": summary.minutes,
    }
    accuracy = Column("accuracy", marked("{:.5f}", is_selected))
    columns = [Column("preset", is_code=True), ERRORS_COLUMN, accuracy, Column("minutes", "{:.1f}")]
    frame, note = pd.DataFrame([values]), SELECTED_NOTE if is_selected else ""
    return Table("key-figures", "Key figures", frame, columns, note)


def glance_table(summary: Summary) -> Table:
    """Returns the data, the members and the training of a run."""
    subject = summary.subject
    run, members = subject.run, subject.member_predictions.members
    data, marks = run.data_set, run.config.marks
    made_of = f"the {subject.method} of its members" if len(members) > 1 else "one member"
    rows = {
        "looked at": f"{subject.title}, {made_of}",
        "data": f"{data.name}, {len(data.train):,} labelled rows and {len(data.test):,} test rows",
        **({"marks": f"{marks}: {label_errors_in_words(run.label_errors)}"} if marks else {}),
        "data fingerprint": run.fingerprint[:16],
        "held out": _held_out_words(summary),
        "members": f"{len(members)}: " + ", ".join(map(str, members)),
        "trained": subject.member_predictions.trained_in_words(),
        "training": f"{summary.minutes:.1f} minutes, {summary.cpu_minutes:.1f} of processor time",
        "machine": "; ".join(summary.distinct("machine")),
        "code": ", ".join(summary.distinct("code_version")),
    }
    return Table("at-a-glance", "The run", pd.DataFrame(rows.items(), columns=["what", "value"]))


def _held_out_words(summary: Summary) -> str:
    """Returns the held-out rows and splits in words."""
    subject, settings = summary.subject, summary.subject.run.config.folds
    rows, labelled = len(subject.predicted), len(subject.run.data_set.train)
    count = f"{rows:,} of {labelled:,} labelled rows count"
    if settings.scheme == "given":
        return f"what the data itself holds out; {count}"
    numbers = sorted(summary.folds[0].by_fold)
    is_share = settings.scheme == "holdout"
    share = f" of {100 * settings.share:g}% of the rows each" if is_share else ""
    some = f"{len(numbers)} of {settings.count} stratified {_split_noun(settings)}s{share}"
    return f"{some}: {', '.join(map(str, numbers))}; {count}"


def _split_noun(settings: Folds) -> str:
    return "fold" if settings.scheme == "kfold" else "hold-out"


def folds_table(summary: Summary) -> Table:
    """Returns the errors per fold or hold-out, and mean and standard deviation over them."""
    scores, noun = summary.folds, _split_noun(summary.subject.run.config.folds)
    folds = sorted(scores[0].by_fold)
    rows = []
    for each in scores:
        errors = [each.by_fold[fold].errors if each.by_fold else None for fold in folds]
        spread = [*each.accuracy(), *each.log_loss()] if each.by_fold else [None] * 4
        rows.append([each.name, *errors, each.whole.errors, *spread])
    counts = {f"errors_fold{fold}": COUNT for fold in folds}
    spreads = ["accuracy_mean", "accuracy_std", "log_loss_mean", "log_loss_std"]
    frame = pd.DataFrame(rows, columns=["name", *counts, "errors", *spreads]).astype(counts)
    accuracy = Column("accuracy", "{:.5f} ± {:.5f}", ("accuracy_mean", "accuracy_std"))
    log_loss = Column("log-loss", "{:.5f} ± {:.5f}", ("log_loss_mean", "log_loss_std"))
    if len(folds) == 1:  # a single value has no deviation
        accuracy, log_loss = Column("accuracy", "{:.5f}"), Column("log-loss", "{:.5f}")
        frame = frame.rename(columns={"accuracy_mean": "accuracy", "log_loss_mean": "log-loss"})
        frame = frame.drop(columns=["accuracy_std", "log_loss_std"])
    by_fold = [Column(f"{noun} {fold}", names=(f"errors_fold{fold}",)) for fold in folds]
    name = Column("out of fold", names=("name",))
    columns = [name, *by_fold, Column("errors"), accuracy, log_loss]
    note = f"Accuracy and log-loss: mean ± standard deviation (n − 1) over the {noun}s" + (
        OVERLAP_NOTE if overlap(summary.subject.member_predictions) else PARTITION_NOTE
    )
    return Table("folds", f"Errors by {noun}", frame, columns, note, strong=scores[-1].name)


def jobs_table(rows: list[JobRow]) -> Table:
    """Returns the finished jobs: errors, accuracy, wall-clock and processor minutes."""
    names = ["variant", "seed", "split", "errors", "rows", "accuracy", "minutes", "CPU_minutes"]
    values = []
    for row in rows:
        job, score = row.job, row.score
        held_out = [score.errors, score.rows, score.accuracy] if score else [None, None, None]
        name, split = marked(job.variant, row.is_selected), job.split.removeprefix("fold")
        values.append([name, job.seed, split, *held_out, row.minutes, row.cpu_minutes])
    frame = pd.DataFrame(values, columns=names)
    columns = [
        Column("variant"), Column("seed"), Column("split"), Column("errors"),
        Column("rows", "{:,}"), Column("accuracy", "{:.5f}"),
        Column("minutes", "{:.1f}"), Column("CPU minutes", "{:.1f}"),
    ]  # fmt: skip
    frame = frame.astype({"errors": COUNT, "rows": COUNT, "accuracy": float})
    note = JOBS_NOTE
    if any(row.is_selected for row in rows):
        note = f"{note} {SELECTED_NOTE}"
    return Table("jobs", "Finished jobs", frame, columns, note)


def class_counts_table(summary: Summary) -> Table:
    """Returns the training rows per class before and after resampling, for resampled nets only."""
    labels = [str(label) for label in range(10)]
    rows = [
        [str(job), when, *manifest[CLASS_COUNTS][when]]
        for job, manifest in summary.manifests.items()
        if CLASS_COUNTS in manifest
        for when in ("before", "after")
    ]
    frame = pd.DataFrame(rows, columns=["net", "counted", *labels])
    by_class = [Column(label, "{:,.10g}") for label in labels]
    columns = [Column("net"), Column("rows", names=("counted",)), *by_class]
    title = "Training rows per class"
    return Table("resampled-counts", title, frame, columns, COUNTS_NOTE)


def classes_table(summary: Summary) -> Table:
    """Returns the classification report, with the areas under the curves."""
    found = summary.classes
    values = {"precision": found.precision, "recall": found.recall, "f1": found.f1}
    frame = pd.DataFrame({"class": map(str, range(10)), **values, "support": found.support})
    # Aligned by label: a class without curves gets no areas.
    for name, area in (("roc_auc", "roc_area"), ("average_precision", "average_precision")):
        areas = {curve.label: getattr(curve, area) for curve in summary.curves}
        frame[name] = pd.Series(areas, dtype=float)
    means = {**frame.mean(numeric_only=True), "class": "mean of classes"}
    means["support"] = found.support.sum()
    frame = pd.concat([frame, pd.DataFrame([means])], ignore_index=True)
    columns = [
        Column("class"), Column("precision", "{:.4f}"), Column("recall", "{:.4f}"),
        Column("F1", "{:.4f}", ("f1",)), Column("support", "{:,}"),
        Column("ROC AUC", "{:.6f}", ("roc_auc",)), Column("average precision", "{:.6f}"),
    ]  # fmt: skip
    title = "Classification report"
    return Table("classes", title, frame, columns, CLASSES_NOTE, strong="mean of classes")


def confusions_table(summary: Summary) -> Table:
    """Returns the most common confusions."""
    found = most_confused(summary.confusion, CONFUSIONS)
    rows = [(each.label, each.predicted, each.count, each.share) for each in found]
    frame = pd.DataFrame(rows, columns=["label", "prediction", "rows", "share_of_label"])
    columns = [
        Column("label → prediction", "{} → {}", ("label", "prediction")),
        Column("rows"),
        Column("of the label", "{:.2%}", ("share_of_label",)),
    ]
    note = "" if found else "There are no mistakes."
    return Table("confusions", "Most common confusions", frame, columns, note)


def agreement_tables(summary: Summary) -> list[Table]:
    """Returns how many members are right per row, and how often two of them differ."""
    found, members = summary.agreement, summary.subject.member_predictions.members
    right = [f"{right} of {len(members)}" for right in range(len(found.rows))]
    frame = pd.DataFrame({"members_right": right, "rows": found.rows, "right": found.rescued})
    columns = [
        Column("members that are right", names=("members_right",)),
        Column("rows", "{:,}"),
        Column(f"{summary.subject.name} is right", "{:,}", ("right",)),
    ]
    # Both are symmetric, so one table has room for both.
    pairs = np.where(np.tri(len(members), dtype=bool), found.both_wrong, found.disagreement)
    return [
        Table("members-right", "How many members are right", frame, columns),
        _pairs_table("members-pairs", "member", PAIRS, [*map(str, members)], pairs),
    ]
