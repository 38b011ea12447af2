"""The exploration's folder, and its page in headless Chromium."""

import csv
import re

import cv2
import numpy as np
import pytest
from conftest import TINY_CONFIG
from pages import assert_accessible, contrast
from playwright.sync_api import expect

from competition import paths
from competition.__main__ import main
from competition.analysis.data_study import study
from competition.config.loading import load_config
from competition.console import count_of
from competition.digits import DataSet, Digits
from competition.pages import exploration
from competition.pages.exploration import explored_rows, sections, write_exploration
from competition.pages.overview import refresh

NASTY = '<img src=x onerror="alert(1)">$x^2$'


@pytest.fixture(scope="module")
def studied(tiny, tmp_path_factory):
    """A study of the tiny digits, of which one is in train and test and two nearly the same."""
    path = tmp_path_factory.mktemp("configs") / "tiny.yaml"
    path.write_text(TINY_CONFIG)
    train, test = tiny.train.take(np.arange(120)), tiny.test.take(np.arange(40))
    test.images[3] = train.images[5]
    train.images[7] = train.images[6]
    train.images[7, 14, 14] += 1
    return study(load_config(path), DataSet(NASTY, train, test))


@pytest.fixture(scope="module")
def folder(studied, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("work"))
        return write_exploration(studied).absolute()


@pytest.fixture
def browse(open_page, folder):
    """Opens the page; ends with an error if the page had one or asked for anything."""

    def opened(**settings):
        return open_page(folder / paths.PAGE, **settings)

    return opened


PLANES = ("principal_components", "tsne")


def all_figures(studied) -> list:
    return [figure for figures in sections(studied).values() for figure in figures]


def test_the_folder_has_a_picture_a_figure_and_the_tables(folder, studied):
    figures = {f"{figure.key}.png" for figure in all_figures(studied)}
    assert {"classes.png", "tsne.png", "shift.png", "policy3_warp.png"} <= figures
    tables = {paths.CLASS_COUNTS, paths.DUPLICATES, paths.CONTRADICTIONS, paths.PLANE}
    assert {file.name for file in folder.iterdir()} == figures | tables | {paths.PAGE}
    for name in figures:
        image = cv2.imread(str(folder / name))
        assert len(np.unique(image)) > 10, f"nothing is drawn in {name}"


def test_a_figure_shows_itself_in_a_notebook(studied):
    figure = all_figures(studied)[0]
    image = cv2.imdecode(np.frombuffer(figure._repr_png_(), np.uint8), cv2.IMREAD_COLOR)
    assert image.shape[:2] == (int(100 * figure.height / 72), 527)
    assert len(repr(figure)) < 1000


def test_pictures_hold_no_text_beyond_the_edge(folder):
    pictures = list(folder.glob("*.png"))
    assert pictures
    for file in pictures:
        image = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
        frame = [image[:2], image[-2:], image[:, :2].T, image[:, -2:].T]
        assert min(strip.min() for strip in frame) == 255, f"{file.name} goes beyond its edge"


def test_the_tables_have_what_was_found(folder, studied):
    with (folder / paths.DUPLICATES).open() as file:
        lines = list(csv.DictReader(file))
    found = studied.duplicates
    assert len(lines) == len(found.exact) + len(found.near)
    first = lines[0]
    assert (first["kind"], first["id"], first["other_part"], first["other_id"]) == (
        "exact", "6", "test", "4",
    )  # fmt: skip
    assert ["near", "7", "8"] in [[line["kind"], line["id"], line["other_id"]] for line in lines]
    with (folder / paths.CONTRADICTIONS).open() as file:
        pairs = list(csv.DictReader(file))
    assert len(pairs) == len(found.contradictions)
    assert all(pair["label"] != pair["other_label"] for pair in pairs)


def test_the_page_shows_findings_and_figures(browse, studied):
    page = browse(color_scheme="light")
    assert page.locator(".findings dd").all_inner_texts() == list(
        exploration.findings(studied).values()
    )
    figures = [each for each in all_figures(studied) if each.key not in PLANES]
    assert page.locator("figure h3").all_inner_texts() == [figure.title for figure in figures]
    captions = page.locator("figure:not(.plane) figcaption").all_inner_texts()
    assert captions == [figure.caption for figure in figures]
    names = page.locator("figure svg").evaluate_all("all => all.map(e => e.ariaLabel)")
    assert names == [f"{figure.title}. {figure.caption}" for figure in figures]
    drawn = page.locator("figure svg").evaluate_all("all => all.map(e => e.getBBox().width)")
    assert min(drawn) > 300


