"""A person looks at the models and asks for another one."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.web.axe import barriers
from tests.web.conftest import OpenPage


def test_models_and_recipes_are_listed(open_page: OpenPage) -> None:
    page = open_page("/?view=models")
    active = page.locator(".model.active")
    expect(active).to_have_count(1)
    expect(active.get_by_text("Active")).to_be_visible()
    expect(active).to_contain_text("300 dimensions")
    expect(page.locator(".model", has_text="MobileNetV2").get_by_role("button", name="Get")).to_be_visible()
    assert barriers(page) == []


def test_a_view_whose_code_is_gone_says_so(open_page: OpenPage, complaints: list[str]) -> None:
    page = open_page()
    page.route("**/assets/view-*.js", lambda route: route.abort())
    page.get_by_role("link", name="Models").click()
    expect(page.get_by_text("This part of the page could not be loaded.")).to_be_visible()
    page.unroute("**/assets/view-*.js")
    page.get_by_role("button", name="Load the page again").click()
    expect(page.locator(".model.active")).to_have_count(1)
    complaints.clear()  # the browser reports the file that it did not get
