from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest
from prometheus_client import REGISTRY

import gateway.switching.model_switch
from gateway.backends.refusals import ModelNotFound, Refusal, Refused
from gateway.backends.vector_index import Item
from gateway.collections.blobs import Blob
from gateway.collections.orphans import ORPHAN_SECONDS
from gateway.errors import AmbiguousModel, DependencyUnavailable, SwitchUnderWay, UnknownModel
from gateway.ingest.plan import Upload
from gateway.switching.switch_run import SwitchProgress
from tests.unit.gateway.core import Core, until, upload
from tests.unit.gateway.doubles import COLORS, MODEL, OTHER_MODEL, picture, sha256
from tests.unit.gateway.switching.switches import (
    NAMES,
    activate,
    answers_rightly,
    images,
    is_switched,
    settled,
    switching,
    target,
    vectors_are_of,
)

WORDS = (OTHER_MODEL.word_count, OTHER_MODEL.word_count)
THIRD_MODEL = replace(MODEL, id="another@sha256:cccccccccccc")


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway.switching.model_switch, "_RETRY_SECONDS", 0.01)


@pytest.fixture
async def gallery(core: Core) -> Core:
    await core.words.fill(MODEL)
    await core.collections.create("other", "Other")
    await core.add(*(upload(n, picture(name), name, {"n": float(n)}) for n, name in enumerate(NAMES)))
    await core.add(upload(1, picture("red"), "red"), collection="other")
    return core


async def test_a_metric_says_whether_a_switch_is_in_progress(gallery: Core) -> None:
    def running() -> float | None:
        return REGISTRY.get_sample_value("semsearch_gateway_switches_running")

    assert running() == 0
    async with switching(gallery):
        assert 1 in [running() async for _ in gallery.switch.activate(OTHER_MODEL.id)]
        await until(lambda: running() == 0)


async def test_a_switch_changes_only_the_vectors(gallery: Core) -> None:
    before = {name: await gallery.gallery.list_page(name, 100, "", None) for name in ("gallery", "other")}
    described = [replace(each, model_id=OTHER_MODEL.id) for each in await gallery.collections.list_all()]
    async with switching(gallery):
        steps = await activate(gallery)
    is_switched(gallery, "gallery", "other")
    for name, images_before in before.items():
        assert await gallery.gallery.list_page(name, 100, "", None) == images_before, "order and times too"
    assert await gallery.collections.list_all() == described
    await answers_rightly(gallery)
    assert steps[-1] == SwitchProgress(8, 8, 0, replace(OTHER_MODEL, active=True), *WORDS)
    assert [step.model for step in steps[:-1]] == [None] * (len(steps) - 1)
    done = [step.images_done for step in steps]
    assert done == sorted(done)
    assert {step.images_total for step in steps} == {8}


async def test_progress_reports_words_before_images(gallery: Core) -> None:
    original = gallery.index.upsert

    async def slow(name: str, model_id: str, items: Sequence[Item]) -> None:
        await asyncio.sleep(0)  # let watchers see the progress
        await original(name, model_id, items)

    gallery.index.upsert = slow  # type: ignore[method-assign]
    async with switching(gallery):
        watched = await activate(gallery)
    words = [step.words_done for step in watched]
    assert words == sorted(words)
    assert len(set(words)) > 3
    assert watched[-1].words_done == watched[-1].words_total == OTHER_MODEL.word_count
    assert all(step.images_done == 0 for step in watched if step.words_done < step.words_total)


async def test_a_model_that_serves_everywhere_is_active_at_once(gallery: Core) -> None:
    before = gallery.embedder.embedded_images
    assert await activate(gallery, MODEL.id) == [SwitchProgress(8, 8, 0, replace(MODEL, active=True))]
    assert gallery.embedder.embedded_images == before


