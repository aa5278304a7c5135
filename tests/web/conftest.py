"""The page in a real browser, with a real suite behind it.

A test takes `open_page`, or `open_at` for a suite of its own. After the test, a screenshot is in tests/web/screenshots.
Warnings and errors of the browser fail the test.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright, sync_playwright
from semsearch import Client

from tests.end_to_end.launcher_process import READY, REPOSITORY, launcher, settings
from tests.needs import need

SCREENSHOTS = Path(__file__).parent / "screenshots"
GALLERY = REPOSITORY / "starter" / "gallery"
BUILT = REPOSITORY / "gateway" / "web" / "static" / "index.html"
# The browser starts nothing by itself. Root has no sandbox.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# What browsers leave out on pages that come over plain HTTP from another machine.
INSECURE = """
  delete Crypto.prototype.randomUUID;
  delete Crypto.prototype.subtle;
  delete Navigator.prototype.clipboard;
  Object.defineProperty(window, "isSecureContext", {value: false});
"""

OpenPage = Callable[..., Page]

# To work on the page: the ports, "HTTP,gRPC", of a running suite with the model `tiny` and the starter's gallery.
RUNNING = os.environ.get("SEMSEARCH_TEST_PORTS")


@dataclass(frozen=True)
class Suite:
    """A running suite: where its page and its API are."""

    web: str
    grpc: str

    @classmethod
    def at(cls, web_port: str, grpc_port: str) -> Suite:
        return cls(f"http://127.0.0.1:{web_port}", f"127.0.0.1:{grpc_port}")


def until(page: Page, expression: str, seconds: float = 10) -> None:
    """Wait until an expression is true. Playwright's own function needs `eval`, which the page's policy forbids."""
    deadline = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, f"{expression} did not become true within {seconds:g} seconds."
        page.wait_for_timeout(50)


@pytest.fixture(scope="session")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    """The suite with the model `tiny` and the starter's gallery."""
    if RUNNING:
        yield Suite.at(*RUNNING.split(","))
        return
    with started(tmp_path_factory.mktemp("var")) as suite:
        yield suite


@contextmanager
def started(data: Path, **further: str) -> Iterator[Suite]:
    """Start a suite with the model `tiny` and the starter's gallery, with further settings."""
    need(BUILT.exists(), "The page is not built: run `make page`.")
    own = {**settings(data, Path("tiny")), **further}
    with launcher(own, GALLERY) as running:
        running.wait_for(READY)
        yield Suite.at(own["SEMSEARCH_GATEWAY_HTTP_PORT"], own["SEMSEARCH_GATEWAY_PORT"])


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    """What drives browsers; a process may have only one."""
    need(shutil.which("chromium") is not None, "There is no Chromium: install the package chromium.")
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """Debian's Chromium."""
    with playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS) as started:
        yield started


@pytest.fixture
def complaints() -> list[str]:
    """Warnings and errors of the browser; a test that causes them on purpose clears the list."""
    return []


@pytest.fixture
def refusals() -> str:
    """Return a pattern of the statuses that the browser may report: the beginnings of typed words are not known."""
    return "400"


@pytest.fixture
def open_page(suite: Suite, open_at: OpenPage) -> OpenPage:
    """Open the page in a browser of its own: `open_page("/?q=dog", color_scheme="dark")`."""
    return lambda path="/", **options: open_at(f"{suite.web}{path}", **options)


@pytest.fixture
def open_at(
    browser: Browser, complaints: list[str], refusals: str, request: pytest.FixtureRequest
) -> Iterator[OpenPage]:
    """Open an address in a browser of its own."""
    if "scratch" in request.fixturenames:
        request.getfixturevalue("scratch")  # its images are deleted after the page that shows them is closed
    contexts: list[BrowserContext] = []
    expected = re.compile(rf"Failed to load resource: the server responded with a status of {refusals}")

    def keep(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not expected.search(message.text):
            complaints.append(message.text)

    def open_(address: str, **options: Any) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, "locale": "en-GB", **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("console", keep)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(address)
        return page

    yield open_
    SCREENSHOTS.mkdir(exist_ok=True)
    pages = [page for context in contexts for page in context.pages]
    for number, page in enumerate(pages):
        page.screenshot(path=SCREENSHOTS / f"{request.node.name}-{number}.png")
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def scratch(suite: Suite, request: pytest.FixtureRequest) -> Iterator[str]:
    """A collection of a dozen images, for a test that changes them."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:60]
    with Client(suite.grpc) as client:
        client.create_collection(name)
        for _ in client.index_images(sorted(GALLERY.glob("*.webp"))[::34], collection=name):
            pass
        yield name
        client.delete_collection(name)
