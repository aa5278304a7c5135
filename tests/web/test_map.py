"""A person looks at the map: regions, hits, what they draw around, and images that are opened."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, Playwright, expect

from tests.web.axe import barriers
from tests.web.conftest import FLAGS, OpenPage, Suite

# A map may have to be computed first: on a busy machine, importing SciPy and scikit-learn takes most of that.
COMPUTED_MS = 300_000
SOFTWARE_GL = ["--use-angle=swiftshader", "--enable-unsafe-swiftshader"]


@pytest.fixture(scope="module")
def browser(suite: Suite, playwright: Playwright) -> Iterator[Browser]:
    """A browser that draws WebGL without a graphics card."""
    flags = [flag for flag in FLAGS if flag != "--disable-gpu"]
    chromium = shutil.which("chromium")
    with playwright.chromium.launch(executable_path=chromium, args=[*flags, *SOFTWARE_GL]) as started:
        yield started


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    """The map, when its final places are there."""
    page = open_page("/?view=map")
    expect(page.locator(".map-status")).to_contain_text("Similar images lie together", timeout=COMPUTED_MS)
    expect(page.locator(".map-progress")).to_have_count(0, timeout=COMPUTED_MS)
    expect(page.locator(".map-label").first).to_be_visible()
    return page


def stage(page: Page) -> Locator:
    return page.get_by_role("application", name="Map of the collection")


def draw_around(page: Page, left: float, top: float, right: float, bottom: float) -> None:
    """Draw around a part of the stage, in shares of its size."""
    box = stage(page).bounding_box()
    assert box
    corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
    spots = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in corners]
    page.mouse.move(*spots[0])
    page.mouse.down()
    for spot in spots[1:]:
        page.mouse.move(*spot, steps=4)
    page.mouse.up()


def chosen_count(page: Page) -> int:
    heading = page.locator(".map-chosen-head")
    expect(heading).to_contain_text("chosen")
    found = re.search(r"([\d,]+) images? chosen", heading.inner_text())
    assert found
    return int(found[1].replace(",", ""))


def points_drawn(page: Page) -> int:
    """How many pixels of the map are not empty."""
    return int(
        page.evaluate(
            """async () => {
              const canvas = document.querySelector(".map-points");
              const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d");
              await new Promise(requestAnimationFrame);
              document.querySelector(".map-stage").dispatchEvent(new KeyboardEvent("keydown", {key: "0"}));
              await new Promise(requestAnimationFrame);
              copy.drawImage(canvas, 0, 0);
              const pixels = copy.getImageData(0, 0, canvas.width, canvas.height).data;
              return pixels.filter((value, at) => at % 4 === 3 && value > 0).length;
            }"""
        )
    )


def test_the_map_shows_points_and_the_names_of_regions(page: Page) -> None:
    expect(page.locator(".map-status")).to_contain_text("400 images")
    assert points_drawn(page) > 400
    names = page.locator(".map-label").all_inner_texts()
    assert len(names) > 3
    assert len(set(names)) == len(names)


def test_the_points_come_back_after_the_graphics_memory_was_lost(page: Page) -> None:
    page.evaluate(
        """async () => {
          const canvas = document.querySelector(".map-points");
          const lose = canvas.getContext("webgl2").getExtension("WEBGL_lose_context");
          const event = (name) => new Promise((resolve) => canvas.addEventListener(name, resolve, {once: true}));
          const lost = event("webglcontextlost");
          lose.loseContext();
          await lost;
          const restored = event("webglcontextrestored");
          setTimeout(() => lose.restoreContext());
          await restored;
        }"""
    )
    assert points_drawn(page) > 400


def test_drawing_around_images_lists_them(page: Page) -> None:
    page.get_by_role("button", name="Draw around images").click()
    draw_around(page, 0.02, 0.02, 0.98, 0.98)
    everything = chosen_count(page)
    assert everything > 300
    page.keyboard.press("l")
    draw_around(page, 0.1, 0.05, 0.5, 0.95)
    some = chosen_count(page)
    assert 0 < some < everything
    expect(page.locator(".map-chosen .tile").first).to_be_visible()
    expect(page).to_have_url(re.compile("area="))
    page.go_back()
    expect(page.locator(".map-chosen-head")).to_contain_text(f"{everything:,} images chosen")
    page.get_by_role("link", name="Choose nothing").click()
    expect(page.locator(".map-chosen")).to_have_count(0)


def test_what_was_chosen_can_be_selected(page: Page) -> None:
    page.locator(".map-regions summary").click()
    region = page.locator(".map-regions li").first
    count = int(re.search(r"(\d+) image", region.inner_text())[1])  # type: ignore[index]
    region.get_by_role("link").click()
    assert chosen_count(page) == count
    page.get_by_role("button", name="Select all").first.click()
    expect(page.locator(".selection")).to_contain_text(f"{count} selected")


def test_a_click_on_a_name_lists_its_region(page: Page) -> None:
    page.locator(".map-label").first.click()
    expect(page).to_have_url(re.compile("region="))
    assert chosen_count(page) > 0


def test_the_hits_of_a_query_are_lit(page: Page) -> None:
    page.get_by_role("searchbox").fill("banana")
    expect(page.locator(".map-status")).to_contain_text(re.compile(r"\d+ hits"))
    hits = int(re.search(r"(\d+) hits", page.locator(".map-status").inner_text())[1])  # type: ignore[index]
    assert 10 <= hits <= 60
    expect(page).to_have_url(re.compile("view=map.*q=banana|q=banana.*view=map"))


def test_zooming_in_shows_thumbnails_and_an_image_opens(page: Page) -> None:
    expect(page.locator(".map-thumbnail")).to_have_count(0)
    label = page.locator(".map-label").first.bounding_box()
    assert label
    page.mouse.move(label["x"] + label["width"] / 2, label["y"] - 8)  # where the middle of the region is
    for _ in range(12):
        page.mouse.wheel(0, -240)
    expect(page.locator(".map-thumbnail").first).to_be_visible()
    box = page.locator(".map-thumbnail").first.bounding_box()
    assert box
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page).to_have_url(re.compile("image="))


def test_keys_move_and_zoom_the_map(page: Page) -> None:
    def place() -> str:
        return page.locator(".map-label").first.get_attribute("style") or ""

    stage(page).focus()
    before = place()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("+")
    expect(page.locator(".map-label").first).not_to_have_attribute("style", before)
    page.keyboard.press("0")
    expect(page.locator(".map-label").first).to_have_attribute("style", before)


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
def test_the_map_has_no_barriers(open_page: OpenPage, color_scheme: str) -> None:
    page = open_page("/?view=map", color_scheme=color_scheme)
    expect(page.locator(".map-label").first).to_be_visible(timeout=COMPUTED_MS)
    page.locator(".map-regions summary").click()
    page.locator(".map-regions a").first.click()
    expect(page.locator(".map-chosen .tile").first).to_be_visible()
    assert barriers(page) == []


def test_a_computation_can_be_watched_and_cancelled(page: Page, complaints: list[str]) -> None:
    page.get_by_role("button", name="Compute again").click()
    expect(page.locator(".map-progress progress")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".map-progress")).to_have_count(0)
    expect(page.locator(".map-status")).to_contain_text("400 images")
    complaints.clear()  # the browser reports the end of the call
