"""Explanations of predictions: occlusion maps and nearest digits.

Each row is explained by nets that held it out. An occlusion map shows where the ink counts: a grey
patch hides one place after another, and the map holds the probability lost each time. The
neighbours are the training digits of the net with the most similar features.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from competition import paths
from competition.analysis.mistakes import Findings
from competition.analysis.predictions import PredictedDigits, out_of_fold_predictions
from competition.analysis.trained_net import load_net, require_models
from competition.console import ProgressDisplay
from competition.data.label_marks import without_label_errors
from competition.data.run import Run
from competition.digits import SIDE, Digits, positions
from competition.ensemble.comparison import EnsembleResult
from competition.ensemble.members import Member, MemberPredictions
from competition.errors import UserError
from competition.results import ALL_ROWS, Job
from competition.system import core_count, interruptible
from competition.training.resources import start_keras

WORST = 100  # rows that a person can still look through
NEIGHBOURS = 6
# A map has a cell for every 2x2 pixels; the patch around each is 6x6, about twice a stroke's width.
CELL, PATCH = 2, 6
CELLS = SIDE // CELL
PATCHES = CELLS**2
PIXEL_BLOCK = 4096  # digits whose pixels are compared at a time


@dataclass(frozen=True)
class VariantExplanation:
    """The explanations of n rows by one variant, each by the net that held the row out.

    Attributes:
        values: float32 `[n, 10]`, class probabilities of that net alone for the whole image.
        drops: float32 `[n, 2, 14, 14]`, the probability that the label (first) and its rival lose
            when a patch is hidden.
        neighbours: int `[n, k]`, positions of training digits among all labelled rows, the nearest
            first.
        labels: uint8 `[n, k]`, their labels in training.
        distances: float32 `[n, k]`, 1 minus the cosine of the features.
    """

    values: np.ndarray
    drops: np.ndarray
    neighbours: np.ndarray
    labels: np.ndarray
    distances: np.ndarray


@dataclass(frozen=True)
class Explanation:
    """The explanations of n rows by each variant.

    Attributes:
        name: of the configuration.
        train: all labelled digits.
        predicted: the n rows: those asked for, then the worst.
        asked: number of rows asked for.
        rivals: int `[n]`, the ensemble's likeliest class other than the label.
        by_variant: by the variant's name and seed.
    """

    name: str
    train: Digits
    predicted: PredictedDigits
    asked: int
    rivals: np.ndarray
    by_variant: dict[str, VariantExplanation]


def explain(run: Run, ensemble_result: EnsembleResult, asked: list[int]) -> Explanation:
    """Explains rows by the nets of each variant's first seed, with a progress bar.

    Args:
        run: configuration, data and folds.
        ensemble_result: its losses decide which rows are the worst.
        asked: ids of labelled rows to explain besides the worst.

    Raises:
        UserError: when no held-out row has an id, or models are missing or damaged.
    """
    predicted = out_of_fold_predictions(run, ensemble_result)
    chosen = predicted.take(rows_to_explain(predicted, asked))
    assignments = assignments_by_variant(run, ensemble_result.member_predictions, chosen.digits.ids)
    all_assignments = [each for several in assignments.values() for each in several]
    require_models([assignment.job for assignment in all_assignments])
    start_keras(core_count())
    rivals = chosen.best_other_than(chosen.digits.labels)
    classes = np.column_stack([chosen.digits.labels, rivals]).astype(int)
    grey = round(run.data_set.train.images.mean())
    done, total = 0, sum(assignment.image_count for assignment in all_assignments)
    with (
        ProgressDisplay(f"asking {len(all_assignments)} nets", total) as display,
        interruptible(display.update) as update,
    ):

        def on_images(count: int) -> None:
            nonlocal done
            done += count
            update(done)

        by_variant = {
            name: _explain_variant(several, chosen.digits.images, classes, grey, on_images)
            for name, several in assignments.items()
        }
    return Explanation(
        run.config.name, run.data_set.train, chosen, len({*asked}), rivals, by_variant
    )


def rows_to_explain(predicted: PredictedDigits, asked: list[int]) -> np.ndarray:
    """Returns the positions of the ids in `asked`, then those of the rows with the highest loss."""
    places = {row: place for place, row in enumerate(predicted.digits.ids.tolist())}
    unknown = [str(row) for row in asked if row not in places]
    if unknown:
        raise UserError(
            f"no held-out row has the id {', '.join(unknown)}; the {len(places):,} held-out rows "
            f"have ids from {min(places)} to {max(places)}"
        )
    worst = np.argsort(-predicted.losses, kind="stable")[:WORST].tolist()
    return np.array(list(dict.fromkeys([*(places[row] for row in asked), *worst])))


@dataclass(frozen=True)
class Assignment:
    """A net, and the rows that it explains, as it held them out.

    Attributes:
        job: the training of the net.
        rows: int `[q]`, positions among the rows to explain.
        train: all labelled digits, with the labels that the net was trained on.
        training_rows: int `[t]`, positions in `train` of the net's training digits.
    """

    job: Job
    rows: np.ndarray
    train: Digits
    training_rows: np.ndarray

    @property
    def image_count(self) -> int:
        """Number of images to predict: each row, the images of its map, and the training digits."""
        return len(self.rows) * (1 + PATCHES + 1) + len(self.training_rows)


def assignments_by_variant(
    run: Run, member_predictions: MemberPredictions, ids: np.ndarray
) -> dict[str, list[Assignment]]:
    """Returns the nets of each variant's first seed that held out any of these labelled rows."""
    rows = positions(run.data_set.train.ids, ids)
    nets = [each for each in member_predictions.members if run.config.variants[each.variant].is_net]
    if not nets:
        raise UserError(f"'{run.config.name}' has no nets, and only nets can be explained")
    first = {member.variant: member for member in reversed(nets)}
    return {
        str(member): _assignments(run, member, rows)
        for member in nets
        if first[member.variant] is member
    }


