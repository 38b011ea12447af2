"""An explanation as one page: rows with their maps and neighbours for the template."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from competition import paths
from competition.inspection.maps.explanation import Evidence, Explanation
from competition.inspection.presentation.html import render
from competition.inspection.presentation.sprites import (
    DIGITS_PER_SPRITE,
    SPRITE_COLUMNS,
    data_uri,
    sprites,
)
from competition.inspection.why.overlay import overlay, scale_of


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
    of_class: int
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
    shown = explanation.cases.digits.images
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
    cases, by_variant = explanation.cases, explanation.by_variant
    label, prediction = int(cases.digits.labels[row]), int(cases.predictions[row])
    classes = {"true": label, "predicted": int(explanation.rivals[row])}
    scale = scale_of([evidence.drops[row] for evidence in by_variant.values()])
    return Row(
        sprite=row,
        asked=row < explanation.asked,
        id=int(cases.digits.ids[row]),
        label=label,
        prediction=prediction,
        confidence=float(cases.ensemble[row, prediction]),
        loss=float(cases.losses[row]),
        fold=int(cases.folds[row]),
        scale=scale,
        by_variant={
            name: (
                _maps(evidence, row, classes, scale),
                _neighbours(explanation, evidence, row, classes, places[number]),
            )
            for number, (name, evidence) in enumerate(by_variant.items())
        },
    )


def _maps(evidence: Evidence, row: int, classes: dict[str, int], scale: float) -> list[Map]:
    return [
        _map(role, one, float(evidence.values[row, one]), evidence.drops[row, place], scale)
        for place, (role, one) in enumerate(classes.items())
    ]


def _map(role: str, of_class: int, value: float, drops: np.ndarray, scale: float) -> Map:
    hidden = value - drops.astype(float)
    address = data_uri(overlay(drops, scale))
    return Map(role, of_class, value, float(hidden.min()), float(hidden.max()), address)


def _neighbours(
    explanation: Explanation,
    evidence: Evidence,
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
