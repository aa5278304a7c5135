"""Where collections lie, as a process sees it that makes no changes itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.backends.embedding import TextQuery
from gateway.backends.vector_index import Engine, NewIndex
from gateway.collections.names import DEFAULT_COLLECTION
from gateway.errors import CollectionNotFound, ImageNotFound, OwnerChanged
from gateway.search.query_vectors import ImageSource
from gateway.search.search import Page, Scope
from tests.unit.gateway.core import Core, open_core, upload
from tests.unit.gateway.doubles import MODEL, picture


@dataclass
class Elsewhere:
    """The lease as a process sees it that does not hold it."""

    is_held: bool = False

    def change(self) -> Any:
        raise OwnerChanged


async def two_processes(root: Path, lease: Elsewhere) -> tuple[Core, Core]:
    """Return the owner and another process on the same data."""
    owner = await open_core(root)
    return owner, await open_core(root, embedder=owner.embedder, index=owner.index, lease=lease)


async def test_a_renamed_collection_is_gone_for_all_processes(tmp_path: Path) -> None:
    owner, other = await two_processes(tmp_path, Elsewhere())
    await owner.collections.create("cats", "")
    await owner.add(upload(1, picture("red"), "red"), collection="cats")
    assert (await other.gallery.get("cats", "red")).id == "red"
    await owner.collections.rename("cats", "dogs")
    for call in (
        other.gallery.get("cats", "red"),
        other.gallery.list_page("cats", 10, "", None),
        other.search.by_text(TextQuery("red"), Scope("cats"), Page(10)),
        other.search.by_images([ImageSource(image_id="red")], TextQuery(), Scope("cats"), Page(10)),
        other.tagging.tag(ImageSource(image_id="red"), "cats", 3, None),
    ):
        with pytest.raises(CollectionNotFound):
            await call


async def test_an_index_that_an_alias_has_left_is_read_no_more(tmp_path: Path) -> None:
    """As after a switch whose process ended before it removed the old index."""
    lease = Elsewhere()
    owner, other = await two_processes(tmp_path, lease)
    await owner.add(upload(1, picture("red"), "red"))
    await other.gallery.get(DEFAULT_COLLECTION, "red")
    await owner.index.create(NewIndex("images-gallery.new", MODEL.dimension, MODEL.id, Engine.ANNOY))
    await owner.index.set_alias("images-gallery", "images-gallery.new")
    with pytest.raises(ImageNotFound):
        await other.gallery.get(DEFAULT_COLLECTION, "red")

    await owner.index.create(NewIndex("images-gallery.newer", MODEL.dimension, MODEL.id, Engine.ANNOY))
    await owner.index.set_alias("images-gallery", "images-gallery.newer")
    lease.is_held = True
    await other.add(upload(1, picture("red"), "red"))
    assert (await other.gallery.get(DEFAULT_COLLECTION, "red")).id == "red"
    looked_up = owner.index.descriptions
    await other.gallery.get(DEFAULT_COLLECTION, "red")
    assert owner.index.descriptions == looked_up, "the owner's own placements are exact"
