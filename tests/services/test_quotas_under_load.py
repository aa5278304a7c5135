"""What a caller pays for calls that a busy suite refuses."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import grpc.aio
import pytest
from semsearch.v1 import limits_service_pb2 as limits
from semsearch.v1 import limits_service_pb2_grpc as limits_grpc
from semsearch.v1 import search_service_pb2 as search

from tests.services.gateway_stack import CALL_SECONDS, Stack, reason, running_stack
from tests.unit.gateway.doubles import overloaded, picture

CALLS = 40
OVERLOADED = "OVERLOADED"


async def used(stack: Stack) -> Mapping[str, int]:
    answer = await limits_grpc.LimitsServiceStub(stack.channel).GetLimits(limits.GetLimitsRequest())
    return {quota.kind: quota.used_today for quota in answer.quotas}


async def outcome(stack: Stack, collection: str) -> str:
    """Search with a picture; return the reason of a refusal, "" if the search was answered."""
    request = search.SearchByImageRequest(content=picture("red"), collection=collection)
    try:
        await stack.search.SearchByImage(request, timeout=CALL_SECONDS)
    except grpc.aio.AioRpcError as error:
        return reason(error)
    return ""


async def test_only_calls_that_were_answered_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quotas = ("--read-quota=1000/day", "--write-quota=1000/day", "--embed-quota=1000/day")
    async with running_stack(tmp_path, *quotas) as stack:
        collection = await stack.new_collection()
        assert await used(stack) == {"read": 0, "write": 1, "embed": 0}

        # A service behind the gateway refuses.
        with monkeypatch.context() as patched:
            patched.setattr(stack.embedder.embedder, "before_images", refuse)
            assert await outcome(stack, collection) == OVERLOADED
        assert await used(stack) == {"read": 0, "write": 1, "embed": 0}

        # The gateway refuses: its searches wait for the embedder, and there is no room for all.
        stack.embedder.images_may_flow.clear()
        searches = [asyncio.create_task(outcome(stack, collection)) for _ in range(CALLS)]
        await asyncio.wait(searches, return_when=asyncio.FIRST_COMPLETED)
        stack.embedder.images_may_flow.set()
        outcomes = await asyncio.gather(*searches)
        answered = outcomes.count("")
        assert 0 < answered < CALLS == answered + outcomes.count(OVERLOADED)
        assert await used(stack) == {"read": answered, "write": 1, "embed": answered}


def refuse() -> None:
    raise overloaded(1)
