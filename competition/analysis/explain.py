"""Which rows are explained, and by which nets: each row by the ones that never saw it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from competition.analysis.predictions import PredictedDigits, out_of_fold_predictions
from competition.analysis.trained_net import Net, Pace, load_net, measure_pace, require_models
from competition.console import ProgressDisplay, duration
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


@dataclass(frozen=True)
class Assignment:
    """A net, and which of the rows to explain it held out.

    Attributes:
        job: that made the net.
        rows: int `[q]`, positions among the rows to explain.
    """

    job: Job
    rows: np.ndarray


def rows_to_explain(predicted: PredictedDigits, asked: list[int]) -> np.ndarray:
    """Returns positions among labelled rows: those asked for, then those of the highest loss.

    Args:
        cases: the labelled rows.
        asked: ids, each of which may come again.

    Raises:
        UserError: naming the ids that are not among them.
    """
    places = {row: place for place, row in enumerate(predicted.digits.ids.tolist())}
    unknown = [str(row) for row in asked if row not in places]
    if unknown:
        raise UserError(
            f"no labelled row that a net held out has the id {', '.join(unknown)}; there are "
            f"{len(places):,}, from {min(places)} to {max(places)}"
        )
    worst = np.argsort(-predicted.losses, kind="stable")[:WORST].tolist()
    return np.array(list(dict.fromkeys([*(places[row] for row in asked), *worst])))


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
    waiting = np.ones(len(rows), bool)
    assignments = []
    for job in member.manifests:
        if job.split == ALL_ROWS:
            continue
        held_out = waiting & run.folds.held_out[job.split][rows]
        waiting &= ~held_out
        assignments += [Assignment(job, np.flatnonzero(held_out))] if held_out.any() else []
    return assignments


# A map has a cell for every 2x2 pixels; the patch around each is 6x6, about twice a stroke's width.
CELL, PATCH = 2, 6
CELLS = SIDE // CELL
PATCHES = CELLS**2


def with_hidden_patches(image: np.ndarray, grey: int) -> np.ndarray:
    """Returns a digit once for each cell of a map, with the patch around that cell hidden.

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


def hidden_and_whole(images: np.ndarray, grey: int) -> np.ndarray:
    """Returns what a net is to be asked for maps of images `[n, 28, 28]`: `[n * 197, 28, 28]`.

    Each image comes with every patch hidden, and then as it is.
    """
    asked = [with_hidden_patches(image, grey) for image in images]
    return np.concatenate([np.append(hidden, image[None], axis=0)
                           for hidden, image in zip(asked, images, strict=True)])  # fmt: skip


