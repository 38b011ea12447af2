"""Charts of a study of the data; computes nothing but what a chart is made of."""

import numpy as np
from matplotlib.ticker import FuncFormatter

from competition.digits import CLASSES
from competition.inspection.data_study.study import DataStudy
from competition.inspection.presentation.canvas import Palette, hide_axes

SIDES = ("train", "test")
BINS = 60
POINT = 4
# How much of a figure's side a badge takes; so far apart, after so many rounds, are any two.
BADGE_SHARE = 0.065
ROUNDS_OF_PUSHING = 50
PERCENT = FuncFormatter(lambda share, _: f"{100 * share:g} %")


def counts(figure, palette: Palette, study: DataStudy) -> None:
    """Draws a bar a class, and a line at equal shares."""
    axes, rows = figure.subplots(), study.counts.counts
    bars = axes.barh(range(CLASSES), rows, color=palette.train, height=0.8)
    shares = [f"{count:,}   {100 * count / rows.sum():.1f} %" for count in rows]
    axes.bar_label(bars, shares, label_type="center", fontsize=9, color=palette.paper)
    expected = study.counts.expected
    axes.axvline(expected, color=palette.test, linestyle="--", label=f"a tenth: {expected:,.0f}")
    axes.set(xlabel="labelled rows", ylabel="label", yticks=range(CLASSES))
    axes.invert_yaxis()
    figure.legend(loc="outside upper right")


def ink(figure, palette: Palette, study: DataStudy) -> None:
    """Draws the ink of train and test rows, and of each class."""
    _distributions(figure, palette, study, "ink", "ink: inked area in pixels")


def slant(figure, palette: Palette, study: DataStudy) -> None:
    """Draws the slant of train and test rows, and of each class."""
    _distributions(figure, palette, study, "slant", "slant in degrees: left < 0 < right")


def _distributions(figure, palette: Palette, study: DataStudy, of: str, label: str) -> None:
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2, 3))
    values = {side: getattr(getattr(study, side), of) for side in SIDES}
    edges = np.histogram_bin_edges(np.concatenate(list(values.values())), BINS)
    _overlaid(above, palette, values, edges)
    above.set_ylabel("share of rows")
    labels = study.data_set.train.labels
    lines = {"color": palette.quiet}
    below.boxplot(
        [values["train"][labels == one] for one in range(CLASSES)],
        orientation="horizontal",
        positions=range(CLASSES),
        tick_labels=range(CLASSES),
        whis=(1, 99),
        showfliers=False,
        widths=0.6,
        patch_artist=True,
        boxprops={"facecolor": palette.train, "edgecolor": palette.train},
        medianprops={"color": palette.paper, "linewidth": 2},
        whiskerprops=lines,
        capprops=lines,
    )
    below.invert_yaxis()
    below.set(xlabel=label, ylabel="label")


def _overlaid(axes, palette: Palette, values: dict[str, np.ndarray], edges: np.ndarray) -> None:
    """Draws the shares of two sides: one filled, the other a line, so both can be seen."""
    for side, style in zip(SIDES, ("stepfilled", "step"), strict=True):
        weights = np.full(len(values[side]), 1 / len(values[side]))
        colour, alpha = getattr(palette, side), {"stepfilled": 0.55, "step": 1}[style]
        axes.hist(values[side], edges, weights=weights, histtype=style, color=colour,
                  alpha=alpha, linewidth=1.6, label=side)  # fmt: skip
    axes.yaxis.set_major_formatter(PERCENT)
    axes.legend(loc="upper right")


def grey_values(figure, palette: Palette, study: DataStudy) -> None:
    """Draws the share of each grey value, on a logarithmic scale."""
    axes = figure.subplots()
    sides = study.train_pixels, study.test_pixels
    for side, found, line in zip(SIDES, sides, ("-", "--"), strict=True):
        values = np.where(found.values > 0, found.values, np.nan)
        axes.plot(values, color=getattr(palette, side), linestyle=line, linewidth=1.4, label=side)
    axes.set(yscale="log", xlabel="grey value: 0 is paper, 255 full ink", ylabel="share of pixels")
    axes.yaxis.set_major_formatter(PERCENT)
    axes.legend()


def inked(figure, palette: Palette, study: DataStudy) -> None:
    """Draws how often each pixel has ink, for train and for test rows."""
    sides = study.train_pixels, study.test_pixels
    both = figure.subplots(1, 2)
    for axes, side, found in zip(both, SIDES, sides, strict=True):
        drawn = axes.imshow(found.inked, cmap=palette.shades, vmin=0, vmax=1)
        hide_axes(axes)
        axes.set_title(f"{side}: {np.count_nonzero(found.inked == 0)} never inked")
    bar = figure.colorbar(drawn, ax=both, location="bottom", shrink=0.7, aspect=40)
    bar.set_label("share of digits with ink there")
    bar.ax.xaxis.set_major_formatter(PERCENT)


def shift(figure, palette: Palette, study: DataStudy) -> None:
    """Draws what the classifier said of train and of test rows."""
    axes = figure.subplots()
    values = {"train": study.shift.of_train, "test": study.shift.of_test}
    furthest = max(0.1, *(np.abs(each - 0.5).max() for each in values.values()))
    _overlaid(axes, palette, values, np.linspace(0.5 - furthest, 0.5 + furthest, BINS))
    axes.axvline(0.5, color=palette.quiet, linestyle=":")
    axes.set(xlabel="predicted probability of being a test row", ylabel="share of rows")


def principal(figure, palette: Palette, study: DataStudy) -> None:
    """Draws the sample in the plane of its first two main components."""
    _classes(figure, palette, study.embedding.principal, study.embedding.labels)


def neighbours(figure, palette: Palette, study: DataStudy) -> None:
    """Draws the sample in the plane of t-SNE."""
    _classes(figure, palette, study.embedding.neighbours, study.embedding.labels)


def _classes(figure, palette: Palette, points: np.ndarray, labels: np.ndarray) -> None:
    """Draws a dot a row, grey for test rows, and each label where its rows are."""
    axes = figure.subplots()
    hide_axes(axes)
    colours = np.array(palette.classes)[labels]
    tests = points[len(labels) :]
    axes.scatter(*tests.T, s=POINT, color=palette.line, alpha=0.35, linewidths=0)
    labelled = points[: len(labels)]
    axes.scatter(*labelled.T, s=POINT, color=colours, alpha=0.8, linewidths=0)
    box = {"boxstyle": "circle,pad=0.18", "facecolor": palette.paper, "edgecolor": palette.quiet}
    shown = np.unique(labels)
    middles = np.array([np.median(labelled[labels == label], axis=0) for label in shown])
    span = np.ptp(points, axis=0)
    for label, place in zip(shown, span * _apart(middles / span), strict=True):
        axes.text(*place, str(label), ha="center", va="center", weight="bold", size=11,
                  color=palette.ink, bbox={**box, "alpha": 0.9})  # fmt: skip


def _apart(places: np.ndarray) -> np.ndarray:
    """Returns places `[n, 2]`, shares of a figure's sides, pushed apart so that all are seen."""
    moved = places.copy()
    for _ in range(ROUNDS_OF_PUSHING):
        gaps = moved[:, None] - moved
        distances = np.linalg.norm(gaps, axis=2, keepdims=True)
        lacking = np.clip(BADGE_SHARE - distances, 0, None) / 2
        moved += (gaps * lacking / np.maximum(distances, BADGE_SHARE / 100)).sum(axis=1)
    return moved
