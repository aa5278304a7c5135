"""Calls that are refused in an overload before they are read, over gRPC, and those that have to pass the gates."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_status import rpc_status
from prometheus_client import REGISTRY
from semsearch.v1 import gallery_service_pb2, search_service_pb2

from serving import tracing
from serving.access.bearer import with_token
from serving.access.rules import Rule
from serving.admission import Admission, TooBusy
from serving.admission_gate import MethodLanes
from serving.audit import MOST_REFUSALS
from serving.audit_log import open_audit_log
from serving.callers import Caller, Role
from serving.interceptors import CallInterceptor
from serving.lanes import Lane
from serving.received_errors import from_status, retry_delay_seconds
from serving.safeguards import Methods, Safeguards
from serving.settings import ServiceSettings
from tests.unit.serving.access.made_tokens import MadeTokens

DEADLINE = 20.0
_SEARCHES = search_service_pb2.DESCRIPTOR.services_by_name["SearchService"].full_name
_GALLERY = gallery_service_pb2.DESCRIPTOR.services_by_name["GalleryService"].full_name
SEARCH, TAG, UPLOAD = f"{_SEARCHES}/SearchByText", f"{_SEARCHES}/TagImage", f"{_GALLERY}/BatchIndexImages"
METHODS = Methods(
    {},
    {name.replace("/", "."): Rule(Role.WRITE if name is UPLOAD else Role.READ) for name in (SEARCH, TAG, UPLOAD)},
    lanes=MethodLanes(limited={SEARCH: Lane.INTERACTIVE, UPLOAD: Lane.BULK}, unlimited={TAG: Lane.INTERACTIVE}),
)
PARENT = f"00-{'a' * 32}-{'b' * 16}-01"


class Settings(ServiceSettings):
    service = "gateway"


class Server:
    """A server with all safeguards; `read` are the messages that it has read."""

    def __init__(self, channel: grpc.aio.Channel, safeguards: Safeguards, read: list[bytes]) -> None:
        self.safeguards = safeguards
        self.read = read
        self._channel = channel

    async def call(self, name: str, *metadata: tuple[str, str], message: bytes = b"hello") -> tuple[str, str]:
        """Return the code and the reason of a call's status."""
        try:
            await self._channel.unary_unary(f"/{name}")(message, metadata=metadata, timeout=DEADLINE)
        except grpc.aio.AioRpcError as error:
            status = rpc_status.from_call(error)
            return error.code().name, from_status(status)[0] if status else ""
        return "OK", ""

    async def refusal(self, name: str) -> Any:
        """Return the status of a call that is refused."""
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await self._channel.unary_unary(f"/{name}")(b"", timeout=DEADLINE)
        return rpc_status.from_call(refused.value)


@asynccontextmanager
async def served(settings: Settings) -> AsyncIterator[Server]:
    read: list[bytes] = []

    def received(message: bytes) -> bytes:
        read.append(message)
        return message

    async def answer(request: bytes, _: Any) -> bytes:
        return request

    with open_audit_log(settings) as audit:
        safeguards = Safeguards.of(settings, METHODS, audit)
        server = grpc.aio.server(interceptors=[CallInterceptor({}, safeguards.gates, safeguards.early_refusal)])
        for name in (SEARCH, TAG, UPLOAD):
            service, _, method = name.partition("/")
            handler = grpc.unary_unary_rpc_method_handler(answer, received)
            server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, {method: handler})])
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                yield Server(channel, safeguards, read)
        finally:
            await server.stop(0)


