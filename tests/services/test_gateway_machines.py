"""Two gateways as on two machines: one index and one image store, but no data folder in common.

One makes all changes, whichever gets them, and the other takes over when it stops, is stopped, killed or cut off.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import grpc.aio
import pytest
import pytest_asyncio
from google.protobuf import field_mask_pb2
from semsearch.v1 import gallery_service_pb2 as gallery
from semsearch.v1 import image_pb2, model_service_pb2
from semsearch.v1 import search_service_pb2 as search

from gateway.collections.sweeper import GRACE_SECONDS
from tests.ports import free_ports
from tests.services.gateway_stack import (
    CALL_SECONDS,
    ColorEmbedderServicer,
    Service,
    Stack,
    color_embedder,
    image,
    service,
    struct,
)
from tests.services.shared_state import lease, owner, switch_target
from tests.unit.gateway.doubles import MODEL, OTHER_MODEL, picture, sha256

pytestmark = pytest.mark.asyncio(loop_scope="module")

IMAGES = 8
TTL_SECONDS = 2.0
# Of a loaded machine, beyond the ttl.
SLACK_SECONDS = 10.0


@dataclass
class Machines:
    """Two gateways, and the index and the embedder that both use."""

    root: Path
    embedder: ColorEmbedderServicer
    embedder_port: int
    index_port: int
    ports: Sequence[int]
    exits: AsyncExitStack
    index_exits: AsyncExitStack
    running: list[Service] = field(default_factory=list)
    stacks: list[Stack] = field(default_factory=list)
    collections: Iterator[str] = field(default_factory=lambda: map("c{}".format, itertools.count()))

    async def start_index(self) -> None:
        await self.index_exits.enter_async_context(
            service("index_service", f"--port={self.index_port}", f"--data={self.root / 'index'}")
        )

    async def start(self, number: int) -> None:
        """Start a gateway with a data folder of its own, and wait until it serves."""
        data = self.root / f"gateway-{number}"
        data.mkdir(exist_ok=True)
        if not (data / "images").exists():
            (data / "images").symlink_to(self.root / "images")
        started = await self.exits.enter_async_context(
            service(
                "gateway",
                f"--port={self.ports[number]}",
                f"--data={data}",
                f"--embedder=127.0.0.1:{self.embedder_port}",
                f"--index=127.0.0.1:{self.index_port}",
                f"--lease-seconds={TTL_SECONDS}",
                "--drain-seconds=0.5",
            )
        )
        channel = await self.exits.enter_async_context(
            grpc.aio.insecure_channel(started.address, [("grpc.max_reconnect_backoff_ms", 200)])
        )
        stack = Stack(channel, self.embedder, data)
        await stack.wait_until_serving("")
        self.running[number:] = [started, *self.running[number + 1 :]]
        self.stacks[number:] = [stack, *self.stacks[number + 1 :]]

    @property
    def index(self) -> str:
        return f"127.0.0.1:{self.index_port}"

    def owner(self) -> int:
        """Return the number of the gateway that makes changes; wait until there is one."""
        return self.ports.index(int(owner(self.index).rpartition(":")[2]))

    async def wait_for_owner(self, number: int) -> None:
        async with asyncio.timeout(TTL_SECONDS + SLACK_SECONDS):
            while self.owner() != number:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def new_collection(self) -> str:
        name = next(self.collections)
        await self.stacks[1 - self.owner()].gallery.CreateCollection(
            gallery.CreateCollectionRequest(collection_id=name)
        )
        return name

    def send(self, number: int, what: signal.Signals) -> None:
        self.running[number].process.send_signal(what)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def machines(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Machines]:
    root = tmp_path_factory.mktemp("machines")
    (root / "images").mkdir()
    index_port, *ports = free_ports(3)
    async with AsyncExitStack() as exits, AsyncExitStack() as index_exits:
        embedder, embedder_port = await exits.enter_async_context(color_embedder())
        both = Machines(root, embedder, embedder_port, index_port, ports, exits, index_exits)
        await both.start_index()
        for number in range(2):
            await both.start(number)
        yield both
        await exits.aclose()


async def listed(stack: Stack, collection: str) -> list[image_pb2.Image]:
    request = gallery.ListImagesRequest(collection=collection, page_size=1_000)
    return list((await stack.gallery.ListImages(request)).images)


async def whole(stack: Stack, collection: str) -> dict[str, image_pb2.Image]:
    """Check that each image has its files, and return them by id."""
    images = await listed(stack, collection)
    assert len({each.sha256 for each in images}) == len({each.id for each in images}) == len(images)
    for each in images:
        request = gallery.DownloadImageRequest(collection=collection, id=each.id, rendition=gallery.RENDITION_ORIGINAL)
        content = b"".join([part.chunk async for part in stack.gallery.DownloadImage(request, timeout=CALL_SECONDS)])
        assert sha256(content) == each.sha256
    return {each.id: each for each in images}


async def activate(stack: Stack, model_id: str) -> str:
    request = model_service_pb2.ActivateModelRequest(id=model_id)
    return [answer.model.id async for answer in stack.models.ActivateModel(request, timeout=60)][-1]


async def add(stack: Stack, collection: str, name: str, content: bytes) -> bool:
    """Add an image, and return whether it was acknowledged; else the caller may try again."""
    try:
        [result] = await stack.index(collection, [image(1, content, name)])
    except grpc.aio.AioRpcError as error:
        # gRPC itself fails a call with INTERNAL if the server ends it while its request is being sent.
        if error.code() is not grpc.StatusCode.UNAVAILABLE and error.details() != "Internal error from Core":
            raise
        return False
    assert not result.HasField("status")
    return True


async def add_until(stop: asyncio.Event, stack: Stack, collection: str, color: str) -> list[str]:
    """Add one image after the other, and return the ids of those that were acknowledged."""
    added = []
    for number in itertools.count():
        if stop.is_set():
            return added
        name = f"{color}-{number}"
        if await add(stack, collection, name, picture(color, seed=number)):
            added.append(name)
    raise AssertionError


def mark_released(machines: Machines, images: Sequence[image_pb2.Image]) -> list[Path]:
    """Mark images as released long ago, as if items that named them had been deleted: the next sweep looks at them."""
    marks = [machines.root / "images" / "released" / each.sha256 for each in images]
    marks[0].parent.mkdir(exist_ok=True)
    long_ago = time.time() - 2 * GRACE_SECONDS
    for mark in marks:
        mark.touch()
        os.utime(mark, (long_ago, long_ago))
    return marks


async def test_changes_through_both_lose_nothing_and_add_nothing_twice(machines: Machines) -> None:
    name = await machines.new_collection()
    shared = [picture("green", seed=n) for n in range(IMAGES)]

    def uploads(own: str) -> list[gallery.ImageUpload]:
        different = [image(n, picture(own, seed=n), f"{own}-{n}") for n in range(IMAGES)]
        same_bytes = [image(100 + n, content) for n, content in enumerate(shared)]
        return [*different, *same_bytes]

    await asyncio.gather(
        *(stack.index(name, uploads(own)) for stack, own in zip(machines.stacks, ("red", "blue"), strict=True))
    )

    async def change(stack: Stack, attribute: str) -> None:
        changed = image_pb2.Image(id="red-0", collection=name, attributes=struct({attribute: attribute}))
        mask = field_mask_pb2.FieldMask(paths=[f"attributes.{attribute}"])
        await stack.gallery.UpdateImage(gallery.UpdateImageRequest(image=changed, update_mask=mask))

    attributes = [f"a{n}" for n in range(10)]
    await asyncio.gather(*(change(machines.stacks[n % 2], each) for n, each in enumerate(attributes)))
    for number, stack in enumerate(machines.stacks):
        request = gallery.DeleteImagesRequest(collection=name, ids=[f"blue-{number}"])
        await stack.gallery.DeleteImages(request)
    for stack in machines.stacks:
        images = await whole(stack, name)
        own = {f"{color}-{n}" for color in ("red", "blue") for n in range(IMAGES)} - {"blue-0", "blue-1"}
        assert set(images) == {*own, *map(sha256, shared)}
        assert dict(images["red-0"].attributes) == {each: each for each in attributes}


async def test_pages_of_one_continue_in_the_other(machines: Machines) -> None:
    name = await machines.new_collection()
    await machines.stacks[0].index(name, [image(n, picture("red", seed=n), f"{n}") for n in range(6)])
    found: list[str] = []
    request = search.SearchByTextRequest(query="red", collection=name, min_relevance=0, page_size=2)
    for number in (0, 1, 0):
        page = await machines.stacks[number].search.SearchByText(request)
        found += [match.image.id for match in page.matches]
        request.page_token = page.next_page_token
    assert sorted(found) == [f"{n}" for n in range(6)]


async def test_a_suspended_owner_changes_nothing_any_more_when_it_goes_on(machines: Machines) -> None:
    first = machines.owner()
    former, other = machines.stacks[first], machines.stacks[1 - first]
    name = await machines.new_collection()
    await former.index(name, [image(n, picture("red", seed=n), f"red-{n}") for n in range(IMAGES)])
    marks = mark_released(machines, await listed(other, name))

    machines.embedder.images_may_flow.clear()
    late = asyncio.create_task(add(former, name, "late", picture("blue", seed=1)))
    passed_on = asyncio.create_task(add(other, name, "passed-on", picture("blue", seed=3)))
    async with asyncio.timeout(CALL_SECONDS):
        while machines.embedder.images_waiting < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    machines.send(first, signal.SIGSTOP)
    try:
        machines.embedder.images_may_flow.set()
        await machines.wait_for_owner(1 - first)
        async with asyncio.timeout(SLACK_SECONDS):
            assert not await passed_on, "a call to the former owner must not wait for it"
        assert await add(other, name, "green", picture("green"))
        # The former owner's sweeper would remove what nobody used when it was suspended.
        assert await add(other, name, "late", picture("blue", seed=2))
    finally:
        machines.send(first, signal.SIGCONT)
    assert not await late, "a change of the former owner must not be acknowledged"
    assert await add(former, name, "yellow", picture("yellow")), "it passes changes on"
    async with asyncio.timeout(CALL_SECONDS):
        # The next owner sweeps at once, and spares what is in use.
        while any(mark.exists() for mark in marks):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    for stack in machines.stacks:
        images = await whole(stack, name)
        assert set(images) == {*(f"red-{n}" for n in range(IMAGES)), "green", "late", "yellow"}
        assert images["late"].sha256 == sha256(picture("blue", seed=2))


@pytest.mark.parametrize(
    ("end", "most_seconds"),
    [(signal.SIGTERM, 1.0), (signal.SIGKILL, TTL_SECONDS)],
)
async def test_an_owners_switch_continues_on_the_other_machine(
    machines: Machines, end: signal.Signals, most_seconds: float, record_property: pytest.RecordProperty
) -> None:
    first = machines.owner()
    other = machines.stacks[1 - first]
    name = await machines.new_collection()
    await other.index(name, [image(n, picture("red", seed=n), f"red-{n}") for n in range(IMAGES)])
    serving = (await machines.embedder.embedder.get_model())[0].id
    target = MODEL.id if serving == OTHER_MODEL.id else OTHER_MODEL.id

    machines.embedder.words_may_flow.clear()
    enough = asyncio.Event()
    adding = asyncio.create_task(add_until(enough, other, name, "blue"))
    switch = asyncio.create_task(activate(other, target))
    async with asyncio.timeout(CALL_SECONDS):
        while switch_target(machines.index) != target:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    machines.send(first, end)
    began = time.monotonic()
    await machines.wait_for_owner(1 - first)
    seconds = time.monotonic() - began
    record_property("failover_seconds", round(seconds, 2))
    assert seconds < most_seconds + SLACK_SECONDS
    await machines.running[first].process.wait()
    machines.embedder.words_may_flow.set()
    assert await switch == target
    enough.set()
    added = await adding
    assert await add(other, name, "green", picture("green"))
    await machines.start(first)
    for stack in machines.stacks:
        assert set(await whole(stack, name)) >= {*(f"red-{n}" for n in range(IMAGES)), *added, "green"}
        collection = await stack.gallery.GetCollection(gallery.GetCollectionRequest(collection_id=name))
        assert collection.collection.model_id == target


async def test_a_restart_of_the_index_changes_no_owner_and_loses_nothing(machines: Machines) -> None:
    name = await machines.new_collection()
    before = lease(machines.index)
    enough = asyncio.Event()
    adding = [
        asyncio.create_task(add_until(enough, stack, name, color))
        for stack, color in zip(machines.stacks, ("red", "blue"), strict=True)
    ]
    async with asyncio.timeout(CALL_SECONDS):
        while len(await listed(machines.stacks[0], name)) < 4:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await machines.index_exits.aclose()
    await machines.start_index()
    for stack in machines.stacks:
        await stack.wait_until_serving("")
    after = lease(machines.index)
    enough.set()
    added = [each for names in await asyncio.gather(*adding) for each in names]
    async with asyncio.timeout(CALL_SECONDS):
        while not await add(machines.stacks[0], name, "green", picture("green")):  # noqa: ASYNC110 — the caller tries again
            await asyncio.sleep(0.05)
    assert set(await whole(machines.stacks[1], name)) >= {*added, "green"}
    assert after.holder == before.holder