async def test_a_unique_name_selects_its_model(gallery: Core) -> None:
    async with switching(gallery):
        assert (await activate(gallery, "another"))[-1].model == replace(OTHER_MODEL, active=True)
    gallery.embedder.models[THIRD_MODEL.id] = THIRD_MODEL
    with pytest.raises(AmbiguousModel, match="another@sha256:ba9876543210, another@sha256:cccccccccccc"):
        await activate(gallery, "another")
    with pytest.raises(UnknownModel):
        await activate(gallery, "nothing")
    with pytest.raises(ModelNotFound):
        await activate(gallery, "another@sha256:000000000000")
    assert not target(gallery)


async def test_a_switch_outlives_its_callers_and_refuses_another_model(
    gallery: Core,
) -> None:
    first = gallery.switch.activate(OTHER_MODEL.id)
    assert (await anext(first)).model is None
    second = gallery.switch.activate("another")
    assert (await anext(second)).model is None
    with pytest.raises(SwitchUnderWay, match=OTHER_MODEL.id):
        await activate(gallery, MODEL.id)
    await first.aclose()
    await second.aclose()
    async with switching(gallery):
        await settled(gallery)
    is_switched(gallery, "gallery", "other")


async def test_images_that_cannot_be_embedded_are_skipped(gallery: Core) -> None:
    folder = gallery.blobs._root / sha256(picture("green"))[:2] / sha256(picture("green"))[2:]
    (folder / "original").write_bytes(b"damaged")
    blue = gallery.index.indexes[gallery.index.aliases["images-gallery"]].items["blue"]
    await gallery.blobs.put([Blob(sha256(b"no image"), b"no image", b"")])
    attributes = blue.attributes.replace(sha256(picture("blue")), sha256(b"no image"))
    await gallery.index.upsert("images-gallery", MODEL.id, [replace(blue, attributes=attributes)])
    async with switching(gallery):
        steps = await activate(gallery)
    assert steps[-1] == SwitchProgress(6, 8, 2, replace(OTHER_MODEL, active=True), *WORDS)
    assert list(await images(gallery)) == [name for name in NAMES if name not in ("green", "blue")]
    is_switched(gallery, "gallery", "other")
    [result] = await gallery.add(upload(1, picture("green"), "green"))
    assert result.error is None
    assert result.duplicate_of == "", "a skipped image can be added again"


async def test_an_image_that_breaks_the_embedder_is_skipped(gallery: Core) -> None:
    embed = gallery.embedder.embed_images

    async def fail_over_green(inputs, model_id=""):  # type: ignore[no-untyped-def]
        if any(each.content == picture("green") for each in inputs):
            raise Refused(Refusal("Something went wrong.", 13, "INTERNAL"))
        return await embed(inputs, model_id)

    gallery.embedder.embed_images = fail_over_green  # type: ignore[method-assign]
    async with switching(gallery):
        steps = await activate(gallery)
    assert steps[-1].images_failed == 1
    assert list(await images(gallery)) == [name for name in NAMES if name != "green"]


async def test_a_service_that_does_not_answer_is_waited_for(gallery: Core) -> None:
    failures = iter(range(5))

    def fail() -> None:
        if next(failures, None) is not None:
            raise DependencyUnavailable("embedder")

    gallery.embedder.before_images = fail
    gallery.index.before_upsert = fail
    async with switching(gallery):
        steps = await activate(gallery)
    assert steps[-1].images_done == 8
    is_switched(gallery, "gallery", "other")


async def test_a_model_that_cannot_serve_ends_the_switch(gallery: Core) -> None:
    def refuse() -> None:
        raise Refused(Refusal("The bundle is damaged.", 9, "BUNDLE_DAMAGED"))

    aliases = {name: index for name, index in gallery.index.aliases.items() if name.startswith("images")}
    gallery.embedder.before_images = refuse
    async with switching(gallery):
        with pytest.raises(Refused, match=r"The bundle is damaged\."):
            await activate(gallery)
        gallery.embedder.before_images = lambda: None
        assert set(gallery.index.indexes) == {*aliases.values(), "words-0123456789ab"}
        assert not target(gallery)
        await answers_rightly(gallery)
        await until(lambda: gallery.switch._run is None)
        assert (await activate(gallery))[-1].model is not None
    is_switched(gallery, "gallery", "other")


