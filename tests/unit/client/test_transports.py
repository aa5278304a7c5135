"""Both clients against a scripted server: what they send, repeat, and raise."""

from __future__ import annotations

import asyncio
import inspect
import pickle
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, cast
from unittest import mock

import pytest
from google.rpc import code_pb2
from semsearch import (
    AsyncClient,
    Client,
    DownloadFailed,
    InvalidRequest,
    NotFound,
    Overloaded,
    Retries,
    ServerNotReady,
    ServerUnreachable,
    TimedOut,
    Upload,
)
from semsearch.v1 import gallery_service_pb2 as gallery_pb
from semsearch.v1 import model_service_pb2 as model_pb
from semsearch.v1 import search_service_pb2 as search_pb

from tests.unit.client.scripted_server import (
    GIVEN_UP,
    KINDS,
    LOST,
    METHODS,
    SECONDS,
    SILENCE,
    UNAVAILABLE,
    Refusal,
    ScriptedServer,
    ask,
    running,
)

FAST = Retries(attempts=3, first_delay=0.001)
BUSY = Refusal(code_pb2.RESOURCE_EXHAUSTED, retry_after=0.002)
pytestmark = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture
def script() -> ScriptedServer:
    return ScriptedServer()


@pytest.fixture
def address(script: ScriptedServer) -> Iterator[str]:
    with running(script) as served:
        yield served


# A call of each public RPC. UpsertItems and its like are for the gateway alone.
REACHED: dict[str, Callable[[Any], Any]] = {
    "SearchByText": lambda client: client.search_by_text("dog"),
    "SearchByImage": lambda client: client.search_by_image("an-id"),
    "CountMatches": lambda client: client.count_matches("dog"),
    "TagImage": lambda client: client.tag_image(b"bytes"),
    "SimilarWords": lambda client: client.similar_words("dog"),
    "IndexImages": lambda client: client.index_images([b"bytes"]),
    "BatchIndexImages": lambda client: client.index_batch([b"bytes"]),
    "CountImages": lambda client: client.count_images(),
    "GetImage": lambda client: client.get_image("an-id"),
    "ListImages": lambda client: client.list_images(),
    "DeleteImages": lambda client: client.delete_images(["an-id"]),
    "UpdateImage": lambda client: client.update_image("an-id", {"a": 1}),
    "DownloadImage": lambda client: client.download_image("an-id"),
    "FindDuplicates": lambda client: client.find_duplicates(),
    "CreateCollection": lambda client: client.create_collection("zoo"),
    "GetCollection": lambda client: client.get_collection("zoo"),
    "ListCollections": lambda client: client.list_collections(),
    "RenameCollection": lambda client: client.rename_collection("zoo", "park"),
    "DeleteCollection": lambda client: client.delete_collection("zoo"),
    "GetMap": lambda client: client.get_map(),
    "ComputeMap": lambda client: client.compute_map(),
    "CancelMap": lambda client: client.cancel_map(),
    "StreamMap": lambda client: client.map_places(),
    "CreateBackup": lambda client: client.create_backup(),
    "ListBackups": lambda client: client.list_backups(),
    "VerifyBackup": lambda client: client.verify_backup(),
    "PruneBackups": lambda client: client.prune_backups(keep=3),
    "RestoreBackup": lambda client: client.restore_backup(),
    "GetLimits": lambda client: client.get_limits(),
    "ListModels": lambda client: client.list_models(),
    "GetModel": lambda client: client.get_model(),
    "ListRecipes": lambda client: client.list_recipes(),
    "PullModel": lambda client: client.pull_model("a-recipe"),
    "ActivateModel": lambda client: client.activate_model("a-model"),
}


def test_every_public_rpc_can_be_called(kind: str, script: ScriptedServer, address: str) -> None:
    public = {method.name for path, method in METHODS.items() if path.startswith("/semsearch.v1.")}
    assert public == REACHED.keys(), "Give both clients a method for each RPC, and this test a call of it."
    for name, use in REACHED.items():
        ask(kind, address, use)
        assert script.calls[-1] == name


def test_both_clients_have_the_same_methods(kind: str) -> None:
    one, other = ({name for name in dir(cls) if not name.startswith("_")} for cls in (Client, AsyncClient))
    assert one ^ other == {"channel"}


