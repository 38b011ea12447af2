"""Pictures made of digits in a study of the data; computes nothing."""

import numpy as np

from competition.digits import CLASSES, SIDE
from competition.inspection.data_study.duplicates import Pairs, describe_row
from competition.inspection.data_study.policies import DIGITS_SHOWN, DRAWS_SHOWN, Policy
from competition.inspection.data_study.study import EXAMPLES, DataStudy
from competition.inspection.presentation.canvas import Palette, hide_axes

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
