"""A study of the data in sentences, each made of computed values; computes nothing else."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from competition import paths
from competition.analysis.augmentation_effects import Policy
from competition.analysis.data_study import DataStudy, write_class_counts
from competition.analysis.drift import FEWEST_ROWS
from competition.analysis.duplicates import CLOSEST_CONTRADICTIONS, CONTRADICTION, NEAR, write_pairs
from competition.console import count_of, with_progress
from competition.digits import CLASSES
from competition.pages import exploration_figures
from competition.pages.figures import DARK, LIGHT, PNG_NOTEBOOK_DOTS_PER_INCH, png
from competition.pages.html import png_data_uri, render
from competition.storage import atomic_folder

# Below this, what was found is hardly due to chance.
SIGNIFICANT = 0.05
NO_BREAK = "\N{NO-BREAK SPACE}"


def findings(study: DataStudy) -> dict[str, str]:
    """Returns what was found, a subject and a sentence or two each."""
    return {
        **parts(study),
        "Classes": counts(study),
        "Train against test": shift(study),
        "Duplicates": near_pairs(study),
        "Labels": contradictions(study),
        "Strokes": f"{ink(study)} {slant(study)}",
        "Space": inked(study),
    }


def parts(study: DataStudy) -> dict[str, str]:
    """Says where labelled rows are test rows, and so on which side they are counted."""
    if study.data_set.held_out is None:
        return {}
    return {
        "Rows": f"The labels of the {len(study.data_set.test):,} test rows are known; here they "
        "count as test rows only, and the labelled rows are all others."
    }


def counts(study: DataStudy) -> str:
    """Says how the rows of the classes compare with equal shares."""
    rows = study.counts.counts
    most, least = int(rows.argmax()), int(rows.argmin())
    p_value = study.counts.p_value
    verdict = "differ from" if p_value < SIGNIFICANT else "are compatible with"
    test_values = (
        "are not known, as these have no labels"
        if study.data_set.held_out is None
        else "are not looked at"
    )
    return (
        f"From {rows[least]:,} rows labelled {least} to {rows[most]:,} labelled {most}: the counts "
        f"{verdict} equal shares (chi-squared test, {p_text(p_value)}); the shares in the test "
        f"rows {test_values}."
    )


def shift(study: DataStudy) -> str:
    """Says whether a classifier can tell labelled from test rows."""
    found = study.shift
    if found is None:
        return (
            f"There are fewer than {FEWEST_ROWS} labelled or test rows, too few to learn whether "
            "they differ."
        )
    low, high = found.interval()
    meaning = (
        "they differ, so out-of-fold figures may not carry over to the test rows"
        if found.p_value < SIGNIFICANT
        else "no difference was found, so out-of-fold figures should carry over to the test rows"
    )
    return (
        "A classifier tells labelled from test rows with an accuracy of "
        f"{percent(found.accuracy)} (95{NO_BREAK}% interval {percent(low)} to {percent(high)}, "
        f"{p_text(found.p_value)} against a coin, {found.rows:,} rows): {meaning}."
    )


def near_pairs(study: DataStudy) -> str:
    """Counts copies and near duplicates, and says where they are."""
    duplicates = study.duplicates
    exact, near = len(duplicates.exact), len(duplicates.near)
    places = duplicates.places(duplicates.near)
    seen, tests = duplicates.seen_test_rows(), len(study.data_set.test)
    return (
        f"There {'is' if exact == 1 else 'are'} {count_of(exact, 'exact copy', 'exact copies')}, "
        f"and {count_of(near, 'near-duplicate pair')} (distance up to {NEAR}): {places['train']:,} "
        f"within train, {places['both']:,} between train and test, {places['test']:,} within test."
        f"{_label_of_near(study)} Of {tests:,} test rows, {seen:,} {'has' if seen == 1 else 'have'}"
        f" a copy or near duplicate among the labelled rows ({percent(seen / tests)})."
    )


def _label_of_near(study: DataStudy) -> str:
    labels, rows = study.data_set.train.labels, study.duplicates.near.rows
    labelled = rows[(rows < len(labels)).all(axis=1)]
    if not len(labelled):
        return ""
    found = np.bincount(labels[labelled].ravel(), minlength=CLASSES) / labelled.size
    label, share = found.argmax(), percent(found.max())
    return f" Of the digits in pairs within train, {share} are labelled {label}."


def contradictions(study: DataStudy) -> str:
    """Says whether near duplicates have different labels."""
    pairs = study.duplicates.contradictions
    if not len(pairs):
        return f"No two digits of different labels are within a distance of {CONTRADICTION}."
    near = int((pairs.distances <= NEAR).sum())
    found = "no near duplicates" if not near else count_of(near, "near-duplicate pair")
    if near == CLOSEST_CONTRADICTIONS:  # no more are kept
        found = f"at least {found}"
    verb = "has" if near == 1 else "have"
    return (
        f"{found[0].upper()}{found[1:]} {verb} labels that contradict each other; the closest two "
        f"digits of different labels are {pairs.distances[0]:.2f} apart."
    )


def ink(study: DataStudy) -> str:
    """Says how much ink the classes have."""
    labels, values = study.data_set.train.labels, study.train.ink
    medians = {int(label): np.median(values[labels == label]) for label in np.unique(labels)}
    least, most = min(medians, key=medians.get), max(medians, key=medians.get)
    return (
        f"The median ink of a class goes from {medians[least]:.0f} pixels ({least}) to "
        f"{medians[most]:.0f} ({most}); over all, it is {np.median(values):.0f} in train and "
        f"{np.median(study.test.ink):.0f} in test."
    )


def slant(study: DataStudy) -> str:
    """Says how far strokes lean."""
    slants = study.train.slant, study.test.slant
    mean, deviation = slants[0].mean(), slants[0].std()
    side = "right" if mean > 0 else "left"
    return (
        f"Strokes lean {abs(mean):.1f}° to the {side} on average, with a standard deviation of "
        f"{deviation:.1f}° (test: {slants[1].std():.1f}°)."
    )


def inked(study: DataStudy) -> str:
    """Says how much of the image the digits fill."""
    found, measured = study.train_pixels, study.train
    height, width = found.largest
    never = np.count_nonzero(found.inked == 0)
    return (
        f"The ink of every labelled digit fits into a box of {height} × {width} pixels, its centre "
        f"of mass at most {measured.off_centre.max():.1f} pixels from the middle; {never} of "
        f"{found.inked.size} pixels never have ink."
    )


def policy(shown: Policy) -> str:
    """Returns what a policy did to the digits that it was measured on."""
    return (
        f"In {shown.measured:,} digits, the standard deviation of the slant goes from "
        f"{shown.slant_before:.1f}° to {shown.slant_after:.1f}° and the ink to "
        f"{percent(shown.ink_ratio)}, and {percent(shown.at_edge)} of the digits reach the edge, "
        "where strokes may be cut off."
    )


def policy_values(shown: Policy) -> str:
    """Returns a policy's parameters as a person would write them."""
    return ", ".join(f"{name} {value:g}" for name, value in shown.values.items())


