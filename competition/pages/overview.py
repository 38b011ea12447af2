"""The page of a run, `output/<config>/index.html`, and the links between all pages of the run."""

import json
import re
from dataclasses import dataclass
from os.path import relpath
from pathlib import Path

import numpy as np

from competition import paths
from competition.pages import contact_sheet
from competition.pages.html import data_uri, render
from competition.storage import write_text

PICTURE_WIDTH = 500  # to which pictures are made smaller
LINKS = re.compile(r'<nav class="run".*?</nav>', re.DOTALL)  # as in `templates/run.html`


@dataclass(frozen=True)
class Place:
    """A page of a run, or another file to read.

    Attributes:
        path: of the file, which may not exist yet.
        goal: the target of make that writes it.
        look: what to look at next, in a sentence.
        pictures: files that show what is in it; the first that exists is taken.
        figure: a figure to show where there is no picture.
    """

    title: str
    path: Path
    goal: str
    look: str
    pictures: tuple[Path, ...] = ()
    figure: str = ""

    def picture(self) -> str | None:
        """Returns its picture, of a sheet the first digits, as a data URI, or None without one."""
        import cv2

        found = next((path for path in self.pictures if path.exists()), None)
        if found is None:
            return None
        part = np.asarray(cv2.imread(str(found)))
        if part.shape[1] == contact_sheet.WIDTH:
            part = part[contact_sheet.HEADER_HEIGHT - 1 :, contact_sheet.MARGIN :]
            part = part[: 3 * contact_sheet.CELL_HEIGHT, : 5 * contact_sheet.CELL_WIDTH]
        height = round(PICTURE_WIDTH * part.shape[0] / part.shape[1])
        return data_uri(cv2.resize(part, (PICTURE_WIDTH, height), interpolation=cv2.INTER_AREA))


def refresh(name: str) -> Path:
    """Writes and returns the page of a run; gives each of its pages links to all others."""
    page, all_places = paths.OutputPaths(name).page, _places(name)
    found = [place for place in all_places if place.path.exists()]
    for place in found:
        if place.path.suffix == ".html":
            before = place.path.read_text(encoding="utf-8")
            after = linked(before, _links(name, place.path, found), place.title)
            if after != before:
                write_text(place.path, after)
    provenance = paths.provenance_json(paths.submission_csv(name))
    text = render(
        "overview.html",
        name=name,
        made=json.loads(provenance.read_text(encoding="utf-8")) if provenance.exists() else None,
        submission=paths.submission_csv(name),
        places=list(zip(found, _links(name, page, found)[1:], strict=True)),
        missing=list(dict.fromkeys(place.goal for place in all_places if place not in found)),
    )
    write_text(page, text)
    return page


def linked(page: str, links: list[tuple[str, str]], here: str = "") -> str:
    """Returns a page with links, titles and addresses; the drawing page has no place for them."""
    made = render("links.html", links=links, here=here)
    return LINKS.sub(lambda _: made, page, count=1)


def _links(name: str, of: Path, places: list[Place]) -> list[tuple[str, str]]:
    """Returns titles and addresses, from the page `of`: of the run's page, then of each place."""
    targets = [(name, paths.OutputPaths(name).page), *((each.title, each.path) for each in places)]
    return [(title, Path(relpath(path, of.parent)).as_posix()) for title, path in targets]


def _places(name: str) -> list[Place]:
    """Returns all places of a run, in the order in which they are made."""
    outputs = paths.OutputPaths(name)
    planes = tuple(outputs.exploration / f"{key}.png" for key in ("tsne", "principal_components"))
    sheets = tuple(outputs.gallery / f"{stem}.png" for stem in ("mistakes", "mistakes-01"))
    variants = sorted(outputs.folder.glob(f"{outputs.report().name}-*/{paths.PAGE}"))
    tuned = [each.parent for each in outputs.tuning_summaries()]
    return [
        Place("Exploration", outputs.exploration / paths.PAGE, "explore",
              "Read the findings, then draw a loop around dots inside another colour: such digits "
              "are hard, or mislabelled.", planes),
        Place("Report", outputs.report() / paths.PAGE, "report",
              "Find the cell with the strongest shade: this pair of classes costs most. Then see "
              "which member adds something to the others.", _figures(outputs.report())),
        *(Place(path.parent.name.replace("-", " ", 1).capitalize(), path, "report",
                "Compare this variant with the ensemble.", _figures(path.parent))
          for path in variants),
        Place("Gallery", outputs.gallery / paths.PAGE, "gallery",
              "Go through the likely label errors, mark what you see, and train with the marks.",
              sheets),
        Place("Why", outputs.why / paths.PAGE, "why",
              "Open a confident mistake: is the colour where the stroke decides, and do the most "
              "similar training digits have the right labels?", (outputs.why / "why-01.png",)),
        *(Place(f"Tuning of {folder.name}", _tuning_page(folder), "tune",
                "Keep the best settings only if they are better on folds that no trial used.",
                tuple(sorted((folder / paths.PICTURES).glob("*history*.png"))))
          for folder in tuned),
        Place("Export", outputs.export / paths.MODEL_CARD, "export",
              "Compare the formats, then read a photo of your own with make predict.",
              figure=_smallest(outputs.export)),
        Place("Draw", outputs.draw, "draw",
              "Write a digit with mouse or finger, and make it worse until the net is unsure.",
              figure="0 … 9"),
    ]  # fmt: skip


def _figures(report: Path) -> tuple[Path, ...]:
    return (report / paths.FIGURES / "confusion-counts.png",)


def _tuning_page(folder: Path) -> Path:
    page = folder / paths.PAGE
    return page if page.exists() else folder / paths.TUNING_SUMMARY


def _smallest(export: Path) -> str:
    """Returns the size of the smallest file of an export in words."""
    sizes = [(export / name).stat().st_size for name in paths.EXPORTED.values()
             if (export / name).exists()]  # fmt: skip
    return f"{min(sizes) / 1000:,.0f} kB" if sizes else ""
