"""Checks a page for barriers with axe-core."""

from __future__ import annotations

from playwright.sync_api import Page

from tests.end_to_end.launcher_process import REPOSITORY

AXE = REPOSITORY / "page" / "node_modules" / "axe-core" / "axe.min.js"


def barriers(page: Page) -> list[str]:
    """Return axe's violations: the rule, and the elements that break it."""
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [f"{each['id']}: {[node['html'][:200] for node in each['nodes'][:3]]}" for each in found["violations"]]
