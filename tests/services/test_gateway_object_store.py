"""A gateway that keeps its images in S3 or Google Cloud Storage: a real server behind a proxy that breaks answers."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import grpc.aio
import pytest
import pytest_asyncio
from grpc_health.v1 import health_pb2
from semsearch.v1 import gallery_service_pb2 as gallery
from semsearch.v1 import image_pb2

from serving.object_store import ObjectStore
from tests.breaking_proxy import BreakingProxy
from tests.object_server import BUCKET, ObjectServer
from tests.services.gateway_stack import (
    CALL_SECONDS,
    START_SECONDS,
    ColorEmbedderServicer,
    Service,
    Stack,
    color_embedder,
    image,
    reason,
    service,
    wait_for_health,
)
from tests.unit.gateway.doubles import picture, sha256

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVING = health_pb2.HealthCheckResponse.SERVING
STORE = "semsearch.v1.GalleryService/image-store"
ORIGINAL, THUMBNAIL = gallery.RENDITION_ORIGINAL, gallery.RENDITION_THUMBNAIL


@dataclass
class Suite:
    """A suite whose images lie in an object store. The gateway reaches it through `proxy`, the tests by `objects`."""

    proxy: BreakingProxy
    objects: ObjectStore
    embedder: ColorEmbedderServicer
    flags: tuple[str, ...]
    exits: AsyncExitStack = field(default_factory=AsyncExitStack)
    gateways: list[Service] = field(default_factory=list)
    stacks: list[Stack] = field(default_factory=list)
    collections: Iterator[str] = field(default_factory=lambda: map("c{}".format, itertools.count()))

    @property
    def stack(self) -> Stack:
        """The client of the gateway that was started last."""
        return self.stacks[-1]

    async def start(self) -> None:
        """Start a gateway, and end the last one."""
        await self.exits.aclose()
        running = await self.exits.enter_async_context(service("gateway", *self.flags))
        channel = await self.exits.enter_async_context(grpc.aio.insecure_channel(running.address))
        self.gateways.append(running)
        self.stacks.append(Stack(channel, self.embedder, Path(), running.http_address))
        await self.stack.wait_until_serving("")

    async def new_collection(self) -> str:
        """Create an empty collection and return its id."""
        name = next(self.collections)
        await self.stack.gallery.CreateCollection(gallery.CreateCollectionRequest(collection_id=name))
        return name


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["s3", "gcs"])
async def suite(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Suite]:
    data = tmp_path_factory.mktemp("data")
    server: ObjectServer = request.getfixturevalue(request.param)
    with pytest.MonkeyPatch.context() as patch, BreakingProxy(server) as proxy:
        for name, value in server.environment().items():
            patch.setenv(name, value)
        objects = ObjectStore(server.place("suite"))
        objects.check()  # connects to the server itself
        patch.setenv(server.endpoint, proxy.url)
        async with AsyncExitStack() as exits:
            embedder, embedder_port = await exits.enter_async_context(color_embedder())
            index = await exits.enter_async_context(service("index_service", "--port=0", f"--data={data}"))
            flags = (
                "--port=0",
                f"--data={data}",
                f"--embedder=127.0.0.1:{embedder_port}",
                f"--index={index.address}",
                f"--images={server.place('suite')}",
                "--drain-seconds=0.5",
            )
            running = Suite(proxy, objects, embedder, flags)
            await running.start()
            yield running
            await running.exits.aclose()


async def download(stack: Stack, collection: str, image_id: str, rendition: gallery.Rendition.ValueType) -> bytes:
    request = gallery.DownloadImageRequest(collection=collection, id=image_id, rendition=rendition)
    return b"".join([chunk.chunk async for chunk in stack.gallery.DownloadImage(request, timeout=CALL_SECONDS)])


async def assert_whole(stack: Stack, collection: str) -> dict[str, image_pb2.Image]:
    """Check that each image of a collection has its files, and return the images by id."""
    request = gallery.ListImagesRequest(collection=collection, page_size=1_000)
    images = list((await stack.gallery.ListImages(request)).images)
    for each in images:
        assert sha256(await download(stack, collection, each.id, ORIGINAL)) == each.sha256
        assert await download(stack, collection, each.id, THUMBNAIL)
    return {each.id: each for each in images}


async def test_images_are_added_shown_and_deleted(suite: Suite) -> None:
    name = await suite.new_collection()
    content = picture("red", seed=1)

    results = await suite.stack.index(name, [image(1, content, "red"), image(2, picture("blue", seed=1), "blue")])

    assert not any(each.HasField("status") for each in results)
    assert sorted(await assert_whole(suite.stack, name)) == ["blue", "red"]
    url = f"http://{suite.stack.http}/images/{name}/red/original"
    part = urllib.request.Request(url, headers={"Range": "bytes=2-9"})
    with await asyncio.to_thread(urllib.request.urlopen, part) as answer:
        assert (answer.status, answer.read()) == (206, content[2:10])
    await suite.stack.gallery.DeleteImages(gallery.DeleteImagesRequest(collection=name, ids=["red"]))
    assert list(await assert_whole(suite.stack, name)) == ["blue"]


@pytest.mark.parametrize("kind", ["error", "slow down", "reset", "half"])
async def test_broken_answers_lose_no_image(suite: Suite, kind: str) -> None:
    name = await suite.new_collection()
    suite.proxy.breaks.extend(["", "", kind, "", kind])

    results = await suite.stack.index(name, [image(n, picture("red", seed=n), f"{n}") for n in range(8)])

    acknowledged = {each.id for each in results if not each.HasField("status")}
    assert acknowledged == set(await assert_whole(suite.stack, name)) == {f"{n}" for n in range(8)}
    assert not suite.proxy.breaks


async def test_a_store_that_is_away_stops_only_what_needs_it(suite: Suite) -> None:
    name = await suite.new_collection()
    await suite.stack.index(name, [image(1, picture("red", seed=1), "red")])
    await download(suite.stack, name, "red", THUMBNAIL)
    suite.proxy.always = "reset"
    try:
        for call in (
            suite.stack.index(name, [image(1, picture("blue", seed=1), "blue")]),
            download(suite.stack, name, "red", ORIGINAL),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await call
            assert raised.value.code() == grpc.StatusCode.UNAVAILABLE
            assert reason(raised.value) == "DEPENDENCY_UNAVAILABLE"
        await wait_for_health(suite.stack.channel, STORE, NOT_SERVING)
        assert (await suite.stack.health.Check(health_pb2.HealthCheckRequest())).status == SERVING
        listed = await suite.stack.gallery.ListImages(gallery.ListImagesRequest(collection=name))
        assert [each.id for each in listed.images] == ["red"]
        assert await download(suite.stack, name, "red", THUMBNAIL)
    finally:
        suite.proxy.always = ""
    await wait_for_health(suite.stack.channel, STORE, SERVING)
    assert list(await assert_whole(suite.stack, name)) == ["red"]


async def test_a_store_that_hangs_holds_no_call_beyond_its_deadline(suite: Suite) -> None:
    name = await suite.new_collection()
    await suite.stack.index(name, [image(1, picture("red", seed=1), "red")])
    suite.proxy.breaks.append("hang")
    request = gallery.DownloadImageRequest(collection=name, id="red", rendition=ORIGINAL)
    begin = time.monotonic()

    with pytest.raises(grpc.aio.AioRpcError) as raised:
        async for _ in suite.stack.gallery.DownloadImage(request, timeout=1):
            pass

    assert raised.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert time.monotonic() - begin < CALL_SECONDS
    assert list(await assert_whole(suite.stack, name)) == ["red"]


# The contract of image stores (tests/unit/gateway/collections) tries the same in Google Cloud Storage, and is faster.
@pytest.mark.parametrize("suite", ["s3"], indirect=True)
async def test_the_sweeper_removes_only_what_no_item_names(suite: Suite) -> None:
    """The gateway starts when all objects look old, and sweeps at once."""
    name = await suite.new_collection()
    gone, kept = picture("red", seed=70_001), picture("red", seed=70_002)
    await suite.stack.index(name, [image(1, gone, "gone"), image(2, kept, "kept"), image(3, kept, "again")])
    other = await suite.new_collection()
    await suite.stack.index(other, [image(1, kept, "kept")])
    ids = ["gone", "kept", "again"]
    await suite.stack.gallery.DeleteImages(gallery.DeleteImagesRequest(collection=name, ids=ids))
    assert held(suite.objects, gone)
    suite.proxy.is_late = True
    try:
        await suite.start()
        async with asyncio.timeout(START_SECONDS):
            while held(suite.objects, gone) or any(True for _ in suite.objects.list("released/")):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        assert list(await assert_whole(suite.stack, other)) == ["kept"]
    finally:
        suite.proxy.is_late = False


def held(objects: ObjectStore, content: bytes) -> list[str]:
    """Return the keys of an image."""
    sha = sha256(content)
    return [each.key for each in objects.list(f"{sha[:2]}/{sha[2:]}/")]


async def test_a_gateway_that_is_killed_in_an_upload_loses_nothing_that_it_acknowledged(suite: Suite) -> None:
    name = await suite.new_collection()
    contents = {f"{n}": picture("green", seed=80_000 + n) for n in range(40)}
    acknowledged: set[str] = set()
    gateway = suite.gateways[-1]

    async def requests() -> AsyncIterator[gallery.IndexImagesRequest]:
        yield gallery.IndexImagesRequest(config=gallery.IndexImagesConfig(collection=name))
        for number, (image_id, content) in enumerate(contents.items()):
            yield gallery.IndexImagesRequest(image=image(number, content, image_id))
            while number > len(acknowledged) + 8:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def upload() -> None:
        async for answer in suite.stack.gallery.IndexImages(requests(), timeout=START_SECONDS):
            acknowledged.update(each.id for each in answer.results if not each.HasField("status"))
            if len(acknowledged) >= len(contents) // 4:
                gateway.process.send_signal(signal.SIGKILL)

    with pytest.raises(grpc.aio.AioRpcError):
        await upload()
    await gateway.process.wait()
    assert acknowledged
    await suite.start()

    assert acknowledged <= set(await assert_whole(suite.stack, name)) <= set(contents)
    await suite.stack.index(name, [image(n, content, each) for n, (each, content) in enumerate(contents.items())])
    assert set(await assert_whole(suite.stack, name)) == set(contents)


@pytest.mark.parametrize(
    ("place", "broken", "message"),
    [
        ("none/images", "", "://none/images does not exist. Create the bucket, or correct the setting."),
        (BUCKET, "denied", f"://{BUCKET} refuses to be written and read: Access Denied. Check the"),
    ],
)
async def test_a_wrong_setting_stops_the_start(suite: Suite, place: str, broken: str, message: str) -> None:
    flags = [flag for flag in suite.flags if not flag.startswith("--images=")]
    suite.proxy.always = broken
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway", "--metrics-port=-1", "--http-port=0", *flags,
            f"--images={suite.proxy.server.scheme}://{place}",
            stderr=asyncio.subprocess.PIPE, env={**os.environ},
        )  # fmt: skip
        async with asyncio.timeout(START_SECONDS):
            _, log = await process.communicate()
    finally:
        suite.proxy.always = ""
    assert process.returncode == 1
    assert message in log.decode()
    assert "Traceback" not in log.decode()
