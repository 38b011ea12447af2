"""The figures of a report: learning curves, ROC and PR curves, reliability, confusions, digits.

Each `_draw_` function takes its data, and last an empty matplotlib figure.
"""

from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from competition.analysis.classes import ClassCurves
from competition.analysis.mistakes import least_certain, mistakes
from competition.analysis.predictions import PredictedDigits
from competition.analysis.summary import Summary
from competition.digits import SIDE
from competition.metrics import Reliability, wilson_interval
from competition.pages.figures import (
    BLUE,
    LINE,
    QUIET,
    SERIES,
    SHADE_FILLS,
    SMALL_TEXT_SIZE,
    VERMILLION,
    WIDTH,
    Figure,
    draw_picture,
    on_shade,
    shades,
)
from competition.results import Job

# The shortest axis of an enlarged corner; perfect curves alone would give it no length.
SMALLEST_CORNER = 1e-3
# A logarithmic axis of false positive rates starts here at the latest, even without false alarms.
LARGEST_EDGE = 1e-2

TRAINING: dict[str, Any] = {"linestyle": (0, (3, 1.5))}
VALIDATION: dict[str, Any] = {"marker": "o", "markersize": 3.5}

Histories = dict[Job, pd.DataFrame]


def learning_figures(histories: Histories, variant: str, is_augmented: bool) -> list[Figure]:
    """Returns loss and accuracy per epoch of one variant's nets."""
    reason = (
        "augmented training digits are harder, so the validation loss may lie below"
        if is_augmented
        else "where the validation loss rises again, the net overfits"
    )
    return [
        Figure(f"learning-{variant}-loss", f"{variant}: loss",
               f"Both should fall and level off; {reason}.", partial(_draw_losses, histories)),
        Figure(f"learning-{variant}-accuracy", f"{variant}: accuracy",
               "A fold far from the others, or a gap that widens towards the end, is worth a look; "
               "the first epochs may lie below the axis.", partial(_draw_accuracies, histories)),
    ]  # fmt: skip


def rates_figure(histories: Histories) -> Figure:
    """Returns the learning rate per epoch, one colour per variant."""
    return Figure("learning-rate", "Learning rate",
                  "At the last step of each epoch. A schedule is the same in every fold; a "
                  "callback may lower the rate earlier in some folds.",
                  partial(_draw_learning_rates, histories))  # fmt: skip


def _draw_losses(histories: Histories, figure) -> None:
    axes = figure.add_subplot(xlabel="epoch", ylabel="loss")
    _draw_histories(axes, histories, "loss")
    if all(min(history["loss"]) > 0 for history in histories.values()):
        axes.set_yscale("log")
    _plain_numbers(axes)


def _draw_accuracies(histories: Histories, figure) -> None:
    """Cuts off the first epochs where they would flatten the rest of the curves."""
    axes = figure.add_subplot(xlabel="epoch", ylabel="accuracy")
    _draw_histories(axes, histories, "accuracy")
    training = [value for history in histories.values() for value in history["accuracy"]]
    measured = [value for history in histories.values() for value in history["validation_accuracy"]]
    bottom = np.nanmin([np.percentile(training, 20), *measured])
    room = 0.05 * max(1 - bottom, SMALLEST_CORNER)
    axes.set_ylim(bottom - room, min(1 + room, axes.get_ylim()[1]))
    _plain_numbers(axes)


def _draw_learning_rates(histories: Histories, figure) -> None:
    axes = figure.add_subplot(xlabel="epoch", ylabel="learning rate")
    variants = list(dict.fromkeys(job.variant for job in histories))
    for job, history in histories.items():
        colour = SERIES[variants.index(job.variant) % len(SERIES)]
        style = {"color": colour, "label": job.variant}
        axes.plot(history["epoch"], history["learning_rate"], **style)
    handles = dict(zip(*axes.get_legend_handles_labels()[::-1], strict=True))
    if len(handles) > 1:
        axes.legend(handles.values(), handles.keys())
    axes.xaxis.get_major_locator().set_params(integer=True)
    _plain_numbers(axes)


