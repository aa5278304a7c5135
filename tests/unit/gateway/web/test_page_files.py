"""The page's files over HTTP."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from starlette.applications import Starlette
from starlette.routing import Mount

from gateway.web.page_files import PageFiles
from tests.http_exchange import exchange, served

SCRIPT = b"console.log('a');" * 20


@pytest_asyncio.fixture
async def address(tmp_path: Path) -> AsyncIterator[str]:
    page = tmp_path / "static"
    (page / "assets").mkdir(parents=True)
    (page / "index.html").write_text("<!doctype html><title>semsearch</title>")
    (page / "assets" / "main-ABC.js").write_bytes(SCRIPT)
    (page / "assets" / "main-ABC.js.gz").write_bytes(gzip.compress(SCRIPT))
    (page / "assets" / "main-ABC.js.br").write_bytes(b"as if brotli")
    (tmp_path / "secret").write_text("secret")
    async with served(Starlette(routes=[Mount("/", PageFiles(page))])) as (_, address):
        yield address


async def test_the_page_is_asked_for_again_and_its_parts_are_kept_for_ever(address: str) -> None:
    page = await exchange(address, "/")
    assert (page.status, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert page.headers["Cache-Control"] == "no-cache"
    assert (await exchange(address, "/", {"If-None-Match": page.headers["ETag"]})).status == 304
    script = await exchange(address, "/assets/main-ABC.js")
    assert (script.body, script.headers["Content-Encoding"]) == (SCRIPT, None)
    assert "immutable" in script.headers["Cache-Control"]


@pytest.mark.parametrize(
    ("accepts", "encoding"),
    [("gzip, deflate, br", "br"), ("gzip", "gzip"), ("br;q=0, gzip", "gzip"), ("deflate", None), ("", None)],
)
async def test_the_smallest_file_that_a_browser_understands_is_sent(
    address: str, accepts: str, encoding: str | None
) -> None:
    script = await exchange(address, "/assets/main-ABC.js", {"Accept-Encoding": accepts})
    assert (script.status, script.headers["Content-Encoding"]) == (200, encoding)
    assert "javascript" in script.headers["Content-Type"]
    assert script.headers["Vary"] == "Accept-Encoding"


@pytest.mark.parametrize(
    "path",
    ["/../secret", "/%2e%2e/secret", "/assets/../../secret", "//secret", "/assets/%00", f"/{'x' * 5_000}", "/no"],
)
async def test_nothing_outside_the_folder_is_served(address: str, path: str) -> None:
    answer = await exchange(address, path)
    assert answer.status == 404
    assert b"secret" not in answer.body


async def test_a_page_that_is_not_built_says_how_to_build_it(tmp_path: Path) -> None:
    async with served(PageFiles(tmp_path / "none")) as (_, address):
        answer = await exchange(address, "/")
    assert answer.status == 404
    assert b"make page" in answer.body
