"""Explanations of predictions for people: a page, PNG sheets, a table of neighbours."""

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
)
from competition.pages.figures import GREEN, PURPLE
from competition.pages.html import DIGITS_PER_SPRITE, SPRITE_COLUMNS, data_uri, render, sprites
from competition.pages.overview import refresh
from competition.storage import atomic_folder
from competition.tables import write_csv

FAINTEST_SCALE = 0.1  # the smallest probability that is drawn at full strength
STRENGTH = 0.9  # opacity at full strength: the digit stays visible
INK = 0.4  # how dark the ink below a map is, as in `why.css`: the map's colours stay visible
LINES = 20  # per sheet
FIRST_NEIGHBOUR = 4  # column; before it the digit, its two maps and a gap
NOTE = (
    "One line per variant: the digit; what hiding a place does to its label and to the rival "
    "class (green: costs, purple: gains probability); the most similar training digits."
)


def write_explanation(explanation: Explanation) -> Path:
    """Writes and returns `output/<config>/why/`."""
    final = paths.OutputPaths(explanation.name).why
    with atomic_folder(final) as folder:
        write_page(folder / paths.PAGE, explanation)
        write_sheets(folder, explanation)
        write_neighbours(folder / paths.NEIGHBOURS, explanation)
    refresh(explanation.name)
    return final


def explained_rows(config_name: str) -> set[int]:
    """Returns the ids of the rows in the last explanation; none without one."""
    import pandas as pd

    path = paths.OutputPaths(config_name).why / paths.NEIGHBOURS
    try:
        return set(pd.read_csv(path, usecols=["id"], dtype=int)["id"].tolist())
    except (OSError, ValueError):  # there is no file, or a person has changed it
        return set()


def write_neighbours(path: Path, explanation: Explanation) -> None:
    """Writes one line per row, variant and neighbour."""
    import pandas as pd

    digits = explanation.predicted.digits
    rows = [
        (digits.ids[row], digits.labels[row], name, rank + 1, explanation.train.ids[position],
         evidence.labels[row, rank], evidence.distances[row, rank])
        for row in range(len(digits))
        for name, evidence in explanation.by_variant.items()
        for rank, position in enumerate(evidence.neighbours[row])
    ]  # fmt: skip
    columns = ["id", "label", "variant", "rank", "neighbour", "learnt_as", "distance"]
    write_csv(path, pd.DataFrame(rows, columns=columns), digits=7)  # distances are float32


@dataclass(frozen=True)
class Map:
    """The occlusion map of one class.

    Attributes:
        role: `true` for the label, `predicted` for its rival.
        value: probability of the class for the whole image.
        lowest, highest: its extremes when a patch is hidden.
        drops: float `[14, 14]`, the probability that each hidden patch costs.
        scale: the probability at full strength, the same in all maps of a row.
    """

    role: str
    digit_class: int
    value: float
    lowest: float
    highest: float
    drops: np.ndarray
    scale: float

    @property
    def address(self) -> str:
        """The map's picture as a data URI."""
        return data_uri(overlay(self.drops, self.scale))


def maps_of(explanation: Explanation, row: int, evidence: VariantExplanation) -> list[Map]:
    """Returns a variant's maps of a row: of its label and of the rival class."""
    scale = scale_of([each.drops[row] for each in explanation.by_variant.values()])
    classes = explanation.predicted.digits.labels[row], explanation.rivals[row]
    maps = []
    for role, label, drops in zip(("true", "predicted"), classes, evidence.drops[row], strict=True):
        value = float(evidence.values[row, label])
        hidden = value - drops.astype(float)
        ends = float(hidden.min()), float(hidden.max())
        maps.append(Map(role, int(label), value, *ends, drops, scale))
    return maps


def scale_of(drops: list[np.ndarray]) -> float:
    """Returns the probability drawn at full strength in all maps of a row."""
    return max(FAINTEST_SCALE, *(float(np.abs(each).max()) for each in drops))


def overlay(drops: np.ndarray, scale: float) -> np.ndarray:
    """Returns a map as BGRA, uint8 `[14, 14, 4]`: green for the class, purple against it."""
    green, purple = (np.frombuffer(bytes.fromhex(each[1:]), np.uint8) for each in (GREEN, PURPLE))
    colours = np.where((drops >= 0)[..., None], green, purple)[..., ::-1]
    alpha = np.rint(np.abs(drops) / scale * STRENGTH * 255)
    return np.dstack([colours, alpha]).astype(np.uint8)


def on_paper(image: np.ndarray, drops: np.ndarray, scale: float) -> np.ndarray:
    """Returns a map over a digit, dark ink on white, as RGB, uint8 `[112, 112, 3]`."""
    import cv2

    colours = cv2.resize(overlay(drops, scale), (DIGIT, DIGIT), interpolation=cv2.INTER_LINEAR)
    alpha = colours[..., 3:] / 255
    filtered = 1 - alpha + alpha * colours[..., 2::-1] / 255
    ink = image.repeat(SCALE, axis=0).repeat(SCALE, axis=1)[..., None]
    return np.rint((255 - INK * ink) * filtered).astype(np.uint8)


@dataclass(frozen=True)
class Neighbour:
    """A training digit; `sprite` is its position among the sprites."""

    sprite: int
    id: int
    label: int
    role: str
    distance: float