def _assignments(run: Run, member: Member, rows: np.ndarray) -> list[Assignment]:
    """Assigns each row to the first net that held it out."""
    is_waiting = np.ones(len(rows), bool)
    assignments = []
    for job in member.manifests:
        if job.split == ALL_ROWS:
            continue
        is_held_out = is_waiting & run.folds.held_out[job.split][rows]
        is_waiting &= ~is_held_out
        if is_held_out.any():
            training_rows, _ = run.folds.split(job.split)
            train = without_label_errors(run.data_set.train, training_rows, run.label_errors)
            assignments.append(Assignment(job, np.flatnonzero(is_held_out), *train))
    return assignments


def _explain_variant(
    assignments: list[Assignment],
    images: np.ndarray,
    classes: np.ndarray,
    grey: int,
    on_images: Callable[[int], None],
) -> VariantExplanation:
    """Returns one variant's explanations in the order of the rows.

    Args:
        assignments: each row is in one of them.
        images: uint8 `[n, 28, 28]`, the rows to explain.
        classes: int `[n, 2]`, label and rival of each row.
        grey: the value of hidden pixels.
        on_images: receives the number of images predicted since the last call.
    """
    parts = []
    for assignment in assignments:
        net, own = load_net(assignment.job), images[assignment.rows]
        hidden = net.answers(occluded_and_whole(own, grey), on_images)
        drops, values = occlusion_drops((values for _, values in hidden), classes[assignment.rows])
        queries = np.concatenate([features for features, _ in net.answers(own, on_images)])
        training = net.answers(assignment.train.images[assignment.training_rows], on_images)
        blocks = (features for features, _ in training)
        nearest, distances = nearest_neighbours(queries, blocks, NEIGHBOURS)
        neighbours = assignment.training_rows[nearest]
        parts.append((values, drops, neighbours, assignment.train.labels[neighbours], distances))
    back = np.argsort(np.concatenate([assignment.rows for assignment in assignments]))
    return VariantExplanation(
        *(np.concatenate(arrays)[back] for arrays in zip(*parts, strict=True))
    )


def occluded(image: np.ndarray, grey: int) -> np.ndarray:
    """Returns one copy per cell of the map with the patch around it hidden, uint8 `[196, 28, 28]`.

    Args:
        image: uint8 `[28, 28]`.
        grey: the value of hidden pixels. The mean of all pixels tells the net the least: neither
            that there is ink, nor that there is none.
    """
    places = np.arange(SIDE)
    starts = np.arange(CELLS)[:, None] * CELL - (PATCH - CELL) // 2
    covered = (places >= starts) & (places < starts + PATCH)
    patches = covered[:, None, :, None] & covered[None, :, None, :]
    return np.where(patches.reshape(PATCHES, SIDE, SIDE), np.uint8(grey), image)


