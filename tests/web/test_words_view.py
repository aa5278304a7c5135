"""A person walks from word to word."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.web.axe import barriers
from tests.web.conftest import OpenPage


def test_sums_and_differences_lead_to_words_and_images(open_page: OpenPage) -> None:
    page = open_page("/?view=words")
    page.get_by_role("link", name="puppy − dog + cat").click()
    expect(page.locator(".equation")).to_have_text("puppy − dog + cat ≈ kitten")
    first = page.locator(".neighbours li").first
    expect(first.get_by_role("link")).to_have_text("kitten")
    expect(first.locator(".distance")).to_have_text(re.compile(r"distance 0\.\d\d"))
    expect(page.locator(".words-images img")).to_have_count(12)
    expect(page.locator(".words-images img").first).to_have_attribute("alt", re.compile("cat"))
    assert barriers(page) == []


def test_words_are_added_and_subtracted_by_buttons_and_typing(open_page: OpenPage) -> None:
    page = open_page("/?view=words&q=cat")
    expect(page.locator(".equation")).to_have_text("cat")
    page.get_by_role("button", name="Subtract kitten").click()
    expect(page.locator(".equation")).to_contain_text("cat − kitten ≈")
    page.get_by_role("searchbox").fill("boat")
    expect(page.locator(".equation")).to_have_text("boat")
    expect(page).to_have_url(re.compile("view=words"))
    page.locator(".neighbours a").first.click()
    page.go_back()
    expect(page.locator(".equation")).to_have_text("boat")
    page.get_by_role("button", name="More words").click()
    expect(page.locator(".neighbours li")).to_have_count(48)
    page.get_by_role("link", name="All images").click()
    expect(page.locator(".tile").first).to_be_visible()


def test_a_narrow_dark_screen_has_no_barriers(open_page: OpenPage) -> None:
    page = open_page("/?view=words&q=king+-man+woman", viewport={"width": 390, "height": 844}, color_scheme="dark")
    expect(page.locator(".neighbours li").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert barriers(page) == []