def captions(study: DataStudy) -> dict[str, str]:
    """Returns a sentence for each figure but those of policies: what to see, and what follows."""
    found = study.embedding
    agreement = percent(found.agreement) if found.neighbours is not None else ""
    train, test = study.train_pixels, study.test_pixels
    return {
        "classes": f"Labelled rows of each class beside equal shares (dashed; "
        f"{p_text(study.counts.p_value)}): folds are stratified, so that each has these shares.",
        "examples": "Labelled digits drawn at random, a line each label: this variety is what "
        "augmentation has to extend without turning a digit into another.",
        "class_means": "Where a mean is blurred and a deviation strong, people write differently; "
        "what they have in common is what a net can rely on.",
        "ink": "Above, all rows; below, the median, quartiles and 1st to 99th percentile of the "
        "labelled rows of each class: where classes overlap, ink alone cannot tell them apart.",
        "slant": "The same for the slant: an augmentation that shears much more than this spread "
        "makes digits that nobody wrote.",
        "grey_values": f"{percent(train.values[0])} of the pixels in train are paper and "
        f"{percent(test.values[0])} in test; from 0 to 1, train has a mean of {train.mean:.3f} and "
        f"a standard deviation of {train.deviation:.3f}, by which a net can standardise.",
        "inked": "How often each pixel has ink: the empty rim is the room that shifts and zooms "
        "have before they cut strokes off.",
        "near_duplicates": "The closest pairs, copies first: a net can simply memorise such rows, "
        "so many of them between folds would flatter out-of-fold figures.",
        "contradictions": "The closest labelled pairs whose labels differ: either label may be an "
        "error, or the digit is one that people read both ways.",
        "shift": "What the classifier says of rows that it has not learned from: the further the "
        "two are apart, the more train and test differ.",
        "principal_components": "The first two main components of a sample (dots: labelled rows in "
        "the colour of their label, test rows grey): where colours mix, two directions cannot "
        "tell classes apart.",
        "tsne": f"t-SNE of the same sample: {agreement} of the labelled dots have one of the same "
        "label as their nearest, and dots within another colour may be hard or mislabelled.",
    }


