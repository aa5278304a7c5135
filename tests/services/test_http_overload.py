"""More calls over HTTP at once than a real gateway can answer: what is refused is refused with 429."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest
import pytest_asyncio

from tests.http_exchange import JSON, Answer, exchange
from tests.services.gateway_stack import Stack, image, running_stack
from tests.unit.gateway.doubles import overloaded, picture

pytestmark = pytest.mark.asyncio(loop_scope="module")

# Of each kind; together fewer than the connections that one address may have.
CALLS = 60
RED = picture("red")
SEARCH = "/semsearch.v1.SearchService/SearchByImage"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(3 * CALLS))  # for `exchange`
    async with running_stack(tmp_path_factory.mktemp("data")) as running:
        yield running


async def with_a_picture(stack: Stack) -> str:
    """Return a new collection that has one image, "red"."""
    name = await stack.new_collection()
    await stack.index(name, [image(1, RED, "red")])
    return name


def post(stack: Stack, collection: str) -> asyncio.Task[Answer]:
    return asyncio.create_task(exchange(stack.http, SEARCH, JSON, search(collection).encode()))


def get(stack: Stack, collection: str) -> asyncio.Task[Answer]:
    query = f"connect=v1&encoding=json&message={quote(search(collection))}"
    return asyncio.create_task(exchange(stack.http, f"{SEARCH}?{query}"))


def search(collection: str) -> str:
    return json.dumps({"content": base64.b64encode(RED).decode(), "collection": collection})


def check_refused(answer: Answer) -> None:
    assert (answer.status, answer.document["code"]) == (429, "resource_exhausted")
    details = {each["type"]: each["debug"] for each in answer.document["details"]}
    assert details["google.rpc.ErrorInfo"]["reason"] == "OVERLOADED"
    # In whole seconds, and never less than the exact time.
    assert int(answer.headers["Retry-After"]) >= float(details["google.rpc.RetryInfo"]["retryDelay"].rstrip("s")) > 0


async def test_what_a_service_behind_the_gateway_refuses_is_refused_with_429(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise overloaded(1.5)

    collection = await with_a_picture(stack)
    monkeypatch.setattr(stack.embedder.embedder, "before_images", refuse)
    for answer in await asyncio.gather(post(stack, collection), get(stack, collection)):
        check_refused(answer)
        assert answer.headers["Retry-After"] == "2"


async def test_searches_that_are_too_many_are_refused_with_429(stack: Stack) -> None:
    collection = await with_a_picture(stack)
    stack.embedder.images_may_flow.clear()
    posts, gets = [post(stack, collection) for _ in range(CALLS)], [get(stack, collection) for _ in range(CALLS)]
    for calls in (posts, gets):
        await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)  # with a refusal
    stack.embedder.images_may_flow.set()
    answers = [await asyncio.gather(*calls) for calls in (posts, gets)]
    for each in answers:
        refused = [answer for answer in each if answer.status != 200]
        assert refused
        for answer in refused:
            check_refused(answer)
    answered = [answer for each in answers for answer in each if answer.status == 200]
    assert answered
    assert all(answer.document["matches"][0]["image"]["id"] == "red" for answer in answered)


async def test_images_are_shown_or_refused_with_429_beside_too_many_searches(stack: Stack) -> None:
    collection = await with_a_picture(stack)
    stack.embedder.images_may_flow.clear()
    searches = [post(stack, collection) for _ in range(CALLS)]
    await asyncio.wait(searches, return_when=asyncio.FIRST_COMPLETED)
    images = f"/images/{collection}/red"
    shown = await asyncio.gather(
        *(exchange(stack.http, f"{images}/{which}") for which in ("original", "thumbnail") for _ in range(CALLS))
    )
    stack.embedder.images_may_flow.set()
    await asyncio.gather(*searches)
    assert any(each.status == 200 for each in shown)
    for each in shown:
        if each.status != 200:
            check_refused(each)
