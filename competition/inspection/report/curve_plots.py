"""Figures with lines: training curves, ROC, precision and recall, reliability; computes nothing."""

from functools import partial

import numpy as np

from competition.inspection.evaluation.per_class import ClassCurves
from competition.inspection.evaluation.summary import Summary
from competition.inspection.presentation.colours import BLUE, QUIET, SERIES, VERMILLION
from competition.inspection.presentation.drawing import Plot
from competition.results import Job
from competition.scores import Reliability, wilson_interval

# The least that a figure of a corner shows of its axes, or a perfect curve would have no room.
SMALLEST_CORNER = 1e-3
# Where a logarithmic axis begins at the latest; nets that raise no false alarm would have no axis.
LARGEST_EDGE = 1e-2

# How the two kinds of training curves are told apart, whatever their colour.
TRAINING = {"linestyle": (0, (3, 1.5))}
VALIDATION = {"marker": "o", "markersize": 3.5}

Histories = dict[Job, dict[str, list[float]]]


def learning_plots(histories: Histories, variant: str, is_augmented: bool) -> list[Plot]:
    """Returns loss, accuracy and learning rate over the epochs of one variant's nets.

    Args:
        histories: of these nets.
        variant: its name.
        is_augmented: whether they learnt augmented digits.
    """
    reason = (
        "augmented training digits are harder, so the validation loss may lie below"
        if is_augmented
        else "where the validation loss rises again, the net learns its rows by heart"
    )
    return [
        Plot(f"learning-{variant}-loss", f"{variant}: loss",
             f"Both should fall and level off; {reason}.", partial(_draw_losses, histories)),
        Plot(f"learning-{variant}-accuracy", f"{variant}: accuracy",
             "A fold far from the others, or a gap that widens towards the end, is worth a look; "
             "the first epochs may lie below the figure.", partial(_draw_accuracies, histories)),
        Plot(f"learning-{variant}-rate", f"{variant}: learning rate",
             "Of each epoch's last step. A schedule is the same in every fold; a callback lowers "
             "the rate by what it sees of the fold.",
             partial(_draw_rates, histories)),
    ]  # fmt: skip


def _draw_losses(histories: Histories, figure) -> None:
    axes = figure.add_subplot(xlabel="epoch", ylabel="loss")
    _draw_histories(axes, histories, "loss")
    if all(min(history["loss"]) > 0 for history in histories.values()):
        axes.set_yscale("log")
    _plain_numbers(axes)


def _draw_accuracies(histories: Histories, figure) -> None:
    """Leaves the first epochs out where they would flatten all that follows."""
    axes = figure.add_subplot(xlabel="epoch", ylabel="accuracy")
    _draw_histories(axes, histories, "accuracy")
    training = [value for history in histories.values() for value in history["accuracy"]]
    measured = [value for history in histories.values() for value in history["validation_accuracy"]]
    bottom = np.nanmin([np.percentile(training, 20), *measured])
    room = 0.05 * max(1 - bottom, SMALLEST_CORNER)
    axes.set_ylim(bottom - room, min(1 + room, axes.get_ylim()[1]))
    _plain_numbers(axes)


def _draw_rates(histories: Histories, figure) -> None:
    axes = figure.add_subplot(xlabel="epoch", ylabel="learning rate")
    for history in histories.values():
        axes.plot(history["epoch"], history["learning_rate"], color=BLUE)
    axes.xaxis.get_major_locator().set_params(integer=True)
    _plain_numbers(axes)


def _draw_histories(axes, histories: Histories, what: str) -> None:
    """Draws a colour a split, dashes for training and dots where it was validated."""
    splits = list(dict.fromkeys(job.split for job in histories))
    for job, history in histories.items():
        colour = SERIES[splits.index(job.split) % len(SERIES)]
        axes.plot(history["epoch"], history[what], color=colour, **TRAINING)
        measured, epochs = np.array(history[f"validation_{what}"]), np.array(history["epoch"])
        known = ~np.isnan(measured)
        axes.plot(epochs[known], measured[known], color=colour, **VALIDATION)
    axes.xaxis.get_major_locator().set_params(integer=True)
    _learning_legend(axes, splits)


def _learning_legend(axes, splits: list[str]) -> None:
    from matplotlib.lines import Line2D

    styles = [{"color": SERIES[number % len(SERIES)]} for number in range(len(splits))]
    styles += [{"color": QUIET, **TRAINING}, {"color": QUIET, **VALIDATION}]
    names = [split.replace("fold", "fold ").replace("all", "all rows") for split in splits]
    names += ["training", "validation"]
    lines = [Line2D([], [], **style) for style in styles]
    axes.legend(lines, names, ncols=1 + (len(names) > 8), loc="best", handlelength=2.2)