def test_methods_look_written_by_hand(kind: str) -> None:
    cls = {"Client": Client, "AsyncClient": AsyncClient}[kind]
    method = cls.search_by_text
    assert (method.__name__, method.__qualname__[-14:]) == ("search_by_text", "search_by_text")
    assert (method.__doc__ or "").startswith("Find the images nearest to words")
    signature = inspect.signature(method)
    assert [*signature.parameters][:3] == ["self", "query", "collection"]
    assert signature.return_annotation == "ImageMatches"
    assert inspect.iscoroutinefunction(method) == (kind == "AsyncClient")
    prefix = "Async" if kind == "AsyncClient" else ""
    assert inspect.signature(cls.list_images).return_annotation == f"{prefix}Listing[Image]"
    assert inspect.signature(cls.pull_model).return_annotation == f"{prefix}Iterator[PullProgress]"
    double = mock.create_autospec(cls, instance=True)
    with pytest.raises(TypeError, match="query"):
        double.search_by_text(page_size=3)


@pytest.mark.parametrize("refusal", [UNAVAILABLE, BUSY, GIVEN_UP])
def test_what_may_work_later_is_tried_again(kind: str, script: ScriptedServer, address: str, refusal: Refusal) -> None:
    script.will("SearchByText", refusal, refusal, [search_pb.SearchByTextResponse(next_page_token="t")])
    found = ask(kind, address, lambda client: client.search_by_text("dog"), retries=FAST)
    assert (found.next_page_token, len(script.calls)) == ("t", 3)
    assert script.metadata["semsearch-previous-attempts"] == "2"


@pytest.mark.parametrize(
    ("refusal", "error", "sent"),
    [
        (UNAVAILABLE, ServerNotReady, 3),
        (BUSY, Overloaded, 3),
        (GIVEN_UP, ServerNotReady, 3),
        (Refusal(code_pb2.RESOURCE_EXHAUSTED), Overloaded, 1),  # a full disk does not empty itself
        (Refusal(code_pb2.NOT_FOUND), NotFound, 1),
        (Refusal(code_pb2.INVALID_ARGUMENT), InvalidRequest, 1),
        (Refusal(code_pb2.RESOURCE_EXHAUSTED, retry_after=3600), Overloaded, 1),  # later than the deadline
        (LOST, ServerUnreachable, 1),  # it never answered: the address may be wrong
    ],
)
def test_attempts_end(
    kind: str, script: ScriptedServer, address: str, refusal: Refusal, error: type[Exception], sent: int
) -> None:
    script.will("GetModel", *[refusal] * 5)
    with pytest.raises(error):
        ask(kind, address, lambda client: client.get_model(), retries=FAST)
    assert len(script.calls) == sent


def test_a_server_that_has_answered_is_waited_for(kind: str, script: ScriptedServer, address: str) -> None:
    script.will("ListModels", [model_pb.ListModelsResponse(next_page_token="t")], LOST, LOST)
    assert ask(kind, address, lambda client: client.list_models(), retries=FAST) == []
    assert script.calls == ["ListModels"] * 4


@pytest.mark.parametrize(
    "use",
    [
        lambda client: client.create_collection("zoo"),
        lambda client: client.rename_collection("zoo", "park"),
        lambda client: client.delete_collection("zoo"),
    ],
    ids=["create", "rename", "delete"],
)
def test_what_would_do_more_when_sent_twice_is_sent_once(
    kind: str, script: ScriptedServer, address: str, use: Callable[[Any], Any]
) -> None:
    for name in ("CreateCollection", "RenameCollection", "DeleteCollection"):
        script.will(name, UNAVAILABLE)
    with pytest.raises(ServerNotReady):
        ask(kind, address, use, retries=FAST)
    assert len(script.calls) == 1


def test_images_are_deleted_by_a_second_call_if_the_first_fails(
    kind: str, script: ScriptedServer, address: str
) -> None:
    script.will("DeleteImages", UNAVAILABLE, [gallery_pb.DeleteImagesResponse(unknown_ids=["an-id"])])
    deletion = ask(kind, address, lambda client: client.delete_images(["an-id"]), retries=FAST)
    assert deletion.unknown_ids == ("an-id",)  # perhaps the first call deleted it
    assert script.calls == ["DeleteImages"] * 2


