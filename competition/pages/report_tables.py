"""An ensemble as tables: members, methods, variants; computes nothing."""

from math import isnan
from pathlib import Path
from statistics import fmean

import numpy as np

from competition import paths
from competition.analysis.classes import most_confused
from competition.analysis.summary import Baseline, FoldScores, JobRow, Scores, Summary, overlap
from competition.config.schema import Folds
from competition.data.label_marks import label_errors_in_words
from competition.data.run import Run
from competition.ensemble.comparison import Comparison, MethodResult
from competition.ensemble.contributions import Contribution, Contributions
from competition.metrics import SELECTED, SELECTED_NOTE, Score, marked
from competition.results import CLASS_COUNTS
from competition.storage import atomic_file, write_text
from competition.tables import Column, Table

METHODS_NOTE = (
    "Whatever a method fits was fitted without the fold that it is scored on. Above the lowest: in "
    "log-loss, with the 95 % interval of a paired bootstrap over rows. Calibration: expected error "
    "of the probabilities. Gained and lost: rows that only the method, or only the mean, gets "
    "right, with the p of McNemar's exact test."
)
VARIANTS_NOTE = (
    "Errors and log-loss of plain means: of the variant's own members, of all others, and of the "
    "variant together with the one that is best alone."
)

SCORE_COLUMNS = [
    Column("errors"),
    Column("accuracy", "{:.5f}"),
    Column("95 % interval", "{:.5f} – {:.5f}", ("accuracy_low", "accuracy_high")),
    Column("log-loss", "{:.5f}", ("log_loss",)),
]


def score_cells(score: Score) -> list:
    """Returns errors, accuracy, its 95 % interval and log-loss."""
    return [score.errors, score.accuracy, score.interval(), score.log_loss]


def scores_table(scores: Scores, name: str) -> Table:
    """Returns the out-of-fold scores of the members and, last, of what was made of them.

    A last line leaves out the rows on which settings were tried, where it is known which.

    Args:
        scores: all of them.
        name: of what was made of the members.
    """
    name = marked(name, scores.is_selected)
    lines = {**scores.members, name: scores.ensemble}
    if scores.unsearched:
        lines[f"{name}, rows that the search for the presets did not see"] = scores.unsearched
    return Table.of_cells(
        "scores",
        "All rows together",
        [Column("out of fold", names=("name",)), *SCORE_COLUMNS],
        [[name, *score_cells(score)] for name, score in lines.items()],
        note_of(scores.is_selected),
        strong=name,
    )


def note_of(is_selected: bool) -> str:
    """Returns what the mark means, where there is one."""
    return SELECTED_NOTE if is_selected else ""


def ensemble_text(scores: Scores, comparison: Comparison, contributions: Contributions) -> str:
    """Returns an ensemble's tables as Markdown, to be read in a terminal."""
    words = "\n".join(methods_words(comparison))
    parts = [
        scores_table(scores, "ensemble").markdown_with_note(),
        methods_table(comparison).markdown_with_note(),
        words,
    ]
    parts += [table.markdown_with_note() for table in contributions_tables(contributions)]
    return "\n\n".join(parts)


def methods_table(comparison: Comparison) -> Table:
    """Returns all methods side by side."""
    above = "log_loss_above_lowest"
    names = (above, f"{above}_low", f"{above}_high")
    columns = [
        Column("method", is_code=True),
        *SCORE_COLUMNS,
        Column("above the lowest", "{:+.5f} ({:+.5f} … {:+.5f})", names),
        Column("calibration", "{:.5f}", ("calibration_error",)),
        Column("gained", names=("gained_on_mean",)),
        Column("lost", names=("lost_to_mean",)),
        Column("p", "{:.2g}", ("mcnemar_p",)),
    ]
    rows = [_method_cells(each) for each in comparison.methods]
    return Table.of_cells("methods", "Methods compared", columns, rows, METHODS_NOTE)


def _method_cells(compared: MethodResult) -> list:
    beside = compared.vs_mean
    return [
        compared.method.name,
        *score_cells(compared.score),
        compared.gap_to_best,
        compared.calibration_error,
        beside.gained,
        beside.lost,
        beside.p_value,
    ]


def methods_words(comparison: Comparison) -> list[str]:
    """Returns in sentences which method makes the submission, and which were left out."""
    sentences = [comparison.explain_choice(comparison.chosen)]
    if comparison.left_out:
        names = ", ".join(f"`{name}`" for name in comparison.left_out)
        sentences.append(f"Left out, as they can only be judged on two folds or more: {names}.")
    return sentences


def contributions_tables(contributions: Contributions) -> list[Table]:
    """Returns what each variant contributes, and how alike they err; nothing if there is one."""
    if len(contributions.variants) < 2:
        return []
    what = {
        "alone": "alone",
        "all without it": "without",
        f"{contributions.best.variant} with it": "beside_best",
    }
    columns = [
        Column("variant"),
        *(
            Column(title, "{}, {:.5f}", (f"{name}_errors", f"{name}_log_loss"))
            for title, name in what.items()
        ),
    ]
    rows = [_variant_cells(each) for each in contributions.variants]
    rows.append(["all together", _short(contributions.together), None, None])
    title = "Alone, left out, and added to the best"
    return [
        Table.of_cells("contributions", title, columns, rows, VARIANTS_NOTE),
        _pairs_table(contributions, "error-overlap", "wrong in both", contributions.error_overlap),
        _pairs_table(
            contributions, "disagreement", "predicted differently", contributions.disagreement
        ),
    ]