def p_text(p_value: float) -> str:
    """Returns for example `"p = 0.31"`, or `"p < 0.001"`, on one line of the page."""
    text = "p < 0.001" if p_value < 0.001 else f"p = {p_value:.2g}"
    return text.replace(" ", NO_BREAK)


def percent(share: float) -> str:
    """Returns for example `"49.7 %"`, on one line of the page."""
    return f"{100 * share:.1f}{NO_BREAK}%"


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
        return png(self.draw, self.height, LIGHT, PNG_NOTEBOOK_DOTS_PER_INCH)


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
        page = render("exploration.html", study=study, findings=findings(study), sections=drawn)
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
    ("Classes", "classes", "Rows of each class", 3.4, exploration_figures.counts),
    ("Classes", "examples", "Examples", 3.0, exploration_figures.examples),
    ("Classes", "class_means", "Mean and standard deviation", 4.2, exploration_figures.class_means),
    ("Strokes", "ink", "Ink", 4.6, exploration_figures.ink),
    ("Strokes", "slant", "Slant", 4.6, exploration_figures.slant),
    ("Train against test", "shift", "What a classifier says", 2.8, exploration_figures.shift),
    ("Train against test", "grey_values", "Grey values", 2.8, exploration_figures.grey_values),
    ("Train against test", "inked", "Where the ink is", 3.3, exploration_figures.inked),
    ("Duplicates", "near_duplicates", "The closest pairs", 6, exploration_figures.near_pairs),
    ("Duplicates", "contradictions", "Nearly the same, labelled differently", 6,
     exploration_figures.contradictions),
    ("The digits in a plane", "principal_components", "Main components", 4.6,
     exploration_figures.principal),
    ("The digits in a plane", "tsne", "Neighbours (t-SNE)", 4.6, exploration_figures.neighbours),
)  # fmt: skip


def sections(study: DataStudy) -> dict[str, list[Figure]]:
    """Returns the figures that there is something to draw for, by the title of their section."""
    figure_captions, empty = captions(study), _empty(study)
    found = {}
    for section, stem, title, height, drawing in FIGURES:
        figure = Figure(stem, title, figure_captions[stem], height, partial(drawing, study=study))
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
    values = policy_values(shown)
    caption = f"{policy(shown)} Parameters: {values}." if values else policy(shown)
    stem, draw = f"policy{number}_{name}", partial(exploration_figures.policy, shown=shown)
    return Figure(stem, f"{name}{used}", caption, 3.5, draw)


def draw(figures: dict[str, list[Figure]]) -> dict[str, list[Drawn]]:
    """Draws every figure in both themes, with progress; leaves empty sections out."""
    placed = [(title, each) for title, some in figures.items() for each in some]
    drawn: dict[str, list[Drawn]] = {}
    for title, each in with_progress(f"drawing {len(placed)} figures", placed):
        images = [png(each.draw, each.height, palette) for palette in (LIGHT, DARK)]
        drawn.setdefault(title, []).append(Drawn(each, *images))
    return drawn
