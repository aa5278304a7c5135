from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

import gateway.model_switch
from gateway.embedding import TextQuery
from gateway.errors import (
    AmbiguousModel,
    DependencyUnavailable,
    ModelNotFound,
    Refusal,
    Refused,
    SwitchUnderWay,
    UnknownModel,
)
from gateway.gallery import AttributesChange
from gateway.image_collections import ORPHAN_AGE
from gateway.ingest_plan import Upload
from gateway.search import ImageSource, Page, Scope
from gateway.switch_run import SwitchProgress
from tests.unit.gateway.core import Core, open_core, until, upload
from tests.unit.gateway.doubles import COLORS, MODEL, OTHER_MODEL, ColorEmbedder, MemoryIndex, picture, sha256
from tests.unit.gateway.faulty import Crash, CrashPoint

NAMES = ["red", "green", "blue", "yellow", "purple", "orange", "crimson"]
THIRD_MODEL = replace(MODEL, id="another@sha256:cccccccccccc")
Images = Mapping[str, tuple[str, object]]


@asynccontextmanager
async def switching(core: Core) -> AsyncIterator[None]:
    task = asyncio.create_task(core.switch.keep_switching())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway.model_switch, "_RETRY_SECONDS", 0.01)


@pytest.fixture
async def gallery(core: Core) -> Core:
    await core.words.fill(MODEL)
    await core.collections.create("other", "Other")
    await core.add(*(upload(n, picture(name), name, {"n": float(n)}) for n, name in enumerate(NAMES)))
    await core.add(upload(1, picture("red"), "red"), collection="other")
    return core


async def activate(core: Core, name: str = OTHER_MODEL.id) -> list[SwitchProgress]:
    async with asyncio.timeout(10):
        return [progress async for progress in core.switch.activate(name)]


async def settled(core: Core) -> None:
    """Waits until no switch is under way."""
    await until(lambda: not core.switch._state.read())


async def images(core: Core, collection: str = "gallery") -> dict[str, tuple[str, object]]:
    """What a collection has, in its order, by what callers see."""
    found, _ = await core.gallery.list_page(collection, 1000, "", None)
    return {image.id: (image.sha256, image.attributes.get("n")) for image in found}


def vectors_are_of(core: Core, collection: str, model_id: str) -> bool:
    index = core.index.indexes[core.index.aliases[f"images-{collection}"]]
    expected = {sha256(picture(name)): core.embedder.vector(COLORS[name], model_id) for name in NAMES}
    return index.definition.model_id == model_id and all(
        item.vector == pytest.approx(expected[item.attributes["image"]["sha256"]], abs=0.05)  # type: ignore[index, call-overload]
        for item in index.items.values()
    )


def is_switched(core: Core, *collections: str) -> None:
    """Everything is of the new model, and nothing else is left."""
    assert core.embedder.model.id == OTHER_MODEL.id
    aliases = {f"images-{each}" for each in collections}
    assert set(core.index.aliases) == {*aliases, "words", "words.ba9876543210"}
    assert set(core.index.indexes) == {*(core.index.aliases[each] for each in aliases), "words-ba9876543210"}
    assert core.index.aliases["words"] == core.index.aliases["words.ba9876543210"] == "words-ba9876543210"
    for each in collections:
        assert vectors_are_of(core, each, OTHER_MODEL.id)
    assert not core.switch._state.read()


async def answers_rightly(core: Core) -> None:
    """Searches and tags find what they should, whichever models the collections are of."""
    found = await core.search.by_text(TextQuery("red"), "query", Scope("gallery"), Page(0, 20))
    assert found.matches[0].image.id == "red"
    found = await core.search.by_image(ImageSource(image_id="yellow"), (), Scope("gallery"), Page(0, 20))
    assert found.matches[0].image.id == "orange"
    for source in (ImageSource(image_id="red"), ImageSource(content=picture("red"))):
        tags = await core.tagging.tag(source, "gallery", 1, None)
        assert [tag.word for tag in tags.tags] == ["red"]
    similar = await core.search.similar_words(TextQuery("red"), "query", Page(0, 1))
    assert [word.word for word in similar.words] == ["crimson"]


