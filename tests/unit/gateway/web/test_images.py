"""Thumbnails and originals over HTTP, on a core over doubles."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from starlette.applications import Starlette

from gateway.collections.gallery import Download, Gallery
from gateway.collections.images import StoredImage
from gateway.ingest.plan import Upload
from gateway.web.images import image_routes
from gateway.web.sessions import session_routes
from serving.byte_budget import ByteBudget
from serving.gates import Call
from tests.http_exchange import SECONDS, Answer, connected, exchange, served
from tests.unit.gateway.core import Core, open_core, upload
from tests.unit.gateway.doubles import picture, sha256

RED = picture("red")
SHA = sha256(RED)
ID = "näh 1.png"
PATH = "/images/gallery/n%C3%A4h%201.png"


@pytest_asyncio.fixture
async def core(tmp_path: Path) -> Core:
    core = await open_core(tmp_path / "images")
    await core.add(upload(1, RED, ID))
    return core


@pytest_asyncio.fixture
async def address(core: Core) -> AsyncIterator[str]:
    async with served(Starlette(routes=image_routes(lambda: core.gallery, ByteBudget(10_000)))) as (_, address):
        yield address


def header(answer: Answer, name: str) -> str:
    return answer.headers[name] or ""


async def test_an_original_comes_as_it_was_sent_with_its_type_and_name(address: str) -> None:
    answer = await exchange(address, f"{PATH}/original")
    assert (answer.status, answer.body) == (200, RED)
    assert header(answer, "Content-Type") == "image/png"
    assert header(answer, "Content-Disposition") == "inline; filename*=UTF-8''n%C3%A4h%201.png"
    assert header(answer, "Cache-Control") == "private, no-cache"


async def test_a_thumbnail_is_a_webp(address: str) -> None:
    answer = await exchange(address, f"{PATH}/thumbnail")
    assert (answer.status, header(answer, "Content-Type"), answer.body[8:12]) == (200, "image/webp", b"WEBP")
    assert header(answer, "Content-Disposition") == "inline; filename*=UTF-8''n%C3%A4h%201.png.webp"


@pytest.mark.parametrize("rendition", ["thumbnail", "original"])
async def test_what_a_browser_has_is_not_sent_again(address: str, core: Core, rendition: str) -> None:
    first = await exchange(address, f"{PATH}/{rendition}")
    for known in (header(first, "ETag"), f'"other", {header(first, "ETag")}', "*"):
        again = await exchange(address, f"{PATH}/{rendition}", {"If-None-Match": known})
        assert (again.status, again.body) == (304, b"")
        assert header(again, "ETag") == header(first, "ETag")
    other = await exchange(address, f"{PATH}/{rendition}", {"If-None-Match": '"other"'})
    assert other.status == 200

    await core.add(upload(2, picture("blue"), ID))
    changed = await exchange(address, f"{PATH}/{rendition}", {"If-None-Match": header(first, "ETag")})
    assert changed.status == 200


@pytest.mark.parametrize(
    ("version", "for_ever"), [(SHA, True), (SHA[:8], True), (SHA[:7], False), ("0" * 64, False), ("", False)]
)
async def test_only_an_address_with_the_version_is_kept_for_ever(address: str, version: str, for_ever: bool) -> None:
    answer = await exchange(address, f"{PATH}/thumbnail?v={version}")
    assert answer.status == 200
    assert ("immutable" in header(answer, "Cache-Control")) is for_ever


async def test_a_part_of_an_original_is_sent(address: str) -> None:
    answer = await exchange(address, f"{PATH}/original", {"Range": "bytes=5-8"})
    assert (answer.status, answer.body) == (206, RED[5:9])
    assert header(answer, "Content-Range") == f"bytes 5-8/{len(RED)}"
    stale = await exchange(address, f"{PATH}/original", {"Range": "bytes=5-8", "If-Range": '"other"'})
    assert (stale.status, stale.body) == (200, RED)
    beyond = await exchange(address, f"{PATH}/original", {"Range": "bytes=5000-"})
    assert (beyond.status, header(beyond, "Content-Range")) == (416, f"bytes */{len(RED)}")


async def test_head_tells_the_size_and_sends_nothing(address: str) -> None:
    answer = await exchange(address, f"{PATH}/original", method="HEAD")
    assert (answer.status, header(answer, "Content-Length"), answer.body) == (200, str(len(RED)), b"")


@pytest.mark.parametrize(
    ("path", "status", "code", "reason"),
    [
        ("/images/gallery/none/original", 404, "not_found", "IMAGE_NOT_FOUND"),
        ("/images/nowhere/x/original", 404, "not_found", "COLLECTION_NOT_FOUND"),
        ("/images/a%20b/x/original", 400, "invalid_argument", "INVALID_ID"),
        (f"/images/gallery/{'x' * 300}/original", 400, "invalid_argument", "INVALID_ID"),
    ],
)
async def test_an_error_is_written_as_those_of_rpcs(
    address: str, path: str, status: int, code: str, reason: str
) -> None:
    answer = await exchange(address, path)
    assert (answer.status, answer.document["code"]) == (status, code)
    assert answer.document["details"][0]["debug"]["reason"] == reason


async def test_an_original_that_the_caller_kept_is_said_to_be_elsewhere(address: str, core: Core) -> None:
    await core.add(Upload(1, picture("green"), "kept", original_at="nas/kept.png"))
    answer = await exchange(address, "/images/gallery/kept/original")
    assert (answer.status, answer.document["details"][0]["debug"]["reason"]) == (400, "ORIGINAL_ELSEWHERE")


@pytest.mark.parametrize("media_type", ["image/svg+xml", "text/html", "image/x-canon-cr2", ""])
async def test_what_browsers_do_not_show_as_a_picture_is_saved_and_never_run(
    address: str, monkeypatch: pytest.MonkeyPatch, media_type: str
) -> None:
    get = Gallery.get

    async def get_as_other_type(self: Gallery, collection: str, image_id: str) -> StoredImage:
        return replace(await get(self, collection, image_id), media_type=media_type)

    monkeypatch.setattr(Gallery, "get", get_as_other_type)
    answer = await exchange(address, f"{PATH}/original")
    assert header(answer, "Content-Type") == "application/octet-stream"
    assert header(answer, "Content-Disposition").startswith("attachment;")
    assert "sandbox" in header(answer, "Content-Security-Policy")


async def test_originals_beyond_the_budget_are_refused_with_a_time_to_try_again(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def more_than_the_buffers_of_sockets(*_: object) -> Download:
        return Download("image/png", bytes(16 * 2**20))

    monkeypatch.setattr(Gallery, "read", more_than_the_buffers_of_sockets)
    async with served(Starlette(routes=image_routes(lambda: core.gallery, ByteBudget(len(RED))))) as (_, address):
        async with connected(address) as (reader, writer):
            writer.write(f"GET {PATH}/original HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"

            refused = await exchange(address, f"{PATH}/original")
            assert (refused.status, refused.document["code"]) == (429, "resource_exhausted")
            assert refused.document["details"][1]["debug"] == {"retryDelay": "1s"}
            assert refused.headers["Retry-After"] == "1"
            assert (await exchange(address, f"{PATH}/thumbnail")).status == 200

        async with asyncio.timeout(SECONDS):
            while (await exchange(address, f"{PATH}/original")).status != 200:
                pass


async def test_a_cookie_of_the_log_in_stands_for_a_token_that_is_missing(core: Core) -> None:
    seen: list[str | None] = []

    class Gate:
        @asynccontextmanager
        async def enter(self, call: Call) -> AsyncIterator[None]:
            seen.append(call.metadata.get("authorization"))
            yield

        def check(self, call: Call, request: object) -> None:
            pass

    gates = [Gate()]
    app = Starlette(routes=[*session_routes(gates), *image_routes(lambda: core.gallery, ByteBudget(10_000), gates)])
    async with served(app) as (_, address):
        answer = await exchange(address, "/session", {"Authorization": "Bearer abc"}, method="POST")
        assert (answer.status, answer.document) == (200, {"caller": "anonymous", "role": "admin"})
        cookie = header(answer, "Set-Cookie")
        assert cookie == "semsearch_session=abc; HttpOnly; Path=/images; SameSite=strict"
        await exchange(address, f"{PATH}/original", {"Cookie": cookie.partition(";")[0]})
        await exchange(address, f"{PATH}/original", {"Cookie": "semsearch_session=abc", "Authorization": "Bearer own"})
        await exchange(address, f"{PATH}/original")
        assert seen == ["Bearer abc", "Bearer abc", "Bearer own", None]
        gone = header(await exchange(address, "/session", method="DELETE"), "Set-Cookie")
        assert gone.startswith('semsearch_session=""; ')
        assert "Max-Age=0; Path=/images" in gone