def occluded_and_whole(images: np.ndarray, grey: int) -> np.ndarray:
    """Returns each image with every patch hidden in turn, then whole: uint8 `[n * 197, 28, 28]`."""
    return np.concatenate([[*occluded(image, grey), image] for image in images])


def occlusion_drops(
    answers: Iterable[np.ndarray], classes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the probability lost per patch, and the probabilities `[n, 10]` of whole images.

    The former is float32 `[n, c, 14, 14]`: positive where hiding the patch costs the class
    probability, negative where the class gains.

    Args:
        answers: blocks of the probabilities of `occluded_and_whole`, together `[n * 197, 10]`.
        classes: int `[n, c]`, the classes to map in each image.
    """
    values = np.concatenate(list(answers)).reshape(len(classes), PATCHES + 1, -1)
    class_values = np.take_along_axis(values, classes[:, None, :], axis=2)
    lost = class_values[:, -1:] - class_values[:, :-1]
    maps = lost.swapaxes(1, 2).reshape(*classes.shape, CELLS, CELLS)
    return maps.astype(np.float32), values[:, -1]


def nearest_neighbours(
    queries: np.ndarray, blocks: Iterable[np.ndarray], count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns positions of the nearest rows, and their distances (float32), `[q, count]` each.

    The distance is 1 minus the cosine. The search is exact; ties go to the earlier row.

    Args:
        queries: features, float32 `[q, f]`.
        blocks: features of the rows to search, `[b, f]` each. Only the cosines are kept, as all
            features at once may not fit into memory.
        count: neighbours per query; fewer if there are fewer rows.
    """
    directions = _directions(queries)
    cosines = np.concatenate([directions @ _directions(block).T for block in blocks], axis=1)
    order = np.argsort(-cosines, axis=1, kind="stable")[:, :count]
    distances = 1 - np.take_along_axis(cosines, order, axis=1)
    return order, distances.clip(0).astype(np.float32)


def _directions(features: np.ndarray) -> np.ndarray:
    """Returns features scaled to length 1; zeros stay zero."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.where(lengths > 0, lengths, 1)


@dataclass(frozen=True)
class SimilarDigits:
    """The nearest labelled digits of the rows worth a look.

    Attributes:
        by: what compared them: a net, or `pixels`.
        labelled, test: positions of at most six labelled rows, the nearest first, by the position
            of a labelled or test row.
    """

    by: str
    labelled: dict[int, list[int]]
    test: dict[int, list[int]]


def similar_digits(findings: Findings, jobs: Iterable[Job]) -> SimilarDigits:
    """Compares the rows worth a look with all labelled ones, with a progress bar.

    By the features of the first net that is there, which may have been trained on any of the rows;
    by pixels if there is none.

    Args:
        findings: the rows worth a look.
        jobs: the trainings whose nets may be there.
    """
    saved = next((job for job in jobs if (job.folder() / paths.MODEL).exists()), None)
    features: Callable[[np.ndarray], Iterable[np.ndarray]] = _pixels
    if saved:
        start_keras(core_count())
        features = load_net(saved).features
    rows, labelled = findings.worth_a_look, findings.labelled.digits.images
    images = [labelled[rows], findings.test.digits.images[findings.uncertain_test]]
    queries = np.concatenate([*features(np.concatenate(images))])
    with (
        ProgressDisplay("comparing digits", len(labelled)) as display,
        interruptible(display.update) as update,
    ):
        done = 0

        def blocks() -> Iterable[np.ndarray]:
            nonlocal done
            for block in features(labelled):
                yield block
                done += len(block)
                update(done)

        # One more, as each labelled row is the nearest to itself.
        nearest, _ = nearest_neighbours(queries, blocks(), NEIGHBOURS + 1)
    own = [[each for each in found if each != row][:NEIGHBOURS]
           for row, found in zip(rows.tolist(), nearest.tolist(), strict=False)]  # fmt: skip
    others = nearest[len(rows) :, :NEIGHBOURS].tolist()
    return SimilarDigits(
        str(saved) if saved else "pixels",
        dict(zip(rows.tolist(), own, strict=True)),
        dict(zip(findings.uncertain_test.tolist(), others, strict=True)),
    )


def _pixels(images: np.ndarray) -> Iterable[np.ndarray]:
    for start in range(0, len(images), PIXEL_BLOCK):
        block = images[start : start + PIXEL_BLOCK]
        yield block.reshape(len(block), -1).astype(np.float32)