async def test_every_collection_gets_the_models_vectors_and_keeps_everything_else(gallery: Core) -> None:
    before = {name: await gallery.gallery.list_page(name, 100, "", None) for name in ("gallery", "other")}
    described = [replace(each, model_id=OTHER_MODEL.id) for each in await gallery.collections.list_all()]
    async with switching(gallery):
        steps = await activate(gallery)
    is_switched(gallery, "gallery", "other")
    for name, images_before in before.items():
        assert await gallery.gallery.list_page(name, 100, "", None) == images_before, "order and times too"
    assert await gallery.collections.list_all() == described
    await answers_rightly(gallery)
    assert steps[-1] == SwitchProgress(8, 8, 0, replace(OTHER_MODEL, active=True))
    assert [step.model for step in steps[:-1]] == [None] * (len(steps) - 1)
    done = [step.images_done for step in steps]
    assert done == sorted(done)
    assert {step.images_total for step in steps} == {8}


async def test_a_model_that_serves_everywhere_is_active_at_once(gallery: Core) -> None:
    before = gallery.embedder.embedded_images
    assert await activate(gallery, MODEL.id) == [SwitchProgress(8, 8, 0, replace(MODEL, active=True))]
    assert gallery.embedder.embedded_images == before


async def test_a_name_stands_for_the_one_model_that_has_it(gallery: Core) -> None:
    async with switching(gallery):
        assert (await activate(gallery, "another"))[-1].model == replace(OTHER_MODEL, active=True)
    gallery.embedder.models[THIRD_MODEL.id] = THIRD_MODEL
    with pytest.raises(AmbiguousModel, match="another@sha256:ba9876543210, another@sha256:cccccccccccc"):
        await activate(gallery, "another")
    with pytest.raises(UnknownModel):
        await activate(gallery, "nothing")
    with pytest.raises(ModelNotFound):
        await activate(gallery, "another@sha256:000000000000")
    assert not gallery.switch._state.read()


