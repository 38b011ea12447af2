"""The page and the sheets of an explanation, which is made up: they show what was computed."""

import csv
import re
from base64 import b64decode

import cv2
import numpy as np
import pytest
from conftest import made_up_cases
from pages import assert_accessible, assert_address_ends, assert_readable
from playwright.sync_api import expect

from competition import paths
from competition.analysis.explain import Explanation, VariantExplanation
from competition.pages.contact_sheet import (
    CELL_HEIGHT,
    CELL_WIDTH,
    DIGIT,
    HEADER_HEIGHT,
    MARGIN,
    WIDTH,
)
from competition.pages.explanations import (
    FAINTEST_SCALE,
    explained_rows,
    on_paper,
    overlay,
    scale_of,
    write_explanation,
)
from competition.pages.figures import GREEN, PURPLE

NAME = "some<i>thing"
VARIANT = '<img src=x onerror="alert(1)"> seed0'
ROWS = 12


def made_up_evidence(random: np.random.Generator) -> VariantExplanation:
    return VariantExplanation(
        random.dirichlet(np.ones(10), ROWS).astype(np.float32),
        random.uniform(-0.8, 0.8, (ROWS, 2, 14, 14)).astype(np.float32),
        random.integers(20, 60, (ROWS, 6)),
        random.integers(0, 10, (ROWS, 6)).astype(np.uint8),
        np.sort(random.uniform(0, 1, (ROWS, 6)), axis=1).astype(np.float32),
    )


@pytest.fixture(scope="module")
def explanation() -> Explanation:
    random = np.random.default_rng(0)
    labels = random.integers(0, 10, 60).astype(np.uint8)
    predicted = made_up_cases(random, 2 * np.eye(10)[labels], 2, labels)
    chosen = predicted.take(np.arange(ROWS))
    rivals = chosen.best_other_than(chosen.digits.labels)
    by_variant = {"plain seed0": made_up_evidence(random), VARIANT: made_up_evidence(random)}
    return Explanation(NAME, predicted.digits, chosen, 2, rivals, by_variant)


@pytest.fixture(scope="module")
def folder(explanation, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("work"))
        gallery = paths.OutputPaths(NAME).gallery / paths.PAGE
        gallery.parent.mkdir(parents=True)
        gallery.write_text("<!doctype html><link rel=icon href=data:,><title>gallery</title>")
        written = write_explanation(explanation)
        assert explained_rows(NAME) == set(range(1, ROWS + 1))
        return written.absolute()


@pytest.fixture
def browse(open_page, folder):
    """Opens the page; ends with an error if the page had one or asked for anything."""

    def opened(address: str = "", **settings):
        return open_page(folder / paths.PAGE, address, **settings)

    return opened


def percent(value: float) -> str:
    return f"{100 * float(value):.1f}%"


def words(locator) -> list[str]:
    return [" ".join(text.split()) for text in locator.all_text_contents()]


def order(explanation) -> list[int]:
    """Returns the rows as the page shows them: those asked for, mistakes, the others."""
    wrong = explanation.predicted.wrong
    return [0, 1, *(row for row in range(2, ROWS) if wrong[row]),
            *(row for row in range(2, ROWS) if not wrong[row])]  # fmt: skip


def test_a_filter_shows_mistakes_alone(browse, explanation):
    page = browse()
    wrong = explanation.predicted.wrong
    assert 0 < wrong[2:].sum() < ROWS - 2
    page.locator('[data-kind="wrong"]').first.click()
    rows = [row for row in order(explanation) if wrong[row]]
    visible = page.locator("article:visible").evaluate_all("all => all.map(one => one.id)")
    assert visible == [f"row-{row + 1}" for row in rows]
    assert page.locator(".index li:visible").count() == len(rows)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(page).to_have_url(re.compile(f"#row-{rows[1] + 1}$"))
    page.locator('[data-kind="right"]').first.click()
    assert page.locator("article:visible").count() == ROWS - len(rows)
    page.evaluate(f"location.hash = 'row-{rows[0] + 1}'")
    expect(page.locator("article:visible")).to_have_count(ROWS)


def test_on_a_phone_the_first_explanation_comes_before_the_list(browse):
    page = browse(viewport={"width": 390, "height": 844})
    first, index = page.locator("article").first, page.locator(".index")
    second = page.locator("article").nth(1)
    tops = [one.bounding_box()["y"] for one in (first, index, second)]
    assert tops == sorted(tops)
    assert tops[0] < 400


