"""Who may call what: every RPC and HTTP route of a running suite, with every kind of credential.

`pytest -s -k table tests/services/test_access.py` prints the table.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from typing import Any

import grpc
import grpc.aio
import jwt
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from semsearch import AccessDenied, Client
from semsearch.index.v1 import coordination_service_pb2 as coordination
from semsearch.index.v1 import coordination_service_pb2_grpc as coordination_grpc
from semsearch.v1 import gallery_service_pb2 as gallery
from semsearch.v1 import gallery_service_pb2_grpc as gallery_grpc

from serving.access import suite_key
from serving.access.tokens import MAX_COLLECTIONS
from serving.received_errors import reason_of
from tests.connect_calls import WAYS, call, public_methods
from tests.http_exchange import exchange
from tests.services.known_callers import (
    PASSES,
    REFLECTION,
    REFUSED,
    SECONDS,
    KnownCallers,
    known_callers,
    methods,
    outcome,
    request_for,
)
from tests.unit.gateway.doubles import picture

CREDENTIALS = ("none", "wrong", "expired", "read", "write", "admin", "other collection")
# What readers and writers may call; everything else is for an admin.
READ = {
    *("SearchByText", "SearchByImage", "CountMatches", "TagImage", "SimilarWords"),
    *("GetImage", "ListImages", "CountImages", "DownloadImage", "FindDuplicates", "GetCollection", "ListCollections"),
    *("GetMap", "StreamMap", "ListModels", "GetModel", "ListRecipes", "GetLimits"),
}
WRITE = {
    *("IndexImages", "BatchIndexImages", "DeleteImages", "UpdateImage", "CreateCollection"),
    *("ComputeMap", "CancelMap"),
}
# What callers that may use some collections may call about another one: what is about none.
OF_NO_COLLECTION = {"SimilarWords", "ListCollections", "ListModels", "GetModel", "ListRecipes", "GetLimits"}
# Two looks at files, each second, and a loaded machine.
SECONDS_TO_END = 10.0
TYPE = {"typ": suite_key.TYPE}
OF_THE_GATEWAY = "semsearch.v1."


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KnownCallers]:
    with known_callers(tmp_path_factory.mktemp("suite")) as suite:
        yield suite


def expected(full_name: str) -> Mapping[str, str]:
    """Return what becomes of a call with each credential."""
    name = full_name.rpartition(".")[2]
    public = full_name.startswith(OF_THE_GATEWAY)
    least = "read" if public and name in READ else "write" if public and name in WRITE else "admin"
    order = ("read", "write", "admin")
    return {
        **dict.fromkeys(("none", "wrong", "expired"), "401"),
        **{role: PASSES if order.index(role) >= order.index(least) else "403" for role in order},
        "other collection": PASSES if public and name in OF_NO_COLLECTION else "403",
    }


async def test_every_rpc_holds_every_credential_to_its_rule_as_this_table_says(suite: KnownCallers) -> None:
    rows: dict[str, Mapping[str, str]] = {}
    for process in suite.processes.values():
        async with grpc.aio.insecure_channel(process.address) as channel:
            for method in await methods(channel, suite.metadata("read")):
                found = await asyncio.gather(*(outcome(channel, method, suite.metadata(each)) for each in CREDENTIALS))
                rows[method.full_name] = dict(zip(CREDENTIALS, found, strict=True))
    print_table("RPC", rows)
    assert {name for name in rows if name.startswith(OF_THE_GATEWAY)} == {each.full_name for each in public_methods()}
    assert len([name for name in rows if not name.startswith(OF_THE_GATEWAY)]) > 30
    assert rows == {name: expected(name) for name in rows}


async def test_http_holds_every_credential_to_the_same_rules(suite: KnownCallers) -> None:
    codes = {"unauthenticated": "401", "permission_denied": "403"}
    way = next(iter(WAYS))
    rows = {}
    for method in public_methods():
        request = request_for(method)
        outcomes = [await call(suite.http, way, method, [request], suite.metadata(each)) for each in CREDENTIALS]
        found = [codes.get(each.code, PASSES) for each in outcomes]
        rows[method.full_name] = dict(zip(CREDENTIALS, found, strict=True))
    assert rows == {name: expected(name) for name in rows}


async def test_http_routes_hold_every_credential_to_the_same_table(suite: KnownCallers) -> None:
    reader = expected("semsearch.v1.GalleryService.DownloadImage")
    anyone = dict.fromkeys(CREDENTIALS, PASSES)
    routes = {
        "GET /images/gallery/none/thumbnail": reader,
        "GET /images/gallery/none/original": reader,
        "GET /images/other/none/thumbnail": {**reader, "other collection": PASSES},
        "POST /session": {**reader, "other collection": PASSES},
        "DELETE /session": anyone,
        "GET /healthz": anyone,
        "GET /readyz": anyone,
        "GET /": anyone,
    }
    rows = {}
    for route in routes:
        method, path = route.split(" ")
        statuses = [
            (await exchange(suite.http, path, suite.metadata(each), method=method)).status for each in CREDENTIALS
        ]
        found = [str(status) if str(status) in REFUSED.values() else PASSES for status in statuses]
        rows[route] = dict(zip(CREDENTIALS, found, strict=True))
    print_table("HTTP route", rows)
    assert rows == routes


async def test_without_a_token_only_health_answers(suite: KnownCallers) -> None:
    for process in suite.processes.values():
        async with grpc.aio.insecure_channel(process.address) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            assert await stub.Check(health_pb2.HealthCheckRequest(), timeout=SECONDS)
            for credential in ("none", "wrong", "expired"):
                with pytest.raises(grpc.aio.AioRpcError) as refused:
                    await methods(channel, suite.metadata(credential))
                assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
            for service, method in ((REFLECTION, "Other"), ("grpc.channelz.v1.Channelz", "GetServers")):
                with pytest.raises(grpc.aio.AioRpcError) as unknown:
                    await channel.unary_unary(f"/{service}/{method}")(b"", timeout=SECONDS)
                assert unknown.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_a_caller_sees_and_changes_its_own_collections_only(suite: KnownCallers) -> None:
    address = suite.processes["gateway"].address
    writer = suite.made.add("lim", "write", "own", "mine")
    until_accepted(address, writer)
    with Client(address, token=suite.tokens["admin"]) as admin:
        admin.create_collection("mine")
        with Client(address, token=writer) as client:
            client.create_collection("own")
            assert [each.id for each in client.list_collections()] == ["mine", "own"]
            assert {"gallery", "mine", "own"} <= {each.id for each in admin.list_collections()}
            [result] = client.index_images([picture("red")], collection="own")
            assert result.error is None
            assert client.search_by_text("boat", collection="own", min_relevance=0).matches
            for refused in (
                lambda: client.search_by_text("boat"),
                lambda: client.create_collection("third"),
                lambda: [*client.index_images([picture("red")])],
                lambda: client.delete_collection("own"),
            ):
                with pytest.raises(AccessDenied) as error:
                    refused()
                assert "operator" in error.value.message
        del suite.made.file.tokens[-1]
        suite.made.write()
        until_refused(address, writer)


def test_a_token_for_as_many_collections_as_it_may_have_works(suite: KnownCallers) -> None:
    address = suite.processes["gateway"].address
    names = [f"{number:04d}".rjust(63, "a") for number in range(MAX_COLLECTIONS)]
    with Client(address, token=suite.tokens["admin"]) as admin:
        admin.create_collection(names[-1])
    token = suite.made.add("man", "read", *names)
    until_accepted(address, token)
    with Client(address, token=token) as client:
        for _ in range(20):
            assert not client.search_by_text("boat", collection=names[-1]).matches
            assert [each.id for each in client.list_collections()] == [names[-1]]


async def test_a_revoked_token_ends_an_upload_and_what_was_acknowledged_stays(suite: KnownCallers) -> None:
    token = suite.made.add("upa", "write")
    address = suite.processes["gateway"].address
    until_accepted(address, token)
    async with grpc.aio.insecure_channel(address) as channel, asyncio.timeout(SECONDS):
        upload = gallery_grpc.GalleryServiceStub(channel).IndexImages(metadata=metadata(token))
        await upload.write(gallery.IndexImagesRequest(config=gallery.IndexImagesConfig()))
        await upload.write(gallery.IndexImagesRequest(image=gallery.ImageUpload(sequence=1, content=picture("green"))))
        answer = await upload.read()
        assert answer.durable_sequence == 1
        del suite.made.file.tokens[-1]
        suite.made.write()
        await refused(upload)
    with Client(address, token=suite.tokens["admin"]) as client:
        assert client.get_image(answer.results[0].id)


async def test_a_revoked_token_ends_a_stream_in_which_only_the_server_sends(suite: KnownCallers) -> None:
    token = suite.made.add("wat", "admin")
    address = suite.processes["index"].address
    async with grpc.aio.insecure_channel(address) as channel, asyncio.timeout(SECONDS):
        stub = coordination_grpc.CoordinationServiceStub(channel)
        watch = None
        while watch is None:  # until the index has read the changed file
            watch = stub.WatchLease(coordination.WatchLeaseRequest(name="none"), metadata=metadata(token))
            try:
                assert await watch.read()
            except grpc.aio.AioRpcError:
                watch = None
        del suite.made.file.tokens[-1]
        suite.made.write()
        await refused(watch)


def test_a_forged_identity_of_the_suite_is_refused(suite: KnownCallers) -> None:
    forged = jwt.encode(
        {"iss": "semsearch", "sub": "semsearch", "role": "ADMIN", "exp": 2**31}, "x" * 64, "HS256", TYPE
    )
    for name, path in (("gateway", "v1.ModelService"), ("embedder", "embedder.v1.EmbedderService")):
        with grpc.insecure_channel(suite.processes[name].address) as channel:
            list_models = channel.unary_unary(f"/semsearch.{path}/ListModels")
            with pytest.raises(grpc.RpcError) as refused:
                list_models(b"", timeout=SECONDS, metadata=[("authorization", f"Bearer {forged}")])
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


def metadata(token: str) -> list[tuple[str, str]]:
    return [("authorization", f"Bearer {token}")]


async def refused(stream: Any) -> None:
    """Wait until a stream ends because its token was revoked."""
    revoked = time.monotonic()
    with pytest.raises(grpc.aio.AioRpcError) as ended:
        await stream.read()
    assert (ended.value.code(), reason_of(ended.value)) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_UNKNOWN")
    assert time.monotonic() - revoked < SECONDS_TO_END


def until_accepted(address: str, token: str) -> None:
    _until(address, token, accepted=True)


def until_refused(address: str, token: str) -> None:
    _until(address, token, accepted=False)


def _until(address: str, token: str, *, accepted: bool) -> None:
    """Wait until the gateway has read the changed file."""
    deadline = time.monotonic() + SECONDS
    with Client(address, token=token) as client:
        while True:
            try:
                client.get_model()
            except AccessDenied:
                if not accepted:
                    return
            else:
                if accepted:
                    return
            assert time.monotonic() < deadline
            time.sleep(0.05)


def print_table(kind: str, rows: Mapping[str, Mapping[str, str]]) -> None:
    lines = [
        [kind, *CREDENTIALS],
        ["---"] * (len(CREDENTIALS) + 1),
        *([name, *row.values()] for name, row in rows.items()),
    ]
    print("\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines))  # noqa: T201
