"""The page of a run: what it shows of made-up files, and the links between the run's pages."""

import json

import cv2
import numpy as np
import pytest
from pages import assert_accessible, assert_readable

from competition import paths
from competition.pages import contact_sheet
from competition.pages.html import render
from competition.pages.overview import refresh

NAME = "some<i>thing"
PAGE = render("run.html").replace("</nav>", '</nav><button id="theme"></button>')
TITLES = ["Exploration", "Report", "Report plain", "Gallery", "Why", "Tuning of plain", "Export",
          "Draw"]  # fmt: skip


def write(path, text: str = PAGE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def outputs(workplace) -> paths.OutputPaths:
    """A run with a page of every kind, two reports and two pictures."""
    made = paths.OutputPaths(NAME)
    folders = (made.exploration, made.report(), made.report("plain"), made.gallery, made.why)
    for folder in folders:
        write(folder / paths.PAGE)
    write(paths.TuningPaths(NAME, "plain").summary, "# Tuning")
    write(made.export / paths.MODEL_CARD, "# Card")
    (made.export / paths.EXPORTED["onnx"]).write_bytes(bytes(98_765))
    write(made.draw, "<!doctype html><title>draw</title>")
    picture = np.full((800, contact_sheet.WIDTH, 3), 255, np.uint8)
    cv2.imwrite(str(made.gallery / "mistakes-01.png"), picture)
    (made.report() / paths.FIGURES).mkdir()
    cv2.imwrite(str(made.report() / paths.FIGURES / "confusion-counts.png"), picture[:, :1600])
    score = {"errors": 1234, "rows": 42000, "accuracy": 0.97, "interval_95": [0.96, 0.98]}
    made_by = {"method": {"name": "mean"}, "members": [1], "out_of_fold": score}
    write(paths.provenance_json(paths.submission_csv(NAME)), json.dumps(made_by))
    return made


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_run_is_on_one_page_that_leads_to_all_others(open_page, outputs, theme):
    page = open_page(refresh(NAME), color_scheme=theme)
    assert page.title() == page.locator("h1").inner_text() == NAME
    assert "1,234 errors in 42,000 out-of-fold digits: accuracy 0.97000" in (
        page.locator(".lead").inner_text()
    )
    links = page.locator("article h2 a")
    assert links.all_inner_texts() == TITLES
    for address in links.evaluate_all("all => all.map(one => one.getAttribute('href'))"):
        assert (outputs.folder / address).is_file()
    shown = page.locator("article:has(img) h2").all_inner_texts()
    assert shown == ["Report", "Gallery"]
    sizes = page.locator("img").evaluate_all(
        "all => all.map(one => [one.naturalWidth, one.naturalHeight])"
    )
    assert sizes == [[500, 250], [500, 368]]  # a figure, and three lines of five digits of a sheet
    assert page.locator("article", has_text="Export").locator(".view").inner_text() == "99 kB"
    assert page.locator("article > p").count() == len(TITLES)
    assert page.locator("footer").count() == 0
    assert_readable(page, fewest=20)
    assert_accessible(page)
    page.set_viewport_size({"width": 320, "height": 640})
    assert page.evaluate("document.documentElement.scrollWidth") == 320


def test_every_page_leads_back_and_to_all_others(open_page, outputs):
    refresh(NAME)
    page = open_page(outputs.report("plain") / paths.PAGE)
    links = page.locator(".run a")
    assert links.all_inner_texts() == [f"← {NAME}", *TITLES]
    assert page.locator('.run [aria-current="page"]').inner_text() == "Report plain"
    for title, place in (("Why", outputs.why), (f"← {NAME}", outputs.folder)):
        links.filter(has_text=title).first.click()
        assert page.url == (place / paths.PAGE).absolute().as_uri()
        page.go_back()
    assert outputs.draw.read_text() == "<!doctype html><title>draw</title>"


def test_links_follow_what_is_there_and_pages_are_not_written_in_vain(outputs):
    refresh(NAME)
    before = (outputs.why / paths.PAGE).stat().st_mtime_ns
    refresh(NAME)
    assert (outputs.why / paths.PAGE).stat().st_mtime_ns == before
    (outputs.gallery / paths.PAGE).unlink()
    refresh(NAME)
    assert "gallery" not in (outputs.why / paths.PAGE).read_text()


def test_what_is_not_made_yet_is_named(open_page, workplace):
    outputs = paths.OutputPaths("new")
    write(outputs.exploration / paths.PAGE)
    page = open_page(refresh("new"))
    assert page.locator(".lead").inner_text().startswith("No ensemble yet: make ensemble")
    goals = [f"make {goal}" for goal in ("report", "gallery", "why", "export", "draw")]
    assert page.locator("footer code").all_inner_texts() == [*goals, "CONFIG", "SET"]
