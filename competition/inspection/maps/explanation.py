"""Why the nets say what they say of some digits: maps and neighbours, put together."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from competition.data.marks import without_label_errors
from competition.data.run import Run
from competition.digits import Digits
from competition.ensemble.blend import Blend
from competition.inspection.evaluation.cases import Cases, out_of_fold_cases
from competition.inspection.maps.neighbours import nearest
from competition.inspection.maps.nets import Net, Pace, load_net, measure_pace, require_models
from competition.inspection.maps.occlusion import PATCHES, drops, hidden_and_whole
from competition.inspection.maps.rows import Assignment, assignments_by_variant, rows_to_explain
from competition.machine import core_count
from competition.processes import interruptible
from competition.progress import ProgressDisplay, duration
from competition.training.runtime import start_keras

NEIGHBOURS = 6  # that are shown beside each digit


@dataclass(frozen=True)
class Evidence:
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
    cases: Cases
    asked: int
    rivals: np.ndarray
    by_variant: dict[str, Evidence]


def explain(run: Run, blend: Blend, asked: list[int]) -> Explanation:
    """Looks into the nets of each variant's first seed, and says before how long that takes.

    Args:
        run: configuration, data and folds.
        blend: its ensemble, which says which rows are the worst.
        asked: ids of labelled rows to be explained besides the worst.

    Raises:
        UserError: when an id is of no row that was held out; naming the models that are missing,
            or the one that is damaged.
    """
    cases = out_of_fold_cases(run, blend)
    chosen = cases.take(rows_to_explain(cases, asked))
    assignments = assignments_by_variant(run, blend.panel, chosen.digits.ids)
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

    def by_variant(self, assignments: dict[str, list[Assignment]]) -> dict[str, Evidence]:
        """Returns what each variant says."""
        sample = self._run.data_set.train.images
        paces = {name: measure_pace(each[0].job, sample) for name, each in assignments.items()}
        work = {name: self._seconds(paces[name], each) for name, each in assignments.items()}
        nets = sum(map(len, assignments.values()))
        print(f"about {duration(sum(work.values()))} to look into {nets} nets")
        with ProgressDisplay(f"looking into {nets} nets", sum(work.values())) as display:
            expected = ExpectedTime(display)
            return {
                name: self._evidence(each, paces[name], expected)
                for name, each in assignments.items()
            }

    def _seconds(self, pace: Pace, assignments: list[Assignment]) -> float:
        images = sum(
            len(self._run.folds.split(assignment.job.split)[0])
            + len(assignment.rows) * (PATCHES + 1)
            for assignment in assignments
        )
        return len(assignments) * pace.start + images * pace.an_image

    def _evidence(
        self, assignments: list[Assignment], pace: Pace, expected: "ExpectedTime"
    ) -> Evidence:
        """Returns the answers of the nets of one variant, in the order of the rows."""

        def answered(images: int) -> None:
            expected.advance(images * pace.an_image)

        parts = []
        for assignment in assignments:
            net = load_net(assignment.job)
            expected.advance(pace.start)
            parts.append(self._ask(net, assignment, answered))
        back = np.argsort(np.concatenate([assignment.rows for assignment in assignments]))
        return Evidence(
            *(np.concatenate(of_assignments)[back] for of_assignments in zip(*parts, strict=True))
        )

    def _ask(
        self, net: Net, assignment: Assignment, answered: Callable[[int], None]
    ) -> tuple[np.ndarray, ...]:
        """Returns what one net says of the rows that it held out: the parts of `Evidence`."""
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
