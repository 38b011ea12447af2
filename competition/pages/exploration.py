"""The exploration of the data: findings in sentences, figures with captions, page and tables."""

from functools import partial
from pathlib import Path

import numpy as np

from competition import paths
from competition.analysis.augmentation_effects import Policy
from competition.analysis.data_study import DataStudy, write_class_counts
from competition.analysis.drift import FEWEST_ROWS
from competition.analysis.duplicates import (
    CLOSEST_CONTRADICTIONS,
    CONTRADICTION,
    NEAR,
    Pairs,
    describe_row,
    write_pairs,
)
from competition.console import count_of
from competition.digits import CLASSES
from competition.pages import exploration_figures as drawing
from competition.pages.figures import Figure, write_figures
from competition.pages.html import DIGITS_PER_SPRITE, SPRITE_COLUMNS, render, sprites
from competition.pages.overview import refresh
from competition.storage import atomic_folder
from competition.tables import write_csv

SIGNIFICANT = 0.05  # p below this
NO_BREAK = "\N{NO-BREAK SPACE}"
PLANE = "The digits in a plane"  # the section that a person can touch
STEPS = 4000  # of a coordinate in the page: finer than its pixels


def write_exploration(study: DataStudy) -> Path:
    """Writes `output/<config>/exploration/` anew (page, a PNG per figure, tables); returns it."""
    final = paths.OutputPaths(study.name).exploration
    shown = {title: figures for title, figures in sections(study).items() if figures}
    all_figures = [figure for figures in shown.values() for figure in figures]
    duplicates = study.duplicates
    with atomic_folder(final) as folder:
        drawn = write_figures(folder, all_figures)
        write_class_counts(folder / paths.CLASS_COUNTS, study.counts)
        same = {"exact": duplicates.exact, "near": duplicates.near}
        write_pairs(folder / paths.DUPLICATES, study.data_set, same)
        contradictions = {"contradiction": duplicates.contradictions}
        write_pairs(folder / paths.CONTRADICTIONS, study.data_set, contradictions)
        _write_plane(folder / paths.PLANE, study)
        page = render(
            "exploration.html",
            study=study,
            findings=findings(study),
            sections=shown,
            drawn=drawn,
            plane=PLANE,
            data=_plane_data(study, shown[PLANE]),
        )
        (folder / paths.PAGE).write_text(page, encoding="utf-8")
    refresh(study.name)
    return final


def _write_plane(path: Path, study: DataStudy) -> None:
    """Writes one line per digit in the plane: its part, its id, its label if it has one."""
    import pandas as pd

    described = [describe_row(study.data_set, row) for row in study.embedding.rows.tolist()]
    write_csv(path, pd.DataFrame(described, columns=["part", "id", "label"]))


def explored_rows(config_name: str) -> tuple[list[int], list[int]]:
    """Returns the ids of the labelled and of the test rows in the plane; none without one."""
    import pandas as pd

    path = paths.OutputPaths(config_name).exploration / paths.PLANE
    if not path.exists():
        return [], []
    rows = pd.read_csv(path)
    train, test = (rows.loc[rows["part"] == part, "id"].tolist() for part in ("train", "test"))
    return train, test


def _plane_data(study: DataStudy, figures: list[Figure]) -> dict:
    """Returns the digits in the plane as JSON values, once for each figure."""
    found = study.embedding
    planes = [plane for plane in (found.principal, found.neighbours) if plane is not None]
    described = [describe_row(study.data_set, row) for row in found.rows.tolist()]
    images = np.concatenate([study.data_set.train.images, study.data_set.test.images])
    return {
        "id": [int(id) for _, id, _ in described],
        "label": found.labels.tolist(),
        "planes": [
            {"title": figure.title, "caption": figure.caption, "places": _steps(plane)}
            for figure, plane in zip(figures, planes, strict=True)
        ],
        "spriteColumns": SPRITE_COLUMNS,
        "digitsPerSprite": DIGITS_PER_SPRITE,
        "sprites": sprites(images[found.rows]),
    }


def _steps(points: np.ndarray) -> list[int]:
    """Returns the coordinates of points `[n, 2]` as steps of the plane, point by point."""
    low, high = points.min(axis=0), points.max(axis=0)
    return (
        np.rint((points - low) / np.maximum(high - low, 1e-9) * STEPS).astype(int).ravel().tolist()
    )


def findings(study: DataStudy) -> dict[str, str]:
    """Returns the findings, one or two sentences by subject."""
    rows = (
        f"The labels of the {len(study.data_set.test):,} test rows are known; here they count as "
        "test rows only, and the labelled rows are all others."
    )
    return {
        **({} if study.data_set.held_out is None else {"Rows": rows}),
        "Classes": _class_counts(study),
        "Train against test": _shift(study),
        "Duplicates": _near_pairs(study),
        "Labels": _contradictions(study),
        "Strokes": _strokes(study),
        "Space": _space(study),
    }


