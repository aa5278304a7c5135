"""A person searches: words, chips, pictures, filters, Back and links."""

from __future__ import annotations

import base64
import hashlib
import re
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import Locator, Page, Route, expect

from tests.web.axe import barriers
from tests.web.conftest import GALLERY, INSECURE, OpenPage, until

BANANA = GALLERY / "banana-00.webp"
# Images are named after their bytes.
DOG = hashlib.sha256((GALLERY / "dog-00.webp").read_bytes()).hexdigest()
# Fetches a picture and gives it to the page, as a browser does that was given a file.
GIVE = """async ([base64, type]) => {
  const bytes = Uint8Array.from(atob(base64), (each) => each.charCodeAt(0));
  const data = new DataTransfer();
  data.items.add(new File([bytes], "given.webp", {type: "image/webp"}));
  const options = {bubbles: true, cancelable: true};
  const event = type === "paste"
    ? new ClipboardEvent("paste", {...options, clipboardData: data})
    : new DragEvent("drop", {...options, dataTransfer: data});
  document.body.dispatchEvent(event);
}"""


def box(page: Page) -> Locator:
    return page.get_by_role("searchbox")


def first_labels(page: Page, count: int = 5) -> list[str]:
    """What the first results show; the gallery's images are named after it."""
    expect(page.locator(".results:not(.stale) .tile").first).to_be_visible()
    names = page.locator(".tile img").evaluate_all("(images) => images.map((image) => image.alt)")
    return [re.sub(r"^Photo |-\d+\.webp$", "", name) for name in names[:count]]


def test_the_first_visit_shows_images_and_ideas(open_page: OpenPage) -> None:
    page = open_page()
    expect(page.locator(".bar strong")).to_have_text("400 images")
    expect(page.locator(".tile").first).to_be_visible()
    page.locator(".ideas button").first.click()
    expect(page).to_have_url(re.compile(r"\?q=\w+"))
    expect(page.locator(".tile").first).to_be_visible()
    assert barriers(page) == []


def test_words_are_found_as_they_are_typed(open_page: OpenPage) -> None:
    page = open_page()
    box(page).press_sequentially("banana", delay=30)
    expect(page.locator(".bar strong")).to_have_text(re.compile(r"^\d\d images$"))
    assert set(first_labels(page)) == {"banana"}
    expect(page.locator(".chips")).to_have_count(0)


def test_chips_take_signs_and_weights(open_page: OpenPage) -> None:
    page = open_page("/?cut=0")
    box(page).fill("fruit -banana")
    chips = page.locator(".chip")
    expect(chips).to_have_count(2)
    assert "banana" not in first_labels(page)
    page.get_by_role("button", name="banana: counts against").click()
    expect(box(page)).to_have_value("fruit banana")
    page.get_by_role("button", name="fruit", exact=True).click()
    slider = page.get_by_role("slider", name="Weight of fruit")
    slider.press("ArrowLeft")
    expect(box(page)).to_have_value("fruit^0.9 banana")
    page.get_by_role("button", name="Remove fruit").click()
    expect(box(page)).to_have_value("banana")
    assert barriers(page) == []


def test_a_second_change_of_chips_keeps_the_first_before_the_answer_comes(open_page: OpenPage) -> None:
    page = open_page("/?cut=0")
    box(page).fill("fruit -banana")
    expect(page.locator(".chip")).to_have_count(2)
    page.route("**/SearchByText", lambda route: None)
    page.get_by_role("button", name="banana: counts against").click()
    page.get_by_role("button", name="fruit: counts for").click()
    expect(box(page)).to_have_value("-fruit banana")
    expect(page.get_by_role("button", name="fruit: counts against")).to_be_visible()


def test_an_unknown_word_is_replaced_by_a_suggestion(open_page: OpenPage) -> None:
    page = open_page()
    box(page).fill("elefantt")
    expect(page.get_by_role("heading", name="None of these words is known")).to_be_visible()
    page.get_by_role("button", name="elephant").click()
    expect(box(page)).to_have_value("elephant")
    assert set(first_labels(page, 3)) == {"elephant"}


@pytest.mark.parametrize("way", ["paste", "drop", "choose"])
def test_a_picture_is_searched_with(open_page: OpenPage, way: str) -> None:
    page = open_page()
    if way == "choose":
        page.locator("input[type=file]").set_input_files(BANANA)
    else:
        page.evaluate(GIVE, [_base64(BANANA), way])
    expect(page.locator(".chip.with-picture")).to_be_visible()
    assert set(first_labels(page, 3)) == {"banana"}
    # It is still there when the page is loaded again.
    page.reload()
    expect(page.locator(".chip-picture img")).to_be_visible()
    assert set(first_labels(page, 3)) == {"banana"}


def test_a_picture_is_cropped_and_words_are_added(open_page: OpenPage) -> None:
    page = open_page(f"/?p=stored:{DOG}")
    page.get_by_role("button", name="Use only a part of the picture").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator("cropper-selection")).to_be_visible()
    until(page, "document.querySelector('cropper-selection')?.width > 10")
    dialog.get_by_role("button", name="Use this part").click()
    expect(page).to_have_url(re.compile(rf"p=stored%3A{DOG}%400\.\d+"))
    box(page).fill("-dog^2 car")
    expect(page.locator(".chip")).to_have_count(3)
    assert first_labels(page, 1) == ["car"]