async def test_a_switch_is_joined_by_the_same_model_and_refused_to_another_and_outlives_its_callers(
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


async def test_images_that_cannot_be_embedded_are_left_out_and_stop_nothing(gallery: Core) -> None:
    folder = gallery.blobs._root / sha256(picture("green"))[:2] / sha256(picture("green"))[2:]
    (folder / "original").write_bytes(b"damaged")
    blue = gallery.index.indexes[gallery.index.aliases["images-gallery"]].items["blue"]
    await gallery.blobs.put(sha256(b"no image"), b"no image", b"")
    attributes = {**blue.attributes, "image": {**blue.attributes["image"], "sha256": sha256(b"no image")}}  # type: ignore[dict-item]
    await gallery.index.upsert("images-gallery", MODEL.id, [replace(blue, attributes=attributes)])
    async with switching(gallery):
        steps = await activate(gallery)
    assert steps[-1] == SwitchProgress(6, 8, 2, replace(OTHER_MODEL, active=True))
    assert list(await images(gallery)) == [name for name in NAMES if name not in ("green", "blue")]
    is_switched(gallery, "gallery", "other")
    [result] = await gallery.add(upload(1, picture("green"), "green"))
    assert result.error is None
    assert result.duplicate_of == "", "what was left out can be added again"


async def test_an_image_over_which_the_embedder_fails_is_found_and_left_out(gallery: Core) -> None:
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


async def test_a_model_that_cannot_serve_ends_the_switch_and_leaves_nothing_behind(gallery: Core) -> None:
    def refuse() -> None:
        raise Refused(Refusal("The bundle is damaged.", 9, "BUNDLE_DAMAGED"))

    aliases = {name: index for name, index in gallery.index.aliases.items() if name.startswith("images")}
    gallery.embedder.before_images = refuse
    async with switching(gallery):
        with pytest.raises(Refused, match=r"The bundle is damaged\."):
            await activate(gallery)
        gallery.embedder.before_images = lambda: None
        assert set(gallery.index.indexes) == {*aliases.values(), "words-0123456789ab"}
        assert not gallery.switch._state.read()
        await answers_rightly(gallery)
        await until(lambda: gallery.switch._run is None)
        assert (await activate(gallery))[-1].model is not None
    is_switched(gallery, "gallery", "other")


async def test_an_open_stream_goes_on_with_the_new_model_and_loses_nothing(gallery: Core) -> None:
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


async def test_a_collection_that_is_created_during_a_switch_is_switched_too(gallery: Core) -> None:
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
async def test_a_collection_that_is_deleted_while_it_is_switched_stays_deleted(gallery: Core, collection: str) -> None:
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


async def test_a_model_activated_at_the_embedder_by_hand_leaves_collections_alone_until_it_is_activated_here(
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


async def test_a_list_that_was_begun_before_a_switch_goes_on_behind_it(gallery: Core) -> None:
    await gallery.gallery.delete("gallery", ["red"])  # so that places in the old index and in the new one differ
    page, token = await gallery.gallery.list_page("gallery", 2, "", None)
    async with switching(gallery):
        await activate(gallery)
    rest, end = await gallery.gallery.list_page("gallery", 100, token, None)
    assert [image.id for image in (*page, *rest)] == NAMES[1:]
    assert end == ""


async def test_what_a_switch_fills_is_not_swept(gallery: Core) -> None:
    def sweep_all() -> None:
        for index in gallery.index.indexes.values():
            index.create_time -= 2 * ORPHAN_AGE
        sweeps.append(asyncio.create_task(gallery.collections.sweep()))

    sweeps: list[asyncio.Task[None]] = []
    gallery.embedder.before_images = sweep_all
    async with switching(gallery):
        await activate(gallery)
    await asyncio.gather(*sweeps)
    is_switched(gallery, "gallery", "other")
    assert list(await images(gallery)) == NAMES


async def _filled(root: Path) -> tuple[ColorEmbedder, MemoryIndex, Core]:
    core = await open_core(root / "images")
    await core.words.fill(MODEL)
    await core.collections.create("other", "")
    await core.add(*(upload(n, picture(name), name, {"n": float(n)}) for n, name in enumerate(NAMES)))
    await core.add(upload(1, picture("red"), "red"), collection="other")
    return core.embedder, core.index, core


async def _switch_until(root: Path, embedder: ColorEmbedder, index: MemoryIndex, point: CrashPoint) -> bool:
    """Runs a gateway that is asked to switch; tells whether it crashed."""
    crashing = await open_core(root / "images", embedder=point.wrap(embedder), index=point.wrap(index))
    point.armed = True
    background = asyncio.create_task(crashing.switch.keep_switching())
    asking = asyncio.create_task(activate(crashing))
    await asyncio.wait({background, asking}, return_when=asyncio.FIRST_COMPLETED)
    crashed = background.done() or isinstance(asking.exception() if asking.done() else None, Crash)
    for task in (background, asking):
        task.cancel()
    await asyncio.gather(background, asking, return_exceptions=True)
    return crashed


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_a_switch_that_crashes_at_any_call_leaves_searches_right_and_is_finished_by_the_next_start(
    tmp_path: Path, after: bool
) -> None:
    crashes = 0
    for number in range(10_000):
        root = tmp_path / str(number)
        root.mkdir()
        # One folder of files for all: writing them anew each time would take longest.
        (root / "images").symlink_to(tmp_path)
        embedder, index, _ = await _filled(root)
        if not await _switch_until(root, embedder, index, CrashPoint(number, after=after)):
            break
        crashes += 1
        restarted = await open_core(root / "images", embedder=embedder, index=index)
        await answers_rightly(restarted)
        # Writes between a crash and the end of the switch: what was copied already is out of date.
        await restarted.gallery.delete("gallery", ["green"])
        await restarted.gallery.update("gallery", "blue", {"n": 9.0}, AttributesChange())
        await restarted.add(upload(1, picture("green"), "purple", {"n": 8.0}))
        expected = await images(restarted)
        async with switching(restarted):
            await settled(restarted)
            await activate(restarted)
        for each in index.indexes.values():
            each.create_time -= ORPHAN_AGE
        await restarted.collections.sweep()  # the old index of a collection, where the crash came before it was removed
        is_switched(restarted, "gallery", "other")
        assert await images(restarted) == expected
        assert (len(expected), expected["blue"][1], expected["purple"]) == (6, 9.0, (sha256(picture("green")), 8.0))
        await answers_rightly(restarted)
    assert crashes > 40
