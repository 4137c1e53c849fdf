"""The results page in a real browser: Debian's Chromium, driven by Playwright, from a file and without a network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from benchmark.registry import load_registry
from benchmark.report import leaderboards
from benchmark.report.html import Surroundings, write_pages
from tests.browser.chromium import contrast, launched, needs_chromium, watched
from tests.report.fakes import study

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with launched() as browser:
        yield browser


@pytest.fixture
def opened(chromium: Browser, toy_page: Path) -> Iterator[Page]:
    """The page at 1280 x 900. Afterwards: nothing was complained of, and nothing but the file was asked for."""
    with watched(chromium) as (page, complaints, requests):
        page.goto(toy_page.as_uri())
        yield page
    assert complaints == []
    assert [url for url in requests if not url.startswith(("file:", "data:image/jpeg"))] == []


def column(page: Page, number: int, body: int = 0) -> list[str]:
    """What sorts the cells of a column, from top to bottom."""
    cells = page.locator("table.board").first.locator("tbody").nth(body)
    return cells.evaluate(
        "(body, n) => [...body.rows].filter((row) => row.cells.length > 1).map((row) => row.cells[n].dataset.sort)",
        number,
    )


def heading(page: Page, text: str):
    return page.locator("table.board thead th", has_text=text).first


def test_headings_sort_both_ways_and_say_so(opened: Page):
    name = heading(opened, "nDCG@10")
    number = name.evaluate("cell => cell.cellIndex")
    name.get_by_role("button").click()
    assert name.get_attribute("aria-sort") == "descending"
    values = [float(value) for value in column(opened, number)]
    assert values == sorted(values, reverse=True) and len(values) == 7
    name.get_by_role("button").click()
    assert name.get_attribute("aria-sort") == "ascending"
    assert [float(value) for value in column(opened, number)] == sorted(values)
    heading(opened, "method").get_by_role("button").click()
    assert opened.locator("table.board thead [aria-sort]").count() == 1
    assert column(opened, 0) == sorted(column(opened, 0))


def test_rows_without_a_value_stay_last_and_reference_points_apart(opened: Page):
    gap = heading(opened, "composition gap")
    for _ in range(2):
        gap.get_by_role("button").click()
        values = column(opened, gap.evaluate("cell => cell.cellIndex"))
        assert values[-2:] == ["", ""] and "" not in values[:-2]  # image-only and text-only have no gap
    assert opened.locator("tbody.apart tr").first.inner_text() == "No methods, for reference"
    assert len(column(opened, 0, body=1)) == 2  # oracle-text and chance


def test_the_filter_keeps_rows_that_hold_all_words(opened: Page):
    box = opened.get_by_label("Filter rows")
    rows = opened.locator("table.board tbody tr:not(.heading):visible")
    assert opened.locator("output").inner_text() == "9 of 9 rows"
    box.fill("TIRG mean")
    assert rows.count() == 1 and "tirg" in rows.first.inner_text()
    assert opened.locator("output").inner_text() == "1 of 9 rows"
    box.fill("")
    assert rows.count() == 9


def test_rows_are_chosen_by_kind_and_words_together(opened: Page):
    rows = opened.locator("table.board tbody tr:not(.heading):visible")
    heading_apart = opened.locator("tbody.apart tr.heading")
    opened.get_by_label("Kind").select_option("image+text")
    assert opened.locator("output").inner_text() == "5 of 9 rows"  # proposed, tirg, late-fusion, posterior, random
    assert not heading_apart.is_visible()  # it would stand over nothing
    opened.get_by_label("Filter rows").fill("tirg")
    assert rows.count() == 1
    opened.get_by_label("Filter rows").fill("")
    opened.get_by_label("Kind").select_option("reads labels")
    assert rows.count() == 1 and "oracle-text" in rows.first.inner_text() and heading_apart.is_visible()
    opened.get_by_label("Kind").select_option("all")
    assert rows.count() == 9


def test_rows_are_chosen_by_encoder_where_there_are_several(chromium: Browser, tmp_path: Path):
    other = {"name": "other", "image_fingerprint": "i", "text_fingerprint": "t"}
    made = [*study(1), *study(1, methods=("ours", "rival"), encoder=other)]
    (path,) = write_pages(leaderboards(made, "ours"), made, tmp_path, Surroundings(load_registry()))
    page = chromium.new_page()
    page.goto(path.as_uri())
    page.get_by_label("Encoder").select_option("other")
    assert page.locator("table.board tbody tr:visible").count() == 2
    page.close()


def test_an_overlay_darkens_what_is_not_attended_to_and_goes_away_again(opened: Page):
    photo = opened.locator("article.query:not(.away) .asked .photo")
    before = photo.screenshot()
    border = opened.get_by_role("group", name="Where proposed").get_by_role("button", name="border")
    border.click()
    assert border.get_attribute("aria-pressed") == "true"
    # The query and the five results of the method, and no picture of another method's results.
    assert opened.locator("article.query:not(.away) canvas").count() == 6
    assert opened.locator("article.query:not(.away) .photo[data-method^='tirg'] canvas").count() == 0
    assert photo.screenshot() != before
    opened.get_by_role("group", name="Where proposed").get_by_role("button", name="spot").click()
    assert border.get_attribute("aria-pressed") == "false"
    opened.locator(".overlays button[aria-pressed=true]").click()
    assert opened.locator("canvas").count() == 0
    assert photo.screenshot() == before


def test_what_the_encoder_does_not_see_stays_dark(opened: Page):
    # As if the encoder cut a quarter off each side, and the mask attended evenly to the rest.
    opened.evaluate("""() => {
      for (const one of Object.values(overlays)) for (const name in one.seen) {
        one.seen[name] = [0.25, 0, 0.75, 1];
        one.maps[name] = one.maps[name].map((mask) => "ff".repeat(mask.length / 2));
      }
    }""")
    opened.locator(".overlays button").first.click()
    alphas = """canvas => {
      const row = canvas.getContext("2d").getImageData(0, canvas.height / 2, canvas.width, 1).data;
      return [0.1, 0.5, 0.9].map((x) => row[4 * Math.floor(x * canvas.width) + 3]);
    }"""
    assert opened.locator(".asked canvas").first.evaluate(alphas) == [217, 0, 217]  # 0.85 * 255, and no veil


def test_queries_can_be_leafed_through_and_chosen(opened: Page):
    shown = opened.locator("article.query:visible h3")
    assert shown.inner_text().startswith("Query 1 of 12: R")
    opened.get_by_role("button", name="Next query").click()
    assert shown.inner_text().startswith("Query 2 of 12")
    for _ in range(2):
        opened.get_by_role("button", name="Previous query").click()
    assert shown.inner_text().startswith("Query 12 of 12: B")
    opened.get_by_label("Query", exact=True).select_option(index=4)
    assert shown.inner_text().startswith("Query 5 of 12: G")


def test_pictures_are_drawn_from_inside_the_file(opened: Page):
    ready = "() => [...document.querySelectorAll('.store image')].map((image) => image.decode ? image.decode() : null)"
    opened.evaluate(ready)
    broken = (
        "() => [...document.querySelectorAll('use')].filter((use) => !document.querySelector(use.href.baseVal)).length"
    )
    assert opened.evaluate(broken) == 0
    box = opened.locator("article.query:not(.away) .asked .photo").bounding_box()
    assert box and box["width"] == box["height"] == 32  # a toy picture is 32 x 32 and is not enlarged


def test_everything_works_with_the_keyboard_alone(opened: Page):
    opened.keyboard.press("Tab")
    assert opened.evaluate("document.activeElement.textContent") == "Skip to the results"
    assert opened.locator(".skip").bounding_box()["x"] >= 0  # type: ignore[index]
    opened.keyboard.press("Enter")
    assert opened.evaluate("document.activeElement.id") == "main"
    opened.keyboard.press("Tab")
    assert opened.evaluate("document.activeElement.type") == "search"
    opened.keyboard.type("tirg")
    assert opened.locator("output").inner_text() == "1 of 9 rows"
    opened.keyboard.press("Tab")
    opened.keyboard.type("image+")
    assert opened.get_by_label("Kind").input_value() == "image+text"
    opened.keyboard.press("Tab")
    assert opened.evaluate("document.activeElement.getAttribute('role')") == "region"
    opened.keyboard.press("Tab")
    assert opened.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    opened.keyboard.press("Enter")
    assert heading(opened, "method").get_attribute("aria-sort") == "ascending"
    overlay = opened.locator(".overlays button").first
    overlay.focus()
    opened.keyboard.press("Space")
    assert overlay.get_attribute("aria-pressed") == "true"


def test_at_phone_width_tables_scroll_inside_their_box_and_the_page_does_not(opened: Page):
    opened.set_viewport_size({"width": 360, "height": 740})
    opened.locator("details").evaluate_all("parts => parts.forEach((part) => (part.open = true))")
    assert opened.evaluate("document.documentElement.scrollWidth") == 360
    boxes = opened.locator(".scroll:visible")
    assert boxes.first.evaluate("box => box.scrollWidth > box.clientWidth")
    for box in boxes.all():
        assert box.bounding_box()["width"] <= 360  # type: ignore[index]
    for words in opened.locator("caption:visible .words").all():
        box = words.bounding_box()
        assert box and box["x"] >= 0 and box["x"] + box["width"] <= 360  # a caption is never cut off by its box


def test_on_paper_controls_are_gone_and_everything_is_open(opened: Page):
    opened.emulate_media(media="print", color_scheme="dark")
    opened.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    for selector in ("nav", ".filter", ".overlays", ".skip"):
        assert not opened.locator(selector).first.is_visible(), selector
    assert opened.locator("details:not([open])").count() == 0
    assert (
        opened.evaluate("getComputedStyle(document.body).color") == "rgb(28, 32, 36)"
    )  # dark ink, whatever the screen
    opened.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert opened.locator("details[open]").count() == 0
    assert opened.pdf(prefer_css_page_size=True)[:5] == b"%PDF-"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast_in_light_and_dark(opened: Page, scheme):
    opened.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    for selector in ("p", "nav a", ".banner", "caption", ".tag", ".small", ".verdict.miss", "dt", "pre", "footer",
                     "thead button", ".controls button", "output", "tr.reference td", "summary"):  # fmt: skip
        assert contrast(opened, selector) >= 4.5, f"{selector}: WCAG 2 asks for 4.5"
    paper = opened.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert (paper == "rgb(20, 23, 26)") == (scheme == "dark")


def test_without_scripts_everything_is_there(chromium: Browser, toy_page: Path):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(toy_page.as_uri())
    assert page.locator("article.query:visible").count() == 12
    assert not page.locator(".controls").first.is_visible()
    context.close()


def test_motion_is_left_out_for_those_who_ask(opened: Page):
    opened.emulate_media(reduced_motion="reduce")
    assert opened.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"
