"""The page of ``serve`` in a real browser, over toy indexes of two methods."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from benchmark.index.searcher import Searcher
from tests.browser.chromium import contrast, launched, needs_chromium, watched
from tests.searching import serving

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with launched() as browser:
        yield browser


@pytest.fixture
def opened(chromium: Browser, service: str) -> Iterator[Page]:
    """The page at 1280 x 900. Afterwards: nothing was complained of, and nothing but the service was asked."""
    with watched(chromium) as (page, complaints, requests):
        page.goto(service)
        page.wait_for_selector("#method option", state="attached")
        yield page
    assert [one for one in complaints if "status of 400" not in one] == []  # a test asks for nothing on purpose
    assert [url for url in requests if not url.startswith((service, "blob:", "data:"))] == []


@pytest.fixture
def picture(searcher: Searcher) -> str:
    return searcher.store.get(["toy-3"])[0].case.picture


def search(page: Page) -> None:
    page.get_by_role("button", name="Search", exact=True).click()
    page.locator(".card img").first.wait_for()


def cases(page: Page, column: int = 0) -> list[str]:
    return page.locator(".answer").nth(column).locator(".card .inside > p.small").all_inner_texts()


def test_a_whole_search(opened: Page, picture: str) -> None:
    opened.get_by_label("Choose a picture").set_input_files(picture)
    expect(opened.locator("#asked img")).to_be_visible()
    opened.get_by_label("Findings", exact=True).fill("thick border, purple elephants")
    search(opened)
    assert opened.get_by_role("status").inner_text().startswith("10 of 72 cases")
    first = opened.locator(".card").first
    assert first.locator("h3").inner_text().startswith("1. ")
    assert first.locator(".evidence th").all_inner_texts() == ["global", "border", "spot"]
    total = float(first.locator(".score").inner_text())
    parts = [float(value.replace("−", "-")) for value in first.locator(".evidence .number").all_inner_texts()]
    assert sum(parts) == pytest.approx(total, abs=0.2)
    echoed = opened.locator("#understood li").all_inner_texts()
    assert echoed[0] == "“thick border” read as border: thick (1.00)" and "near no descriptor" in echoed[1]
    first.get_by_text("About this case").click()
    assert "border" in first.locator("dl").inner_text()
    expect(opened.locator(".card img")).to_have_count(10)


SLOW = """
  const [ask, read] = [window.fetch, FileReader.prototype.readAsDataURL];
  const later = (milliseconds, what) => new Promise((resolve) => setTimeout(() => resolve(what()), milliseconds));
  window.fetch = (...given) => later(INDEXES, () => ask(...given));
  FileReader.prototype.readAsDataURL = function (file) { later(PICTURE, () => read.call(this, file)); };