def test_text_of_names_stays_text(browse):
    page = browse()
    assert NASTY in page.locator("h1").inner_text()
    assert page.locator("img").count() == 0


@pytest.mark.long
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_of_figures_has_contrast_in_both_themes(browse, theme):
    page = browse(color_scheme=theme)
    fills = page.locator("figure svg text").evaluate_all(
        "all => [...new Set(all.map(one => getComputedStyle(one).fill))]"
    )
    surface = page.locator("figure").first.evaluate("one => getComputedStyle(one).backgroundColor")
    assert len(fills) >= 2
    # What stands on the bars of the classes has the colour of the surface.
    on_bars = page.locator("figure svg text").filter(has_text=" · ").first
    assert on_bars.evaluate("one => getComputedStyle(one).fill") == surface
    assert all(contrast(fill, surface) >= 4.5 for fill in fills if fill != surface)
    page.locator("#plane-choice").select_option("3")
    assert_accessible(page)


def test_a_dark_page_has_light_ink(browse):
    page = browse(color_scheme="light")
    picture = page.locator("figure svg image").first
    ink = "one => getComputedStyle(one).filter"
    assert picture.evaluate(ink) == "none"
    page.locator("#theme").click()
    assert picture.evaluate(ink).startswith("invert(1)")


def test_every_colour_of_a_figure_is_one_of_the_pages(folder):
    page = (folder / paths.PAGE).read_text()
    drawn = "".join(re.findall(r"<svg .*?</svg>", page, flags=re.DOTALL))
    drawn = re.sub(r'href="data:[^"]*"', "", drawn)
    assert "var(--true)" in drawn
    assert re.findall(r"(?:fill|stroke): (#[0-9a-f]{6})", drawn) == []


@pytest.mark.parametrize("width", [320, 390, 760, 1280])
def test_no_width_scrolls_sideways(browse, width):
    page = browse(viewport={"width": width, "height": 800})
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= width
    edges = "all => Math.max(...all.map(one => one.getBoundingClientRect().right))"
    assert page.locator("main *:visible").evaluate_all(edges) <= width


def dot_places(page) -> np.ndarray:
    """Returns the place of each dot in the window, `[n, 2]`."""
    box = page.locator("#plane").bounding_box()
    return np.array(page.evaluate("dots.map(placeOf)")) + np.array([box["x"], box["y"]])


def test_the_plane_shows_the_digit_below_the_pointer(browse, studied):
    page = browse()
    page.locator("#plane").scroll_into_view_if_needed()
    places, rows = dot_places(page), studied.embedding.rows
    page.mouse.move(*places[7])
    nearest = int(np.linalg.norm(places - places[7], axis=1).argmin())
    label = studied.data_set.train.labels[rows[nearest]]
    assert page.locator("#lens-text").inner_text() == f"row {rows[nearest] + 1}, label {label}"
    page.locator('[data-plane="0"]').click()
    assert "first two principal components" in page.locator("#plane-caption").inner_text()
    assert page.locator("#lens").is_hidden()
    assert np.abs(dot_places(page) - places).max() > 10


def test_a_loop_selects_digits_and_the_gallery_opens_them(browse, studied, folder):
    page = browse()
    page.locator("#plane").scroll_into_view_if_needed()
    places, ids = dot_places(page), page.evaluate("data.id")
    left = places[:, 0] < np.median(places[:, 0])
    box = page.locator("#plane").bounding_box()
    x, y, edge = box["x"] + 2, box["y"] + 2, np.median(places[:, 0]) - 0.01
    page.mouse.move(x, y)
    page.mouse.down()
    for corner in ((edge, y), (edge, y + box["height"] - 4), (x, y + box["height"] - 4)):
        page.mouse.move(*corner)
    page.mouse.up()
    status = page.locator("#plane-status")
    expect(status).to_have_text(
        f"{left.sum()} digits selected; make gallery writes the page that opens them"
    )
    assert page.locator("#plane-strip .digit").count() == left.sum()
    assert page.locator("#plane-open").is_hidden()
    gallery = folder.parent / "gallery" / paths.PAGE
    gallery.parent.mkdir()
    gallery.touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder.parents[2])
        refresh(studied.name)
        page.reload()
        page.locator("#plane-choice").select_option("test")
        address = page.locator("#plane-open").get_attribute("href")
        tests = "+".join(f"test-{id}" for id in ids[-40:])
        assert address == f"../gallery/index.html#view=all&ids={tests}"
        assert explored_rows(studied.name) == (ids[:-40], ids[-40:])
        gallery.unlink()
        gallery.parent.rmdir()
        refresh(studied.name)


