"""The gallery's page in headless Chromium: what it shows, and what it does when it is used."""

import dataclasses
import json
import re
from collections import Counter

import cv2
import numpy as np
import pytest
from conftest import made_up_findings
from pages import assert_accessible, assert_address_ends, assert_readable
from playwright.sync_api import expect

from competition.analysis.explain import similar_digits
from competition.data.label_marks import Mark, read_marks
from competition.pages.gallery import Company, write_page

NAMES = ("plain seed0", "residual seed0", "wide seed1")


@pytest.fixture(scope="module")
def findings():
    return made_up_findings()


@pytest.fixture(scope="module")
def page_file(findings, tmp_path_factory):
    path = tmp_path_factory.mktemp("gallery") / "index.html"
    write_page(path, findings, True, Company(similar=similar_digits(findings, [])))
    return path


@pytest.fixture
def browse(open_page, page_file):
    """Opens the page, with an address after the #; ends with an error if the page had one."""

    def opened(address: str = "", file=page_file, **settings):
        return open_page(file, address, **settings)

    return opened


def shown(page) -> list[int]:
    """Returns the ids on the cards, in their order."""
    return [int(text.strip("# ★")) for text in page.locator(".card .id").all_inner_texts()]


def ids(findings, rows) -> list[int]:
    return findings.labelled.digits.ids[rows].tolist()


