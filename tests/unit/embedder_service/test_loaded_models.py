"""Which models are loaded, and which one is active; a double opens them, and can be held."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest

from embedder_service import loaded_models
from embedder_service.errors import ModelNotFound
from embedder_service.image_embedding import ImageEmbedder
from embedder_service.loaded_models import LoadedModels, open_models
from embedder_service.models import ModelFolder
from embedder_service.served_model import ServedModel
from model.bundle.reading import peek
from model.errors import BundleDamaged, StorageFull
from model.text.vocabulary import Vocabulary
from tests.bundles import write_test_bundle

DEADLINE = 10.0
NAMES = ("a", "b", "c", "d")


@dataclass
class Openings:
    """Opens models by their manifests alone; those in `held` wait, those in `damaged` fail."""

    opened: Counter[str] = field(default_factory=Counter)
    open_now: set[str] = field(default_factory=set)
    held: dict[str, asyncio.Event] = field(default_factory=dict)
    damaged: set[str] = field(default_factory=set)

    @asynccontextmanager
    async def __call__(self, folder: Path) -> AsyncIterator[ServedModel]:
        name = folder.name
        self.opened[name] += 1
        if name in self.held:
            await self.held[name].wait()
        if name in self.damaged:
            raise BundleDamaged(f"{name} is damaged.")
        self.open_now.add(name)
        try:
            yield ServedModel(peek(folder), cast("Vocabulary", None), cast("ImageEmbedder", None))
        finally:
            self.open_now.remove(name)


@dataclass(frozen=True)
class Loaded:
    models: LoadedModels
    folder: ModelFolder
    openings: Openings
    ids: dict[str, str]

    @property
    def file(self) -> Path:
        return self.folder.models / "active"


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the manifests of four models: one bundle, which takes seconds to make, with other ids."""
    folder = tmp_path_factory.mktemp("bundles")
    made = write_test_bundle(folder, name="made")
    for name in NAMES:
        (folder / name).mkdir()
        manifest = json.loads((made / "manifest.json").read_text())
        (folder / name / "manifest.json").write_text(json.dumps(manifest | {"id": f"{name}@sha256:000000000000"}))
    return folder


@pytest.fixture
async def loaded(bundles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Loaded]:
    monkeypatch.setattr(loaded_models, "POLL_SECONDS", 0.01)
    for name in NAMES[1:]:
        shutil.copytree(bundles / name, tmp_path / name)
    folder, openings = ModelFolder(tmp_path, bundles / "a", (bundles / "a",)), Openings()
    with ThreadPoolExecutor(2) as threads:
        async with open_models(folder, openings, threads) as models:
            yield Loaded(models, folder, openings, {name: f"{name}@sha256:000000000000" for name in NAMES})
    assert not openings.open_now


async def used(loaded: Loaded, name: str = "") -> str:
    async with asyncio.timeout(DEADLINE), loaded.models.use(loaded.ids.get(name, "")) as model:
        return model.id.partition("@")[0]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def test_the_active_model_is_loaded_first_and_others_when_named(loaded: Loaded) -> None:
    assert loaded.openings.open_now == {"a"}
    assert await used(loaded) == "a"
    assert await used(loaded, "b") == "b"
    assert await used(loaded, "b") == "b"
    assert loaded.openings.opened == {"a": 1, "b": 1}


async def test_concurrent_calls_wait_for_the_same_load(loaded: Loaded) -> None:
    loaded.openings.held["b"] = asyncio.Event()
    calls = [asyncio.create_task(used(loaded, "b")) for _ in range(5)]
    await until(lambda: loaded.openings.opened["b"] == 1)
    calls[0].cancel()
    assert await used(loaded) == "a"
    loaded.openings.held["b"].set()
    assert await asyncio.gather(*calls[1:]) == ["b"] * 4
    assert loaded.openings.opened["b"] == 1


async def test_the_last_used_model_stays_loaded_beside_the_active_one(loaded: Loaded) -> None:
    for name in ("b", "c", "b", "d"):
        await used(loaded, name)
    await until(lambda: loaded.openings.open_now == {"a", "d"})
    assert loaded.openings.opened == {"a": 1, "b": 2, "c": 1, "d": 1}


async def test_a_model_that_a_call_uses_is_not_closed(loaded: Loaded) -> None:
    async with loaded.models.use(loaded.ids["b"]):
        await used(loaded, "c")
        await used(loaded, "d")
        await until(lambda: loaded.openings.open_now == {"a", "b"})
    assert loaded.openings.open_now == {"a", "b"}