def _plain_numbers(axes) -> None:
    """Writes numbers as 0.001, without powers of ten; of a logarithmic axis, the decades at least.

    Where an axis has less than a decade, some numbers between are written too; where it has less
    than two, twice and five times the decades.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    written = FuncFormatter(lambda value, _: np.format_float_positional(value, 9, trim="-"))
    for axis in (axes.xaxis, axes.yaxis):
        low, high = sorted(axis.get_view_interval())
        is_short = axis.get_scale() == "log" and high < 100 * low
        if is_short and high >= 10 * low:
            axis.set_minor_locator(LogLocator(subs=(2, 5)))
        axis.set_major_formatter(written)
        axis.set_minor_formatter(written if is_short else NullFormatter())


def class_plots(summary: Summary) -> list[Plot]:
    """Returns ROC and precision-recall curves of each class against all others, and their ends."""
    curves = summary.curves
    return [
        Plot("roc", "ROC, one class against all others",
             "The nearer to the upper left corner, the better; a coin would give the diagonal.",
             partial(_draw_roc, curves)),
        Plot("roc-corner", "ROC, its left edge",
             "The same with the false positive rate on a logarithmic scale: which classes can be "
             "told apart with hardly any false alarm.", partial(_draw_roc_corner, curves)),
        Plot("precision-recall", "Precision and recall",
             "The nearer to the upper right corner, the better.",
             partial(_draw_precision_recall, curves)),
        Plot("precision-recall-corner", "Precision and recall, the corner",
             "The same from nearby: the class whose line bends first is the hardest.",
             partial(_draw_precision_recall_corner, curves)),
    ]  # fmt: skip


def _draw_roc(curves: list[ClassCurves], figure) -> None:
    axes = figure.add_subplot(xlabel="false positive rate", ylabel="true positive rate")
    axes.plot([0, 1], [0, 1], color=QUIET, linewidth=0.8, linestyle=":")
    for curve in curves:
        axes.plot(curve.false_positive_rate, curve.true_positive_rate, **_class_style(curve))
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    _class_legend(axes, "lower right")


def _draw_roc_corner(curves: list[ClassCurves], figure) -> None:
    axes = figure.add_subplot(xlabel="false positive rate", ylabel="true positive rate")
    rates = np.concatenate([[1.0], *(curve.false_positive_rate for curve in curves)])
    # Where the logarithm has no place for none at all.
    edge = min(LARGEST_EDGE, rates[rates > 0].min() / 2)
    for curve in curves:
        rate = curve.false_positive_rate.clip(edge)
        axes.plot(rate, curve.true_positive_rate, **_class_style(curve))
    without_alarm = [
        curve.true_positive_rate[curve.false_positive_rate == 0].max() for curve in curves
    ]
    depth = max(SMALLEST_CORNER, 1.1 * (1 - min(without_alarm, default=0)))
    axes.set(xscale="log", xlim=(edge, 1), ylim=(1 - depth, 1 + depth / 40))
    _plain_numbers(axes)
    _class_legend(axes, "lower right")


def _draw_precision_recall(curves: list[ClassCurves], figure) -> None:
    axes = _precision_recall_axes(curves, figure)
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))


def _draw_precision_recall_corner(curves: list[ClassCurves], figure) -> None:
    axes = _precision_recall_axes(curves, figure)
    level = min((np.minimum(each.recall, each.precision).max() for each in curves), default=0)
    depth = min(1, max(SMALLEST_CORNER, 3 * (1 - level)))
    axes.set(xlim=(1 - depth, 1 + depth / 40), ylim=(1 - depth, 1 + depth / 40))
    _plain_numbers(axes)


def _precision_recall_axes(curves: list[ClassCurves], figure):
    axes = figure.add_subplot(xlabel="recall", ylabel="precision")
    for curve in curves:
        axes.plot(curve.recall, curve.precision, **_class_style(curve))
    _class_legend(axes, "lower left")
    return axes


def _class_style(curve: ClassCurves) -> dict:
    """Returns five colours, and dashes for the second five classes."""
    dashes = "-" if curve.label < len(SERIES) else (0, (3, 1.2))
    colour = SERIES[curve.label % len(SERIES)]
    return {"color": colour, "linestyle": dashes, "label": str(curve.label)}


def _class_legend(axes, place: str) -> None:
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc=place, ncols=2, title="class", handlelength=2.4)


def reliability_plot(summary: Summary) -> Plot:
    """Returns accuracy over confidence, and how many rows have it."""
    return Plot(
        "reliability",
        "Reliability",
        "Dots below the diagonal are rows that the probabilities are too sure of, above it too "
        "unsure; bars are 95 % intervals, and few rows have a low confidence.",
        partial(_draw_reliability, summary.reliability),
        height=360,
    )


def _draw_reliability(found: Reliability, figure) -> None:
    upper, lower = figure.subplots(2, sharex=True, height_ratios=[3, 1])
    figure.subplots_adjust(hspace=0.12, bottom=0.13)
    filled = found.rows > 0
    rows, right = found.rows[filled], found.right[filled]
    accuracy, confidence = right / rows, found.confidence_sums[filled] / rows
    ends = np.array([wilson_interval(*pair) for pair in zip(right, rows, strict=True)]).T
    upper.plot([0, 1], [0, 1], color=QUIET, linewidth=0.8, linestyle=":")
    upper.errorbar(confidence, accuracy, np.abs(ends - accuracy), color=BLUE, fmt="o", capsize=3)
    upper.set(ylabel="accuracy", xlim=(0, 1.01), ylim=(-0.02, 1.02))
    edges = np.linspace(0, 1, len(found.rows) + 1)
    lower.bar(edges[:-1], found.rows, np.diff(edges), align="edge", color=VERMILLION)
    lower.set(yscale="log", ylim=(0.5, None), xlabel="confidence", ylabel="rows")
    _plain_numbers(lower)
    figure.align_ylabels()
