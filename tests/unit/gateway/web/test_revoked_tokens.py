"""Streams over HTTP whose token is revoked."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from serving import watched_file
from serving.access import ended_streams
from serving.access.authentication import authentication
from serving.access.gate import AccessGate
from serving.access.rules import Rule
from serving.callers import Role
from serving.settings import ServiceSettings
from tests.http_exchange import exchange
from tests.unit.gateway.web.test_rpcs import PULL, STREAM, frame, frames, serving
from tests.unit.serving.access.made_tokens import MadeTokens


class Settings(ServiceSettings):
    service = "gateway"


async def test_a_stream_ends_with_the_reason_after_what_was_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ended_streams, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(watched_file, "POLL_SECONDS", 0.02)
    made = MadeTokens(tmp_path)
    headers = {**STREAM, "Authorization": f"Bearer {made.add('ann')}"}
    rules = {"semsearch.v1.ModelService.PullModel": Rule(Role.READ)}
    gate = AccessGate(authentication(Settings(tokens=str(made.path))), rules)
    async with gate.kept_current(), serving(gate) as (servicer, address):
        pulling = asyncio.create_task(exchange(address, PULL, headers, frame({"recipe": "slow"})))
        await servicer.waiting.acquire()
        del made.file.tokens[:]
        made.write()
        (_, sent), (flag, end) = frames((await pulling).body)
        refused = await exchange(address, PULL, headers, frame({"recipe": "slow"}))
    assert sent == {"bytesDone": "1"}
    assert (flag, end["error"]["code"]) == (2, "unauthenticated")
    assert end["error"]["details"][0]["debug"]["reason"] == "TOKEN_UNKNOWN"
    assert frames(refused.body)[0][1]["error"] == end["error"]