async def test_an_open_stream_continues_with_the_new_model(gallery: Core) -> None:
    feed: asyncio.Queue[Upload | None] = asyncio.Queue()

    async def uploads() -> AsyncIterator[Upload]:
        while (each := await feed.get()) is not None:
            yield each

    acknowledged: list[str] = []

    async def read() -> None:
        async for answer in gallery.ingest.run("gallery", uploads()):
            assert all(result.error is None for result in answer.results)
            acknowledged.extend(result.id for result in answer.results)

    stream = asyncio.create_task(read())
    number = 0
    async with switching(gallery):
        switch = asyncio.create_task(activate(gallery))
        while not switch.done() or number < 40:
            feed.put_nowait(upload(number, picture("green", seed=number + 1), f"{number}"))
            number += 1
            await until(lambda: acknowledged[-1:] == [f"{number - 1}"])  # noqa: B023
        await switch
    feed.put_nowait(None)
    await stream
    assert acknowledged == [str(each) for each in range(number)]
    assert list(await images(gallery)) == [*NAMES, *acknowledged]
    index = gallery.index.indexes[gallery.index.aliases["images-gallery"]]
    assert index.definition.model_id == OTHER_MODEL.id
    for each in acknowledged:
        assert index.items[each].vector == pytest.approx(
            gallery.embedder.vector(COLORS["green"], OTHER_MODEL.id), abs=0.05
        )


async def test_a_collection_created_during_a_switch_is_switched_too(gallery: Core) -> None:
    embed = gallery.embedder.activate_model

    async def create_first(model_id: str):  # type: ignore[no-untyped-def]
        await gallery.collections.create("late", "")
        await gallery.add(upload(1, picture("blue"), "blue"), collection="late")
        return await embed(model_id)

    gallery.embedder.activate_model = create_first  # type: ignore[method-assign]
    async with switching(gallery):
        assert (await activate(gallery))[-1].images_total == 9
    is_switched(gallery, "gallery", "late", "other")


@pytest.mark.parametrize("collection", ["gallery", "other"])
async def test_a_collection_deleted_during_its_switch_stays_deleted(gallery: Core, collection: str) -> None:
    deleting: list[asyncio.Task[int]] = []

    def delete_once() -> None:
        if not deleting:
            deleting.append(asyncio.create_task(gallery.collections.delete(collection)))

    gallery.embedder.before_images = delete_once
    async with switching(gallery):
        await activate(gallery)
        await deleting[0]
        await activate(gallery)
    kept = {"gallery", "other"} if collection == "gallery" else {"gallery"}
    assert {each.id for each in await gallery.collections.list_all()} == kept
    if collection == "gallery":
        assert await images(gallery) == {}


async def test_activating_at_the_embedder_switches_no_collection(
    gallery: Core,
) -> None:
    gallery.embedder.model = OTHER_MODEL
    await gallery.words.fill(OTHER_MODEL)
    await answers_rightly(gallery)
    await gallery.add(upload(1, picture("crimson"), "more"))
    assert vectors_are_of(gallery, "gallery", MODEL.id)
    async with switching(gallery):
        await activate(gallery)
    is_switched(gallery, "gallery", "other")


async def test_a_list_continues_across_a_switch(gallery: Core) -> None:
    await gallery.gallery.delete("gallery", ["red"])  # so that places in the old index and in the new one differ
    page, token = await gallery.gallery.list_page("gallery", 2, "", None)
    async with switching(gallery):
        await activate(gallery)
    rest, end = await gallery.gallery.list_page("gallery", 100, token, None)
    assert [image.id for image in (*page, *rest)] == NAMES[1:]
    assert end == ""


async def test_what_a_switch_fills_is_not_swept(gallery: Core) -> None:
    def sweep_all() -> None:
        now = len(sweeps) * 2 * ORPHAN_SECONDS
        sweeps.append(asyncio.create_task(gallery.orphans.sweep(now)))

    sweeps: list[asyncio.Task[None]] = []
    gallery.embedder.before_images = sweep_all
    async with switching(gallery):
        await activate(gallery)
    await asyncio.gather(*sweeps)
    is_switched(gallery, "gallery", "other")
    assert list(await images(gallery)) == NAMES
