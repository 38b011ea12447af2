"""The drawing of the exploration's figures.

Each function takes its data, and last an empty matplotlib figure.
"""

from typing import Any

import numpy as np

from competition.analysis.augmentation_effects import DIGITS_SHOWN, DRAWS_SHOWN, Policy
from competition.analysis.data_study import EXAMPLES, DataStudy
from competition.analysis.drift import ShiftTest
from competition.analysis.duplicates import Pairs, describe_row
from competition.digits import CLASSES, SIDE
from competition.pages.figures import (
    CLASS_COLOURS,
    CONTROL,
    DEEP_BLUE,
    QUIET,
    RUST,
    SMALL_TEXT_SIZE,
    SURFACE,
    draw_picture,
    hide_axes,
)

TRAIN, TEST = DEEP_BLUE, RUST
SIDES = {"train": TRAIN, "test": TEST}
BINS = 60
POINT = 4
# Labels in the plane are pushed apart to this share of the figure's side, in so many rounds.
BADGE_SHARE = 0.065
ROUNDS_OF_PUSHING = 50
PAIR_COLUMNS, PAIR_LINES = 3, 4
GAP = 2  # pixels between digits


def _percent_axis(axis) -> None:
    from matplotlib.ticker import FuncFormatter

    axis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g}%"))


def counts(study: DataStudy, figure) -> None:
    """Draws a bar per class, and a line at equal shares."""
    axes, rows = figure.subplots(), study.counts.counts
    bars = axes.barh(range(CLASSES), rows, color=TRAIN, height=0.8)
    shares = [f"{count:,} · {100 * count / rows.sum():.1f}%" for count in rows]
    axes.bar_label(bars, shares, label_type="center", fontsize=SMALL_TEXT_SIZE, color=SURFACE)
    expected = study.counts.expected
    axes.axvline(expected, color=TEST, linestyle="--", label=f"a tenth: {expected:,.0f}")
    axes.set(xlabel="labelled rows", ylabel="label", yticks=range(CLASSES))
    axes.grid(visible=False, axis="y")
    axes.invert_yaxis()
    figure.legend(loc="outside upper right")


def ink(study: DataStudy, figure) -> None:
    """Draws the ink of train and test rows, and of each class."""
    values = {"train": study.train.ink, "test": study.test.ink}
    _distributions(study, values, "ink: inked area in pixels", figure)


def slant(study: DataStudy, figure) -> None:
    """Draws the slant of train and test rows, and of each class."""
    values = {"train": study.train.slant, "test": study.test.slant}
    _distributions(study, values, "slant in degrees: left < 0 < right", figure)


def _distributions(study: DataStudy, values: dict[str, np.ndarray], what: str, figure) -> None:
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2, 3))
    edges = np.histogram_bin_edges(np.concatenate(list(values.values())), BINS)
    _overlaid(above, values, edges)
    above.set_ylabel("share of rows")
    labels = study.data_set.train.labels
    below.boxplot(
        [values["train"][labels == label] for label in range(CLASSES)],
        orientation="horizontal",
        positions=range(CLASSES),
        tick_labels=range(CLASSES),
        whis=(1, 99),
        showfliers=False,
        widths=0.6,
        patch_artist=True,
        boxprops={"facecolor": TRAIN, "edgecolor": TRAIN},
        medianprops={"color": SURFACE, "linewidth": 2},
        whiskerprops={"color": QUIET},
        capprops={"color": QUIET},
    )
    below.grid(visible=False, axis="y")
    below.invert_yaxis()
    below.set(xlabel=what, ylabel="label")


def _overlaid(axes, values: dict[str, np.ndarray], edges: np.ndarray) -> None:
    """Draws two histograms: train filled and test as a line, so that both are visible."""
    styles: dict[str, dict[str, Any]] = {
        "train": {"histtype": "stepfilled", "alpha": 0.55},
        "test": {"histtype": "step", "linewidth": 1.6},
    }
    for side, colour in SIDES.items():
        weights = np.full(len(values[side]), 1 / len(values[side]))
        axes.hist(values[side], edges, weights=weights, color=colour, label=side, **styles[side])
    _percent_axis(axes.yaxis)
    axes.legend(loc="upper right")


def grey_values(study: DataStudy, figure) -> None:
    """Draws the share of each grey value, on a logarithmic scale."""
    axes = figure.subplots()
    both = study.train_pixels, study.test_pixels
    for (side, colour), found, line in zip(SIDES.items(), both, ("-", "--"), strict=True):
        values = np.where(found.values > 0, found.values, np.nan)
        axes.plot(values, color=colour, linestyle=line, linewidth=1.4, label=side)
    axes.set(yscale="log", xlabel="grey value: 0 is paper, 255 full ink", ylabel="share of pixels")
    _percent_axis(axes.yaxis)
    axes.legend()


def inked(study: DataStudy, figure) -> None:
    """Draws how often each pixel has ink, for train and for test rows."""
    both = figure.subplots(1, 2)
    drawn = None
    for axes, side, found in zip(both, SIDES, (study.train_pixels, study.test_pixels), strict=True):
        drawn = draw_picture(axes, found.inked, 1, TRAIN)
        axes.set_title(f"{side}: {np.count_nonzero(found.inked == 0)} never inked")
    bar = figure.colorbar(drawn, ax=both, location="bottom", shrink=0.7, aspect=40)
    bar.set_label("share of digits with ink there")
    _percent_axis(bar.ax.xaxis)