@pytest.fixture
def overloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have each call that comes wait too long; test_admission.py shows when that is so."""

    def arrive(*_: Any) -> None:
        raise TooBusy(Lane.INTERACTIVE, 8)

    monkeypatch.setattr(Admission, "refuses", lambda *_: True)
    monkeypatch.setattr(Admission, "arrive", arrive)


@pytest.fixture
def recording() -> Iterator[list[str]]:
    """Return the names of the spans that are recorded."""
    names: list[str] = []

    class Recorder:
        def start(self, name: str, *_: Any) -> tracing.Span:
            names.append(name)
            return tracing.UNRECORDED

    tracing.record_with(Recorder())
    yield names
    tracing.record_with(None)


def sample(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


@pytest.mark.usefixtures("overloaded")
@pytest.mark.parametrize(("name", "lane"), [(SEARCH, "interactive"), (UPLOAD, "bulk")])
async def test_a_refusal_says_why_and_when_to_try_again(tmp_path: Path, name: str, lane: str) -> None:
    async with served(Settings(data=tmp_path)) as server:
        status = await server.refusal(name)
    assert from_status(status) == ("OVERLOADED", {"lane": lane})
    assert retry_delay_seconds(status) == 1.0
    assert "Try again in a moment." in status.message


@pytest.mark.usefixtures("overloaded")
async def test_what_is_refused_is_not_read_however_large_it_is(tmp_path: Path) -> None:
    async with served(Settings(data=tmp_path)) as server:
        refused = [server.call(UPLOAD, message=bytes(3_000_000)) for _ in range(20)]
        assert set(await asyncio.gather(*refused)) == {("RESOURCE_EXHAUSTED", "OVERLOADED")}
        assert server.read == []
        assert await server.call(TAG) == ("OK", "")


@pytest.mark.usefixtures("overloaded")
async def test_refusals_are_counted(tmp_path: Path) -> None:
    def counts() -> tuple[float, float, float]:
        service, _, method = SEARCH.partition("/")
        labels = {"grpc_service": service, "grpc_method": method}
        return (
            sample("semsearch_admission_refused_total", lane="interactive"),
            sample("grpc_server_handled_total", **labels, grpc_code="RESOURCE_EXHAUSTED"),
            sample("grpc_server_handling_seconds_count", **labels),
        )

    async with served(Settings(data=tmp_path)) as server:
        before = counts()
        for _ in range(3):
            await server.call(SEARCH)
        assert counts() == tuple(count + 3 for count in before)


@pytest.mark.usefixtures("overloaded")
async def test_who_may_not_call_learns_that_in_an_overload_too(tmp_path: Path) -> None:
    made = MadeTokens(tmp_path)
    reader = with_token(made.add("ann", "read"))
    async with served(Settings(data=tmp_path, tokens=str(made.path))) as server:
        assert await server.call(SEARCH) == ("UNAUTHENTICATED", "TOKEN_MISSING")
        assert await server.call(SEARCH, with_token("semsearch_0_0")) == ("UNAUTHENTICATED", "TOKEN_UNKNOWN")
        assert await server.call(UPLOAD, reader) == ("PERMISSION_DENIED", "ROLE_TOO_LOW")
        assert await server.call(SEARCH, reader) == ("RESOURCE_EXHAUSTED", "OVERLOADED")


@pytest.mark.usefixtures("overloaded")
async def test_a_caller_with_too_many_calls_learns_that_in_an_overload_too(tmp_path: Path) -> None:
    made = MadeTokens(tmp_path)
    ann, bob = with_token(made.add("ann")), with_token(made.add("bob"))
    async with served(Settings(data=tmp_path, tokens=str(made.path), max_calls_per_caller=1)) as server:
        with server.safeguards.quotas.limiter.in_progress(Caller("ann", Role.READ), ""):
            assert await server.call(SEARCH, ann) == ("RESOURCE_EXHAUSTED", "TOO_MANY_CALLS")
            assert await server.call(SEARCH, bob) == ("RESOURCE_EXHAUSTED", "OVERLOADED")
        assert await server.call(SEARCH, ann) == ("RESOURCE_EXHAUSTED", "OVERLOADED")


@pytest.mark.usefixtures("overloaded")
async def test_a_process_that_shuts_down_says_so_in_an_overload_too(tmp_path: Path) -> None:
    async with served(Settings(data=tmp_path)) as server:
        server.safeguards.drain.refuse()
        assert await server.call(SEARCH) == ("UNAVAILABLE", "SHUTTING_DOWN")


@pytest.mark.usefixtures("overloaded")
async def test_a_refused_change_gets_a_line_as_long_as_the_audit_log_has_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, more = tmp_path / "audit.jsonl", 5
    async with served(Settings(data=tmp_path, audit_log=str(log))) as server:
        for _ in range(MOST_REFUSALS + more):
            assert await server.call(UPLOAD) == ("RESOURCE_EXHAUSTED", "OVERLOADED")
        monkeypatch.setattr("serving.audit._MINUTE", -1.0)
        await server.call(UPLOAD)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line.get("reason") for line in lines] == [*["OVERLOADED"] * MOST_REFUSALS, None, "OVERLOADED"]
    assert lines[MOST_REFUSALS]["refusals_without_line"] == more


@pytest.mark.usefixtures("overloaded")
@pytest.mark.parametrize("reads", [False, True])
async def test_a_refused_search_gets_a_line_if_the_audit_log_is_to_have_reads(tmp_path: Path, reads: bool) -> None:
    log = tmp_path / "audit.jsonl"
    async with served(Settings(data=tmp_path, audit_log=str(log), audit_reads=reads)) as server:
        await server.call(SEARCH)
    assert len(log.read_text().splitlines()) == reads


@pytest.mark.usefixtures("overloaded")
async def test_a_refusal_is_part_of_a_trace_that_its_caller_records(tmp_path: Path, recording: list[str]) -> None:
    async with served(Settings(data=tmp_path)) as server:
        assert await server.call(SEARCH) == ("RESOURCE_EXHAUSTED", "OVERLOADED")
        assert recording == []
        assert await server.call(SEARCH, (tracing.HEADER, PARENT)) == ("RESOURCE_EXHAUSTED", "OVERLOADED")
        assert recording == [SEARCH]


async def test_what_can_be_answered_is_not_refused(tmp_path: Path) -> None:
    async with served(Settings(data=tmp_path)) as server:
        assert {await server.call(name) for name in (SEARCH, TAG, UPLOAD) for _ in range(20)} == {("OK", "")}