def _class_counts(study: DataStudy) -> str:
    rows = study.counts.counts
    most, least = int(rows.argmax()), int(rows.argmin())
    verdict = "differ from" if study.counts.p_value < SIGNIFICANT else "are compatible with"
    test_shares = (
        "are not known, as these have no labels"
        if study.data_set.held_out is None
        else "are not looked at"
    )
    return (
        f"From {rows[least]:,} rows labelled {least} to {rows[most]:,} labelled {most}: the counts "
        f"{verdict} equal shares (chi-squared test, {p_text(study.counts.p_value)}); the shares in "
        f"the test rows {test_shares}."
    )


def _shift(study: DataStudy) -> str:
    found = study.shift
    if found is None:
        return f"Fewer than {FEWEST_ROWS} labelled or test rows are too few to compare them."
    low, high = found.interval()
    meaning = (
        "they differ, so out-of-fold figures may not carry over to the test rows"
        if found.p_value < SIGNIFICANT
        else "no difference was found, so out-of-fold figures should carry over to the test rows"
    )
    return (
        "A classifier tells labelled from test rows with an accuracy of "
        f"{percent(found.accuracy)} (95% interval {percent(low)} to {percent(high)}, "
        f"{p_text(found.p_value)} against chance, {found.rows:,} rows): {meaning}."
    )


def _near_pairs(study: DataStudy) -> str:
    duplicates = study.duplicates
    exact, near = len(duplicates.exact), len(duplicates.near)
    places = duplicates.places(duplicates.near)
    seen, tests = duplicates.seen_test_rows(), len(study.data_set.test)
    return (
        f"There {'is' if exact == 1 else 'are'} {count_of(exact, 'exact copy', 'exact copies')}, "
        f"and {count_of(near, 'near-duplicate pair')} (distance up to {NEAR}): {places['train']:,} "
        f"within train, {places['both']:,} between train and test, {places['test']:,} within test."
        f"{_most_common_label(study)} Of {tests:,} test rows, {seen:,} "
        f"{'has' if seen == 1 else 'have'} a copy or near duplicate among the labelled rows "
        f"({percent(seen / tests)})."
    )


def _most_common_label(study: DataStudy) -> str:
    labels, rows = study.data_set.train.labels, study.duplicates.near.rows
    labelled = rows[(rows < len(labels)).all(axis=1)]
    if not len(labelled):
        return ""
    shares = np.bincount(labels[labelled].ravel(), minlength=CLASSES) / labelled.size
    return (
        f" Of the digits in pairs within train, {percent(shares.max())} are labelled "
        f"{shares.argmax()}."
    )


def _contradictions(study: DataStudy) -> str:
    pairs = study.duplicates.contradictions
    if not len(pairs):
        return f"No two digits of different labels are within a distance of {CONTRADICTION}."
    near = int((pairs.distances <= NEAR).sum())
    found = count_of(near, "near-duplicate pair") if near else "No near duplicates"
    if near == CLOSEST_CONTRADICTIONS:  # the search keeps no more
        found = f"At least {found}"
    return (
        f"{found} {'has' if near == 1 else 'have'} labels that contradict each other; the closest "
        f"two digits of different labels are {pairs.distances[0]:.2f} apart."
    )


def _strokes(study: DataStudy) -> str:
    labels, values = study.data_set.train.labels, study.train.ink
    medians = {int(label): np.median(values[labels == label]) for label in np.unique(labels)}
    least, most = min(medians, key=medians.__getitem__), max(medians, key=medians.__getitem__)
    train, test = study.train.slant, study.test.slant
    return (
        f"The median ink of a class goes from {medians[least]:.0f} pixels ({least}) to "
        f"{medians[most]:.0f} ({most}); over all, it is {np.median(values):.0f} in train and "
        f"{np.median(study.test.ink):.0f} in test. "
        f"Strokes lean {abs(train.mean()):.1f}° to the {'right' if train.mean() > 0 else 'left'} "
        f"on average, with a standard deviation of {train.std():.1f}° (test: {test.std():.1f}°)."
    )


def _space(study: DataStudy) -> str:
    pixels = study.train_pixels
    height, width = pixels.largest
    never = np.count_nonzero(pixels.inked == 0)
    return (
        f"The ink of every labelled digit fits into a box of {height} × {width} pixels, its centre "
        f"of mass at most {study.train.off_centre.max():.1f} pixels from the image's; {never} of "
        f"{pixels.inked.size} pixels never have ink."
    )


def p_text(p_value: float) -> str:
    """Returns for example `"p = 0.31"`, or `"p < 0.001"`, with no-break spaces."""
    text = "p < 0.001" if p_value < 0.001 else f"p = {p_value:.2g}"
    return text.replace(" ", NO_BREAK)


def percent(share: float) -> str:
    """Returns for example `"49.7%"`."""
    return f"{100 * share:.1f}%"


def sections(study: DataStudy) -> dict[str, list[Figure]]:
    """Returns the figures by the title of their section."""
    return {
        "Classes": _class_figures(study),
        "Strokes": _stroke_figures(study),
        "Train against test": _shift_figures(study),
        "Duplicates": _duplicate_figures(study),
        PLANE: _plane_figures(study),
        "Augmentation": [
            _policy_figure(*each)
            for each in sorted(enumerate(study.policies), key=lambda each: not each[1].variants)
        ],
    }