def test_a_stream_is_tried_again_until_it_has_begun(kind: str, script: ScriptedServer, address: str) -> None:
    begun = [model_pb.PullModelResponse(bytes_done=1)]
    script.will("PullModel", UNAVAILABLE, Refusal(code_pb2.UNAVAILABLE, after=begun))
    seen = []

    def use(client: Any) -> Any:
        progress = client.pull_model("a-recipe")
        if kind == "Client":
            return (seen.append(each.bytes_done) for each in progress)

        async def watch() -> None:
            async for each in progress:
                seen.append(each.bytes_done)  # noqa: PERF401

        return watch()

    with pytest.raises(ServerNotReady):
        ask(kind, address, use, retries=FAST)
    assert (seen, len(script.calls)) == ([1], 2)


def test_a_download_that_breaks_off_begins_again(kind: str, script: ScriptedServer, address: str) -> None:
    first, second = gallery_pb.DownloadImageResponse(chunk=b"ab"), gallery_pb.DownloadImageResponse(chunk=b"cd")
    script.will("DownloadImage", Refusal(code_pb2.UNAVAILABLE, after=[first]), [first, second])
    assert ask(kind, address, lambda client: client.download_image("an-id"), retries=FAST) == b"abcd"


@pytest.mark.parametrize("chunk", [b"", b"a", b"a" * 1_000])
def test_a_download_of_more_than_it_may_have_is_given_up(
    kind: str, script: ScriptedServer, address: str, chunk: bytes
) -> None:
    endless = Refusal(code_pb2.UNAVAILABLE, after=[gallery_pb.DownloadImageResponse(chunk=chunk)] * 1_000, late=True)
    script.will("DownloadImage", endless, [gallery_pb.DownloadImageResponse(chunk=b"abcd")])

    with pytest.raises(DownloadFailed, match="more than the 4 bytes"):
        ask(kind, address, lambda client: client.download_image("an-id", max_bytes=4))

    assert script.abandoned.wait(SECONDS)
    assert ask(kind, address, lambda client: client.download_image("an-id", max_bytes=4)) == b"abcd"


def test_each_call_has_a_deadline(kind: str, script: ScriptedServer, address: str) -> None:
    ask(kind, address, lambda client: client.get_model(timeout=5))
    ask(kind, address, lambda client: client.get_model(), timeout=50)
    ask(kind, address, lambda client: client.pull_model("a-recipe"))
    ask(kind, address, lambda client: client.get_model())
    assert script.seconds_left == pytest.approx([5, 50, 24 * 3600, 30], rel=0.2)
    script.will("GetModel", SILENCE)
    with pytest.raises(TimedOut):
        ask(kind, address, lambda client: client.get_model(timeout=0.05))


def test_pages_go_on_until_the_last(kind: str, script: ScriptedServer, address: str) -> None:
    def page(token: str) -> list[search_pb.SimilarWordsResponse]:
        return [search_pb.SimilarWordsResponse(words=[search_pb.WordMatch(word=f"w{token}")], next_page_token=token)]

    script.will("SimilarWords", page("1"), UNAVAILABLE, page("2"), page(""))

    def use(client: Any) -> Any:
        if kind == "Client":
            return client.pages(client.similar_words("dog", page_size=1))

        async def pages() -> Any:
            return [page async for page in client.pages(await client.similar_words("dog", page_size=1))]

        return pages()

    found = ask(kind, address, use, retries=Retries(first_delay=0.001))
    assert [[match.word for match in page] for page in found] == [["w1"], ["w2"], ["w"]]
    tokens = [request.page_token for _, request in script.requests]  # type: ignore[attr-defined]
    assert tokens == ["", "1", "1", "2"]
    assert {(request.query, request.page_size) for _, request in script.requests} == {("dog", 1)}  # type: ignore[attr-defined]

    copied = pickle.loads(pickle.dumps(found[0]))
    assert copied == found[0]
    with pytest.raises(InvalidRequest, match="no longer knows its search"):
        ask(kind, address, lambda client: client.pages(copied))


def test_uploads_are_numbered_and_their_faults_come_last(kind: str, script: ScriptedServer, address: str) -> None:
    script.will(
        "IndexImages",
        [
            gallery_pb.IndexImagesResponse(
                results=[gallery_pb.IndexImagesResult(sequence=0, id="x")], durable_sequence=0
            )
        ],
    )
    results = []

    def use(client: Any) -> Any:
        uploads = client.index_images([Upload(b"a", "x", {"n": 1}), "a.jpg", b"c"], collection="zoo")
        if kind == "Client":
            return (results.append(each.id) for each in uploads)

        async def watch() -> None:
            async for each in uploads:
                results.append(each.id)  # noqa: PERF401

        return watch()

    with pytest.raises(InvalidRequest, match=r"Upload 1: .*not a string: write Path\('a\.jpg'\)"):
        ask(kind, address, use)
    assert results == ["x"]
    config, image = (request for _, request in script.requests)
    assert config.config.collection == "zoo"  # type: ignore[attr-defined]
    assert (image.image.content, image.image.id) == (b"a", "x")  # type: ignore[attr-defined]


