"""A person looks at one image: large, with its tags, own words, neighbours and facts, by mouse and by keyboard."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.web.axe import barriers
from tests.web.conftest import OpenPage


def open_first(page: Page) -> None:
    page.locator(".tile-link").first.click()
    # From then on it has the keys.
    expect(page.get_by_role("dialog")).to_be_focused()


def test_an_image_is_shown_with_all_that_is_known_about_it(open_page: OpenPage) -> None:
    page = open_page("/?q=cat")
    open_first(page)
    viewer = page.get_by_role("dialog")
    name = viewer.get_by_role("heading", level=2)
    expect(name).to_have_text(re.compile(r"cat-\d\d\.webp"))
    expect(viewer.locator(".ranking-word").first).to_have_text("cat")
    expect(viewer.locator(".stage-picture.there")).to_be_visible()
    expect(viewer.locator(".nearest img")).to_have_count(9)
    expect(viewer.get_by_text("kB · WEBP")).to_be_visible()
    assert barriers(page) == []


def test_own_words_are_scored_as_they_are_typed_and_stay_in_the_link(scratch: str, open_page: OpenPage) -> None:
    page = open_page(f"/?in={scratch}")
    open_first(page)
    page.get_by_label("Your own words").fill("banana, boat, qwertzuiop")
    own = page.locator("section", has=page.get_by_label("Your own words"))
    expect(own.locator(".ranking li")).to_have_count(2)
    expect(own.get_by_text("Not known: qwertzuiop")).to_be_visible()
    page.reload()
    expect(own.locator(".ranking li")).to_have_count(2)


def test_keys_turn_select_enlarge_and_close(scratch: str, open_page: OpenPage) -> None:
    page = open_page(f"/?in={scratch}")
    tiles = page.locator(".tile-link")
    expect(tiles).to_have_count(12)
    open_first(page)
    name = page.get_by_role("dialog").get_by_role("heading", level=2)
    first = name.text_content() or ""
    page.keyboard.press("ArrowRight")
    expect(name).not_to_have_text(first)
    page.keyboard.press("ArrowLeft")
    expect(name).to_have_text(first)
    page.keyboard.press("x")
    expect(page.get_by_role("button", name="Selected")).to_be_visible()
    page.keyboard.press("+")
    expect(page.locator(".stage.zoomed")).to_be_visible()
    page.keyboard.press("0")
    expect(page.locator(".stage.zoomed")).to_have_count(0)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(tiles.first).to_be_focused()
    expect(page.locator(".tile.chosen")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_have_count(0)  # while something is selected, Enter selects
    page.go_back()
    expect(page.get_by_role("dialog")).to_be_focused()
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()


def test_a_similar_image_opens_and_back_returns_to_the_first(scratch: str, open_page: OpenPage) -> None:
    page = open_page(f"/?in={scratch}")
    open_first(page)
    first = page.url
    page.locator(".nearest a").first.click()
    expect(page).not_to_have_url(first)
    page.go_back()
    expect(page).to_have_url(first)
    page.get_by_role("button", name="Show all similar images").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page).to_have_url(re.compile(r"p=stored"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_narrow_screen_scrolls_through_image_and_facts(open_page: OpenPage, scheme: str) -> None:
    page = open_page("/", viewport={"width": 390, "height": 844}, color_scheme=scheme, locale="de-DE", has_touch=True)
    open_first(page)
    expect(page.get_by_role("dialog").locator("[aria-busy=true]")).to_have_count(0)  # what comes moves the facts
    facts = page.get_by_text("Speicherort")
    facts.scroll_into_view_if_needed()
    expect(facts).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert barriers(page) == []


def test_an_image_that_is_gone_says_so(open_page: OpenPage, complaints: list[str]) -> None:
    page = open_page("/?image=nothing")
    expect(page.get_by_text('has no image "nothing"')).to_be_visible()
    page.get_by_role("button", name="Close").click()
    expect(page.locator(".tile").first).to_be_visible()
    complaints.clear()  # the browser reports the 404