"""


@pytest.mark.parametrize(("indexes", "picture_"), [("800", "0"), ("0", "800")], ids=["the page", "the picture"])
def test_a_search_waits_for_what_is_slow(
    chromium: Browser, service: str, picture: str, indexes: str, picture_: str
) -> None:
    """Whoever is quicker still gets an answer, and with the picture."""
    with watched(chromium) as (page, complaints, _):
        page.add_init_script(SLOW.replace("INDEXES", indexes).replace("PICTURE", picture_))
        page.goto(service, wait_until="commit")
        page.get_by_label("Choose a picture").set_input_files(picture)
        page.locator("#k").select_option("50")
        page.get_by_role("button", name="Search", exact=True).click()
        expect(page.locator(".card", has_text="your picture")).to_have_count(1)
        assert not page.get_by_role("alert").is_visible()
    assert complaints == []


def test_nothing_is_lost_before_the_script_has_come(chromium: Browser, service: str, picture: str) -> None:
    held: list[Route] = []
    with watched(chromium) as (page, complaints, _):
        page.route("**/page.js", lambda route: held.append(route))
        with page.expect_request("**/page.js"):
            page.goto(service, wait_until="commit")
        page.get_by_label("Choose a picture").set_input_files(picture)
        expect(page.get_by_role("button", name="Search", exact=True)).to_be_disabled()
        held[0].continue_()
        expect(page.locator("#asked img")).to_be_visible()
        search(page)
        expect(page.locator(".card img")).to_have_count(10)
    assert complaints == []


def test_a_picture_that_is_removed_while_it_is_read_does_not_come_back(
    opened: Page, picture: str, tmp_path: Path
) -> None:
    slow = SLOW.replace("INDEXES", "0").replace("PICTURE", "500")
    opened.evaluate(f"() => {{ {slow} }}")
    opened.get_by_label("Choose a picture").set_input_files(picture)
    expect(opened.locator("#asked img")).to_be_visible()
    other = tmp_path / "other.png"
    other.write_bytes(Path(picture).read_bytes())
    opened.get_by_label("Choose a picture").set_input_files(other)  # is being read
    opened.get_by_role("button", name="Remove the picture").click()
    opened.wait_for_timeout(1_000)
    assert opened.locator("#asked img").count() == 0


def test_after_a_picture_that_cannot_be_read_words_can_be_searched(opened: Page, picture: str) -> None:
    broken = "function () { this.dispatchEvent(new Event('error')); }"
    opened.evaluate(f"() => {{ FileReader.prototype.readAsDataURL = {broken}; }}")
    opened.get_by_label("Choose a picture").set_input_files(picture)
    expect(opened.get_by_role("alert")).to_have_text("The file can't be read.")
    opened.get_by_label("Findings", exact=True).fill("thick border")
    search(opened)
    assert not opened.get_by_role("alert").is_visible()


def test_the_slider_ranks_anew_and_default_goes_back(opened: Page) -> None:
    opened.get_by_label("Findings", exact=True).fill("thick border")
    search(opened)
    before, slider = cases(opened), opened.get_by_label("Local weight")
    assert opened.locator("#weight-value").inner_text() == "0.40: criteria 40 %, whole picture 60 %"
    slider.fill("0")
    expect(opened.locator(".evidence .number").nth(1)).to_have_text("0.0")  # border adds nothing
    assert opened.locator("#weight-value").inner_text() == "0.00: criteria 0 %, whole picture 100 %"
    slider.fill("1")
    expect(opened.locator(".evidence .number").first).to_have_text("0.0")  # and now the whole picture
    opened.get_by_role("button", name="Default").click()
    expect(opened.locator("#weight-value")).to_contain_text("0.40")
    expect(opened.locator(".evidence .number").nth(1)).not_to_have_text("0.0")
    expect(opened.locator(".card .inside > p.small").first).to_have_text(before[0])
    assert cases(opened) == before


def test_descriptors_are_clicked_into_the_text_one_value_a_criterion(opened: Page) -> None:
    opened.get_by_text("Choose descriptors").click()
    border, text = opened.get_by_role("group", name="border"), opened.get_by_label("Findings", exact=True)
    border.get_by_role("button", name="thick").click()
    opened.get_by_role("group", name="spot").get_by_role("button", name="dark").click()
    assert text.input_value() == "thick border, dark spot"
    border.get_by_role("button", name="thin").click()
    assert text.input_value() == "dark spot, thin border"
    assert border.get_by_role("button", name="thick").get_attribute("aria-pressed") == "false"
    text.fill("Thick border")
    assert border.get_by_role("button", name="thick").get_attribute("aria-pressed") == "true"
    border.get_by_role("button", name="thick").click()
    assert text.input_value() == ""


def test_filters_leave_only_some_cases(opened: Page) -> None:
    opened.get_by_label("Findings", exact=True).fill("thick border")
    search(opened)
    opened.get_by_text("Only some cases").click()
    opened.get_by_label("group", exact=True).select_option("G")
    expect(opened.locator("#filter-count")).to_have_text(" (1)")
    expect(opened.locator(".card").first).to_contain_text("green")
    assert {text.split(", ")[1] for text in cases(opened)} == {"G"}


def test_two_methods_side_by_side(opened: Page) -> None:
    opened.get_by_label("Findings", exact=True).fill("thick border")
    opened.get_by_label("Compare with").select_option(label="tirg (projected) [width=16]")
    search(opened)
    ours, tirg = opened.locator(".answer").all()
    boxes = [column.bounding_box() for column in (ours, tirg)]
    assert boxes[0]["y"] == boxes[1]["y"] and boxes[0]["x"] < boxes[1]["x"]  # type: ignore[index]
    assert tirg.locator(".evidence caption").first.inner_text() == "The score has one part"
    both = set(cases(opened, 0)) & set(cases(opened, 1))
    assert ours.get_by_text("in the other list").count() == tirg.get_by_text("in the other list").count() == len(both)
    before = cases(opened, 1)
    opened.get_by_label("Local weight").fill("0")  # moves the one and not the other
    expect(ours.locator(".evidence .number").nth(1)).to_have_text("0.0")
    assert cases(opened, 1) == before


def test_overlays_show_where_the_method_looks(opened: Page, picture: str) -> None:
    opened.get_by_label("Choose a picture").set_input_files(picture)
    search(opened)
    button = opened.get_by_role("group", name="Show where the method looks").get_by_role("button", name="border")
    button.click()
    expect(opened.locator(".card canvas")).to_have_count(10)
    assert opened.locator("#asked canvas").count() == 1
    alphas = "canvas => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data"
    veil = opened.locator("#asked canvas").evaluate(f"canvas => [...({alphas})(canvas)].filter((_, i) => i % 4 === 3)")
    assert min(veil) < 20 and max(veil) > 60  # clear where it looks, dark where it doesn't
    button.click()
    expect(opened.locator("canvas")).to_have_count(0)


def test_an_old_ranking_that_comes_late_does_not_replace_a_new_query(opened: Page) -> None:
    held: list[Route] = []
    opened.get_by_label("Findings", exact=True).fill("thick border")
    search(opened)
    name = cases(opened)[1]
    opened.route("**/api/rank", lambda route: route.continue_() if held else held.append(route))  # the first is late
    with opened.expect_request("**/api/rank"):
        opened.locator("#k").select_option("50")
    opened.get_by_label("Findings", exact=True).fill("")  # the case alone
    opened.locator(".card").nth(1).get_by_role("button", name="Search with this case").click()
    own = opened.locator(".card", has_text="your picture")
    expect(own).to_contain_text(name)  # among 50, since the search itself asks for as many
    with opened.expect_response("**/api/rank"):
        held[0].continue_()
    opened.wait_for_timeout(500)
    expect(own).to_contain_text(name)


def test_a_number_of_cases_chosen_while_a_search_runs_is_kept(opened: Page) -> None:
    held: list[Route] = []
    opened.get_by_label("Findings", exact=True).fill("thick border")
    opened.route("**/api/search", lambda route: held.append(route))
    with opened.expect_request("**/api/search"):
        opened.get_by_role("button", name="Search", exact=True).click()
    opened.locator("#k").select_option("50")
    held[0].continue_()
    expect(opened.locator(".card")).to_have_count(50)


def test_a_case_can_be_asked_with(opened: Page) -> None:
    opened.get_by_label("Findings", exact=True).fill("thick border")
    search(opened)
    name = cases(opened)[1]
    opened.get_by_label("Findings", exact=True).fill("")  # the case alone
    opened.locator(".card").nth(1).get_by_role("button", name="Search with this case").click()
    expect(opened.get_by_role("button", name="Remove the picture")).to_be_visible()
    opened.locator("#k").select_option("50")
    expect(opened.locator(".card", has_text="your picture")).to_contain_text(name)
    opened.get_by_role("button", name="Remove the picture").click()
    assert opened.locator("#asked img").count() == 0
    assert opened.evaluate("document.activeElement.id") == "file"


def test_errors_are_said_where_they_are_read_out(opened: Page, tmp_path: Path) -> None:
    opened.get_by_role("button", name="Search", exact=True).click()
    expect(opened.get_by_role("alert")).to_have_text("A query needs a picture, a text or both.")
    (tmp_path / "no.png").write_bytes(b"no picture")
    opened.get_by_label("Choose a picture").set_input_files(tmp_path / "no.png")
    opened.get_by_role("button", name="Search", exact=True).click()
    expect(opened.get_by_role("alert")).to_contain_text("can't be read as a picture")
    (tmp_path / "large.jpg").write_bytes(b"\0" * 12_000_001)
    opened.get_by_label("Choose a picture").set_input_files(tmp_path / "large.jpg")
    expect(opened.get_by_role("alert")).to_have_text("large.jpg has 12 MB; the most is 12.")
    opened.get_by_role("button", name="Remove the picture").click()
    opened.get_by_label("Findings", exact=True).fill("thick border")
    search(opened)
    assert not opened.get_by_role("alert").is_visible()


def test_a_picture_can_be_dropped(opened: Page, picture: str) -> None:
    opened.evaluate(
        """async (bytes) => {
          const data = new DataTransfer();
          data.items.add(new File([new Uint8Array(bytes)], "dropped.png", { type: "image/png" }));
          document.getElementById("drop").dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true }));
        }""",
        list(Path(picture).read_bytes()),
    )
    expect(opened.locator("#status")).to_have_text("dropped.png is ready.")
    opened.locator("#k").select_option("50")
    search(opened)
    expect(opened.locator(".card", has_text="your picture")).to_have_count(1)


def test_everything_works_with_the_keyboard_alone(opened: Page) -> None:
    focus = "document.activeElement.id || document.activeElement.textContent"
    opened.keyboard.press("Tab")
    assert opened.evaluate(focus) == "Skip to the results"
    opened.keyboard.press("Tab")
    assert opened.evaluate(focus) == "file"
    assert opened.locator(".drop .button").evaluate("label => getComputedStyle(label).outlineStyle") == "solid"
    opened.keyboard.press("Tab")
    assert opened.evaluate(focus) == "text"
    opened.keyboard.type("thick border")
    opened.keyboard.press("Control+Enter")
    opened.locator(".card img").first.wait_for()
    opened.keyboard.press("Tab")  # choose descriptors
    opened.keyboard.press("Tab")
    assert opened.evaluate(focus) == "weight"
    opened.keyboard.press("End")
    expect(opened.locator("#weight-value")).to_contain_text("1.00")
    expect(opened.locator(".evidence .number").first).to_have_text("0.0")
    overlay = opened.locator("#looks button").first
    overlay.focus()
    opened.keyboard.press("Space")
    expect(opened.locator(".card canvas")).to_have_count(10)


def test_at_phone_width_one_thing_stands_under_the_other(opened: Page) -> None:
    opened.set_viewport_size({"width": 360, "height": 740})
    opened.get_by_label("Findings", exact=True).fill("thick border")
    opened.get_by_label("Compare with").select_option(index=2)
    search(opened)
    assert opened.evaluate("document.documentElement.scrollWidth") == 360
    expect(opened.locator("#status")).to_be_in_viewport()  # the page scrolls to what was found
    ours, tirg = (column.bounding_box() for column in opened.locator(".answer").all())
    assert ours and tirg and tirg["y"] > ours["y"] + ours["height"] - 1
    for selector in ("#text", "#weight", ".card", ".evidence", "#looks"):
        box = opened.locator(selector).first.bounding_box()
        assert box and box["x"] >= 0 and box["x"] + box["width"] <= 360, selector


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast_in_light_and_dark(opened: Page, scheme: str) -> None:
    opened.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    opened.get_by_label("Findings", exact=True).fill("thick border")
    search(opened)
    opened.locator("#looks button").first.click()
    for selector in (
        *(".banner", "legend", "#drop-words", ".button", "#text", "summary", "#weight-value", "#search", "select"),
        *("#weight-words", "#status", "#looks button", "#looks button[aria-pressed=false]", "h2", "h3", ".small"),
        *(".tag", ".score", ".evidence th", ".evidence caption", ".card button", "footer p"),
    ):
        assert contrast(opened, selector) >= 4.5, f"{selector}: WCAG 2 asks for 4.5"
    paper = opened.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert (paper == "rgb(20, 23, 26)") == (scheme == "dark")


def test_a_token_is_asked_for_once(chromium: Browser, toy_index: Path) -> None:
    with serving((toy_index,), token="correct horse battery") as address:
        context = chromium.new_context()
        page = context.new_page()
        page.goto(address)
        page.get_by_label("Token of this service").fill("correct horse battery")
        page.get_by_role("button", name="Enter").click()
        page.get_by_label("Findings", exact=True).fill("thick border")
        search(page)
        assert page.locator("#rival").is_disabled()  # there is nothing to compare with
        page.reload()
        page.wait_for_selector("#method option", state="attached")
        assert not page.get_by_label("Token of this service").is_visible()
        context.close()


def test_without_scripts_the_page_says_what_to_do(chromium: Browser, service: str) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(service)
    assert "python -m benchmark search" in page.locator("noscript").inner_text()
    assert "Not a medical device" in page.inner_text("body")
    context.close()
