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
