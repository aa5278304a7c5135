"""Two gateway processes on one data folder and one port: they answer as one would, also when one is killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
import urllib.request
from collections.abc import AsyncIterator

import grpc
import grpc.aio
import pytest
import pytest_asyncio
from google.protobuf import field_mask_pb2
from semsearch.v1 import gallery_service_pb2 as gallery
from semsearch.v1 import image_pb2, model_service_pb2
from semsearch.v1 import search_service_pb2 as search

from gateway.collections.sweeper import GRACE_SECONDS
from serving.received_errors import is_end_of_server
from tests.services.gateway_stack import CALL_SECONDS, Stack, image, reason, struct
from tests.services.shared_state import switch_target
from tests.services.two_processes import Processes, two_processes
from tests.unit.gateway.doubles import COLORS, MODEL, OTHER_MODEL, picture, sha256

pytestmark = pytest.mark.asyncio(loop_scope="module")

IMAGES = 8
RED, BLUE = picture("red"), picture("blue")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def both(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Processes]:
    """One pair of processes for the module, because starting them takes seconds; each test has its own collections."""
    async with two_processes(tmp_path_factory.mktemp("data")) as processes:
        yield processes


async def listed(stack: Stack, collection: str) -> list[image_pb2.Image]:
    request = gallery.ListImagesRequest(collection=collection, page_size=1_000)
    return list((await stack.gallery.ListImages(request)).images)


async def download(stack: Stack, collection: str, image_id: str, rendition: gallery.Rendition.ValueType) -> bytes:
    request = gallery.DownloadImageRequest(collection=collection, id=image_id, rendition=rendition)
    return b"".join([chunk.chunk async for chunk in stack.gallery.DownloadImage(request, timeout=CALL_SECONDS)])


async def assert_whole(stack: Stack, collection: str) -> dict[str, image_pb2.Image]:
    """Check that each image has its files and is found, and return them by id."""
    images = await listed(stack, collection)
    assert len({each.sha256 for each in images}) == len({each.id for each in images}) == len(images)
    for each in images:
        assert sha256(await download(stack, collection, each.id, gallery.RENDITION_ORIGINAL)) == each.sha256
        assert await download(stack, collection, each.id, gallery.RENDITION_THUMBNAIL)
    return {each.id: each for each in images}


async def activate(stack: Stack, model_id: str) -> str:
    """Activate a model, and return the id of the model that the last answer names."""
    request = model_service_pb2.ActivateModelRequest(id=model_id)
    return [answer.model.id async for answer in stack.models.ActivateModel(request, timeout=60)][-1]


async def test_uploads_through_both_lose_nothing_and_add_nothing_twice(both: Processes) -> None:
    name = await both.new_collection()
    shared = [picture("green", seed=n) for n in range(IMAGES)]

    def uploads(own: str) -> list[gallery.ImageUpload]:
        different = [image(n, picture(own, seed=n), f"{own}-{n}") for n in range(IMAGES)]
        same_bytes = [image(100 + n, content) for n, content in enumerate(shared)]
        same_id = [image(200 + n, picture(own, seed=100 + n), f"both-{n}", {"from": own}) for n in range(IMAGES)]
        return [*different, *same_bytes, *same_id]

    results = await asyncio.gather(
        *(stack.index(name, uploads(own)) for stack, own in zip(both.stacks, ("red", "blue"), strict=True))
    )
    assert not any(result.HasField("status") for each in results for result in each)
    images = await assert_whole(both.stacks[0], name)
    assert images == await assert_whole(both.stacks[1], name)
    assert set(images) == {
        *(f"{own}-{n}" for own in ("red", "blue", "both") for n in range(IMAGES)),
        *map(sha256, shared),
    }
    for n in range(IMAGES):
        of_both = images[f"both-{n}"]
        assert of_both.sha256 == sha256(picture(str(of_both.attributes["from"]), seed=100 + n))


async def test_changes_to_one_image_through_both_are_all_kept(both: Processes) -> None:
    name = await both.new_collection()
    await both.stacks[0].index(name, [image(1, RED, "red")])

    async def change(stack: Stack, attribute: str) -> None:
        changed = image_pb2.Image(id="red", collection=name, attributes=struct({attribute: attribute}))
        mask = field_mask_pb2.FieldMask(paths=[f"attributes.{attribute}"])
        await stack.gallery.UpdateImage(gallery.UpdateImageRequest(image=changed, update_mask=mask))

    names = [f"a{n}" for n in range(8)]  # as many as may always wait
    await asyncio.gather(*(change(both.stacks[n % 2], each) for n, each in enumerate(names)))
    for stack in both.stacks:
        [shown] = await listed(stack, name)
        assert dict(shown.attributes) == {each: each for each in names}


async def test_what_one_changes_the_other_shows_at_once(both: Processes) -> None:
    first, second = both.stacks
    name = await both.new_collection()
    await second.index(name, [image(1, RED, "red"), image(2, BLUE, "blue")])
    await first.gallery.DeleteImages(gallery.DeleteImagesRequest(collection=name, ids=["blue"]))
    for stack in both.stacks:
        assert [each.id for each in await listed(stack, name)] == ["red"]
    await second.gallery.RenameCollection(
        gallery.RenameCollectionRequest(collection_id=name, new_collection_id=f"{name}-new")
    )
    for stack in both.stacks:
        with pytest.raises(grpc.RpcError) as caught:
            await listed(stack, name)
        assert reason(caught.value) == "COLLECTION_NOT_FOUND"
        assert [each.id for each in await listed(stack, f"{name}-new")] == ["red"]


async def test_both_refuse_a_change_with_the_same_details(both: Processes) -> None:
    name = await both.new_collection()
    statuses: list[list[tuple[object, ...]]] = []
    for stack in both.stacks:
        calls = [
            stack.gallery.CreateCollection(gallery.CreateCollectionRequest(collection_id=name)),
            stack.gallery.UpdateImage(gallery.UpdateImageRequest(image=image_pb2.Image(id="none", collection=name))),
            stack.gallery.DeleteCollection(gallery.DeleteCollectionRequest(collection_id="No!")),
            stack.index("nowhere", [image(1, RED)]),
            stack.index(name, [image(2, RED), image(1, BLUE)]),
            activate(stack, "unknown"),
        ]
        statuses.append([])
        for call in calls:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call
            details = dict(caught.value.trailing_metadata() or ())["grpc-status-details-bin"]
            statuses[-1].append((caught.value.code(), caught.value.details(), details))
    assert statuses[0] == statuses[1]


async def test_a_stream_with_a_bad_message_ends_alike_through_both(both: Processes) -> None:
    name = await both.new_collection()
    config = gallery.IndexImagesRequest(config=gallery.IndexImagesConfig(collection=name)).SerializeToString()
    for number, stack in enumerate(both.stacks):
        good = gallery.IndexImagesRequest(image=image(1, picture("red", seed=number))).SerializeToString()
        method = stack.channel.stream_stream(
            "/semsearch.v1.GalleryService/IndexImages",
            request_serializer=bytes,
            response_deserializer=gallery.IndexImagesResponse.FromString,
        )
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            async for _ in method(iter([config, good, b"\xff\xff\xff"]), timeout=CALL_SECONDS):
                pass
        assert (caught.value.code(), reason(caught.value)) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")


async def test_pages_of_one_continue_in_the_other(both: Processes) -> None:
    name = await both.new_collection()
    await both.stacks[0].index(name, [image(n, picture("red", seed=n), f"{n}") for n in range(6)])
    found, shown = [], []
    search_request = search.SearchByTextRequest(query="red", collection=name, min_relevance=0, page_size=2)
    list_request = gallery.ListImagesRequest(collection=name, page_size=2)
    for stack in (both.stacks[0], both.stacks[1], both.stacks[0]):
        matches = await stack.search.SearchByText(search_request)
        found += [match.image.id for match in matches.matches]
        page = await stack.gallery.ListImages(list_request)
        shown += [each.id for each in page.images]
        search_request.page_token, list_request.page_token = matches.next_page_token, page.next_page_token
    assert sorted(found) == shown == [f"{n}" for n in range(6)]


async def test_connections_to_the_shared_port_reach_both(both: Processes) -> None:
    for _ in range(32):
        async with grpc.aio.insecure_channel(both.shared, [("grpc.use_local_subchannel_pool", 1)]) as channel:
            await Stack(channel, both.embedder, both.data).models.ListRecipes(model_service_pb2.ListRecipesRequest())
    for port in both.metrics_ports:
        text = await asyncio.to_thread(
            lambda port=port: urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()
        )
        assert 'grpc_server_handled_total{grpc_code="OK",grpc_method="ListRecipes"' in text


async def test_changes_over_http_are_passed_on_too(both: Processes) -> None:
    def create(name: str) -> str:
        request = urllib.request.Request(
            f"http://{both.running[0].http_address}/semsearch.v1.GalleryService/CreateCollection",
            json.dumps({"collectionId": name}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as response:  # each with a connection of its own
            return str(json.load(response)["collection"]["id"])

    names = [f"http-{n}" for n in range(8)]
    assert [await asyncio.to_thread(create, name) for name in names] == names


async def test_both_answer_and_report_during_a_switch_and_mix_no_models(both: Processes) -> None:
    name = await both.new_collection()
    colors = [color for color in COLORS if "/" not in color]
    await both.stacks[0].index(name, [image(n, picture(color), color) for n, color in enumerate(colors)])
    both.embedder.words_may_flow.clear()
    switches = [asyncio.create_task(activate(stack, OTHER_MODEL.id)) for stack in both.stacks]
    try:
        async with asyncio.timeout(CALL_SECONDS):
            while not switch_target(both.index):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        for stack in both.stacks:
            with pytest.raises(grpc.RpcError) as caught:
                await activate(stack, MODEL.id)
            assert reason(caught.value) == "MODEL_SWITCH_UNDER_WAY"
    finally:
        both.embedder.words_may_flow.set()
    searches = 0
    while not all(switch.done() for switch in switches):
        for stack in both.stacks:
            by_text = await stack.search.SearchByText(search.SearchByTextRequest(query="red", collection=name))
            assert (by_text.matches[0].image.id, round(by_text.matches[0].similarity, 4)) == ("red", 1)
            by_image = search.SearchByImageRequest(image_id="red", collection=name, min_relevance=0)
            nearest = (await stack.search.SearchByImage(by_image)).matches[0]
            assert (nearest.image.id, nearest.similarity > 0.5) == ("crimson", True)
            tag = search.TagImageRequest(image_id="blue", collection=name, min_relevance=0)
            assert (await stack.search.TagImage(tag)).tags[0].word == "blue"
        searches += 1
    assert await asyncio.gather(*switches) == [OTHER_MODEL.id, OTHER_MODEL.id]
    assert searches
    for stack in both.stacks:
        collection = await stack.gallery.GetCollection(gallery.GetCollectionRequest(collection_id=name))
        assert collection.collection.model_id == OTHER_MODEL.id
        words = await stack.search.SimilarWords(search.SimilarWordsRequest(query="red"))
        assert words.words[0].word == "crimson"


async def test_a_search_through_any_process_gets_missing_words_filled(both: Processes) -> None:
    """As when a model was activated on the embedder by hand: no process knows of it until a search needs its words."""
    embedder = both.embedder.embedder
    serving = (await embedder.get_model())[0].id
    other = MODEL.id if serving == OTHER_MODEL.id else OTHER_MODEL.id
    await embedder.activate_model(other)
    await both.new_collection()  # it has that model
    request = search.SimilarWordsRequest(query="red")
    async with asyncio.timeout(CALL_SECONDS):
        while True:
            try:
                found = await both.follower.search.SimilarWords(request)
            except grpc.RpcError as error:
                if reason(error) != "DEPENDENCY_UNAVAILABLE":
                    raise
                await asyncio.sleep(0.05)
            else:
                break
    assert found.words[0].word == "crimson"


async def add_until(stop: asyncio.Event, stack: Stack, collection: str) -> list[str]:
    """Add one image after the other, not many, and return the ids of those that were acknowledged."""
    added: list[str] = []
    for number in range(5 * IMAGES):
        if stop.is_set():
            break
        try:
            [result] = await stack.index(collection, [image(1, picture("blue", seed=number), f"blue-{number}")])
        except grpc.aio.AioRpcError as error:
            # Then the caller may try again.
            if reason(error) != "DEPENDENCY_UNAVAILABLE" and not is_end_of_server(error):
                raise
        else:
            added.append(result.id)
    return added


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
async def test_an_owners_switch_is_finished_by_the_next_and_seen_to_its_end(
    both: Processes, end: signal.Signals
) -> None:
    """The next owner also sweeps at once, and spares what is in use."""
    first, follower = both.owner, both.follower
    name = await both.new_collection()
    await follower.index(name, [image(n, picture("red", seed=n), f"red-{n}") for n in range(IMAGES)])
    in_use = [both.data / "images" / "released" / each.sha256 for each in await listed(follower, name)]
    long_ago = time.time() - 2 * GRACE_SECONDS
    in_use[0].parent.mkdir(exist_ok=True)
    for mark in in_use:
        mark.touch()
        os.utime(mark, (long_ago, long_ago))
    serving = (await both.embedder.embedder.get_model())[0].id
    target = MODEL.id if serving == OTHER_MODEL.id else OTHER_MODEL.id

    both.embedder.words_may_flow.clear()
    enough = asyncio.Event()
    adding = asyncio.create_task(add_until(enough, follower, name))
    switch = asyncio.create_task(activate(follower, target))
    async with asyncio.timeout(CALL_SECONDS):
        while not switch_target(both.index):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await both.end(first, end)
    async with asyncio.timeout(CALL_SECONDS):
        while both.owner == first:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await follower.index(name, [image(1, picture("green"), "green")])
    both.embedder.words_may_flow.set()
    assert await switch == target
    enough.set()
    added = await adding

    await both.start(first)
    assert both.follower is both.stacks[first]
    await both.follower.index(name, [image(1, picture("yellow"), "yellow")])
    async with asyncio.timeout(CALL_SECONDS):
        while any(mark.exists() for mark in in_use):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    for stack in both.stacks:
        images = await assert_whole(stack, name)
        assert {*(f"red-{n}" for n in range(IMAGES)), *added, "green", "yellow"} <= set(images)
        collection = await stack.gallery.GetCollection(gallery.GetCollectionRequest(collection_id=name))
        assert collection.collection.model_id == target
