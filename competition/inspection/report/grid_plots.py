"""Figures with cells: heat maps of counts, and digits with what is said of them."""

from functools import partial

import numpy as np

from competition.digits import SIDE
from competition.inspection.evaluation.cases import Cases
from competition.inspection.evaluation.findings import least_certain, mistakes
from competition.inspection.evaluation.summary import Summary
from competition.inspection.presentation.colours import LINE, QUIET, SHADE_FILLS, on_shade, shades
from competition.inspection.presentation.drawing import SMALL_TEXT_SIZE, WIDTH, Plot

# Digits a figure of samples: five lines of four can be read on a phone.
SAMPLE_COLUMNS, SAMPLE_LINES = 4, 5
SAMPLES = SAMPLE_COLUMNS * SAMPLE_LINES
SAMPLE_SEED = 0
# Pixels of a digit's cell, with its margin and room for a line of text.
CELL_WIDTH, CELL_HEIGHT = SIDE + 8, SIDE + 12


def confusion_plots(summary: Summary) -> list[Plot]:
    """Returns the confusion matrix as counts, and as shares of each label's rows."""
    confusion = summary.confusion
    return [
        Plot("confusion-counts", "Confusion matrix, rows",
             "Mistakes are shaded, right rows on the diagonal are not; a dark cell is a pair of "
             "classes that are hard to tell apart.",
             partial(_draw_counts, confusion), height=WIDTH),
        Plot("confusion-rates", "Confusion matrix, per cent of each label",
             "The same as shares of the label's rows, so that rare classes count as much.",
             partial(_draw_rates, confusion), height=WIDTH),
    ]  # fmt: skip


def _draw_counts(confusion: np.ndarray, figure) -> None:
    texts = np.where(confusion > 0, confusion.astype(str), "")
    _draw_confusion(figure, shades(_mistakes(confusion)), texts)


def _draw_rates(confusion: np.ndarray, figure) -> None:
    support = confusion.sum(axis=1, keepdims=True)
    rates = 100 * confusion / support.clip(1)
    texts = [[_percent(rate) for rate in row] for row in rates]
    _draw_confusion(figure, shades(_mistakes(rates)), np.array(texts))


def _percent(rate: float) -> str:
    """Returns about three digits; nothing for nothing."""
    return "" if rate == 0 else f"{rate:.1f}" if rate >= 10 else f"{rate:.2f}"


def _mistakes(cells: np.ndarray) -> np.ndarray:
    return cells - np.diag(cells.diagonal())


def _draw_confusion(figure, steps: np.ndarray, texts: np.ndarray) -> None:
    _draw_cells(figure, steps, texts, 0).set(xlabel="prediction", ylabel="label")


def _draw_cells(figure, steps: np.ndarray, texts: np.ndarray, first: int):
    """Draws a square table: how dark each cell is, and what stands in it.

    Lines and columns are numbered from `first` on.
    """
    from matplotlib.colors import ListedColormap

    axes, count = figure.add_axes((0.1, 0.1, 0.88, 0.88)), len(steps)
    axes.pcolormesh(steps, cmap=ListedColormap(SHADE_FILLS), vmin=0, vmax=len(SHADE_FILLS) - 1,
                    edgecolors=LINE, linewidth=0.6)  # fmt: skip
    size = SMALL_TEXT_SIZE * min(1, 10 / count)
    for line, column in np.ndindex(count, count):
        colour = QUIET if line == column else on_shade(int(steps[line, column]))
        axes.text(column + 0.5, line + 0.5, texts[line, column], color=colour, fontsize=size,
                  ha="center", va="center")  # fmt: skip
    axes.set(xlim=(0, count), ylim=(count, 0), aspect="equal")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks(np.arange(count) + 0.5, [str(first + step) for step in range(count)])
    axes.grid(visible=False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return axes


def agreement_plot(summary: Summary) -> Plot:
    """Returns for how many rows each two members predict different classes."""
    return Plot(
        "members-disagreement",
        "Rows that two members predict differently",
        "Members gain most from others that differ from them and are as good; the numbers are "
        "those of the tables.",
        partial(_draw_disagreement, summary.agreement.disagreement),
        height=WIDTH,
    )


def _draw_disagreement(counts: np.ndarray, figure) -> None:
    pairs = ~np.eye(len(counts), dtype=bool)
    # They differ little beside their size, so the least is nearly white.
    above = np.where(pairs, counts - counts[pairs].min() + 1, 0)
    axes = _draw_cells(figure, shades(above**2), counts.astype(str), 1)
    axes.set(xlabel="member", ylabel="member")


def sample_plots(cases: Cases) -> list[Plot]:
    """Returns digits with their probabilities: any, wrong ones, and the least certain."""
    random = np.random.default_rng(SAMPLE_SEED)
    any_rows = random.choice(len(cases), min(SAMPLES, len(cases)), replace=False)
    below = "Below each digit: label → prediction, and its probability."
    found = [
        _sample("samples", "Any digits", f"Drawn at random with a fixed seed. {below}",
                cases, any_rows),
        _sample("samples-mistakes", "The most confident mistakes",
                f"Look for labels that seem wrong themselves. {below}", cases, mistakes(cases)),
        _sample("samples-uncertain", "The least certain digits",
                f"Right or wrong, two classes are nearly as likely. {below}", cases,
                least_certain(cases, SAMPLES)),
    ]  # fmt: skip
    return [plot for plot in found if plot]


def _sample(key: str, title: str, caption: str, cases: Cases, rows: np.ndarray) -> Plot | None:
    if not len(rows):
        return None
    shown = cases.take(rows[:SAMPLES])
    lines = -(-len(shown) // SAMPLE_COLUMNS)
    height = round(WIDTH / SAMPLE_COLUMNS * CELL_HEIGHT / CELL_WIDTH * lines)
    return Plot(key, title, caption, partial(_draw_samples, shown, lines), height)


def _draw_samples(cases: Cases, lines: int, figure) -> None:
    """Draws dark ink on white paper; one picture of all digits takes less than one each."""
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    # Nothing but the digits has a colour, so that a dark page shows between them.
    paper = np.zeros((lines * CELL_HEIGHT, SAMPLE_COLUMNS * CELL_WIDTH, 4), np.uint8)
    for number, image in enumerate(cases.digits.images):
        line, column = divmod(number, SAMPLE_COLUMNS)
        top, left = line * CELL_HEIGHT + 2, column * CELL_WIDTH + 4
        paper[top : top + SIDE, left : left + SIDE, :3] = 255 - image[..., None]
        paper[top : top + SIDE, left : left + SIDE, 3] = 255
        _write(axes, left + SIDE / 2, top + SIDE + 1, cases, number)
    axes.imshow(paper, interpolation="none", aspect="auto",
                extent=(0, paper.shape[1], paper.shape[0], 0))  # fmt: skip


def _write(axes, left: float, top: float, cases: Cases, number: int) -> None:
    label, predicted = cases.digits.labels[number], cases.predictions[number]
    text = f"{label} → {predicted}  {cases.ensemble[number, predicted]:.1%}"
    weight = "normal" if label == predicted else "bold"
    axes.text(left, top, text, ha="center", va="top", weight=weight,
              fontsize=SMALL_TEXT_SIZE)  # fmt: skip
