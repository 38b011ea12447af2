"""The folder of a study of the data: page, figures, tables; computes nothing."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from competition import paths
from competition.atomic import atomic_folder
from competition.inspection.data_study.duplicates import write_pairs
from competition.inspection.data_study.policies import Policy
from competition.inspection.data_study.study import DataStudy, write_class_counts
from competition.inspection.exploration import charts, digit_pictures, text
from competition.inspection.presentation.canvas import (
    DARK,
    LIGHT,
    NOTEBOOK_DOTS_PER_INCH,
    png,
)
from competition.inspection.presentation.html import png_data_uri, render
from competition.progress import with_progress


@dataclass(frozen=True)
class Figure:
    """A figure of the page, and of a PNG file.

    Attributes:
        stem: of the file's name.
        title: above it.
        caption: below it.
        height: in inches.
        draw: draws it, called with an empty figure and a palette.
    """

    stem: str
    title: str
    caption: str
    height: float
    draw: Callable = field(repr=False)

    def _repr_png_(self) -> bytes:
        """Shows the figure in a notebook."""
        return png(self.draw, self.height, LIGHT, NOTEBOOK_DOTS_PER_INCH)


@dataclass(frozen=True)
class Drawn:
    """A figure as PNG, in the colours of both themes."""

    figure: Figure
    light: bytes
    dark: bytes

    def address(self, theme: str) -> str:
        """Returns the `light` or the `dark` one as a data URI."""
        return png_data_uri(getattr(self, theme))


def write_exploration(study: DataStudy) -> Path:
    """Writes `output/<config>/exploration/` anew: the page, a PNG a figure, and tables.

    Returns:
        The folder.
    """
    final = paths.exploration_folder(study.name)
    drawn = draw(sections(study))
    with atomic_folder(final) as folder:
        for each in (one for figures in drawn.values() for one in figures):
            (folder / paths.figure_png(each.figure.stem)).write_bytes(each.light)
        write_class_counts(folder / paths.CLASS_COUNTS, study.counts)
        _write_pairs(folder, study)
        page = render(
            "exploration.html", study=study, findings=text.findings(study), sections=drawn
        )
        (folder / paths.PAGE).write_text(page, encoding="utf-8")
    return final


def _write_pairs(folder: Path, study: DataStudy) -> None:
    found = study.duplicates
    same = {"exact": found.exact, "near": found.near}
    write_pairs(folder / paths.DUPLICATES, study.data_set, same)
    contradictions = {"contradiction": found.contradictions}
    write_pairs(folder / paths.CONTRADICTIONS, study.data_set, contradictions)


# Section, stem, title, height and what draws it.
FIGURES = (
    ("Classes", "classes", "Rows of each class", 3.4, charts.counts),
    ("Classes", "examples", "Examples", 3.0, digit_pictures.examples),
    ("Classes", "class_means", "Mean and standard deviation", 4.2, digit_pictures.class_means),
    ("Strokes", "ink", "Ink", 4.6, charts.ink),
    ("Strokes", "slant", "Slant", 4.6, charts.slant),
    ("Train against test", "shift", "What a classifier says", 2.8, charts.shift),
    ("Train against test", "grey_values", "Grey values", 2.8, charts.grey_values),
    ("Train against test", "inked", "Where the ink is", 3.3, charts.inked),
    ("Duplicates", "near_duplicates", "The closest pairs", 6, digit_pictures.near_pairs),
    ("Duplicates", "contradictions", "Nearly the same, labelled differently", 6,
     digit_pictures.contradictions),
    ("The digits in a plane", "principal_components", "Main components", 4.6, charts.principal),
    ("The digits in a plane", "tsne", "Neighbours (t-SNE)", 4.6, charts.neighbours),
)  # fmt: skip


def sections(study: DataStudy) -> dict[str, list[Figure]]:
    """Returns the figures that there is something to draw for, by the title of their section."""
    captions, empty = text.captions(study), _empty(study)
    found = {}
    for section, stem, title, height, drawing in FIGURES:
        figure = Figure(stem, title, captions[stem], height, partial(drawing, study=study))
        found.setdefault(section, []).extend([figure] if stem not in empty else [])
    found["Augmentation"] = [_policy(number, each) for number, each in enumerate(study.policies)]
    return found


def _empty(study: DataStudy) -> set[str]:
    """Returns the stems of the figures that there is nothing to draw for."""
    found = study.duplicates
    is_there = {
        "shift": study.shift is not None,
        "near_duplicates": len(found.exact) + len(found.near) > 0,
        "contradictions": len(found.contradictions) > 0,
        "tsne": study.embedding.neighbours is not None,
    }
    return {stem for stem, something in is_there.items() if not something}


def _policy(number: int, shown: Policy) -> Figure:
    """Returns the figure of a policy; two of the same name differ by their numbers."""
    name = shown.augmentation.name
    used = f", of {' and '.join(shown.variants)}" if shown.variants else ""
    values = text.policy_values(shown)
    caption = f"{text.policy(shown)} Parameters: {values}." if values else text.policy(shown)
    stem, draw = f"policy{number}_{name}", partial(digit_pictures.policy, shown=shown)
    return Figure(stem, f"{name}{used}", caption, 3.5, draw)


def draw(figures: dict[str, list[Figure]]) -> dict[str, list[Drawn]]:
    """Draws every figure in both themes, with progress; leaves empty sections out."""
    placed = [(title, each) for title, some in figures.items() for each in some]
    drawn: dict[str, list[Drawn]] = {}
    for title, each in with_progress(f"drawing {len(placed)} figures", placed):
        images = [png(each.draw, each.height, palette) for palette in (LIGHT, DARK)]
        drawn.setdefault(title, []).append(Drawn(each, *images))
    return drawn
