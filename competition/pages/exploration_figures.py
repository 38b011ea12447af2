"""Charts of a study of the data; computes nothing but what a chart is made of."""

import numpy as np
from matplotlib.ticker import FuncFormatter

from competition.analysis.augmentation_effects import DIGITS_SHOWN, DRAWS_SHOWN, Policy
from competition.analysis.data_study import EXAMPLES, DataStudy
from competition.analysis.duplicates import Pairs, describe_row
from competition.digits import CLASSES, SIDE
from competition.pages.figures import Palette, hide_axes

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
    values = {"train": study.shift.train_values, "test": study.shift.test_values}
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


PAIR_COLUMNS, PAIR_LINES = 3, 4
GAP = 2  # pixels between digits


def examples(figure, palette: Palette, study: DataStudy) -> None:
    """Draws a line of digits for each label."""
    axes, images = figure.subplots(), study.data_set.train.images
    lines = [images[rows] for rows in study.examples]
    _draw_lines(axes, palette, lines, EXAMPLES)
    _name_lines(axes, [str(label) for label in range(CLASSES)])


def class_means(figure, palette: Palette, study: DataStudy) -> None:
    """Draws the mean of each class above its standard deviation."""
    halves = np.arange(CLASSES).reshape(2, -1)
    above, below = figure.subplots(2, 1)
    above.set_title("mean")
    below.set_title("standard deviation, doubled")
    for axes, values in ((above, study.means), (below, 2 * study.deviations)):
        _draw_lines(axes, palette, [values[half] for half in halves], CLASSES // 2)
        _name_lines(axes, ["0 – 4", "5 – 9"])


def near_pairs(figure, palette: Palette, study: DataStudy) -> None:
    """Draws the closest pairs of digits."""
    _draw_pairs(figure, palette, study, shown_pairs(study))


def contradictions(figure, palette: Palette, study: DataStudy) -> None:
    """Draws the closest pairs of digits with different labels."""
    _draw_pairs(figure, palette, study, study.duplicates.contradictions)


def shown_pairs(study: DataStudy) -> Pairs:
    """Returns the exact duplicates and then the near ones."""
    both = study.duplicates.exact, study.duplicates.near
    return Pairs(*(np.concatenate([getattr(p, of) for p in both]) for of in ("rows", "distances")))


def _draw_pairs(figure, palette: Palette, study: DataStudy, pairs: Pairs) -> None:
    panels = figure.subplots(PAIR_LINES, PAIR_COLUMNS).ravel()
    train, test = study.data_set.train.images, study.data_set.test.images
    for position, axes in enumerate(panels):
        hide_axes(axes)
        if position >= len(pairs):
            continue
        rows = pairs.rows[position]
        two = [train[r] if r < len(train) else test[r - len(train)] for r in rows]
        _draw_lines(axes, palette, [np.stack(two)], 2)
        axes.set_title(f"distance {pairs.distances[position]:.3f}", fontsize=9, loc="center")
        axes.set_xlabel("\n".join(_end(study, row) for row in rows), fontsize=8)


def _end(study: DataStudy, row: int) -> str:
    part, number, label = describe_row(study.data_set, row)
    return f"{part} {number}: {f'label {label}' if label else 'no label'}"


def policy(figure, palette: Palette, shown: Policy) -> None:
    """Draws digits, and below each what the policy made of it."""
    before, after = figure.subplots(2, 1, height_ratios=(1, DRAWS_SHOWN))
    _draw_lines(before, palette, [shown.before], DIGITS_SHOWN)
    _name_lines(before, ["before"])
    _draw_lines(after, palette, list(shown.after), DIGITS_SHOWN)
    _name_lines(after, [f"draw {number}" for number in range(1, DRAWS_SHOWN + 1)])


def _draw_lines(axes, palette: Palette, lines: list[np.ndarray], columns: int) -> None:
    """Draws images, 0 to 255, in lines of so many columns."""
    cell = SIDE + GAP
    paper = np.full((len(lines) * cell - GAP, columns * cell - GAP), np.nan)
    for top, images in enumerate(lines):
        for left, image in enumerate(images):
            paper[top * cell :, left * cell :][:SIDE, :SIDE] = image
    axes.imshow(paper, cmap=palette.digits, vmin=0, vmax=255, interpolation="nearest")
    hide_axes(axes)


def _name_lines(axes, names: list[str]) -> None:
    middles = [SIDE / 2 + number * (SIDE + GAP) for number in range(len(names))]
    axes.set_yticks(middles, names)
    axes.tick_params(axis="y", length=0)