def sorted_rows(keys: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Returns the rows by key, equal ones by falling loss and then in the order of the ids."""
    return rows[np.argsort(keys[rows], kind="stable")]


def by_loss(findings, rows=None) -> np.ndarray:
    rows = np.arange(len(findings.labelled)) if rows is None else np.sort(rows)
    return sorted_rows(-findings.labelled.losses, rows)


def test_the_cards_show_what_was_computed(browse, findings):
    page = browse()
    rows = by_loss(findings, findings.mistakes)
    predicted = findings.labelled.take(rows)
    assert shown(page) == ids(findings, rows)
    pairs = [f"{label}→{predicted}" for label, predicted in
             zip(predicted.digits.labels, predicted.predictions, strict=True)]  # fmt: skip
    assert page.locator(".pair").all_inner_texts() == pairs
    likeliest = predicted.class_probabilities(predicted.predictions)
    confidences = [f"{value:.1f}%" for value in np.rint(likeliest * 1000) / 10]
    assert page.locator(".confidence").all_inner_texts() == confidences
    tallies = [Counter(each.tolist()).most_common() for each in predicted.votes.T]
    votes = [[f"{vote} ×{count}" for vote, count in tally] for tally in tallies]
    assert page.locator(".card-votes").evaluate_all(
        "all => all.map(one => [...one.children].map(each => each.textContent))"
    ) == votes  # fmt: skip
    said = ", ".join(f"{count} for {vote}" for vote, count in tallies[0])
    assert f"votes: {said}" in page.locator(".described").first.text_content()
    assert page.locator("#summary").inner_text() == f"{len(rows)} digits"
    assert f"{findings.score.accuracy:.5f}" in page.locator(".lead").inner_text()


def test_the_opened_digit_shows_all_of_it(browse, findings):
    row = int(by_loss(findings, findings.mistakes)[2])
    page = browse(f"row=train-{row + 1}")
    case = findings.labelled.take(np.array([row]))
    values = [f"{value:.1f}%" for value in np.rint(case.ensemble[0] * 1000) / 10]
    assert page.locator("#classes .value").all_inner_texts() == values
    widths = page.locator("#classes .fill").evaluate_all("all => all.map(one => one.style.width)")
    assert [f"{float(width.strip('%')):.1f}%" for width in widths] == values
    lines = page.locator("#votes tr").all_inner_texts()
    for line, name, vote, of_member in zip(
        lines, NAMES, case.votes[:, 0], case.members[:, 0], strict=True
    ):
        right = "✓ right" if vote == case.digits.labels[0] else "✗ wrong"
        percent = f"{np.rint(of_member.max() * 1000) / 10:.1f}%"
        assert line.split("\t") == [name, str(vote), percent, right]
    rank = np.flatnonzero(findings.label_errors.rows == row)
    figures = dict(zip(page.locator("#figures dt").all_inner_texts(),
                       page.locator("#figures dd").all_inner_texts(), strict=True))  # fmt: skip
    assert figures.pop("Likely label error").startswith(
        f"rank {rank[0] + 1}" if len(rank) else "no"
    )
    assert figures == {
        "Fold": str(case.folds[0]),
        "Loss": f"{case.losses[0]:.4f}",
        "Margin": f"{case.margins[0]:.4f}",
        "Disagreement": f"{case.disagreements[0]:.4f}",
    }


def test_a_test_row_has_no_label_to_show_or_mark(browse, findings):
    page = browse("view=test")
    assert shown(page) == findings.test.digits.ids[findings.uncertain_test].tolist()
    page.locator(".card").first.click()
    first = findings.uncertain_test[0]
    assert page.locator("#detail-title").inner_text() == f"Test row {first + 1}"
    assert (
        page.locator("#verdict")
        .inner_text()
        .startswith(f"predicted {findings.test.predictions[first]} with")
    )
    assert page.locator("#marking").is_hidden()
    page.keyboard.press("1")
    assert page.locator("#export").is_disabled()


def test_filters_that_need_a_label_do_not_hide_the_test_rows(browse, findings):
    page = browse("view=all&label=4&agree=yes&mark=any&wrong=plain+seed0&from=0&to=99")
    page.locator('[data-view="test"]').click()
    assert_address_ends(page, "#view=test&to=99")
    test = findings.test.take(findings.uncertain_test)
    confidence = test.ensemble.max(axis=1)
    assert shown(page) == test.digits.ids[confidence <= 0.99].tolist()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_digits_are_drawn_pixel_by_pixel(browse, findings, theme):
    row = by_loss(findings, findings.mistakes)[1]
    image = findings.labelled.digits.images[row]
    page = browse(color_scheme=theme)
    png = page.locator(".card .digit").nth(1).screenshot()
    drawn = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_GRAYSCALE)
    # A card may begin between two pixels of the screen, so edges are not compared.
    centres = drawn[1::3, 1::3][:28, :28]
    np.testing.assert_array_equal(centres, 255 - image if theme == "light" else image)


def test_a_cell_of_the_confusion_matrix_filters_and_the_back_button_undoes_it(browse, findings):
    page = browse()
    labelled = findings.labelled
    confusion = labelled.confusion()
    label, predicted = map(int, np.unravel_index(confusion.argmax(), confusion.shape))
    cell = page.locator(f'#matrix td [data-label="{label}"][data-predicted="{predicted}"]')
    assert cell.inner_text() == str(confusion[label, predicted])
    assert page.locator("#matrix td button").count() == np.count_nonzero(confusion)
    cell.click()
    fit = (labelled.digits.labels == label) & (labelled.predictions == predicted)
    expected = ids(findings, by_loss(findings, np.flatnonzero(fit)))
    assert shown(page) == expected
    assert_address_ends(page, f"#label={label}&predicted={predicted}")
    assert cell.get_attribute("aria-pressed") == "true"
    page.go_back()
    assert len(shown(page)) == len(findings.mistakes)
    assert cell.get_attribute("aria-pressed") == "false"
    page.go_forward()
    assert shown(page) == expected
    cell.click()
    assert len(shown(page)) == len(findings.mistakes)


def test_filters_can_be_combined_and_taken_off(browse, findings):
    page = browse("view=mistakes")
    labelled = findings.labelled
    is_right = labelled.votes == labelled.digits.labels
    page.locator('[data-member="plain seed0"]').select_option("right")
    page.locator('[data-member="wide seed1"]').select_option("wrong")
    fit = labelled.wrong & is_right[0] & ~is_right[2]
    assert shown(page) == ids(findings, by_loss(findings, np.flatnonzero(fit)))
    page.locator("#to").fill("60")
    page.locator("#to").press("Enter")
    fit &= np.rint(labelled.class_probabilities(labelled.predictions) * 1000) <= 600
    assert fit.any()
    assert shown(page) == ids(findings, by_loss(findings, np.flatnonzero(fit)))
    page.get_by_role("button", name="remove the filter plain seed0 right").click()
    fit = labelled.wrong & ~is_right[2]
    fit &= np.rint(labelled.class_probabilities(labelled.predictions) * 1000) <= 600
    assert shown(page) == ids(findings, by_loss(findings, np.flatnonzero(fit)))
    page.locator('#matrix th [data-label="3"]').click()
    page.locator("#from").fill("99.9")
    page.locator("#from").press("Enter")
    assert shown(page) == []
    page.locator("#clear").click()
    assert len(shown(page)) == len(findings.mistakes)


@pytest.mark.long
def test_a_threshold_of_confidence_that_is_a_rows_own_keeps_the_row(browse, findings):
    page = browse("view=all&sort=id")
    labelled, test = findings.labelled, findings.test.take(findings.uncertain_test)
    confidences = [np.rint(each.class_probabilities(each.predictions) * 1000).astype(int)
                   for each in (labelled, test)]  # fmt: skip

    def expected(low: int, high: int) -> list[int]:
        fit = [(low <= each) & (each <= high) for each in confidences]
        return [*ids(findings, fit[0]), *np.sort(test.digits.ids[fit[1]]).tolist()][:200]

    def chosen(low: int, high: int) -> list[int]:
        for field, threshold in (("#from", low), ("#to", high)):
            page.locator(field).fill(f"{threshold / 10:.1f}")
            page.locator(field).press("Enter")
        return shown(page)

    values = np.unique(confidences[0])
    for own in values[:: len(values) // 8].tolist():
        assert chosen(own, own) == expected(own, own) != []
        assert chosen(own, 1000) == expected(own, 1000)
        assert chosen(own + 1, 1000) == expected(own + 1, 1000)


def test_rows_that_all_members_contradict(browse, findings):
    page = browse("view=all")
    page.locator("#agree").check()
    fit = np.flatnonzero(findings.labelled.unanimous_against_label)
    assert shown(page) == ids(findings, by_loss(findings, fit))
    page.locator('[data-view="label-errors"]').click()
    assert shown(page) == ids(findings, findings.label_errors.rows)
    starred = [text.endswith("★") for text in page.locator(".card .id").all_inner_texts()]
    assert starred == findings.label_errors.confident.tolist()


@pytest.mark.parametrize("order", ["loss", "margin", "disagreement", "id"])
def test_rows_are_sorted(browse, findings, order):
    page = browse("view=mistakes")
    page.locator("#sort").select_option(order)
    labelled = findings.labelled
    keys = {
        "loss": -labelled.losses.round(4),
        "margin": labelled.margins.astype(float).round(4),
        "disagreement": -labelled.disagreements.round(4),
        "id": labelled.digits.ids,
    }
    rows = by_loss(findings, findings.mistakes)
    assert shown(page) == ids(findings, sorted_rows(keys[order], rows))
    assert_address_ends(page, "#" if order == "loss" else f"#sort={order}")


@pytest.mark.long
def test_the_address_alone_brings_a_view_back(browse, findings):
    first = browse()
    first.locator('[data-view="all"]').click()
    first.locator("#sort").select_option("id")
    first.locator('#matrix th [data-predicted="7"]').click()
    first.locator('[data-member="residual seed0"]').select_option("wrong")
    first.locator(".card").nth(1).click()
    address = first.url.split("#")[1]
    second = browse(address)
    assert shown(second) == shown(first)
    assert (
        second.locator("#detail-title").inner_text() == first.locator("#detail-title").inner_text()
    )
    assert second.locator("#sort").input_value() == "id"
    assert second.locator('[data-member="residual seed0"]').input_value() == "wrong"


def test_an_address_that_makes_no_sense_is_a_usual_one(browse, findings):
    page = browse(
        "view=none&label=x&sort=%3Cb%3E&from=-3&to=many&page=0&row=train-9999&right=nobody"
    )
    assert len(shown(page)) == len(findings.mistakes)
    assert page.locator("#detail").is_hidden()


def test_many_rows_come_in_pages(browse, findings):
    page = browse("view=all&sort=id")
    assert shown(page) == list(range(1, 201))
    page.locator("#next-page").click()
    tests = sorted(findings.test.digits.ids[findings.uncertain_test].tolist())
    assert shown(page) == [*range(201, 301), *tests]
    assert page.locator("#page").inner_text() == "page 2 of 2"
    page.keyboard.press("ArrowRight")
    assert focused_id(page) == 201
    page.go_back()
    assert shown(page)[0] == 1
    page.keyboard.press("ArrowRight")
    assert focused_id(page) == 1
    page.keyboard.press("End")
    assert focused_id(page) == 200
    page.keyboard.press("ArrowRight")
    assert focused_id(page) == shown(page)[0] == 201


def focused_id(page) -> int:
    return int(page.locator(".card:focus .id").inner_text().strip("# ★"))


def test_the_keyboard_is_enough(browse, findings):
    page = browse()
    expected = ids(findings, by_loss(findings, findings.mistakes))
    columns = page.evaluate("columnCount()")
    page.keyboard.press("ArrowRight")
    assert focused_id(page) == expected[0]
    for key, place in (("ArrowRight", 1), ("ArrowDown", 1 + columns), ("ArrowUp", 1),
                       ("ArrowLeft", 0), ("ArrowLeft", 0), ("End", -1), ("Home", 0)):  # fmt: skip
        page.keyboard.press(key)
        assert focused_id(page) == expected[place]
    page.keyboard.press("Enter")
    assert page.locator("#detail-title").inner_text() == f"Row {expected[0]}"
    page.keyboard.press("ArrowRight")
    assert page.locator("#detail-title").inner_text() == f"Row {expected[1]}"
    assert_address_ends(page, f"#row=train-{expected[1]}")
    page.keyboard.press("Escape")
    assert page.locator("#detail").is_hidden()
    assert focused_id(page) == expected[1]
    page.keyboard.press("?")
    assert page.locator("#help").is_visible()
    page.keyboard.press("Escape")
    assert page.locator("#help").is_hidden()


def test_a_field_keeps_its_keys(browse):
    page = browse()
    page.locator("#from").focus()
    page.keyboard.press("1")
    page.keyboard.press("ArrowUp")
    assert page.locator("#export").is_disabled()
    assert page.locator(".card:focus").count() == 0


def test_marks_survive_a_reload_and_are_exported_as_they_are_read(browse, findings, tmp_path):
    page = browse("view=mistakes&sort=id")
    rows = np.sort(findings.mistakes)
    labels = findings.labelled.digits.labels[rows]
    other = (int(labels[1]) + 1) % 10
    page.keyboard.press("ArrowRight")
    page.keyboard.press("2")
    page.keyboard.press("ArrowRight")
    page.keyboard.press(f"Shift+Digit{other}")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("1")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("3")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("3")
    page.keyboard.press("0")
    page.reload()
    badges = page.locator(".badge").all_inner_texts()
    assert badges[:5] == ["A", f"L{other}", "L", "R", ""]
    assert page.locator("#export").inner_text() == "Export 4 marks"
    with page.expect_download() as download:
        page.locator("#export").click()
    assert download.value.suggested_filename == "marks-some.csv"
    download.value.save_as(tmp_path / "marks.csv")
    marked = findings.labelled.digits.ids[rows].tolist()
    assert read_marks(tmp_path / "marks.csv", findings.labelled.digits) == [
        Mark(marked[0], "ambiguous", None),
        Mark(marked[1], "label error", other),
        Mark(marked[2], "label error", None),
        Mark(marked[3], "real mistake", None),
    ]
    page.locator("#mark").select_option("label error")
    assert shown(page) == marked[1:3]
    page.locator("#mark").select_option("none")
    assert shown(page) == marked[4:]


def test_marks_are_given_with_the_mouse(browse, findings):
    page = browse("sort=id")
    row = findings.mistakes.min()
    label = int(findings.labelled.digits.labels[row])
    page.locator(".card").first.click()
    assert page.locator("#believed").is_hidden()
    page.locator('#marking [data-mark="label error"]').click()
    assert page.locator(f'[data-believed="{label}"]').is_disabled()
    page.locator(f'[data-believed="{(label + 3) % 10}"]').click()
    assert page.locator(".badge").first.inner_text() == f"L{(label + 3) % 10}"
    page.locator('#marking [data-mark="ambiguous"]').click()
    assert page.locator(".badge").first.inner_text() == "A"
    page.locator('#marking [data-mark="ambiguous"]').click()
    assert page.locator(".badge").first.is_hidden()


@pytest.mark.long
def test_two_galleries_of_the_same_data_share_their_marks(browse):
    page = browse("sort=id")
    other = page.context.new_page()
    other.goto(page.url)
    page.locator(".card").first.focus()
    page.keyboard.press("2")
    other.locator(".card").nth(1).focus()
    other.keyboard.press("3")
    expect(page.locator("#export")).to_have_text("Export 2 marks")
    assert page.locator(".badge:visible").all_inner_texts() == ["A", "R"]


@pytest.mark.long
def test_galleries_share_marks_by_the_fingerprint_of_their_data(browse, findings, tmp_path):
    others = {
        "same data": dataclasses.replace(findings, name="same data"),
        "other data": dataclasses.replace(findings, name="other data", fingerprint="f" * 64),
    }
    first = browse("sort=id")
    pages = {}
    for name, other in others.items():
        write_page(tmp_path / f"{name}.html", other, all_rows=True)
        pages[name] = first.context.new_page()
        pages[name].goto(f"{(tmp_path / f'{name}.html').as_uri()}#sort=id")
    same, apart = pages.values()
    first.locator(".card").first.focus()
    first.keyboard.press("2")
    expect(same.locator("#export")).to_have_text("Export 1 mark")
    expect(same.locator(".badge").first).to_have_text("A")
    same.locator(".card").first.focus()
    same.keyboard.press("0")
    same.locator(".card").nth(1).focus()
    same.keyboard.press("3")
    expect(first.locator(".badge").nth(1)).to_have_text("R")
    expect(first.locator(".badge").first).to_be_hidden()
    expect(first.locator("#export")).to_have_text("Export 1 mark")
    apart.reload()
    expect(apart.locator("#export")).to_be_disabled()


def test_without_storage_marks_last_as_long_as_the_page(browse, findings):
    broken = "Object.defineProperty(window, 'localStorage', {get() { throw new Error('no'); }})"
    page = browse("sort=id", script=broken)
    assert page.locator("#storage-notice").is_visible()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("2")
    assert page.locator(".badge").first.inner_text() == "A"
    with page.expect_download() as download:
        page.locator("#export").click()
    row = findings.mistakes.min()
    line = f"{row + 1},{findings.labelled.digits.labels[row]},ambiguous,,"
    [written] = download.value.path().read_text().splitlines()[1:]
    assert written.startswith(f"{line},20")


@pytest.mark.long
def test_storage_without_room_keeps_all_marks_until_the_page_is_closed(browse):
    full = "Storage.prototype.setItem = () => { throw new DOMException('', 'QuotaExceededError'); }"
    page = browse("sort=id", script=full)
    for _ in range(2):
        page.keyboard.press("ArrowRight")
        page.keyboard.press("2")
    with page.expect_download() as download:
        page.locator("#export").click()
    assert len(download.value.path().read_text().splitlines()) == 1 + 2


@pytest.mark.long
def test_after_going_back_the_keys_are_for_the_digit_that_is_shown(browse, findings):
    page = browse("sort=id")
    first, second = page.locator(".card").nth(0), page.locator(".card").nth(1)
    first.click()
    second.click()
    page.go_back()
    page.keyboard.press("2")
    assert first.locator(".badge").inner_text() == "A"
    assert second.locator(".badge").count() == 0 or not second.locator(".badge").inner_text()


@pytest.mark.long
def test_closing_the_panel_by_its_button_leads_back_to_the_digit(browse):
    page = browse("sort=id")
    page.locator(".card").nth(3).click()
    page.locator("#close").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowRight")
    row = page.evaluate("document.activeElement.dataset.row")
    assert row == page.locator(".card").nth(4).get_attribute("data-row")


def test_html_in_a_name_stays_text(browse, tmp_path):
    evil = "</script><script>alert(1)</script><b>"
    member = '<img src=x onerror="alert(2)">'
    findings = made_up_findings(evil, (member, "plain seed0"))
    write_page(tmp_path / "index.html", findings, all_rows=False)
    page = browse(file=tmp_path / "index.html")
    assert page.locator("h1").inner_text() == f"{evil} gallery of digits"
    assert page.title() == f"{evil} · gallery of digits"
    page.locator(".card").first.click()
    assert page.locator("#votes td").first.inner_text() == member
    page.locator("[data-member]").first.select_option("wrong")
    assert page.locator("#chips").inner_text() == f"{member} wrong ✕"
    assert page.locator("img, h1 b, #chips img").count() == 0
    page.reload()
    assert page.locator("[data-member]").first.input_value() == "wrong"


def test_without_all_rows_the_page_has_those_worth_a_look(findings, tmp_path):
    write_page(tmp_path / "index.html", findings, all_rows=False)
    text = (tmp_path / "index.html").read_text()
    data = json.loads(re.search(r'id="data">(.*?)</script>', text)[1])
    wanted = {*findings.mistakes, *findings.uncertain, *findings.label_errors.rows}
    assert sorted(data["id"][: data["labelled"]]) == sorted(ids(findings, [*wanted]))
    assert "http://" not in text.replace("http://www.w3.org", "")
    assert "https://" not in text


def test_explained_rows_are_linked(browse, findings, tmp_path):
    first, other, *_ = ids(findings, by_loss(findings, findings.mistakes))
    write_page(tmp_path / "index.html", findings, False, Company(explained={first}))
    page = browse(f"row=train-{first}", file=tmp_path / "index.html")
    link = page.locator("#why a")
    assert link.get_attribute("href").endswith(f"/why/index.html#row-{first}")
    page.keyboard.press("ArrowRight")
    assert page.locator("#detail-title").inner_text() == f"Row {other}"
    assert link.is_hidden()
    assert browse().locator("#why").count() == 0


@pytest.mark.long
def test_an_explained_row_that_is_right_and_sure_is_there_too(browse, findings, tmp_path):
    surest = findings.labelled.digits.ids[findings.labelled.margins.argmax()]
    write_page(tmp_path / "index.html", findings, False, Company(explained={int(surest)}))
    page = browse(f"view=all&row=train-{surest}", file=tmp_path / "index.html")
    assert page.locator("#detail-title").inner_text() == f"Row {surest}"


def test_a_page_without_mistakes_says_so(browse, findings, tmp_path):
    right = np.flatnonzero(~findings.labelled.wrong)
    quiet = dataclasses.replace(findings, labelled=findings.labelled.take(right))
    write_page(tmp_path / "index.html", quiet, all_rows=False)
    page = browse(file=tmp_path / "index.html")
    assert page.locator("#empty").is_visible()
    assert page.locator("#clear").is_hidden()


def test_a_narrow_window_has_room_for_everything(browse):
    page = browse(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert page.locator("#filters").is_hidden()
    page.locator("#filters-button").tap()
    assert page.locator("#matrix").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    page.locator("#filters-button").tap()
    page.locator(".card").nth(4).tap()
    box = page.locator("#detail").bounding_box()
    assert (box["x"], box["width"]) == (0, 360)
    assert page.locator("#detail").evaluate("it => it.scrollWidth <= it.clientWidth")
    page.locator("#close").tap()
    assert page.locator("#detail").is_hidden()


def enlarged(page):
    """Returns the digit that the pointer or the focus enlarges, when it has its size."""
    digit = page.locator(".card:is(:hover, :focus) .digit").last
    digit.evaluate("one => Promise.all(one.getAnimations().map(each => each.finished))")
    return digit.bounding_box()


@pytest.mark.long
def test_nothing_moves_when_a_digit_is_enlarged_and_no_control_is_covered(browse):
    page = browse()
    boxes = "all => all.map(one => JSON.stringify(one.getBoundingClientRect()))"
    before = page.locator(".card").evaluate_all(boxes)
    page.locator(".card").nth(page.evaluate("columnCount()") - 1).hover()
    box = enlarged(page)
    assert box["width"] == pytest.approx(140)
    assert page.locator(".card").evaluate_all(boxes) == before
    controls = page.locator(".bar :is(button, select):visible, .views button")
    lowest = "all => Math.max(...all.map(one => one.getBoundingClientRect().bottom))"
    assert controls.evaluate_all(lowest) <= box["y"]


@pytest.mark.long
def test_the_focus_enlarges_a_digit_unless_the_panel_shows_it(browse):
    page = browse()
    page.keyboard.press("ArrowRight")
    assert enlarged(page)["width"] == pytest.approx(140)
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowRight")
    assert enlarged(page)["width"] == pytest.approx(84)


@pytest.mark.long
def test_rows_are_found_by_their_ids(browse, findings):
    page = browse()
    right = int(np.flatnonzero(~findings.labelled.wrong)[0]) + 1
    page.locator("#ids").fill(f"{right}, 9999")
    page.locator("#ids").press("Enter")
    tests = findings.test.digits.ids[findings.uncertain_test].tolist()
    assert shown(page) == [right] * (1 + (right in tests))
    assert page.locator("#missing").inner_text() == "Not on this page: #9999."
    assert_address_ends(page, f"#view=all&ids={right}+9999")
    page.get_by_role("button", name=f"remove the filter id {right} 9999").click()
    assert page.locator("#missing").is_hidden()
    assert len(shown(page)) == 200
    chosen = browse(f"view=all&sort=id&ids=train-7+test-{tests[0]}+train-3+train-5")
    assert shown(chosen) == [3, 5, 7, tests[0]]
    assert chosen.locator("#chips").inner_text() == "4 chosen rows ✕"


@pytest.mark.long
def test_a_range_that_is_turned_round_says_so(browse, findings):
    page = browse("from=80&to=20")
    assert shown(page) == []
    assert page.locator("#range-note").is_visible()
    page.locator("#swap").click()
    assert page.locator("#range-note").is_hidden()
    assert_address_ends(page, "#from=20&to=80")
    assert len(shown(page)) > 0


@pytest.mark.long
def test_test_rows_are_chosen_by_their_predicted_class(browse, findings):
    page = browse("view=test")
    assert page.locator("#matrix").is_hidden()
    assert page.locator('[data-member="plain seed0"]').is_hidden()
    predictions = findings.test.predictions[findings.uncertain_test]
    counts = page.locator("#predictions .count").all_inner_texts()
    assert list(map(int, counts)) == np.bincount(predictions, minlength=10).tolist()
    common = int(np.bincount(predictions).argmax())
    page.locator(f'#predictions [data-predicted="{common}"]').click()
    chosen = findings.uncertain_test[predictions == common]
    assert shown(page) == findings.test.digits.ids[chosen].tolist()
    page.locator('[data-view="mistakes"]').click()
    assert page.locator("#predictions").is_hidden()
    assert page.locator("#matrix").is_visible()


def test_several_digits_are_marked_at_once(browse, findings):
    page = browse("sort=id")
    card = page.locator(".card")
    card.nth(1).click(modifiers=["ControlOrMeta"])
    card.nth(4).click(modifiers=["Shift"])
    assert page.locator("#selected-count").inner_text() == "4 selected"
    assert page.locator("#detail").is_hidden()
    card.nth(2).focus()
    page.keyboard.press("s")
    page.locator('#selection [data-mark="real mistake"]').click()
    assert page.locator(".badge").all_inner_texts()[:6] == ["", "R", "", "R", "R", ""]
    card.nth(0).focus()
    page.keyboard.press("2")
    assert page.locator(".badge").all_inner_texts()[:6] == ["", "A", "", "A", "A", ""]
    page.keyboard.press("Escape")
    assert page.locator("#selection").is_hidden()
    assert page.locator('.card[aria-pressed="true"]').count() == 0
    page.locator("#select").click()
    card.nth(0).click()
    assert page.locator("#selected-count").inner_text() == "1 selected"
    page.locator("#select-all").click()
    page.locator('#selection [data-mark=""]').click()
    assert page.locator(".badge:visible").count() == 0
    page.locator("#select-none").click()
    card.nth(0).click()
    assert page.locator("#detail").is_visible()


@pytest.mark.long
def test_a_right_label_is_given_to_all_selected_that_have_another_one(browse, findings):
    page = browse("view=all&sort=id")
    labels = findings.labelled.digits.labels
    other = int(np.flatnonzero(labels != labels[0])[0])
    for row in (0, other):
        page.locator(".card").nth(row).click(modifiers=["ControlOrMeta"])
    page.keyboard.press(f"Shift+Digit{labels[0]}")
    badges = page.locator(".badge").all_inner_texts()
    assert (badges[0], badges[other]) == ("", f"L{labels[0]}")


def test_marks_of_a_team_are_merged_and_the_later_one_counts(browse, findings, tmp_path):
    page = browse("sort=id")
    rows = np.sort(findings.mistakes)
    marked = (rows + 1).tolist()
    given = findings.labelled.digits.labels[rows].tolist()
    page.locator("#who").fill("Ann, of us")
    page.locator("#who").press("Enter")
    for _ in range(3):
        page.locator(".card").first.focus() if _ == 0 else page.keyboard.press("ArrowRight")
        page.keyboard.press("2")
    header = "id,given_label,mark,label,who,when"
    lines = [
        f"{marked[0]},{given[0]},ambiguous,,Ben,2020-01-01T00:00:00Z",  # the same
        f"{marked[1]},{given[1]},real mistake,,Ben,2020-01-01T00:00:00Z",  # earlier
        f"{marked[2]},{given[2]},label error,{(given[2] + 1) % 10},Ben,2099-01-01T00:00:00Z",
        f"{marked[3]},{given[3]},label error,,Ben,2020-01-01T00:00:00Z",
    ]
    (tmp_path / "ben.csv").write_text("\n".join([header, *lines, ""]))
    (tmp_path / "bad.csv").write_text(f"{header}\n{marked[5]},{given[5]},ambiguous,,,\n7,x,y,,,\n")
    (tmp_path / "other.csv").write_text("id,label\n")
    page.locator("#import").set_input_files([tmp_path / "ben.csv", tmp_path / "bad.csv"])
    expect(page.locator("#imported")).to_contain_text(
        "ben.csv: 1 new, 1 the same, 2 different (of these, 1 later than yours and taken): "
        f"#{marked[1]} #{marked[2]}"
    )
    expect(page.locator("#imported")).to_contain_text(
        "bad.csv: nothing is taken; line 3: '7,x' is no row with a label"
    )
    badges = page.locator(".badge").all_inner_texts()[:6]
    assert badges == ["A", "A", f"L{(given[2] + 1) % 10}", "L", "", ""]
    page.locator("#imported a").click()
    assert shown(page) == marked[1:3]
    page.locator(".card").nth(1).click()
    assert page.locator("#marked-by").inner_text() == "Marked by Ben, 2099-01-01."
    with page.expect_download() as download:
        page.locator("#export").click()
    download.value.save_as(tmp_path / "marks.csv")
    text = (tmp_path / "marks.csv").read_text()
    assert f"{marked[1]},{given[1]},ambiguous,,Ann  of us,20" in text
    assert lines[2] in text
    marks = read_marks(tmp_path / "marks.csv", findings.labelled.digits)
    assert [each.id for each in marks] == marked[:4]
    page.locator("#import").set_input_files([tmp_path / "other.csv"])
    expect(page.locator("#imported")).to_contain_text(
        f"other.csv: nothing is taken; the first line is expected to be {header}"
    )


def test_similar_digits_are_the_nearest_ones(browse, findings):
    row = int(findings.mistakes[0])
    page = browse(f"row=train-{row + 1}")
    pixels = findings.labelled.digits.images.reshape(300, -1).astype(float)
    pixels /= np.linalg.norm(pixels, axis=1, keepdims=True)
    nearest = [each for each in np.argsort(-pixels @ pixels[row]) if each != row][:6]
    labels = findings.labelled.digits.labels
    expected = [f"{labels[each]} #{each + 1}" for each in nearest]
    items = page.locator("#similar-digits li")
    assert [re.sub(r"\s+", " ", text) for text in items.all_inner_texts()] == expected
    assert "by their pixels" in " ".join(page.locator("#similar .hint").inner_text().split())
    items.first.locator("a").click()
    assert page.locator("#detail-title").inner_text() == f"Row {nearest[0] + 1}"
    tests = browse(f"view=test&row=test-{findings.test.digits.ids[findings.uncertain_test[0]]}")
    assert tests.locator("#similar-digits li").count() == 6


def test_the_rows_of_the_plane_are_there(browse, findings, tmp_path):
    unseen = np.setdiff1d(np.arange(300), findings.worth_a_look)[:2] + 1
    tests = np.setdiff1d(np.arange(130), findings.uncertain_test)[:2] + 1
    company = Company(explored=(unseen.tolist(), tests.tolist()))
    write_page(tmp_path / "index.html", findings, False, company)
    ids = f"train-{unseen[0]}+train-{unseen[1]}+test-{tests[0]}"
    page = browse(f"view=all&sort=id&ids={ids}", file=tmp_path / "index.html")
    assert shown(page) == [*unseen, tests[0]]
    page.locator('[data-view="test"]').click()
    assert shown(page) == findings.test.digits.ids[findings.uncertain_test].tolist()


@pytest.mark.long
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_has_contrast(browse, findings, theme):
    row = findings.mistakes[0] + 1
    page = browse(f"row=train-{row}&agree=yes", color_scheme=theme)
    page.keyboard.press("1")
    assert_readable(page, fewest=201)
    page.locator("#select").click()
    assert_accessible(page)
    page.locator('[data-view="test"]').click()
    page.locator("#keys").click()
    assert_accessible(page)


def test_a_theme_is_the_systems_until_one_is_chosen(browse):
    page = browse(color_scheme="dark")
    root = page.locator("html")
    expect(root).to_have_attribute("data-theme", "dark")
    page.emulate_media(color_scheme="light")
    expect(root).to_have_attribute("data-theme", "light")
    page.locator("#theme").click()
    expect(root).to_have_attribute("data-theme", "dark")
    page.reload()
    expect(root).to_have_attribute("data-theme", "dark")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_cell_that_is_looked_at_can_be_read(browse, findings, theme):
    confusion = findings.labelled.confusion()
    label, predicted = map(int, np.unravel_index(confusion.argmax(), confusion.shape))
    page = browse(f"label={label}&predicted={predicted}", color_scheme=theme)
    assert page.locator('#matrix td button[aria-pressed="true"].shade5').count() == 1
    assert_readable(page, fewest=60)