def test_the_page_shows_what_was_computed(browse, explanation):
    page = browse()
    predicted = explanation.predicted
    assert page.locator(".lead b").all_inner_texts() == ["12", "2"]
    titles = words(page.locator("article h2"))
    assert titles == [
        f"Row {row + 1}{' asked for' if row < 2 else ''}" for row in order(explanation)
    ]
    for row in (0, 7):
        article = page.locator(f"#row-{row + 1}")
        label, prediction = predicted.digits.labels[row], predicted.predictions[row]
        first, second, *_ = words(article.locator("header p"))
        sure = percent(predicted.ensemble[row].max())
        assert first == f"label {label}, predicted {prediction} with {sure}"
        assert second.startswith(
            f"loss {predicted.losses[row]:.4f} · fold {predicted.folds[row]} ·"
        )
        for number, evidence in enumerate(explanation.by_variant.values()):
            part = article.locator("section").nth(number)
            captions = []
            for place, one in enumerate((label, explanation.rivals[row])):
                hidden = evidence.values[row, one] - evidence.drops[row, place].astype(float)
                ends = f"{percent(hidden.min())} – {percent(hidden.max())}"
                captions.append(f"{one} {percent(evidence.values[row, one])} {ends}")
            assert words(part.locator("figcaption")) == captions
            ids = explanation.train.ids[evidence.neighbours[row]]
            lines = zip(evidence.labels[row], ids, evidence.distances[row], strict=True)
            assert words(part.locator(".neighbours li")) == [
                f"{one} #{id} {distance:.3f}" for one, id, distance in lines
            ]


def test_neighbours_have_the_colours_of_their_labels(browse, explanation):
    page = browse()
    label, rival = explanation.predicted.digits.labels[4], explanation.rivals[4]
    roles = {label: "true", rival: "predicted"}
    evidence = explanation.by_variant["plain seed0"]
    shown = page.locator("#row-5 section").first.locator(".neighbours b")
    classes = shown.evaluate_all("all => all.map(one => one.className)")
    assert classes == [roles.get(one, "") for one in evidence.labels[4]]


def test_each_digit_is_the_one_that_is_meant(browse, explanation):
    page = browse(color_scheme="dark")
    evidence = explanation.by_variant[VARIANT]
    digit = page.locator("#row-4 section").nth(1).locator(".digit.alike").nth(2)
    digit.evaluate("one => one.style.setProperty('--alike', '84px')")
    digit.evaluate("one => document.body.replaceChildren(one)")  # to where whole pixels begin
    digit = page.locator(".digit")
    shown = cv2.imdecode(np.frombuffer(digit.screenshot(), np.uint8), cv2.IMREAD_GRAYSCALE)
    image = explanation.train.images[evidence.neighbours[3, 2]]
    np.testing.assert_array_equal(shown, np.kron(image, np.ones((3, 3), np.uint8)))


def test_a_map_is_what_was_computed(browse, explanation):
    page = browse()
    drops = explanation.by_variant["plain seed0"].drops
    scale = scale_of([evidence.drops[5] for evidence in explanation.by_variant.values()])
    address = page.locator("#row-6 .map img").nth(1).get_attribute("src")
    png = b64decode(address.removeprefix("data:image/png;base64,"))
    decoded = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(decoded, overlay(drops[5, 1], scale))


def test_names_stay_text(browse):
    page = browse()
    assert page.title() == f"{NAME} · why"
    assert page.locator("h1").inner_text() == f"{NAME} why the nets say so"
    assert page.locator("h1 i").count() == 0
    assert page.locator("section h3").nth(1).text_content() == VARIANT
    assert page.locator("section h3 img").count() == 0


def test_the_arrows_go_from_row_to_row(browse, explanation):
    page = browse()
    rows = [row + 1 for row in order(explanation)]
    for key, row in (("Right", 1), ("Right", 2), ("Left", 1), ("Left", 1)):
        page.keyboard.press(f"Arrow{key}")
        assert_address_ends(page, f"#row-{row}")
        assert page.locator("article:focus").get_attribute("id") == f"row-{row}"
    page.locator(".index a").nth(6).click()
    assert_address_ends(page, f"#row-{rows[6]}")
    page.keyboard.press("ArrowRight")
    assert_address_ends(page, f"#row-{rows[7]}")
    page.go_back()
    assert_address_ends(page, f"#row-{rows[6]}")


