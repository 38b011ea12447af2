"""Explanations of predictions: occlusion maps and nearest training digits, per variant.

Each row is explained by nets that held it out. A map tells where the ink counts: a grey patch hides
one place after the other, and the net says how much probability that costs. The neighbours tell
what a net has learnt to call such shapes: of its training digits, those with the most alike
features.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

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

# As many of the worst rows as somebody may want to look through.
WORST = 100
NEIGHBOURS = 6  # that are shown beside each digit
# A map has a cell for every 2x2 pixels; the patch around each is 6x6, about twice a stroke's width.
CELL, PATCH = 2, 6
CELLS = SIDE // CELL
PATCHES = CELLS**2


@dataclass(frozen=True)
class VariantExplanation:
    """What one variant says of n rows, each by the net that held it out.

    Attributes:
        values: float32 `[n, 10]`, class probabilities of that net alone, of the image as it is.
        drops: float32 `[n, 2, 14, 14]`, how much of the probability of the label (first) and of
            its rival is lost when a patch is hidden.
        neighbours: int `[n, k]`, positions among all labelled rows, the nearest first; the net
            learnt from all of them.
        labels: uint8 `[n, k]`, as which it learnt them.
        distances: float32 `[n, k]`, 1 less the cosine between features.
    """

    values: np.ndarray
    drops: np.ndarray
    neighbours: np.ndarray
    labels: np.ndarray
    distances: np.ndarray


@dataclass(frozen=True)
class Explanation:
    """Rows, and why each variant says of them what it says.

    Attributes:
        name: of the configuration.
        train: all labelled digits.
        predicted: the n rows: those that were asked for, then the worst.
        asked: how many were asked for.
        rivals: int `[n]`, the ensemble's likeliest class besides the label; of a mistake, the one
            that it predicts.
        by_variant: by the variant's name, with its seed.
    """

    name: str
    train: Digits
    predicted: PredictedDigits
    asked: int
    rivals: np.ndarray
    by_variant: dict[str, VariantExplanation]


def explain(run: Run, ensemble_result: EnsembleResult, asked: list[int]) -> Explanation:
    """Looks into the nets of each variant's first seed, with progress.

    Args:
        run: configuration, data and folds.
        ensemble_result: the run's ensemble, which says which rows are the worst.
        asked: ids of labelled rows to be explained besides the worst.

    Raises:
        UserError: when an id is of no row that was held out; naming the models that are missing,
            or the one that is damaged.
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
    description = f"looking into {len(all_assignments)} nets"
    with interruptible(), ProgressDisplay(description, total) as display:

        def on_images(count: int) -> None:
            nonlocal done
            done += count
            display.update(done)

        by_variant = {
            name: _explain_variant(several, chosen.digits.images, classes, grey, on_images)
            for name, several in assignments.items()
        }
    return Explanation(
        run.config.name, run.data_set.train, chosen, len({*asked}), rivals, by_variant
    )


def rows_to_explain(predicted: PredictedDigits, asked: list[int]) -> np.ndarray:
    """Returns positions among labelled rows: those asked for, then those of the highest loss.

    Args:
        predicted: the labelled rows.
        asked: ids, each of which may come again.

    Raises:
        UserError: naming the ids that are not among them.
    """
    places = {row: place for place, row in enumerate(predicted.digits.ids.tolist())}
    unknown = [str(row) for row in asked if row not in places]
    if unknown:
        raise UserError(
            f"no held-out row has the id {', '.join(unknown)}; there are {len(places):,} such "
            f"rows, their ids go from {min(places)} to {max(places)}"
        )
    worst = np.argsort(-predicted.losses, kind="stable")[:WORST].tolist()
    return np.array(list(dict.fromkeys([*(places[row] for row in asked), *worst])))


@dataclass(frozen=True)
class Assignment:
    """A net, and which of the rows to explain it held out.

    Attributes:
        job: that made the net.
        rows: int `[q]`, positions among the rows to explain.
        train: all labelled digits, with the labels that the net learnt.
        learnt: int `[t]`, positions of the digits among them that the net learnt from.
    """

    job: Job
    rows: np.ndarray
    train: Digits
    learnt: np.ndarray

    @property
    def image_count(self) -> int:
        """How many images the net is asked about: the rows, each also for a map; its digits."""
        return len(self.rows) * (1 + PATCHES + 1) + len(self.learnt)


def assignments_by_variant(
    run: Run, member_predictions: MemberPredictions, ids: np.ndarray
) -> dict[str, list[Assignment]]:
    """Returns the nets of each variant's first seed that held any of these labelled rows out."""
    first = {member.variant: member for member in reversed(member_predictions.members)}
    rows = positions(run.data_set.train.ids, ids)
    return {
        str(member): _assignments(run, member, rows)
        for member in member_predictions.members
        if first[member.variant] is member
    }


