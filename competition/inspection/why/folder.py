"""The folder of an explanation: page, sheets, a table of the neighbours."""

import csv
from pathlib import Path

from competition import paths
from competition.atomic import atomic_folder
from competition.inspection.maps.explanation import Explanation
from competition.inspection.presentation.table import Column, Table
from competition.inspection.why.page import write_page
from competition.inspection.why.sheets import write_sheets


def write_explanation(explanation: Explanation) -> Path:
    """Writes `output/<config>/why/` anew.

    Returns:
        The folder.
    """
    final = paths.why_folder(explanation.name)
    with atomic_folder(final) as folder:
        write_page(folder / paths.PAGE, explanation)
        write_sheets(folder, explanation)
        neighbours_table(explanation).write_csv(folder / paths.NEIGHBOURS)
    return final


def explained_rows(config_name: str) -> set[int]:
    """Returns the ids of the rows that the last explanation has, none if there is none."""
    try:
        with (paths.why_folder(config_name) / paths.NEIGHBOURS).open(newline="") as file:
            return {int(line["id"]) for line in csv.DictReader(file)}
    except (OSError, ValueError, KeyError, csv.Error):
        return set()


def neighbours_table(explanation: Explanation) -> Table:
    """Returns a line for each neighbour of each row, by variant."""
    digits = explanation.cases.digits
    columns = "id", "label", "variant", "rank", "neighbour", "learnt_as", "distance"
    rows = [
        [digits.ids[row], digits.labels[row], name, rank + 1, explanation.train.ids[position],
         evidence.labels[row, rank], evidence.distances[row, rank]]
        for row in range(len(digits))
        for name, evidence in explanation.by_variant.items()
        for rank, position in enumerate(evidence.neighbours[row])
    ]  # fmt: skip
    return Table("neighbours", "Neighbours", [Column(name) for name in columns], rows)