def test_rows_lead_to_the_gallery_and_back(browse):
    page = browse("row-7")
    assert page.locator("#row-7").evaluate("one => one.getBoundingClientRect().top") < 20
    link = page.locator("#row-7 header a")
    assert link.get_attribute("href") == "../gallery/index.html#view=all&row=train-7"
    page.locator('.run a:text("Gallery")').click()
    assert page.title() == "gallery"


ALL_DRAWN = "article { content-visibility: visible }"


@pytest.mark.long
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_has_contrast(browse, theme):
    page = browse(color_scheme=theme)
    page.add_style_tag(content=ALL_DRAWN)
    page.locator("summary").click()
    assert_readable(page, fewest=400)
    assert_accessible(page)


@pytest.mark.parametrize("width", [360, 390, 700, 1000])
def test_a_narrow_window_has_room_for_everything(browse, width):
    page = browse(viewport={"width": width, "height": 800})
    page.add_style_tag(content=ALL_DRAWN)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    within = "all => all.every(one => one.scrollWidth <= one.clientWidth)"
    assert page.locator("article, .look, .neighbours, .neighbours li").evaluate_all(within)


def test_an_overlay_is_stronger_the_more_a_place_matters():
    drops = np.zeros((14, 14))
    drops[0, :4] = 0.5, 0.25, -0.25, -0.5
    colours = overlay(drops, 0.5)
    assert colours[0, :5, 3].tolist() == [230, 115, 115, 230, 0]
    assert colours[0, 0, 2::-1].tobytes().hex() == GREEN.removeprefix("#")
    assert colours[0, 3, 2::-1].tobytes().hex() == PURPLE.removeprefix("#")
    assert scale_of([drops, -2 * drops]) == 1
    assert scale_of([drops / 100]) == FAINTEST_SCALE


def test_sheets_have_a_line_a_variant_and_no_text_beyond_the_edge(folder, explanation):
    sheets = sorted(folder.glob("why-*.png"))
    assert [sheet.name for sheet in sheets] == ["why-01.png", "why-02.png"]
    drawn = [cv2.imread(str(sheet)) for sheet in sheets]
    for sheet, lines in zip(drawn, (20, 4), strict=True):
        assert sheet.shape == (HEADER_HEIGHT + lines * CELL_HEIGHT + MARGIN, WIDTH, 3)
        frame = [sheet[:10], sheet[-10:], sheet[:, :10], sheet[:, -10:]]
        assert all((edge == 255).all() for edge in frame)
    inset = (CELL_WIDTH - DIGIT) // 2

    def cell(line: int, column: int) -> np.ndarray:
        top, left = HEADER_HEIGHT + line * CELL_HEIGHT, MARGIN + column * CELL_WIDTH + inset
        return drawn[0][top : top + DIGIT, left : left + DIGIT, ::-1]

    by_variant = list(explanation.by_variant.values())
    scale = scale_of([evidence.drops[1] for evidence in by_variant])
    image = explanation.predicted.digits.images[1]
    np.testing.assert_array_equal(cell(3, 2), on_paper(image, by_variant[1].drops[1, 1], scale))
    neighbour = 255 - explanation.train.images[by_variant[1].neighbours[1, 0]]
    enlarged = np.kron(neighbour, np.ones((4, 4), np.uint8))
    np.testing.assert_array_equal(cell(3, 4), np.dstack([enlarged] * 3))


def test_neighbours_are_a_table(folder, explanation):
    with (folder / paths.NEIGHBOURS).open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == ROWS * 2 * 6
    evidence = explanation.by_variant[VARIANT]
    distance = float(lines[6 + 2].pop("distance"))
    assert distance == pytest.approx(evidence.distances[0, 2], rel=1e-6)
    assert lines[6 + 2] == {
        "id": "1",
        "label": str(explanation.predicted.digits.labels[0]),
        "variant": VARIANT,
        "rank": "3",
        "neighbour": str(explanation.train.ids[evidence.neighbours[0, 2]]),
        "learnt_as": str(evidence.labels[0, 2]),
    }


@pytest.mark.parametrize("content", [None, "", "id\nmany\n", "a,b\n1,2\n"])
def test_without_an_explanation_nothing_is_linked(tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    if content is not None:
        path = paths.OutputPaths("some").why / paths.NEIGHBOURS
        path.parent.mkdir(parents=True)
        path.write_text(content)
    assert explained_rows("some") == set()