def shift(found: ShiftTest, figure) -> None:
    """Draws the classifier's probabilities for train and test rows."""
    axes = figure.subplots()
    values = {"train": found.train_values, "test": found.test_values}
    furthest = max(0.1, *(np.abs(each - 0.5).max() for each in values.values()))
    _overlaid(axes, values, np.linspace(0.5 - furthest, 0.5 + furthest, BINS))
    axes.axvline(0.5, color=QUIET, linestyle=":")
    axes.set(xlabel="predicted probability of being a test row", ylabel="share of rows")


def plane(points: np.ndarray, labels: np.ndarray, figure) -> None:
    """Draws one dot per row, grey for test rows, and each label at the median of its rows.

    Args:
        points: float `[n + m, 2]`, the labelled rows first.
        labels: uint8 `[n]`.
        figure: empty.
    """
    axes = figure.subplots()
    hide_axes(axes)
    labelled, tests = np.split(points, [len(labels)])
    axes.scatter(*tests.T, s=POINT, color=CONTROL, alpha=0.35, linewidths=0)
    colours = np.array(CLASS_COLOURS)[labels]
    axes.scatter(*labelled.T, s=POINT, color=colours, alpha=0.8, linewidths=0)
    box = {"boxstyle": "circle,pad=0.18", "facecolor": SURFACE, "edgecolor": QUIET, "alpha": 0.9}
    shown = np.unique(labels)
    middles = np.array([np.median(labelled[labels == label], axis=0) for label in shown])
    span = np.ptp(points, axis=0)
    for label, place in zip(shown, span * _apart(middles / span), strict=True):
        axes.text(*place, str(label), ha="center", va="center", weight="bold", bbox=box)


def _apart(places: np.ndarray) -> np.ndarray:
    """Returns places `[n, 2]`, as shares of a figure's sides, pushed apart."""
    moved = places.copy()
    for _ in range(ROUNDS_OF_PUSHING):
        gaps = moved[:, None] - moved
        distances = np.linalg.norm(gaps, axis=2, keepdims=True)
        lacking = np.clip(BADGE_SHARE - distances, 0, None) / 2
        moved += (gaps * lacking / np.maximum(distances, BADGE_SHARE / 100)).sum(axis=1)
    return moved


def examples(study: DataStudy, figure) -> None:
    """Draws one line of digits per label."""
    images = study.data_set.train.images
    lines = [images[rows] for rows in study.examples]
    _draw_lines(figure.subplots(), lines, EXAMPLES, [str(label) for label in range(CLASSES)])


def class_means(study: DataStudy, figure) -> None:
    """Draws each class's mean, and below its standard deviation."""
    panels = figure.subplots(2, 1)
    shown = {"mean": study.means, "standard deviation, doubled": 2 * study.deviations}
    for axes, (title, values) in zip(panels, shown.items(), strict=True):
        _draw_lines(axes, list(np.split(values, 2)), CLASSES // 2, ["0 – 4", "5 – 9"])
        axes.set_title(title)


def pairs(study: DataStudy, shown: Pairs, figure) -> None:
    """Draws the first pairs of digits, each with its distance, ids and labels."""
    panels = figure.subplots(PAIR_LINES, PAIR_COLUMNS).ravel()
    train, test = study.data_set.train.images, study.data_set.test.images
    for axes in panels:
        hide_axes(axes)
    for axes, rows, distance in zip(panels, shown.rows, shown.distances, strict=False):
        two = [train[row] if row < len(train) else test[row - len(train)] for row in rows]
        _draw_lines(axes, [np.stack(two)], 2)
        axes.set_title(f"distance {distance:.3f}", fontsize=SMALL_TEXT_SIZE, loc="center")
        described = [describe_row(study.data_set, row) for row in rows]
        texts = [f"{part} {id}: {f'label {label}' if label else 'no label'}"
                 for part, id, label in described]  # fmt: skip
        axes.set_xlabel("\n".join(texts), fontsize=8.5)


def policy(shown: Policy, figure) -> None:
    """Draws digits, and below them augmented copies."""
    names = ["before", *(f"draw {number}" for number in range(1, DRAWS_SHOWN + 1))]
    _draw_lines(figure.subplots(), [shown.before, *shown.after], DIGITS_SHOWN, names)


def _draw_lines(
    axes, lines: list[np.ndarray], columns: int, names: list[str] | None = None
) -> None:
    """Draws images, 0 to 255, in named lines of `columns` images."""
    cell = SIDE + GAP
    paper = np.zeros((len(lines) * cell - GAP, columns * cell - GAP))
    for top, images in enumerate(lines):
        for left, image in enumerate(images):
            paper[top * cell :, left * cell :][:SIDE, :SIDE] = image
    draw_picture(axes, paper, 255)
    if names:
        axes.set_yticks([SIDE / 2 + number * cell for number in range(len(names))], names)
        axes.tick_params(axis="y", length=0)
