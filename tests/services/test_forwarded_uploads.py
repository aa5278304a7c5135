"""Uploads through the gateway process that makes changes, and through the other, end alike, whatever ends them."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import grpc.aio
import pytest
import pytest_asyncio
from semsearch.transport.servers_status import servers_status
from semsearch.v1 import gallery_service_pb2 as pb

from serving.received_errors import reason_of
from tests.services.gateway_stack import Stack, image
from tests.services.two_processes import Processes, two_processes
from tests.unit.gateway.doubles import picture, sha256
from tests.unit.serving.access.made_tokens import MadeTokens

pytestmark = pytest.mark.asyncio(loop_scope="module")

# So many that some end while an image is on its way from one process to the other.
UPLOADS = 60
SECONDS = 60.0
# Two looks at files, each second, and a loaded machine.
SECONDS_TO_END = 10.0
OWN = "own"
RED = picture("red")
WHICH = pytest.mark.parametrize("owner", [True, False], ids=["owner", "other"])


@dataclass(frozen=True)
class Suite:
    """Two gateway processes that know their callers.

    Attributes:
        anywhere: A token for all collections.
        limited: A token for one collection.
        revocable: Tokens that `revoke` takes away, the last one first.
    """

    processes: Processes
    made: MadeTokens
    anywhere: str
    limited: str
    revocable: list[str]

    def revoke(self) -> None:
        self.revocable.pop()
        del self.made.file.tokens[-1]
        self.made.write()

    def stack(self, *, owner: bool) -> Stack:
        return self.processes.stacks[self.processes.owner] if owner else self.processes.follower


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def suite(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Suite]:
    data = tmp_path_factory.mktemp("data")
    made = MadeTokens(data)
    tokens = made.add("any", "write"), made.add("own", "write", OWN)
    revocable = [made.add(f"rev-{number}", "write") for number in range(4)]
    async with two_processes(data, f"--tokens={made.path}") as processes:
        request = pb.CreateCollectionRequest(collection_id=OWN)
        await processes.follower.gallery.CreateCollection(request, metadata=metadata(tokens[0]))
        yield Suite(processes, made, *tokens, revocable)


def config(collection: str = OWN) -> bytes:
    return pb.IndexImagesRequest(config=pb.IndexImagesConfig(collection=collection)).SerializeToString()


def upload(sequence: int, content: bytes = RED) -> bytes:
    return pb.IndexImagesRequest(image=image(sequence, content)).SerializeToString()


def metadata(token: str) -> list[tuple[str, str]]:
    return [("authorization", f"Bearer {token}")]


def begin(stack: Stack, token: str, requests: AsyncIterator[bytes] | None = None) -> Any:
    method = stack.channel.stream_stream(
        "/semsearch.v1.GalleryService/IndexImages",
        request_serializer=bytes,
        response_deserializer=pb.IndexImagesResponse.FromString,
    )
    return method(requests, timeout=SECONDS, metadata=metadata(token))


async def end(call: Any) -> tuple[str, str]:
    """Read an upload to its end; return its code and reason."""
    try:
        async with servers_status(call):
            async for _ in call:
                pass
    except grpc.aio.AioRpcError as error:
        return error.code().name, reason_of(error)
    return "OK", ""


async def then_more(requests: Sequence[bytes]) -> AsyncIterator[bytes]:
    """Yield requests, and then large images, for as long as they are taken."""
    for request in requests:
        yield request
    while True:
        yield LARGE


LARGE = upload(1_000, b"x" * 2**18)
GARBAGE = b"\xff\xff\xff"


@WHICH
@pytest.mark.parametrize(
    ("requests", "expected"),
    [
        ([upload(1)], ("INVALID_ARGUMENT", "STREAM_CONFIG")),
        ([config(), upload(1), config()], ("INVALID_ARGUMENT", "STREAM_CONFIG")),
        ([config(), upload(1), b""], ("INVALID_ARGUMENT", "INVALID_FIELD")),
        ([config(), upload(2), upload(1)], ("INVALID_ARGUMENT", "INVALID_FIELD")),
        ([config(), upload(1), GARBAGE], ("INVALID_ARGUMENT", "INVALID_FIELD")),
        ([GARBAGE], ("INVALID_ARGUMENT", "INVALID_FIELD")),
        ([config("a/b")], ("INVALID_ARGUMENT", "INVALID_ID")),
        ([config("nowhere")], ("NOT_FOUND", "COLLECTION_NOT_FOUND")),
    ],
    ids=[
        *("no config", "config twice", "no payload", "falling sequence", "not a message", "not a message at first"),
        *("bad id", "no such collection"),
    ],
)
async def test_an_invalid_stream_ends_with_its_error_while_more_is_sent(
    suite: Suite, owner: bool, requests: Sequence[bytes], expected: tuple[str, str]
) -> None:
    stack = suite.stack(owner=owner)
    ends = await asyncio.gather(*(end(begin(stack, suite.anywhere, then_more(requests))) for _ in range(UPLOADS)))
    assert Counter(ends) == {expected: UPLOADS}


@WHICH
async def test_an_upload_to_a_collection_of_others_is_refused(suite: Suite, owner: bool) -> None:
    stack = suite.stack(owner=owner)
    requests = [config("gallery"), upload(1)]
    ends = await asyncio.gather(*(end(begin(stack, suite.limited, then_more(requests))) for _ in range(UPLOADS)))
    assert Counter(ends) == {("PERMISSION_DENIED", "COLLECTION_NOT_ALLOWED"): UPLOADS}


@WHICH
@pytest.mark.parametrize("sending", [True, False], ids=["sending", "idle"])
async def test_a_revoked_token_ends_an_upload_and_what_was_acknowledged_stays(
    suite: Suite, owner: bool, sending: bool
) -> None:
    stack = suite.stack(owner=owner)
    token = suite.revocable[-1]
    first = picture("blue", seed=len(suite.revocable))
    goes_on = asyncio.Event()

    async def requests() -> AsyncIterator[bytes]:
        yield config()
        yield upload(1, first)
        await goes_on.wait()
        for number in itertools.count(2):
            yield upload(number, b"x" * 2**18)

    call = begin(stack, token, requests())
    async with servers_status(call):
        acknowledged = await anext(aiter(call))
    assert acknowledged.durable_sequence == 1
    if sending:
        goes_on.set()
    ending = asyncio.create_task(end(call))
    suite.revoke()
    since = time.monotonic()
    assert await ending == ("UNAUTHENTICATED", "TOKEN_UNKNOWN")
    assert time.monotonic() - since < SECONDS_TO_END
    for each in suite.processes.stacks:
        request = pb.GetImageRequest(collection=OWN, id=acknowledged.results[0].id)
        shown = await each.gallery.GetImage(request, metadata=metadata(suite.anywhere))
        assert shown.image.sha256 == sha256(first)
