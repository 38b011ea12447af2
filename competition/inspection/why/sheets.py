"""Explained rows as PNG sheets: a line a variant, with maps and neighbours; computes nothing."""

from pathlib import Path

from competition import paths
from competition.inspection.maps.explanation import Evidence, Explanation
from competition.inspection.presentation.contact_sheet import (
    CELL_WIDTH,
    QUIET_COLOUR,
    ContactSheet,
    ink_on_paper,
    write_classes,
    write_small,
)
from competition.inspection.why.overlay import IN_WORDS, on_paper, scale_of
from competition.progress import with_progress

LINES = 20
# The digit and its two maps stand in the first columns, after a gap the neighbours.
FIRST_NEIGHBOUR = 4
NOTE = (
    "A line a variant: the digit; what hiding a place does to its label and to the rival "
    f"({IN_WORDS}); the digits it learnt from that are most alike."
)


def write_sheets(folder: Path, explanation: Explanation) -> None:
    """Writes as many sheets as the rows fill; a row is never divided."""
    rows = range(len(explanation.cases))
    rows_a_sheet = max(1, LINES // len(explanation.by_variant))
    starts = range(0, len(rows), rows_a_sheet)
    for start in with_progress(f"drawing {len(starts)} sheets", starts):
        number = 1 + start // rows_a_sheet
        title = f"Why “{explanation.name}” says so  ({number} of {len(starts)})"
        path = folder / paths.why_sheet(number)
        _write_sheet(path, explanation, rows[start : start + rows_a_sheet], title)


def _write_sheet(path: Path, explanation: Explanation, rows: range, title: str) -> None:
    sheet = ContactSheet(len(rows) * len(explanation.by_variant), title, NOTE)
    places = [(row, name) for row in rows for name in explanation.by_variant]
    for line, (row, name) in enumerate(places):
        _draw_digit(sheet, line, explanation, row, name)
        _draw_maps(sheet, line, explanation, row, explanation.by_variant[name])
        _draw_neighbours(sheet, line, explanation, row, explanation.by_variant[name])
    sheet.save(path)


def _draw_digit(
    sheet: ContactSheet, line: int, explanation: Explanation, row: int, name: str
) -> None:
    cases = explanation.cases
    centre, top = sheet.draw(line, 0, ink_on_paper(cases.digits.images[row]))
    write_classes(sheet, cases.digits.labels[row], cases.predictions[row], centre, top)
    write_small(sheet, centre, top + 32, name, CELL_WIDTH)
    write_small(sheet, centre, top + 51, f"#{cases.digits.ids[row]}", color=QUIET_COLOUR)


def _draw_maps(
    sheet: ContactSheet, line: int, explanation: Explanation, row: int, evidence: Evidence
) -> None:
    cases = explanation.cases
    scale = scale_of([each.drops[row] for each in explanation.by_variant.values()])
    classes = cases.digits.labels[row], explanation.rivals[row]
    for place, one in enumerate(classes):
        drops = evidence.drops[row, place]
        picture = on_paper(cases.digits.images[row], drops, scale)
        centre, top = sheet.draw(line, 1 + place, picture)
        write_small(sheet, centre, top + 13, f"{one}: {evidence.values[row, one]:.1%}")
        low, high = (evidence.values[row, one] - change for change in (drops.max(), drops.min()))
        write_small(sheet, centre, top + 32, f"{low:.1%} – {high:.1%}", color=QUIET_COLOUR)


def _draw_neighbours(
    sheet: ContactSheet, line: int, explanation: Explanation, row: int, evidence: Evidence
) -> None:
    train = explanation.train
    for rank, position in enumerate(evidence.neighbours[row]):
        picture = ink_on_paper(train.images[position])
        centre, top = sheet.draw(line, FIRST_NEIGHBOUR + rank, picture)
        sheet.write(
            centre,
            top + 7,
            str(evidence.labels[row, rank]),
            ha="center",
            fontsize=11,
            weight="bold",
        )
        write_small(sheet, centre, top + 32, f"{evidence.distances[row, rank]:.4f}")
        write_small(sheet, centre, top + 51, f"#{train.ids[position]}", color=QUIET_COLOUR)
