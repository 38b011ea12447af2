"""Everything that is studied of a data set before training; draws nothing."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from competition.analysis.augmentation_effects import Policy, study_policies
from competition.analysis.digit_measures import (
    ClassCounts,
    Measures,
    Pixels,
    class_counts,
    class_images,
    measure,
    pixels,
)
from competition.analysis.drift import ShiftTest, shift_test
from competition.analysis.duplicates import Duplicates, find_duplicates
from competition.analysis.embedding import (
    COMPONENTS,
    Embedding,
    embed,
    principal_components,
    single_threaded,
)
from competition.config.loading import Config
from competition.console import ProgressDisplay
from competition.digits import CLASSES, DataSet, Digits
from competition.tables import write_csv

SEED = 0
EXAMPLES = 16
COUNTS_HEADER = ("class", "rows", "share", "expected_rows", "difference")


@dataclass(frozen=True)
class DataStudy:
    """What was found in a data set.

    Attributes:
        name: of the configuration.
        data_set: what was studied: of labelled rows, those that are no test rows.
        counts: of the classes.
        examples: for each class, positions of some labelled rows, at most 16.
        means, deviations: float64 `[10, 28, 28]`, images of each class, 0 to 255.
        train_pixels, test_pixels: grey values, and where the ink is.
        train, test: ink, slant and centre of each row.
        policies: of augmentation.
        duplicates: exact and near ones.
        shift: the two-sample test; None if there are too few rows.
        embedding: a sample of the rows in the plane.
    """

    name: str
    data_set: DataSet
    counts: ClassCounts
    examples: list[np.ndarray]
    means: np.ndarray
    deviations: np.ndarray
    train_pixels: Pixels
    test_pixels: Pixels
    train: Measures
    test: Measures
    policies: list[Policy]
    duplicates: Duplicates
    shift: ShiftTest | None
    embedding: Embedding


def study(config: Config, data_set: DataSet) -> DataStudy:
    """Studies a data set, with progress: a minute or so of one core for 70,000 digits.

    Labelled rows that are the data's own test rows are studied as test rows only: on both sides,
    they would all be duplicates, and hide how the sides differ.

    Raises:
        UserError: when a policy of the configuration refuses its parameters.
    """
    with ProgressDisplay(f"exploring {data_set.name}", 100) as display, single_threaded():
        return _study(config, _with_distinct_parts(data_set), display)


def _with_distinct_parts(data_set: DataSet) -> DataSet:
    if data_set.held_out is None:
        return data_set
    rows = np.flatnonzero(~np.isin(data_set.train.ids, data_set.held_out))
    return replace(data_set, train=data_set.train.take(rows))


def _study(config: Config, data_set: DataSet, display: ProgressDisplay) -> DataStudy:
    # The stages' parts of a hundred are what they take of the time for the competition's digits.
    train, test = data_set.train, data_set.test
    policies = study_policies(config, train, SEED)
    display.update(3)
    duplicates = find_duplicates(data_set, lambda share: display.update(3 + 42 * share))
    components = _components(data_set)
    sides = components[: len(train)], components[len(train) :]
    shift = shift_test(*sides, SEED, lambda share: display.update(50 + 6 * share))
    embedding = embed(train, test, components, SEED, lambda share: display.update(56 + 42 * share))
    display.update(98)
    means, deviations = class_images(train.images, train.labels)
    return DataStudy(
        name=config.name,
        data_set=data_set,
        counts=class_counts(train.labels),
        examples=_examples(train),
        means=means,
        deviations=deviations,
        train_pixels=pixels(train.images),
        test_pixels=pixels(test.images),
        train=measure(train.images),
        test=measure(test.images),
        policies=policies,
        duplicates=duplicates,
        shift=shift,
        embedding=embedding,
    )


def _components(data_set: DataSet) -> np.ndarray:
    """Returns the main components of all images, labelled rows first, float32."""
    images = np.concatenate([data_set.train.images, data_set.test.images])
    vectors = images.reshape(len(images), -1).astype(np.float32) / 255
    return principal_components(vectors, COMPONENTS)


def _examples(digits: Digits) -> list[np.ndarray]:
    order = np.random.default_rng(SEED).permutation(len(digits))
    return [order[digits.labels[order] == label][:EXAMPLES] for label in range(CLASSES)]


def write_class_counts(path: Path, counts: ClassCounts) -> None:
    """Writes a line for each class, beside equal shares."""
    import pandas as pd

    total, expected = counts.counts.sum(), counts.expected
    rows = (
        [label, count, f"{count / total:.4f}", f"{expected:.1f}", f"{count - expected:+.1f}"]
        for label, count in enumerate(counts.counts.tolist())
    )
    write_csv(path, pd.DataFrame(rows, columns=COUNTS_HEADER))
