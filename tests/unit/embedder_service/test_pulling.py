"""A pull makes a recipe's model completely or not at all, only once, and from the files that already exist."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

from embedder_service import pulling
from embedder_service.errors import DownloadFailed, DownloadWrong, RecipeNotFound
from embedder_service.models import ModelFolder
from embedder_service.pulling import Progress, Pulls
from embedder_service.recipes import RecipeFolder
from model.bundle.reading import CARD, open_bundle, peek
from model.errors import RecipeUnusable, StorageFull
from model.files import downloads
from tests.bundles import write_test_bundle, write_test_recipe
from tests.file_server import FileServer, file_server

DEADLINE = 60.0


class Place(NamedTuple):
    """A data folder with a recipe, the server of its file, and a bundle with the same words."""

    pulls: Pulls
    models: Path
    recipe: Path
    server: FileServer
    target: Path


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make two bundles once, because it takes seconds and no test changes them; both have the words of their seed."""
    folder = tmp_path_factory.mktemp("bundles")
    write_test_bundle(folder, name="default")
    write_test_bundle(folder, name="made")
    return folder


@pytest.fixture
def place(bundles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setattr(downloads, "PAUSES", (0.0, 0.0))
    monkeypatch.setattr(pulling, "REPORT_SECONDS", 0.01)
    models = tmp_path / "models"
    made = bundles / "made"
    with file_server((made / "head.keras").read_bytes()) as server, ThreadPoolExecutor(2) as threads:
        recipe = write_test_recipe(tmp_path / "recipes", made, server.url)
        pulls = Pulls(
            RecipeFolder(recipe.parent), ModelFolder(models, bundles / "default", (bundles / "default",)), "", threads
        )
        target = models / peek(made).id.replace("@sha256:", "-")
        yield Place(pulls, models, recipe, server, target)


async def pull(place: Place, recipe: str = "small") -> list[Progress]:
    async with asyncio.timeout(DEADLINE):
        return [progress async for progress in place.pulls.pull(recipe)]


def left_over(place: Place) -> list[str]:
    return sorted(path.name for path in place.models.iterdir() if path not in (place.target, place.models / "active"))


async def test_a_recipe_makes_a_bundle_that_opens(place: Place, bundles: Path) -> None:
    *_, last = await pull(place)
    size = len(place.server.content)
    assert last == Progress(size, size, peek(bundles / "made"))
    assert open_bundle(place.target).manifest == last.made
    assert left_over(place) == [".pull-small.lock"]
    words = (bundles / "default" / "words.npy").stat()
    assert (place.target / "words.npy").stat().st_ino == words.st_ino


async def test_the_model_card_is_copied_but_not_checked(place: Place) -> None:
    (place.recipe / CARD).write_text("# Small\n")
    await pull(place)
    assert (place.target / CARD).read_text() == "# Small\n"
    (place.target / CARD).write_text("# Small, edited\n")
    open_bundle(place.target)


async def test_an_existing_model_is_not_made_again(place: Place) -> None:
    await pull(place)
    [progress] = await pull(place)
    assert progress.made
    assert len(place.server.requests) == 1


async def test_a_damaged_model_is_made_again(place: Place) -> None:
    await pull(place)
    (place.target / "backbone.keras").write_bytes(b"damaged")
    await pull(place)
    assert open_bundle(place.target)
    (place.target / "manifest.json").unlink()
    await pull(place)
    assert open_bundle(place.target)


async def test_progress_grows_from_existing_bytes_to_the_total(place: Place) -> None:
    place.server.breaks = [16_384, 0, 0]
    with pytest.raises(DownloadFailed):
        await pull(place)
    place.server.hold_after = 8_192
    steps = []
    async for progress in place.pulls.pull("small"):
        steps.append(progress)
        place.server.released.set()
    assert all(step.bytes_done >= 16_384 for step in steps)
    assert [step.bytes_done for step in steps] == sorted(step.bytes_done for step in steps)
    assert [step.made is not None for step in steps] == [False] * (len(steps) - 1) + [True]
    assert place.server.requests[-1][0] == "bytes=16384-"


async def test_a_second_request_joins_the_pull(place: Place) -> None:
    place.server.hold_after = 100
    first, second = asyncio.create_task(pull(place)), asyncio.create_task(pull(place))
    assert await asyncio.to_thread(place.server.held.wait, DEADLINE)
    place.server.released.set()
    assert (await first)[-1] == (await second)[-1]
    assert len(place.server.requests) == 1


async def test_a_pull_continues_when_one_of_two_listeners_leaves(place: Place) -> None:
    place.server.hold_after = 100
    leaves, stays = asyncio.create_task(pull(place)), asyncio.create_task(pull(place))
    assert await asyncio.to_thread(place.server.held.wait, DEADLINE)
    leaves.cancel()
    await asyncio.wait([leaves])
    place.server.released.set()
    assert (await stays)[-1].made
    assert len(place.server.requests) == 1


async def test_a_pull_without_listeners_stops_and_can_be_resumed(place: Place) -> None:
    place.server.hold_after = 16_384
    leaves = asyncio.create_task(pull(place))
    assert await asyncio.to_thread(place.server.held.wait, DEADLINE)
    leaves.cancel()
    await asyncio.wait([leaves])
    comes = asyncio.create_task(pull(place))
    place.server.released.set()
    place.server.hold_after = None
    assert (await comes)[-1].made
    assert len(place.server.requests) == 2
    assert place.server.requests[1][0]


async def test_a_wrong_file_makes_no_model_and_the_right_one_does(place: Place) -> None:
    right = place.server.content
    place.server.content = os.urandom(len(right))
    with pytest.raises(DownloadWrong):
        await pull(place)
    assert not place.target.exists()
    place.server.content = right
    assert (await pull(place))[-1].made


async def test_missing_words_are_named_with_the_bundle_that_has_them(place: Place, bundles: Path) -> None:
    manifest = json.loads((place.recipe / "manifest.json").read_text())
    for file in manifest["files"]:
        if file["name"] == "words.npy":
            file["sha256"] = "0" * 64
    (place.recipe / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(RecipeUnusable, match=r"words\.npy.*test@sha256:0"):
        await pull(place)


async def test_damaged_words_are_taken_from_another_bundle(place: Place, bundles: Path) -> None:
    shutil.copytree(bundles / "default", place.models / "copy")
    (place.models / "copy" / "words.npy").write_bytes(b"damaged")
    assert (await pull(place))[-1].made


async def test_a_full_disk_is_reported_before_fetching(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulling, "_RESERVE_BYTES", 2**60)
    with pytest.raises(StorageFull, match="more bytes"):
        await pull(place)
    assert not place.server.requests


async def test_an_unknown_recipe_is_reported_to_every_caller(place: Place) -> None:
    for _ in range(2):
        with pytest.raises(RecipeNotFound):
            await pull(place, "large")