def _draw_histories(axes, histories: Histories, what: str) -> None:
    """Draws one colour per split, dashes for training and dots for validation."""
    splits = list(dict.fromkeys(job.split for job in histories))
    for job, history in histories.items():
        colour = SERIES[splits.index(job.split) % len(SERIES)]
        axes.plot(history["epoch"], history[what], color=colour, **TRAINING)
        measured = history.dropna(subset=f"validation_{what}")
        axes.plot(measured["epoch"], measured[f"validation_{what}"], color=colour, **VALIDATION)
    axes.xaxis.get_major_locator().set_params(integer=True)
    _learning_legend(axes, splits)


def _learning_legend(axes, splits: list[str]) -> None:
    from matplotlib.lines import Line2D

    styles: list[dict[str, Any]] = [
        {"color": SERIES[number % len(SERIES)]} for number in range(len(splits))
    ]
    styles += [{"color": QUIET, **TRAINING}, {"color": QUIET, **VALIDATION}]
    names = [split.replace("fold", "fold ").replace("all", "all rows") for split in splits]
    names += ["training", "validation"]
    lines = [Line2D([], [], **style) for style in styles]
    axes.legend(lines, names, ncols=1 + (len(names) > 8), loc="best", handlelength=2.2)


def _plain_numbers(axes) -> None:
    """Writes numbers as 0.001, without powers of ten.

    On a logarithmic axis: the decades; below two decades also their double and fivefold; below one
    decade all minor ticks of matplotlib.
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


def class_figures(summary: Summary) -> list[Figure]:
    """Returns the ROC and PR curves of each class against all others: the corners that matter."""
    curves = summary.curves
    return [
        Figure("roc", "ROC, one class against all others",
               "Its upper part, with the false positive rate on a logarithmic scale: which classes "
               "can be told apart with hardly any false alarms.", partial(_draw_roc, curves)),
        Figure("precision-recall", "Precision and recall",
               "Their upper right corner: the class with the line that bends first is the hardest.",
               partial(_draw_precision_recall, curves)),
    ]  # fmt: skip


def _draw_roc(curves: list[ClassCurves], figure) -> None:
    axes = figure.add_subplot(xlabel="false positive rate", ylabel="true positive rate")
    rates = np.concatenate([[1.0], *(curve.false_positive_rate for curve in curves)])
    # A logarithmic axis has no 0.
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
    axes = figure.add_subplot(xlabel="recall", ylabel="precision")
    for curve in curves:
        axes.plot(curve.recall, curve.precision, **_class_style(curve))
    level = min((np.minimum(each.recall, each.precision).max() for each in curves), default=0)
    depth = min(1, max(SMALLEST_CORNER, 3 * (1 - level)))
    axes.set(xlim=(1 - depth, 1 + depth / 40), ylim=(1 - depth, 1 + depth / 40))
    _plain_numbers(axes)
    _class_legend(axes, "lower left")


def _class_style(curve: ClassCurves) -> dict:
    """Returns one of five colours; classes 5 to 9 are dashed."""
    dashes = "-" if curve.label < len(SERIES) else (0, (3, 1.2))
    colour = SERIES[curve.label % len(SERIES)]
    return {"color": colour, "linestyle": dashes, "label": str(curve.label)}


def _class_legend(axes, place: str) -> None:
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc=place, ncols=2, title="class", handlelength=2.4)


def reliability_figure(summary: Summary) -> Figure:
    """Returns accuracy and number of rows by confidence."""
    return Figure("reliability", "Reliability",
                  "Dots below the diagonal show overconfident predictions, dots above it "
                  "underconfident ones; bars are 95% intervals. Few rows have a low confidence.",
                  partial(_draw_reliability, summary.reliability))  # fmt: skip


def _draw_reliability(found: Reliability, figure) -> None:
    upper, lower = figure.subplots(2, sharex=True, height_ratios=[3, 1])
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


def confusion_figure(summary: Summary) -> Figure:
    """Returns the confusion matrix as counts; frequent mistakes have a strong shade."""
    return Figure("confusion-counts", "Confusion matrix",
                  "Mistakes are shaded, right rows on the diagonal are not; a strong shade is a "
                  "pair of classes that are hard to tell apart.",
                  partial(_draw_confusion, summary.confusion), height=WIDTH)  # fmt: skip


def _draw_confusion(counts: np.ndarray, figure) -> None:
    """Draws counts `[10, 10]`."""
    from matplotlib.colors import ListedColormap

    axes, count = figure.subplots(), len(counts)
    steps = shades(counts - np.diag(counts.diagonal()))
    axes.pcolormesh(steps, cmap=ListedColormap(SHADE_FILLS), vmin=0, vmax=len(SHADE_FILLS) - 1,
                    edgecolors=LINE, linewidth=0.6)  # fmt: skip
    for line, column in zip(*counts.nonzero(), strict=True):
        colour = QUIET if line == column else on_shade(int(steps[line, column]))
        axes.text(column + 0.5, line + 0.5, str(counts[line, column]), color=colour,
                  fontsize=SMALL_TEXT_SIZE, ha="center", va="center")  # fmt: skip
    axes.set(xlim=(0, count), ylim=(count, 0), aspect="equal", xlabel="prediction", ylabel="label")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks(np.arange(count) + 0.5, list(map(str, range(count))))
    axes.grid(visible=False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


# Readable on a phone.
SAMPLE_COLUMNS, SAMPLE_LINES = 4, 4
SAMPLES = SAMPLE_COLUMNS * SAMPLE_LINES
# Pixels of a digit with its margin and a line of text.
CELL_WIDTH, CELL_HEIGHT = SIDE + 8, SIDE + 12


def sample_figures(predicted: PredictedDigits) -> list[Figure]:
    """Returns wrong and uncertain digits with their predictions."""
    below = "Below each digit: label → prediction, and its probability."
    found = [
        (mistakes(predicted), "samples-mistakes", "The most confident mistakes",
         "Some of these labels may be wrong themselves; the gallery has all."),
        (least_certain(predicted, SAMPLES), "samples-uncertain", "The least certain digits",
         "Right or wrong, two classes are nearly as likely."),
    ]  # fmt: skip
    return [
        _sample_figure(key, title, f"{caption} {below}", predicted.take(rows[:SAMPLES]))
        for rows, key, title, caption in found
        if len(rows)
    ]


def _sample_figure(key: str, title: str, caption: str, shown: PredictedDigits) -> Figure:
    lines = -(-len(shown) // SAMPLE_COLUMNS)
    height = round(WIDTH / SAMPLE_COLUMNS * CELL_HEIGHT / CELL_WIDTH * lines)
    return Figure(key, title, caption, partial(_draw_samples, shown, lines), height)


def _draw_samples(predicted: PredictedDigits, lines: int, figure) -> None:
    """Draws digits with a line of text below each, as one picture, which is smaller than many."""
    axes = figure.subplots()
    paper = np.zeros((lines * CELL_HEIGHT, SAMPLE_COLUMNS * CELL_WIDTH), np.uint8)
    for number, image in enumerate(predicted.digits.images):
        line, column = divmod(number, SAMPLE_COLUMNS)
        top, left = line * CELL_HEIGHT + 2, column * CELL_WIDTH + 4
        paper[top : top + SIDE, left : left + SIDE] = image
        label, prediction = predicted.digits.labels[number], predicted.predictions[number]
        # HTML collapses two ordinary spaces into one.
        text = f"{label} → {prediction}\N{EN SPACE}{predicted.ensemble[number, prediction]:.1%}"
        axes.text(left + SIDE / 2, top + SIDE + 1, text, ha="center", va="top",
                  fontsize=SMALL_TEXT_SIZE,
                  weight="normal" if label == prediction else "bold")  # fmt: skip
    draw_picture(axes, paper, 255)
    axes.set_aspect("auto")
