"""A map as colours over a digit; computes nothing."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from competition import paths
from competition.analysis.explain import Explanation, VariantExplanation
from competition.console import with_progress
from competition.pages.contact_sheet import (
    CELL_WIDTH,
    DIGIT,
    QUIET_COLOUR,
    SCALE,
    ContactSheet,
    ink_on_paper,
    write_classes,
    write_small,
)
from competition.pages.figures import GREEN, PURPLE
from competition.pages.html import DIGITS_PER_SPRITE, SPRITE_COLUMNS, data_uri, render, sprites
from competition.storage import atomic_folder
from competition.tables import Column, Table

# Of a row whose maps hold less than this, none is drawn as strongly as it could be.
FAINTEST_SCALE = 0.1
# At full strength a colour still lets the digit through.
STRENGTH = 0.9
IN_WORDS = "green: costs, purple: gains probability"
# How dark the ink is below a map, as in `why.css`: so that the colour is seen on it too.
INK = 0.4


def scale_of(drops: list[np.ndarray]) -> float:
    """Returns the probability that is drawn at full strength in all maps of a row."""
    return max(FAINTEST_SCALE, *(float(np.abs(each).max()) for each in drops))


def overlay(drops: np.ndarray, scale: float) -> np.ndarray:
    """Returns a map as BGRA, uint8 `[14, 14, 4]`: green what speaks for a class, purple against.

    Args:
        drops: `[14, 14]`, the probability that is lost when a place is hidden.
        scale: what is drawn at full strength.
    """
    colours = np.where((drops >= 0)[..., None], _rgb(GREEN), _rgb(PURPLE))[..., ::-1]
    alpha = np.rint(np.abs(drops) / scale * STRENGTH * 255)
    return np.dstack([colours, alpha]).astype(np.uint8)


def on_paper(image: np.ndarray, drops: np.ndarray, scale: float) -> np.ndarray:
    """Returns a map over a digit, dark ink on white, RGB, uint8 `[112, 112, 3]`."""
    import cv2

    colours = cv2.resize(overlay(drops, scale), (DIGIT, DIGIT), interpolation=cv2.INTER_LINEAR)
    alpha = colours[..., 3:] / 255
    filtered = 1 - alpha + alpha * colours[..., 2::-1] / 255
    ink = image.repeat(SCALE, axis=0).repeat(SCALE, axis=1)[..., None]
    return np.rint((255 - INK * ink) * filtered).astype(np.uint8)


def _rgb(colour: str) -> np.ndarray:
    return np.array([int(colour[start : start + 2], 16) for start in (1, 3, 5)])


@dataclass(frozen=True)
class Map:
    """A map as the page shows it.

    Attributes:
        role: `true` for the label's, `predicted` for its rival's.
        of_class: the class.
        value: its probability, of the image as it is.
        lowest, highest: what becomes of that when a patch is hidden, at worst and at best.
        address: the map's picture.
    """

    role: str
    digit_class: int
    value: float
    lowest: float
    highest: float
    address: str


@dataclass(frozen=True)
class Neighbour:
    """A training digit: its place among the sprites, and what is told of it."""

    sprite: int
    id: int
    label: int
    role: str
    distance: float


@dataclass(frozen=True)
class Row:
    """A row of the page.

    Attributes:
        sprite: its place among the sprites.
        asked: whether it was asked for.
        id, label, prediction, confidence, loss, fold: as the ensemble has them.
        scale: the probability that its maps show at full strength.
        by_variant: maps and neighbours, by the variant's name.
    """

    sprite: int
    asked: bool
    id: int
    label: int
    prediction: int
    confidence: float
    loss: float
    fold: int
    scale: float
    by_variant: dict[str, tuple[list[Map], list[Neighbour]]]


def write_page(path: Path, explanation: Explanation) -> None:
    """Writes the page."""
    shown = explanation.predicted.digits.images
    positions = [evidence.neighbours for evidence in explanation.by_variant.values()]
    neighbours, places = np.unique(np.stack(positions), return_inverse=True)
    images = np.concatenate([shown, explanation.train.images[neighbours]])
    places = len(shown) + places.reshape(np.shape(positions))
    gallery = paths.gallery_folder(explanation.name)
    text = render(
        "why.html",
        explanation=explanation,
        rows=[_row(explanation, row, places[:, row]) for row in range(len(shown))],
        sprites=sprites(images),
        columns=SPRITE_COLUMNS,
        per_sprite=DIGITS_PER_SPRITE,
        gallery=f"../{gallery.name}/{paths.PAGE}" if (gallery / paths.PAGE).exists() else None,
    )
    path.write_text(text, encoding="utf-8")


def _row(explanation: Explanation, row: int, places: np.ndarray) -> Row:
    """Returns a row; `places` are those of its neighbours' digits, `[v, k]` for v variants."""
    predicted, by_variant = explanation.predicted, explanation.by_variant
    label, prediction = int(predicted.digits.labels[row]), int(predicted.predictions[row])
    classes = {"true": label, "predicted": int(explanation.rivals[row])}
    scale = scale_of([evidence.drops[row] for evidence in by_variant.values()])
    return Row(
        sprite=row,
        asked=row < explanation.asked,
        id=int(predicted.digits.ids[row]),
        label=label,
        prediction=prediction,
        confidence=float(predicted.ensemble[row, prediction]),
        loss=float(predicted.losses[row]),
        fold=int(predicted.folds[row]),
        scale=scale,
        by_variant={
            name: (
                _maps(evidence, row, classes, scale),
                _neighbours(explanation, evidence, row, classes, places[number]),
            )
            for number, (name, evidence) in enumerate(by_variant.items())
        },
    )