def _pairs_table(contributions: Contributions, key: str, what: str, counts: np.ndarray) -> Table:
    names = [each.variant for each in contributions.variants]
    return pairs_table(key, "variant", what, names, counts)


def pairs_table(key: str, noun: str, what: str, names: list[str], counts: np.ndarray) -> Table:
    """Returns a table of counts `[k, k]` of rows between things of these names."""
    columns = [Column(what, names=(noun,)), *map(Column, names)]
    rows = [[name, *row] for name, row in zip(names, counts.tolist(), strict=True)]
    return Table.of_cells(key, f"{noun.capitalize()}s: rows {what}", columns, rows)


def _variant_cells(part: Contribution) -> list:
    return [part.variant, *map(_short, (part.alone, part.without, part.beside_best))]


def _short(score: Score | None) -> tuple[int, float] | None:
    return (score.errors, score.log_loss) if score else None


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
    of_errors, _, *other_values = SCORE_COLUMNS
    of_accuracy = Column("out-of-fold", "{:.5f}", ("accuracy",))
    if is_selected:
        of_accuracy = Column("out-of-fold", "{:.5f} ({})", ("accuracy", "remark"))
        accuracy = (accuracy, SELECTED)
    columns = [
        Column("preset", is_code=True), Column("nets"), of_errors, of_accuracy, *other_values,
        Column("training minutes", "{:.1f}"), Column("CPU minutes", "{:.1f}"), Column("machine"),
    ]  # fmt: skip
    name, variant = summary.subject.run.config.name, summary.subject.variant
    named = f"{name}, {variant}" if variant else name
    row = [named, len(summary.manifests), errors, accuracy, *others]
    row += [summary.minutes, summary.cpu_minutes, "; ".join(summary.distinct("machine"))]
    return Table.of_cells("key-figures", "Key figures", columns, [row], note_of(is_selected))


def glance_table(summary: Summary) -> Table:
    """Returns what was trained on what, and what is looked at."""
    subject = summary.subject
    data, members = subject.run.data_set, subject.member_predictions.members
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
        "machine": "; ".join(summary.distinct("machine")),
        "code": ", ".join(summary.distinct("code_version")),
    }
    columns = [Column("what"), Column("value")]
    return Table.of_cells(
        "at-a-glance", "The run", columns, [[what, told] for what, told in rows.items()]
    )


def _marks(run: Run) -> dict[str, str]:
    words = f"{run.config.marks}: {label_errors_in_words(run.label_errors)}"
    return {"marks": words} if run.config.marks else {}


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
    rows, labelled = len(subject.predicted), len(subject.run.data_set.train)
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
    return Table.of_cells(
        "folds",
        f"Errors by {noun}",
        columns,
        [_fold_cells(each, folds) for each in scores],
        f"Accuracy and log-loss: mean ± standard deviation (n − 1) over the {noun}s"
        + (OVERLAP_NOTE if overlap(summary.subject.member_predictions) else PARTITION_NOTE),
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
    return Table.of_cells(
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
    return Table.of_cells(
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
    return Table.of_cells(
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
    return Table.of_cells(
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
    return Table.of_cells("confusion", "Confusion matrix", columns, rows)


def agreement_tables(summary: Summary) -> list[Table]:
    """Returns how many members are right at once, and how often two of them differ."""
    found, members = summary.agreement, summary.subject.member_predictions.members
    columns = [Column("members that are right", names=("members_right",)), Column("rows", "{:,}")]
    columns += [Column(f"{summary.subject.name} is right", "{:,}", ("right",))]
    counts = zip(found.rows.tolist(), found.rescued.tolist(), strict=True)
    rows = [[f"{right} of {len(members)}", *both] for right, both in enumerate(counts)]
    names = [f"{number}. {member}" for number, member in enumerate(members, start=1)]
    return [
        Table.of_cells("members-right", "How many members are right", columns, rows),
        pairs_table(
            "members-disagreement", "member", "predicted differently", names, found.disagreement
        ),
        pairs_table("members-both-wrong", "member", "wrong in both", names, found.both_wrong),
    ]


def baselines_table(baselines: list[Baseline]) -> Table:
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
    is_selected = any(system.is_selected for system in baselines)
    note = " ".join([_note(baselines), note_of(is_selected)]).strip()
    return Table.of_cells("systems", "Systems", columns, [_cells(each) for each in baselines], note)


def _note(baselines: list[Baseline]) -> str:
    others = len({system.score.rows for system in baselines}) > 1
    return (
        "Errors are counted on the held-out rows, as many as the column `rows` says"
        f"{'; some systems have other rows, so only shares can be compared' if others else ''}. "
        "A variant of several seeds stands here with its first one, and then with the mean of "
        "all. Parameters are of one net; minutes are of training, divided by the jobs side by "
        "side; precision, recall and F1 are means over the classes. What is claimed was measured "
        "by its authors on rows of their own; it is not reached where the accuracy here is below "
        "it."
    )


def _cells(system: Baseline) -> list:
    figures = [*score_cells(system.score)[:3], system.precision, system.recall, system.f1]
    return [
        *(system.name, system.title, system.nets, system.parameters, system.minutes),
        system.score.rows,
        *figures,
        f"{system.claim} (not reached)" if system.falls_short else system.claim,
    ]


def write_baselines(config_name: str, table: Table) -> Path:
    """Writes `output/<config>/baselines.md` and `systems.csv`, and returns the former."""
    path = paths.baselines_file(config_name)
    write_text(path, f"# Systems of `{config_name}`\n\n{table.markdown_with_note()}\n")
    with atomic_file(path.with_suffix(".csv")) as partial:
        table.write_csv(partial)
    return path
