"""Takes the screenshots of the page for docs/guides: `python scripts/page_screenshots.py docs/page`.

The suite must run with the gallery that ships, and with nothing else in its default collection, so that no images of
others are shown. Needs Chromium and playwright, as the tests of the page do.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

_QUALITY = 82
_COMPUTED_MS = 120_000
# The corners of a lasso on the map, in shares of its width and height.
_LASSO = ((0.57, 0.62), (0.62, 0.5), (0.72, 0.48), (0.79, 0.6), (0.78, 0.85), (0.7, 0.98), (0.6, 0.8), (0.575, 0.66))
_SETTLED_MS = 1_500  # for thumbnails and transitions after the page is quiet


def _nothing(_: Page) -> None:
    """Change nothing."""


def _open_first(page: Page) -> None:
    """Open the first image, and wait for its words."""
    page.locator(".tile").first.click()
    page.get_by_text("What it shows").locator("..").get_by_text("%").first.wait_for()


def _draw_lasso(page: Page) -> None:
    """Wait for the computed map, and draw around a part of it; the border stays until the button is released."""
    page.get_by_text("Similar images lie together").wait_for(timeout=_COMPUTED_MS)
    page.get_by_role("button", name="Cancel").wait_for(state="hidden", timeout=_COMPUTED_MS)
    page.locator(".map-label").first.wait_for()
    box = page.locator(".map-stage").bounding_box()
    if box is None:
        raise RuntimeError("The map has no size.")
    spots = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in _LASSO]
    page.get_by_role("button", name="Draw around images").click()
    page.mouse.move(*spots[0])
    page.mouse.down()
    for spot in spots[1:]:
        page.mouse.move(*spot, steps=12)


@dataclass(frozen=True)
class Shot:
    """A screenshot: the address to open, and what to do before it is taken."""

    name: str
    address: str
    act: Callable[[Page], None] = _nothing
    width: int = 1_280
    height: int = 800
    scheme: Literal["light", "dark"] = "light"


SHOTS = (
    Shot("first-visit", ""),
    Shot("results", "?q=fruit"),
    Shot("chips", "?q=vehicle+-bus"),
    Shot("nothing-found", "?q=microscope"),
    Shot("image", "?q=cat", _open_first),
    Shot("map", "?view=map", _draw_lasso),
    Shot("words", "?view=words&q=king+-man+woman"),
    Shot("narrow", "?q=boat", width=390, height=844),
    Shot("dark", "?q=sea", scheme="dark"),
)


def main(
    out: Annotated[Path, typer.Argument(help="The folder to write the WebP files to.")],
    page: Annotated[str, typer.Option(help="Where the page is.")] = "http://127.0.0.1:8080/",
    chromium: Annotated[str, typer.Option(help="The browser.")] = "/usr/bin/chromium",
) -> None:
    """Take all screenshots."""
    out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for shot in SHOTS:
            picture = Image.open(io.BytesIO(_taken(browser, page, shot)))
            picture.save(out / f"{shot.name}.webp", quality=_QUALITY, method=6)


def _taken(browser: Browser, address: str, shot: Shot) -> bytes:
    context = browser.new_context(
        viewport={"width": shot.width, "height": shot.height}, locale="en-GB", color_scheme=shot.scheme
    )
    try:
        page = context.new_page()
        page.goto(address + shot.address)
        page.wait_for_load_state("networkidle")
        shot.act(page)
        page.wait_for_timeout(_SETTLED_MS)
        page.wait_for_load_state("networkidle")
        return page.screenshot()
    finally:
        context.close()


if __name__ == "__main__":
    typer.run(main)
