"""A person looks through results and selects them: 20,000 of them, by mouse and by keyboard."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path

from playwright.sync_api import Page, Route, expect
from semsearch import Client
from semsearch.v1 import image_pb2, model_service_pb2, search_service_pb2

from tests.web.axe import barriers
from tests.web.conftest import GALLERY, OpenPage, Suite, until

MANY = 20_000
# The seven seconds in which a deletion can be undone end when the test says so.
HOLD_DELETIONS = """
  window.deletionsHeld = [];
  const setTimer = window.setTimeout;
  window.setTimeout = (act, after, ...rest) =>
    after === 7000 ? deletionsHeld.push(act) : setTimer(act, after, ...rest);
"""


def selected(page: Page) -> int:
    return page.locator(".tile.chosen").count()


def test_20000_results_scroll_without_a_jump(open_page: OpenPage) -> None:
    page = open_page("/?view=models")
    _serve_many(page)
    page.goto(page.url.split("?")[0] + "?q=many")
    expect(page.locator(".bar strong")).to_have_text("20,000 images")
    # Every image that stays on the screen is where it was, whatever arrives meanwhile.
    for _ in range(12):
        before = _places(page)
        from_ = page.evaluate("scrollY")
        page.mouse.wheel(0, 700)
        until(page, f"scrollY > {from_}")
        after, scrolled = _places(page), page.evaluate("scrollY")
        assert all(after[name] == place for name, place in before.items() if name in after), scrolled
    assert page.locator(".tile").count() < 200
    # To the end at once: the room for all of them is there before they are.
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    until(page, f"document.querySelector('[data-index=\"{MANY - 1}\"]') !== null", 30)
    expect(page.locator(f'[data-index="{MANY - 1}"]')).to_be_attached()


def test_ranges_are_selected_and_exported(open_page: OpenPage, suite: Suite) -> None:
    page = open_page("/?q=banana")
    tiles = page.locator(".tile")
    tiles.nth(1).hover()
    tiles.nth(1).get_by_role("button", name=re.compile("^Select")).click()
    tiles.nth(6).click(modifiers=["Shift"])
    assert selected(page) == 6
    expect(page.get_by_text("6 selected")).to_be_visible()
    page.get_by_role("button", name="All above the cut").click()
    expect(page.get_by_text(re.compile(r"^\d\d selected"))).to_be_visible()
    page.get_by_role("button", name="Export").click()
    assert barriers(page) == []
    with page.expect_download() as paths:
        page.get_by_role("button", name=re.compile("^Paths")).click()
    lines = Path(paths.value.path()).read_text().splitlines()
    assert len(lines) >= 20
    assert "starter/banana-00.webp" in lines
    with page.expect_download() as described:
        page.get_by_role("button", name=re.compile("^JSON")).click()
    assert "banana" in {each["attributes"]["label"] for each in json.loads(Path(described.value.path()).read_text())}
    with page.expect_download() as packed:
        page.get_by_role("button", name=re.compile("^Originals")).click()
    with zipfile.ZipFile(packed.value.path()) as archive:
        assert archive.read("banana-00.webp") == (GALLERY / "banana-00.webp").read_bytes()
        assert len(archive.namelist()) == len(lines)


def test_what_images_have_in_common(open_page: OpenPage) -> None:
    page = open_page("/?q=banana")
    page.locator(".tile").first.wait_for()
    page.keyboard.press("Control+a")
    page.get_by_role("button", name="In common").click()
    expect(page.locator(".common-words button").first).to_contain_text(re.compile("banana|fruit"))
    page.locator(".common-words button").first.click()
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_tags_are_given_and_filtered_by(open_page: OpenPage, scratch: str, suite: Suite) -> None:
    page = open_page(f"/?in={scratch}")
    expect(page.locator(".tile")).to_have_count(12)
    tiles = page.locator(".tile")
    for number in (0, 2):
        tiles.nth(number).hover()
        tiles.nth(number).get_by_role("button", name=re.compile("^Select")).click()
    page.get_by_role("button", name="Tag").click()
    page.get_by_role("dialog").get_by_label("Value").fill("favourite")
    assert barriers(page) == []
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("2 images tagged.")).to_be_visible()
    page.goto(page.url + "&attr=tags:favourite")
    expect(page.locator(".tile")).to_have_count(2)
    with Client(suite.grpc) as client:
        tagged = [image for image in client.list_images(collection=scratch) if image.attributes.get("tags")]
        assert [image.attributes["tags"] for image in tagged] == [["favourite"]] * 2


def test_deletion_can_be_undone(open_page: OpenPage, scratch: str, suite: Suite) -> None:
    page = open_page("/?view=models")
    page.add_init_script(HOLD_DELETIONS)
    page.goto(page.url.split("?")[0] + f"?in={scratch}")
    expect(page.locator(".tile")).to_have_count(12)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("x")
    page.keyboard.press("Delete")
    expect(page.locator(".tile")).to_have_count(11)
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".tile")).to_have_count(12)
    page.keyboard.press("x")
    page.keyboard.press("Delete")
    expect(page.locator(".tile")).to_have_count(11)
    page.evaluate("deletionsHeld.forEach((goOn) => goOn())")
    expect(page.get_by_text("1 image deleted.")).to_be_visible()
    with Client(suite.grpc) as client:
        assert client.get_collection(scratch).image_count == 11


def test_everything_is_done_by_keyboard(open_page: OpenPage) -> None:
    page = open_page()
    expect(page.locator(".tile").first).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type("fruit")
    page.keyboard.press("Enter")
    expect(page.locator(".results:not(.stale) .tile").first).to_be_visible()
    page.keyboard.press("Tab")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("ArrowRight")
    expect(page.locator('[data-index="0"]')).to_be_focused()
    page.keyboard.press("x")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    expect(page.get_by_text("3 selected")).to_be_visible()
    page.keyboard.press("ArrowDown")
    expect(page.locator('[data-index="2"]')).not_to_be_focused()
    page.keyboard.press("Escape")
    assert selected(page) == 0
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Keys")
    assert barriers(page) == []


def test_a_gateway_that_went_away_comes_back(open_page: OpenPage, complaints: list[str]) -> None:
    page = open_page("/?q=dog")
    expect(page.locator(".tile").first).to_be_visible()
    page.context.set_offline(True)
    page.get_by_role("searchbox").fill("banana")
    expect(page.get_by_text("The server does not answer")).to_be_visible()
    page.context.set_offline(False)
    expect(page.get_by_text("The server does not answer")).to_have_count(0)
    expect(page.locator('.tile img[alt^="Photo banana"]').first).to_be_visible()
    assert all("ERR_INTERNET_DISCONNECTED" in each for each in complaints)
    complaints.clear()


def _places(page: Page) -> dict[str, list[float]]:
    """Where each image of the grid is, from the grid's top."""
    places: dict[str, list[float]] = page.evaluate(
        """() => Object.fromEntries([...document.querySelectorAll(".tile")].map((tile) => {
          const box = tile.getBoundingClientRect();
          return [tile.querySelector("img").alt, [box.left, box.top + scrollY, box.width, box.height].map(Math.round)];
        }))"""
    )
    return places