def stored(*numbers: int) -> gallery_pb.IndexImagesResponse:
    """Return a response that acknowledges uploads."""
    results = [gallery_pb.IndexImagesResult(sequence=number, id=f"image-{number}") for number in numbers]
    return gallery_pb.IndexImagesResponse(results=results, durable_sequence=numbers[-1])


def sequences(script: ScriptedServer) -> list[int | None]:
    """Return the number of each upload that the server read, and None where a stream began."""
    given = cast("list[gallery_pb.IndexImagesRequest]", [request for _, request in script.requests])
    return [each.image.sequence if each.HasField("image") else None for each in given]


@pytest.mark.parametrize("code", [code_pb2.UNAVAILABLE, code_pb2.CANCELLED])
def test_uploads_go_on_with_what_was_not_answered_when_a_server_ends_their_stream(
    kind: str, script: ScriptedServer, address: str, code: int
) -> None:
    end = Refusal(code, after=[stored(0), stored(1, 2)], bare=code == code_pb2.CANCELLED)
    script.will("IndexImages", end, UNAVAILABLE, LOST, Refusal(code_pb2.UNAVAILABLE, after=[stored(3)]), [stored(4, 5)])
    once = iter([b"a", b"b", b"c", b"d", b"e", b"f"])
    results = ask(
        kind, address, lambda client: client.index_images(once, collection="zoo"), retries=replace(FAST, attempts=4)
    )
    assert [(each.number, each.id) for each in results] == [(number, f"image-{number}") for number in range(6)]
    rest = [None, 3, 4, 5]
    assert sequences(script) == [None, 0, 1, 2, 3, 4, 5, *rest, *rest, *rest, None, 4, 5]


@pytest.mark.parametrize(
    ("refusal", "error"),
    [
        (Refusal(code_pb2.NOT_FOUND), NotFound),
        (Refusal(code_pb2.RESOURCE_EXHAUSTED, retry_after=3600), Overloaded),  # later than an upload waits
        (LOST, ServerUnreachable),  # the first call: its address is probably wrong
    ],
)
def test_an_error_that_will_not_pass_ends_uploads_at_once(
    kind: str, script: ScriptedServer, address: str, refusal: Refusal, error: type[Exception]
) -> None:
    script.will("IndexImages", refusal)
    with pytest.raises(error):
        ask(kind, address, lambda client: client.index_images([b"a"]), retries=FAST)
    assert sequences(script) == [None, 0]


@pytest.mark.parametrize(("patience", "timeout"), [(0.3, 3600.0), (60.0, 0.3)])
def test_uploads_end_when_no_stream_gets_further(
    kind: str, script: ScriptedServer, address: str, patience: float, timeout: float
) -> None:
    script.will("IndexImages", *[UNAVAILABLE] * 1_000)
    retries = replace(FAST, longest_delay=0.002, patience=patience)
    with pytest.raises((ServerNotReady, TimedOut)):
        ask(kind, address, lambda client: client.index_images([b"a"], timeout=timeout), retries=retries)
    streams = sequences(script).count(None)
    assert 10 < streams < 1_000


def test_a_cancelled_task_or_iteration_cancels_its_call(kind: str, script: ScriptedServer, address: str) -> None:
    first = model_pb.PullModelResponse(bytes_done=1)
    script.will("PullModel", Refusal(code_pb2.UNAVAILABLE, after=[first], late=True))
    if kind == "Client":
        with Client(address) as client:
            progress = client.pull_model("a-recipe")
            next(progress)
            progress.close()  # type: ignore[attr-defined]
            assert script.abandoned.wait(SECONDS)
        return

    async def cancel() -> None:
        async with AsyncClient(address) as client:
            progress = client.pull_model("a-recipe")
            await anext(progress)
            task = asyncio.ensure_future(anext(progress))
            await asyncio.sleep(0)  # so that it has begun
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.to_thread(script.abandoned.wait, SECONDS)

    asyncio.run(cancel())