@dataclass(frozen=True)
class Row:
    """A row of the page, with maps and neighbours by the variant's name."""

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
    positions = np.stack([evidence.neighbours for evidence in explanation.by_variant.values()])
    neighbours, places = np.unique(positions, return_inverse=True)
    sprite_places = len(shown) + places.reshape(positions.shape)
    gallery = paths.OutputPaths(explanation.name).gallery
    rows = [_row(explanation, row, sprite_places[:, row]) for row in range(len(shown))]
    # The rows asked for, then mistakes, then the others; each by falling loss.
    rows.sort(key=lambda row: 0 if row.asked else 1 + (row.prediction == row.label))
    text = render(
        "why.html",
        explanation=explanation,
        rows=rows,
        mistakes=sum(row.prediction != row.label for row in rows),
        sprites=sprites(np.concatenate([shown, explanation.train.images[neighbours]])),
        columns=SPRITE_COLUMNS,
        per_sprite=DIGITS_PER_SPRITE,
        gallery=f"../{gallery.name}/{paths.PAGE}" if (gallery / paths.PAGE).exists() else None,
    )
    path.write_text(text, encoding="utf-8")


def _row(explanation: Explanation, row: int, places: np.ndarray) -> Row:
    """Returns a row; `places` are its neighbours' sprites, `[v, k]` for v variants."""
    predicted, by_variant = explanation.predicted, {}
    for (name, evidence), own in zip(explanation.by_variant.items(), places.tolist(), strict=True):
        maps = maps_of(explanation, row, evidence)
        by_variant[name] = maps, _neighbours(explanation, evidence, row, own)
    prediction = int(predicted.predictions[row])
    return Row(
        sprite=row,
        asked=row < explanation.asked,
        id=int(predicted.digits.ids[row]),
        label=int(predicted.digits.labels[row]),
        prediction=prediction,
        confidence=float(predicted.ensemble[row, prediction]),
        loss=float(predicted.losses[row]),
        fold=int(np.asarray(predicted.folds)[row]),
        scale=maps[0].scale,
        by_variant=by_variant,
    )


def _neighbours(
    explanation: Explanation, evidence: VariantExplanation, row: int, places: list[int]
) -> list[Neighbour]:
    label, rival = explanation.predicted.digits.labels[row], explanation.rivals[row]
    roles = {int(label): "true", int(rival): "predicted"}
    ids = explanation.train.ids[evidence.neighbours[row]].tolist()
    labels, distances = evidence.labels[row].tolist(), evidence.distances[row].tolist()
    return [
        Neighbour(place, neighbour, label, roles.get(label, ""), distance)
        for place, neighbour, label, distance in zip(places, ids, labels, distances, strict=True)
    ]


def write_sheets(folder: Path, explanation: Explanation) -> None:
    """Writes as many sheets as the rows fill; all variants of a row are on one sheet."""
    rows, variants = range(len(explanation.predicted)), explanation.by_variant
    rows_per_sheet = max(1, LINES // len(variants))
    starts = range(0, len(rows), rows_per_sheet)
    for start in with_progress(f"drawing {len(starts)} sheets", starts):
        number = 1 + start // rows_per_sheet
        title = f"Why “{explanation.name}” says so  ({number} of {len(starts)})"
        lines = [(row, name) for row in rows[start : start + rows_per_sheet] for name in variants]
        sheet = ContactSheet(len(lines), title, NOTE)
        for line, (row, name) in enumerate(lines):
            _draw_digit(sheet, line, explanation, row, name)
            _draw_maps(sheet, line, explanation, row, variants[name])
            _draw_neighbours(sheet, line, explanation, row, variants[name])
        sheet.save(folder / f"why-{number:02d}.png")


def _draw_digit(
    sheet: ContactSheet, line: int, explanation: Explanation, row: int, name: str
) -> None:
    predicted = explanation.predicted
    centre, top = sheet.draw(line, 0, ink_on_paper(predicted.digits.images[row]))
    sheet.write_classes(predicted.digits.labels[row], predicted.predictions[row], centre, top)
    sheet.write_small(centre, top + 32, name, CELL_WIDTH)
    sheet.write_small(centre, top + 51, f"#{predicted.digits.ids[row]}", color=QUIET_COLOUR)


def _draw_maps(
    sheet: ContactSheet, line: int, explanation: Explanation, row: int, evidence: VariantExplanation
) -> None:
    image = explanation.predicted.digits.images[row]
    for column, shown in enumerate(maps_of(explanation, row, evidence), start=1):
        centre, top = sheet.draw(line, column, on_paper(image, shown.drops, shown.scale))
        sheet.write_small(centre, top + 13, f"{shown.digit_class}: {shown.value:.1%}")
        ends = f"{shown.lowest:.1%} – {shown.highest:.1%}"
        sheet.write_small(centre, top + 32, ends, color=QUIET_COLOUR)


def _draw_neighbours(
    sheet: ContactSheet, line: int, explanation: Explanation, row: int, evidence: VariantExplanation
) -> None:
    train = explanation.train
    for rank, position in enumerate(evidence.neighbours[row]):
        centre, top = sheet.draw(line, FIRST_NEIGHBOUR + rank, ink_on_paper(train.images[position]))
        label = str(evidence.labels[row, rank])
        sheet.write(centre, top + 7, label, ha="center", fontsize=11, weight="bold")
        sheet.write_small(centre, top + 32, f"{evidence.distances[row, rank]:.4f}")
        sheet.write_small(centre, top + 51, f"#{train.ids[position]}", color=QUIET_COLOUR)
