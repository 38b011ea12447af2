"""Everything measured of a data set before training."""

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
from competition.digits import CLASSES, DataSet
from competition.tables import write_csv

SEED = 0
EXAMPLES = 16


@dataclass(frozen=True)
class DataStudy:
    """What was found in a data set.

    Attributes:
        name: of the configuration.
        data_set: without the labelled rows that are test rows too.
        examples: per class, positions of up to 16 labelled rows.
        means, deviations: float64 `[10, 28, 28]`, 0 to 255, an image per class.
        shift: None if there are too few rows.
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
    """Studies a data set, with a progress bar; 70,000 digits take about a minute on one core.

    Where the data set's test rows are labelled rows too, they count as test rows only: on both
    sides they would all be duplicates, and hide how the sides differ.

    Raises:
        UserError: when an augmentation policy of the configuration has invalid parameters.
    """
    if data_set.held_out is not None:
        rows = np.flatnonzero(~np.isin(data_set.train.ids, data_set.held_out))
        data_set = replace(data_set, train=data_set.train.take(rows))
    # The stages' shares of 100 are their shares of the time with the competition's digits.
    with ProgressDisplay(f"exploring {data_set.name}", 100) as display, single_threaded():
        return _study(config, data_set, display)


def _study(config: Config, data_set: DataSet, display: ProgressDisplay) -> DataStudy:
    train, test = data_set.train, data_set.test
    policies = study_policies(config, train, SEED)
    display.update(3)
    duplicates = find_duplicates(data_set, lambda share: display.update(3 + 42 * share))
    vectors = np.concatenate([train.images, test.images]).reshape(len(train) + len(test), -1)
    components = principal_components(vectors.astype(np.float32) / 255, COMPONENTS)
    display.update(50)
    shift = shift_test(components[: len(train)], components[len(train) :], SEED)
    display.update(56)
    embedding = embed(train, test, components, SEED, lambda share: display.update(56 + 42 * share))
    display.update(98)
    order = np.random.default_rng(SEED).permutation(len(train))
    means, deviations = class_images(train.images, train.labels)
    return DataStudy(
        name=config.name,
        data_set=data_set,
        counts=class_counts(train.labels),
        examples=[order[train.labels[order] == label][:EXAMPLES] for label in range(CLASSES)],
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


def write_class_counts(path: Path, counts: ClassCounts) -> None:
    """Writes one line per class: its rows, and the rows at equal shares."""
    import pandas as pd

    total, expected = counts.counts.sum(), counts.expected
    frame = pd.DataFrame(
        {
            "class": range(CLASSES),
            "rows": counts.counts,
            "share": [f"{count / total:.4f}" for count in counts.counts],
            "expected_rows": f"{expected:.1f}",
            "difference": [f"{count - expected:+.1f}" for count in counts.counts],
        }
    )
    write_csv(path, frame)