def drops(answers: Iterable[np.ndarray], classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns how much of a class's probability each patch holds.

    Args:
        answers: the probabilities of `hidden_and_whole`, `[n * 197, 10]`, in pieces.
        classes: int `[n, c]`, the classes that are looked at in each image.

    Returns:
        float32 `[n, c, 14, 14]`, from -1 to 1: positive where hiding the patch costs the class
        probability, negative where it gains; and the probabilities of the whole images,
        float32 `[n, 10]`.
    """
    values = np.concatenate(list(answers)).reshape(len(classes), PATCHES + 1, -1)
    of_classes = np.take_along_axis(values, classes[:, None, :], axis=2)
    lost = of_classes[:, -1:] - of_classes[:, :-1]
    maps = lost.swapaxes(1, 2).reshape(*classes.shape, CELLS, CELLS)
    return maps.astype(np.float32), values[:, -1]


def nearest(
    queries: np.ndarray, blocks: Iterable[np.ndarray], count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Finds the rows with the most alike features; of rows that are level, the first.

    The distance is 1 less the cosine of the angle: 0 for the same direction, 1 for nothing in
    common. All rows are compared, none is missed.

    Args:
        queries: float32 `[q, f]`.
        blocks: the features of the rows to search, `[b, f]` each; only their likeness is kept.
        count: how many to find for each query; fewer if there are not so many rows.

    Returns:
        Positions among the rows of all blocks, int `[q, count]`, the nearest first, and their
        distances, float32 `[q, count]`.
    """
    directions = _directions(queries)
    alike = np.concatenate([directions @ _directions(block).T for block in blocks], axis=1)
    order = np.argsort(-alike, axis=1, kind="stable")[:, :count]
    distances = 1 - np.take_along_axis(alike, order, axis=1)
    return order, distances.clip(0).astype(np.float32)


def _directions(features: np.ndarray) -> np.ndarray:
    """Returns features of length 1; those without any stay zero."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.where(lengths > 0, lengths, 1)


NEIGHBOURS = 6  # that are shown beside each digit


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
        cases: the n rows: those that were asked for, then the worst.
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
    """Looks into the nets of each variant's first seed, and says before how long that takes.

    Args:
        run: configuration, data and folds.
        blend: its ensemble, which says which rows are the worst.
        asked: ids of labelled rows to be explained besides the worst.

    Raises:
        UserError: when an id is of no row that was held out; naming the models that are missing,
            or the one that is damaged.
    """
    predicted = out_of_fold_predictions(run, ensemble_result)
    chosen = predicted.take(rows_to_explain(predicted, asked))
    assignments = assignments_by_variant(run, ensemble_result.member_predictions, chosen.digits.ids)
    require_models(
        [assignment.job for of_variant in assignments.values() for assignment in of_variant]
    )
    start_keras(core_count())
    rivals = chosen.best_other_than(chosen.digits.labels)
    with interruptible():
        by_variant = Explainer(run, chosen.digits, rivals).by_variant(assignments)
    return Explanation(
        run.config.name, run.data_set.train, chosen, len({*asked}), rivals, by_variant
    )


class Explainer:
    """Asks nets about digits, with progress.

    Args:
        run: whose nets they are.
        digits: n labelled ones, which none of the nets that are asked learnt from.
        rivals: int `[n]`, the class besides the label that is of interest.
    """

    def __init__(self, run: Run, digits: Digits, rivals: np.ndarray):
        self._run, self._digits = run, digits
        self._classes = np.column_stack([digits.labels, rivals]).astype(int)
        self._grey = round(run.data_set.train.images.mean())

    def by_variant(self, assignments: dict[str, list[Assignment]]) -> dict[str, VariantExplanation]:
        """Returns what each variant says."""
        sample = self._run.data_set.train.images
        paces = {name: measure_pace(each[0].job, sample) for name, each in assignments.items()}
        work = {name: self._seconds(paces[name], each) for name, each in assignments.items()}
        nets = sum(map(len, assignments.values()))
        print(f"about {duration(sum(work.values()))} to look into {nets} nets")
        with ProgressDisplay(f"looking into {nets} nets", sum(work.values())) as display:
            expected = ExpectedTime(display)
            return {
                name: self._explain_variant(each, paces[name], expected)
                for name, each in assignments.items()
            }

    def _seconds(self, pace: Pace, assignments: list[Assignment]) -> float:
        images = sum(
            len(self._run.folds.split(assignment.job.split)[0])
            + len(assignment.rows) * (PATCHES + 1)
            for assignment in assignments
        )
        return len(assignments) * pace.start + images * pace.seconds_per_image

    def _explain_variant(
        self, assignments: list[Assignment], pace: Pace, expected: "ExpectedTime"
    ) -> VariantExplanation:
        """Returns the answers of the nets of one variant, in the order of the rows."""

        def answered(images: int) -> None:
            expected.advance(images * pace.seconds_per_image)

        parts = []
        for assignment in assignments:
            net = load_net(assignment.job)
            expected.advance(pace.start)
            parts.append(self._ask(net, assignment, answered))
        back = np.argsort(np.concatenate([assignment.rows for assignment in assignments]))
        return VariantExplanation(
            *(np.concatenate(of_assignments)[back] for of_assignments in zip(*parts, strict=True))
        )

    def _ask(
        self, net: Net, assignment: Assignment, answered: Callable[[int], None]
    ) -> tuple[np.ndarray, ...]:
        """Returns the parts of `VariantExplanation` of the rows that one net held out."""
        images = self._digits.images[assignment.rows]
        hidden = hidden_and_whole(images, self._grey)
        hidden_values = (values for _, values in net.answers(hidden, answered))
        lost, values = drops(hidden_values, self._classes[assignment.rows])
        train, rows = self._learnt(assignment)
        queries = np.concatenate([features for features, _ in net.answers(images)])
        learnt = (features for features, _ in net.answers(train.images[rows], answered))
        found, distances = nearest(queries, learnt, NEIGHBOURS)
        neighbours = rows[found]
        return values, lost, neighbours, train.labels[neighbours], distances

    def _learnt(self, assignment: Assignment) -> tuple[Digits, np.ndarray]:
        """Returns the digits as a net learnt them, and the positions of those that it learnt."""
        rows, _ = self._run.folds.split(assignment.job.split)
        return without_label_errors(self._run.data_set.train, rows, self._run.label_errors)


class ExpectedTime:
    """Adds up the seconds that work was expected to take, as it is done."""

    def __init__(self, display: ProgressDisplay):
        self._display, self._done = display, 0.0

    def advance(self, seconds: float) -> None:
        """Shows that work is done which was expected to take these seconds."""
        self._done += seconds
        self._display.update(self._done)