async def test_an_abandoned_load_finishes_and_counts_as_unused(loaded: Loaded) -> None:
    for name in ("b", "c"):
        loaded.openings.held[name] = asyncio.Event()
        call = asyncio.create_task(used(loaded, name))
        await until(lambda name=name: loaded.openings.opened[name] == 1)  # type: ignore[misc]
        call.cancel()
        loaded.openings.held[name].set()
        await until(lambda name=name: name in loaded.openings.open_now)  # type: ignore[misc]
    await until(lambda: loaded.openings.open_now == {"a", "c"})


async def test_a_failed_load_fails_every_caller_and_can_be_retried(loaded: Loaded) -> None:
    loaded.openings.damaged.add("b")
    for _ in range(2):
        with pytest.raises(BundleDamaged):
            await used(loaded, "b")
    with pytest.raises(ModelNotFound):
        async with loaded.models.use("x@sha256:0"):
            pass
    loaded.openings.damaged.clear()
    assert await used(loaded, "b") == "b"


async def test_activating_is_durable_and_calls_keep_their_model(loaded: Loaded) -> None:
    async with loaded.models.use() as before:
        await loaded.models.activate(loaded.ids["b"])
        assert loaded.file.read_text().strip() == loaded.ids["b"]
        assert await used(loaded) == "b"
        assert before.id == loaded.ids["a"]
        assert "a" in loaded.openings.open_now
    await loaded.models.activate(loaded.ids["a"])
    assert (await used(loaded), loaded.folder.active()) == ("a", loaded.folder.default)
    assert loaded.openings.opened == {"a": 1, "b": 1}
    assert [path.name for path in loaded.folder.models.iterdir() if path.name.startswith(".")] == []


async def test_a_failed_activation_changes_nothing(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded.openings.damaged.add("b")
    with pytest.raises(BundleDamaged):
        await loaded.models.activate(loaded.ids["b"])
    with pytest.raises(ModelNotFound):
        await loaded.models.activate("x@sha256:0")

    def full(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("serving.durable_files.sync", full)
    with pytest.raises(StorageFull):
        await loaded.models.activate(loaded.ids["c"])
    assert await used(loaded) == "a"
    assert not loaded.file.exists()


async def test_changes_by_hand_are_followed(loaded: Loaded) -> None:
    loaded.file.write_text(f"{loaded.ids['b']}\n")
    await until(lambda: loaded.models.active_id == loaded.ids["b"])
    loaded.file.unlink()
    await until(lambda: loaded.models.active_id == loaded.ids["a"])


@pytest.mark.parametrize("text", ["x@sha256:0", "\x00\n", "b@sha256:000000000000"], ids=["unknown", "no id", "damaged"])
async def test_a_bad_change_by_hand_is_reported_once_and_ignored(
    loaded: Loaded, text: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, output = Counter[str](), []
    look = ModelFolder.choice

    def counted(folder: ModelFolder) -> tuple[int, ...] | None:
        looks["all"] += 1
        return look(folder)

    def is_reported() -> bool:
        output.append(capsys.readouterr().out)
        return "models/active is ignored" in "".join(output)

    loaded.openings.damaged.add("b")
    loaded.file.write_text(text)
    await until(is_reported)
    monkeypatch.setattr(ModelFolder, "choice", counted)
    await until(lambda: looks["all"] > 3)
    assert await used(loaded) == "a"
    assert not loaded.models.health.is_well
    loaded.file.write_text(loaded.ids["c"])
    await until(lambda: loaded.models.active_id == loaded.ids["c"])
    await until(lambda: loaded.models.health.is_well)
    is_reported()
    assert "".join(output).count("models/active is ignored") == 1


async def test_a_failed_poll_does_not_end_polling(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    breaking = [ZeroDivisionError("unexpected"), OSError("no handle")]
    look = ModelFolder.choice

    def broken(folder: ModelFolder) -> tuple[int, ...] | None:
        if breaking:
            raise breaking.pop()
        return look(folder)

    monkeypatch.setattr(ModelFolder, "choice", broken)
    await until(lambda: not breaking)
    loaded.file.write_text(loaded.ids["b"])
    await until(lambda: loaded.models.active_id == loaded.ids["b"])
    await until(lambda: loaded.models.health.is_well)


async def test_a_partly_written_choice_changes_nothing(loaded: Loaded) -> None:
    loaded.file.write_text("")
    await loaded.models.follow_choice()
    assert await used(loaded) == "a"


async def test_a_start_with_a_missing_model_names_the_choice_file(bundles: Path, tmp_path: Path) -> None:
    (tmp_path / "active").write_text("gone@sha256:000000000000")
    with (
        ThreadPoolExecutor(1) as threads,
        pytest.raises(ModelNotFound, match=r"gone@.*active names it: put the model back"),
    ):
        async with open_models(ModelFolder(tmp_path, bundles / "a", (bundles / "a",)), Openings(), threads):
            pass