def test_dots_next_to_another_label_are_found(browse, studied):
    page = browse()
    page.locator("#plane-choice").select_option("odd")
    labels = studied.embedding.labels
    # In the plane's own steps, whatever the window's shape.
    places = np.reshape(page.evaluate("plane.places"), (-1, 2))[: len(labels)]
    far = np.linalg.norm(places[:, None] - places, axis=2)
    np.fill_diagonal(far, np.inf)
    odd = np.flatnonzero(labels[far.argmin(axis=1)] != labels)
    assert page.evaluate("[...chosen]") == odd.tolist()
    page.locator("#plane-clear").click()
    assert page.locator("#plane-strip .digit").count() == 0


def test_labelled_test_rows_are_studied_as_test_rows_only(tiny, tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY_CONFIG)
    train, ids = tiny.train, tiny.train.ids[80:]
    test = Digits(np.arange(1, 41, dtype=np.int32), train.images[80:])
    found = study(load_config(path), DataSet("own", train, test, ids))
    assert found.data_set.train.ids.tolist() == [*range(1, 81)]
    assert found.counts.counts.tolist() == np.bincount(train.labels[:80], minlength=10).tolist()
    assert (len(found.duplicates.exact), found.duplicates.seen_test_rows()) == (0, 3)
    assert found.shift.rows == 80
    said = exploration.findings(found)
    assert said["Rows"].startswith("The labels of the 40 test rows are known; here they count as")
    assert "the shares in the test rows are not looked at" in said["Classes"]
    assert "There are no exact copies" in said["Duplicates"]
    assert "Of 40 test rows, 3 have" in said["Duplicates"]


def test_findings_say_what_was_computed(studied):
    found = exploration.findings(studied)
    assert "Rows" not in found
    low, high = studied.shift.interval()
    plain = {subject: words.replace(exploration.NO_BREAK, " ") for subject, words in found.items()}
    expected = f"{100 * studied.shift.accuracy:.1f}% (95% interval {100 * low:.1f}%"
    assert expected in plain["Train against test"]
    assert f"to {100 * high:.1f}%, p" in plain["Train against test"]
    near = studied.duplicates.near
    assert plain["Duplicates"].startswith(
        f"There is 1 exact copy, and {count_of(len(near), 'near-duplicate pair')}"
    )
    counts = studied.counts.counts
    assert f"{counts.max()} labelled {counts.argmax()}" in plain["Classes"]


@pytest.mark.parametrize(
    ("number", "expected"), [(0, "no pairs"), (1, "1 pair"), (2000, "2,000 pairs")]
)
def test_counts_are_in_words(number, expected):
    assert count_of(number, "pair") == expected


@pytest.mark.parametrize(
    ("p_value", "expected"), [(0.0004, "p < 0.001"), (0.001, "p = 0.001"), (0.314, "p = 0.31")]
)
def test_p_values_are_in_words(p_value, expected):
    assert exploration.p_text(p_value).replace(exploration.NO_BREAK, " ") == expected


@pytest.mark.long
def test_few_digits_make_a_page_without_what_needs_more(tiny, workplace):
    rows = np.flatnonzero(np.isin(tiny.train.labels, [0, 1]))[:6]
    few = DataSet("few", tiny.train.take(rows), tiny.test.take(np.arange(2)))
    (workplace / "tiny.yaml").write_text(TINY_CONFIG)
    found = study(load_config(workplace / "tiny.yaml"), few)
    keys = {figure.key for figure in all_figures(found)}
    assert not {"tsne", "shift"} & keys
    assert "too few to compare" in exploration.findings(found)["Train against test"]
    drawn = [figure._repr_png_() for figure in all_figures(found)]
    assert all(image.startswith(b"\x89PNG") for image in drawn)


def test_the_command_explores_before_any_training(project, monkeypatch, capsys):
    made = exploration.sections

    def few(found):
        shown = made(found)
        return {"Classes": shown["Classes"][:1], exploration.PLANE: shown[exploration.PLANE]}

    monkeypatch.setattr(exploration, "sections", few)
    assert main(["explore", "--config", "configs/tiny.yaml"]) == 0
    shown = capsys.readouterr().out
    assert "Duplicates: There are no exact copies" in shown
    assert "open output/tiny/exploration/index.html" in shown
    made = sorted(path.name for path in (project / "output/tiny").iterdir())
    assert made == ["exploration", "index.html"]