def _assignments(run: Run, member: Member, rows: np.ndarray) -> list[Assignment]:
    """Returns an assignment for each net that is the first to hold some of these rows out."""
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
    """Asks the nets of one variant, and returns their answers in the order of the rows.

    Args:
        assignments: each row in one of them.
        images: uint8 `[n, 28, 28]`, the rows to explain.
        classes: int `[n, 2]`, label and rival of each row.
        grey: what patches are filled with.
        on_images: is told how many more images have been answered.
    """
    parts = []
    for assignment in assignments:
        net, own = load_net(assignment.job), images[assignment.rows]
        questions = occluded_and_whole(own, grey)
        answers = (values for _, values in net.answers(questions, on_images))
        drops, values = occlusion_drops(answers, classes[assignment.rows])
        queries = np.concatenate([features for features, _ in net.answers(own, on_images)])
        learnt = assignment.train.images[assignment.learnt]
        blocks = (features for features, _ in net.answers(learnt, on_images))
        nearest, distances = nearest_neighbours(queries, blocks, NEIGHBOURS)
        neighbours = assignment.learnt[nearest]
        parts.append((values, drops, neighbours, assignment.train.labels[neighbours], distances))
    back = np.argsort(np.concatenate([assignment.rows for assignment in assignments]))
    return VariantExplanation(
        *(np.concatenate(arrays)[back] for arrays in zip(*parts, strict=True))
    )


def occluded(image: np.ndarray, grey: int) -> np.ndarray:
    """Returns a digit once per cell of a map, with the patch around that cell hidden.

    Args:
        image: uint8 `[28, 28]`.
        grey: what is put in place of the patch's pixels. The mean of all pixels tells a net the
            least: neither that there is ink, nor that there is none.

    Returns:
        uint8 `[196, 28, 28]`, line by line; patches end where the image ends.
    """
    places = np.arange(SIDE)
    starts = np.arange(CELLS)[:, None] * CELL - (PATCH - CELL) // 2
    covered = (places >= starts) & (places < starts + PATCH)
    patches = covered[:, None, :, None] & covered[None, :, None, :]
    return np.where(patches.reshape(PATCHES, SIDE, SIDE), np.uint8(grey), image)


def occluded_and_whole(images: np.ndarray, grey: int) -> np.ndarray:
    """Returns what a net is asked for maps of images `[n, 28, 28]`: uint8 `[n * 197, 28, 28]`.

    Each image comes with every patch hidden, and then as it is.
    """
    return np.concatenate([[*occluded(image, grey), image] for image in images])


def occlusion_drops(
    answers: Iterable[np.ndarray], classes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns how much of a class's probability is lost with each patch.

    Args:
        answers: the probabilities of `occluded_and_whole`, `[n * 197, 10]`, in pieces.
        classes: int `[n, c]`, the classes that are looked at in each image.

    Returns:
        float32 `[n, c, 14, 14]`, from -1 to 1: positive where hiding the patch costs the class
        probability, negative where it gains; and the probabilities of the whole images,
        float32 `[n, 10]`.
    """
    values = np.concatenate(list(answers)).reshape(len(classes), PATCHES + 1, -1)
    class_values = np.take_along_axis(values, classes[:, None, :], axis=2)
    lost = class_values[:, -1:] - class_values[:, :-1]
    maps = lost.swapaxes(1, 2).reshape(*classes.shape, CELLS, CELLS)
    return maps.astype(np.float32), values[:, -1]


def nearest_neighbours(
    queries: np.ndarray, blocks: Iterable[np.ndarray], count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Finds the rows with the most alike features; of rows that are level, the first.

    The distance is 1 less the cosine of the angle: 0 for the same direction, 1 for nothing in
    common. All rows are compared, none is missed.

    Args:
        queries: float32 `[q, f]`.
        blocks: the features of the rows to search, `[b, f]` each, of which only the cosines are
            kept: all features at once may not fit into memory.
        count: how many to find for each query; fewer if there are not so many rows.

    Returns:
        Positions among the rows of all blocks, int `[q, count]`, the nearest first, and their
        distances, float32 `[q, count]`.
    """
    directions = _directions(queries)
    cosines = np.concatenate([directions @ _directions(block).T for block in blocks], axis=1)
    order = np.argsort(-cosines, axis=1, kind="stable")[:, :count]
    distances = 1 - np.take_along_axis(cosines, order, axis=1)
    return order, distances.clip(0).astype(np.float32)


def _directions(features: np.ndarray) -> np.ndarray:
    """Returns features of length 1; those without any stay zero."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.where(lengths > 0, lengths, 1)
