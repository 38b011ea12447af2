"""A study of the data in sentences, each made of computed values; computes nothing else."""

import numpy as np

from competition.digits import CLASSES
from competition.inspection.data_study.duplicates import (
    CLOSEST_CONTRADICTIONS,
    CONTRADICTION,
    NEAR,
)
from competition.inspection.data_study.policies import Policy
from competition.inspection.data_study.shift import FEWEST_ROWS
from competition.inspection.data_study.study import DataStudy
from competition.wording import count_of

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
    of_test = (
        "are not known, as these have no labels"
        if study.data_set.held_out is None
        else "are not looked at"
    )
    return (
        f"From {rows[least]:,} rows labelled {least} to {rows[most]:,} labelled {most}: the counts "
        f"{verdict} equal shares (chi-squared test, {p_text(p_value)}); the shares in the test "
        f"rows {of_test}."
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
