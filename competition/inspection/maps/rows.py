"""Which rows are explained, and by which nets: each row by the ones that never saw it."""

from dataclasses import dataclass

import numpy as np

from competition.data.run import Run
from competition.digits import positions
from competition.ensemble.members import Member, Panel
from competition.errors import UserError
from competition.inspection.evaluation.cases import Cases
from competition.results import ALL_ROWS, Job

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


def rows_to_explain(cases: Cases, asked: list[int]) -> np.ndarray:
    """Returns positions among labelled rows: those asked for, then those of the highest loss.

    Args:
        cases: the labelled rows.
        asked: ids, each of which may come again.

    Raises:
        UserError: naming the ids that are not among them.
    """
    places = {row: place for place, row in enumerate(cases.digits.ids.tolist())}
    unknown = [str(row) for row in asked if row not in places]
    if unknown:
        raise UserError(
            f"no labelled row that a net held out has the id {', '.join(unknown)}; there are "
            f"{len(places):,}, from {min(places)} to {max(places)}"
        )
    worst = np.argsort(-cases.losses, kind="stable")[:WORST].tolist()
    return np.array(list(dict.fromkeys([*(places[row] for row in asked), *worst])))


def assignments_by_variant(run: Run, panel: Panel, ids: np.ndarray) -> dict[str, list[Assignment]]:
    """Returns the nets of each variant's first seed that held any of these labelled rows out."""
    first = {member.variant: member for member in reversed(panel.members)}
    rows = positions(run.data_set.train.ids, ids)
    return {
        str(member): _assignments(run, member, rows)
        for member in panel.members
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