def _maps(
    evidence: VariantExplanation, row: int, classes: dict[str, int], scale: float
) -> list[Map]:
    return [
        _map(role, one, float(evidence.values[row, one]), evidence.drops[row, place], scale)
        for place, (role, one) in enumerate(classes.items())
    ]


def _map(role: str, digit_class: int, value: float, drops: np.ndarray, scale: float) -> Map:
    hidden = value - drops.astype(float)
    address = data_uri(overlay(drops, scale))
    return Map(role, digit_class, value, float(hidden.min()), float(hidden.max()), address)


def _neighbours(
    explanation: Explanation,
    evidence: VariantExplanation,
    row: int,
    classes: dict[str, int],
    places: np.ndarray,
) -> list[Neighbour]:
    roles = {one: role for role, one in classes.items()}
    ids = explanation.train.ids[evidence.neighbours[row]].tolist()
    labels, distances = evidence.labels[row].tolist(), evidence.distances[row].tolist()
    return [
        Neighbour(place, one, label, roles.get(label, ""), distance)
        for place, one, label, distance in zip(places.tolist(), ids, labels, distances, strict=True)
    ]


LINES = 20
# The digit and its two maps stand in the first columns, after a gap the neighbours.
FIRST_NEIGHBOUR = 4
NOTE = (
    "A line a variant: the digit; what hiding a place does to its label and to the rival "
    f"({IN_WORDS}); the digits it learnt from that are most alike."
)


def write_sheets(folder: Path, explanation: Explanation) -> None:
    """Writes as many sheets as the rows fill; a row is never divided."""
    rows = range(len(explanation.predicted))
    rows_per_sheet = max(1, LINES // len(explanation.by_variant))
    starts = range(0, len(rows), rows_per_sheet)
    for start in with_progress(f"drawing {len(starts)} sheets", starts):
        number = 1 + start // rows_per_sheet
        title = f"Why “{explanation.name}” says so  ({number} of {len(starts)})"
        path = folder / paths.why_sheet(number)
        _write_sheet(path, explanation, rows[start : start + rows_per_sheet], title)


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
    predicted = explanation.predicted
    centre, top = sheet.draw(line, 0, ink_on_paper(predicted.digits.images[row]))
    write_classes(sheet, predicted.digits.labels[row], predicted.predictions[row], centre, top)
    write_small(sheet, centre, top + 32, name, CELL_WIDTH)
    write_small(sheet, centre, top + 51, f"#{predicted.digits.ids[row]}", color=QUIET_COLOUR)


def _draw_maps(
    sheet: ContactSheet, line: int, explanation: Explanation, row: int, evidence: VariantExplanation
) -> None:
    predicted = explanation.predicted
    scale = scale_of([each.drops[row] for each in explanation.by_variant.values()])
    classes = predicted.digits.labels[row], explanation.rivals[row]
    for place, one in enumerate(classes):
        drops = evidence.drops[row, place]
        picture = on_paper(predicted.digits.images[row], drops, scale)
        centre, top = sheet.draw(line, 1 + place, picture)
        write_small(sheet, centre, top + 13, f"{one}: {evidence.values[row, one]:.1%}")
        low, high = (evidence.values[row, one] - change for change in (drops.max(), drops.min()))
        write_small(sheet, centre, top + 32, f"{low:.1%} – {high:.1%}", color=QUIET_COLOUR)


def _draw_neighbours(
    sheet: ContactSheet, line: int, explanation: Explanation, row: int, evidence: VariantExplanation
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
    digits = explanation.predicted.digits
    columns = "id", "label", "variant", "rank", "neighbour", "learnt_as", "distance"
    rows = [
        [digits.ids[row], digits.labels[row], name, rank + 1, explanation.train.ids[position],
         evidence.labels[row, rank], evidence.distances[row, rank]]
        for row in range(len(digits))
        for name, evidence in explanation.by_variant.items()
        for rank, position in enumerate(evidence.neighbours[row])
    ]  # fmt: skip
    return Table.of_cells("neighbours", "Neighbours", [Column(name) for name in columns], rows)