def _class_figures(study: DataStudy) -> list[Figure]:
    return [
        Figure("classes", "Rows of each class",
               "Labelled rows of each class beside equal shares (dashed; "
               f"{p_text(study.counts.p_value)}): folds are stratified, so that each has these "
               "shares.", partial(drawing.counts, study)),
        Figure("examples", "Examples",
               "Random labelled digits, one line per label: this variety is what "
               "augmentation has to extend without turning a digit into another.",
               partial(drawing.examples, study), 240),
        Figure("class_means", "Mean and standard deviation",
               "Where a mean is blurred and a deviation strong, people write differently; what "
               "they have in common is what a net can rely on.",
               partial(drawing.class_means, study), 340),
    ]  # fmt: skip


def _stroke_figures(study: DataStudy) -> list[Figure]:
    return [
        Figure("ink", "Ink",
               "Above, all rows; below, the median, quartiles and 1st to 99th percentile of the "
               "labelled rows of each class: where classes overlap, ink alone cannot tell them "
               "apart.", partial(drawing.ink, study), 370),
        Figure("slant", "Slant",
               "The same for the slant: an augmentation that shears much more than this spread "
               "makes digits that nobody writes.", partial(drawing.slant, study), 370),
    ]  # fmt: skip


def _shift_figures(study: DataStudy) -> list[Figure]:
    train, test = study.train_pixels, study.test_pixels
    figures = []
    if study.shift:
        figures.append(
            Figure("shift", "Predictions of the classifier",
                   "Out-of-fold probabilities of being a test row: the further apart the two "
                   "distributions, the more train and test differ.",
                   partial(drawing.shift, study.shift), 230)
        )  # fmt: skip
    return [
        *figures,
        Figure("grey_values", "Grey values",
               f"{percent(train.values[0])} of the pixels in train are paper and "
               f"{percent(test.values[0])} in test; scaled from 0 to 1, train has a mean of "
               f"{train.mean:.3f} and a standard deviation of {train.deviation:.3f}, with which a "
               "net can standardise.", partial(drawing.grey_values, study), 230),
        Figure("inked", "Where the ink is",
               "How often each pixel has ink: the empty rim is the room that shifts and zooms "
               "have before they cut strokes off.", partial(drawing.inked, study), 260),
    ]  # fmt: skip


def _duplicate_figures(study: DataStudy) -> list[Figure]:
    exact, near = study.duplicates.exact, study.duplicates.near
    alike = Pairs(
        np.concatenate([exact.rows, near.rows]), np.concatenate([exact.distances, near.distances])
    )
    contradictions = study.duplicates.contradictions
    shown = [
        (alike, "near_duplicates", "The closest pairs",
         "The closest pairs, copies first: a net can simply memorise such rows, so many of them "
         "between folds would flatter out-of-fold figures."),
        (contradictions, "contradictions", "Nearly the same, labelled differently",
         "The closest labelled pairs with different labels: either label may be an error, or the "
         "digit is one that people read both ways."),
    ]  # fmt: skip
    return [
        Figure(key, title, caption, partial(drawing.pairs, study, pairs), 480)
        for pairs, key, title, caption in shown
        if len(pairs)
    ]


def _plane_figures(study: DataStudy) -> list[Figure]:
    found = study.embedding
    components = Figure(
        "principal_components", "Principal components",
        "The first two principal components of a sample (labelled rows in the colour of their "
        "label, test rows grey): where colours mix, two components cannot separate the classes.",
        partial(drawing.plane, found.principal, found.labels), 370,
    )  # fmt: skip
    if found.neighbours is None or found.agreement is None:  # too few rows
        return [components]
    neighbours = Figure(
        "tsne", "Neighbours (t-SNE)",
        f"t-SNE of {len(found.neighbours):,} digits, test rows grey: for "
        f"{percent(found.agreement)} of the labelled dots, the nearest one has the same label; "
        "dots inside another colour may be hard or mislabelled.",
        partial(drawing.plane, found.neighbours, found.labels), 370,
    )  # fmt: skip
    return [components, neighbours]


def _policy_figure(number: int, policy: Policy) -> Figure:
    """Returns the figure of a policy; the number tells apart policies of the same name."""
    name = policy.augmentation.name
    used = f", used by {', '.join(policy.variants)}" if policy.variants else ""
    values = ", ".join(f"{what} {value:g}" for what, value in policy.values.items())
    caption = (
        f"In {policy.measured:,} digits, the standard deviation of the slant goes from "
        f"{policy.slant_before:.1f}° to {policy.slant_after:.1f}° and the ink to "
        f"{percent(policy.ink_ratio)}, and {percent(policy.at_edge)} of the digits reach the edge, "
        f"where strokes may be cut off.{f' Parameters: {values}.' if values else ''}"
    )
    draw = partial(drawing.policy, policy)
    return Figure(f"policy{number}_{name}", f"{name}{used}", caption, draw, 220)