def test_more_and_less_like_an_image(open_page: OpenPage) -> None:
    page = open_page("/?q=animal")
    tile = page.locator(".tile").first
    tile.hover()
    tile.get_by_role("button", name="Less like this").click()
    expect(page.locator(".chip.with-picture.against")).to_be_visible()
    tile = page.locator(".results:not(.stale) .tile").nth(3)
    tile.hover()
    tile.get_by_role("button", name="More like this").click()
    expect(page.locator(".chip.with-picture.for")).to_be_visible()
    page.go_back()
    page.go_back()
    expect(page.locator(".chip.with-picture")).to_have_count(0)


def test_back_returns_to_the_same_place_and_a_link_shows_the_same(open_page: OpenPage) -> None:
    page = open_page("/?q=vehicle&cut=0.05")
    expect(page.locator(".tile").first).to_be_visible()
    page.mouse.wheel(0, 1_500)
    until(page, "scrollY > 1000")
    scrolled = page.evaluate("scrollY")
    box(page).fill("fruit")
    expect(page.locator(".results:not(.stale)")).to_be_visible()
    until(page, "scrollY < 100")
    page.go_back()
    until(page, f"Math.abs(scrollY - {scrolled}) < 5")
    page.reload()
    until(page, f"Math.abs(scrollY - {scrolled}) < 5")
    other = open_page(page.url.removeprefix(page.evaluate("location.origin")))
    expect(box(other)).to_have_value("vehicle")
    expect(other.locator(".cut-value")).to_have_text("≥ 5%")


def test_the_cut_moves_without_another_search(open_page: OpenPage) -> None:
    page = open_page("/?q=fruit")
    expect(page.locator(".bar strong")).to_have_text(re.compile(r"^\d+ images$"))
    searches: list[str] = []
    page.on("request", lambda request: searches.append(request.url) if "SearchBy" in request.url else None)
    few = int(page.locator(".bar strong").inner_text().split()[0])
    slider = page.get_by_role("slider", name="Least relevance")
    slider.press("Home")
    expect(page.locator(".bar strong")).to_have_text("400 images")
    slider.press("End")
    expect(page.locator(".bar strong")).not_to_have_text("400 images")
    page.locator(".cut-value").click()
    expect(page.locator(".bar strong")).to_have_text(f"{few} images")
    # More pages of the same list may be fetched, but nothing is searched anew.
    assert len(searches) <= 2


def test_nothing_found_says_why(open_page: OpenPage) -> None:
    page = open_page("/?q=microscope")
    expect(page.get_by_role("heading", name="Nothing found")).to_be_visible()
    expect(page.get_by_text("Looked for: microscope")).to_be_visible()
    assert barriers(page) == []
    page.get_by_role("button", name="Show the nearest").click()
    expect(page.locator(".tile").first).to_be_visible()


def test_filters_say_which_of_them_leaves_nothing(open_page: OpenPage) -> None:
    page = open_page("/?q=fruit")
    page.get_by_role("button", name="Filters", exact=True).click()
    page.get_by_label("Attribute").fill("label")
    page.get_by_label("Value").fill("apple")
    page.get_by_role("button", name="Add", exact=True).click()
    assert set(first_labels(page)) == {"apple"}
    assert barriers(page) == []
    page.get_by_label("Taken from").fill("2020-01-01")
    expect(page.get_by_role("heading", name="Nothing found")).to_be_visible()
    page.get_by_role("button", name=re.compile("without “from")).click()
    assert set(first_labels(page)) == {"apple"}


def test_a_search_that_was_overtaken_does_not_replace_the_newer_one(open_page: OpenPage) -> None:
    page = open_page("/?q=dog")
    expect(page.locator(".tile").first).to_be_visible()
    held: list[Route] = []
    page.route("**/SearchByText", lambda route: held.append(route))
    box(page).fill("banana")
    expect(page.locator(".results.stale")).to_be_visible()
    page.unroute("**/SearchByText")
    box(page).fill("car")
    assert set(first_labels(page)) == {"car"}
    # The older search was given up: to answer it is an error, or has no effect.
    for route in held:
        with suppress(PlaywrightError):
            route.continue_()
    assert set(first_labels(page)) == {"car"}


def test_the_page_works_over_plain_http_from_another_machine(open_page: OpenPage) -> None:
    page = open_page("/?view=models")
    page.add_init_script(INSECURE)
    page.goto(page.url.split("?")[0])
    box(page).fill("banana")
    expect(page).to_have_url(re.compile("q=banana"))
    assert set(first_labels(page)) == {"banana"}
    page.locator("input[type=file]").set_input_files(BANANA)
    expect(page.locator(".chip-picture img")).to_be_visible()
    page.locator(".results:not(.stale) .tile-link").first.click()
    page.get_by_role("button", name=re.compile("^Copy")).last.click()
    expect(page.get_by_text("The browser did not allow copying.")).to_be_visible()


def test_german_narrow_and_dark(open_page: OpenPage) -> None:
    page = open_page(
        "/?q=dog",
        locale="de-DE",
        color_scheme="dark",
        viewport={"width": 390, "height": 780},
        has_touch=True,
        is_mobile=True,
    )
    expect(page.locator("html")).to_have_attribute("lang", "de")
    expect(page.get_by_role("button", name="Filter", exact=True)).to_be_visible()
    expect(page.locator(".tile").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    background = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert max(int(each) for each in re.findall(r"\d+", background)) < 60
    assert barriers(page) == []


def _base64(file: Path) -> str:
    return base64.b64encode(file.read_bytes()).decode()