def _serve_many(page: Page) -> None:
    """Answer searches with many images, of all proportions, at the network."""
    thumbnail = (GALLERY / "apple-00.webp").read_bytes()

    def search(route: Route) -> None:
        asked = search_service_pb2.SearchByTextRequest.FromString(route.request.post_data_buffer or b"")
        first = int(asked.page_token or 0)
        last = min(first + asked.page_size, MANY)
        found = search_service_pb2.SearchByTextResponse(next_page_token=str(last) if last < MANY else "")
        for number in range(first, last):
            image = image_pb2.Image(
                id=f"many-{number}", collection="gallery", width=200 + number * 37 % 400, height=300
            )
            found.matches.add(image=image, relevance=1 - 0.5 * number / MANY)
        _answer(route, found.SerializeToString())

    def count(route: Route) -> None:
        counts = [MANY if cut <= 50 else MANY * (100 - cut) // 50 for cut in range(101)]
        _answer(route, search_service_pb2.CountMatchesResponse(counts_by_relevance=counts).SerializeToString())

    def model(route: Route) -> None:
        described = model_service_pb2.Model(id="many", default_min_relevance=0.25)
        _answer(route, model_service_pb2.GetModelResponse(model=described).SerializeToString())

    page.route("**/SearchByText", search)
    page.route("**/CountMatches", count)
    page.route("**/GetModel", model)
    page.route("**/images/**", lambda route: route.fulfill(body=thumbnail, content_type="image/webp"))


def _answer(route: Route, body: bytes) -> None:
    route.fulfill(body=body, content_type="application/proto")
