"""Maps of collections: planes on which images with similar content lie close together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class MapRegion:
    """A part of a map: its middle, and the words nearest to the mean of its images, at most 3, nearest first.

    `image_id` is the image nearest to that mean.
    """

    words: tuple[str, ...]
    x: float
    y: float
    image_count: int
    image_id: str


@dataclass(frozen=True)
class CollectionMap:
    """A map without its places; `MapPlaces` has those.

    `layout` is "pca" for a first map (where the images differ most) and "neighbors" for the final one (images that lie
    close together are alike). `revision` changes whenever the places do, except for images that were added or deleted.
    `regions` are those with most images first.
    """

    collection: str
    revision: str
    layout: str
    model_id: str
    create_time: datetime
    image_count: int
    added_count: int
    deleted_count: int
    up_to_date: bool
    regions: tuple[MapRegion, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class MapProgress:
    """How far a computation is: `fraction` from 0 to 1, and an estimate of the seconds left, None until there is one.

    `stage` is "waiting" (for another map), "reading", "neighbors", "layout" or "words", and "done" at the end. `map` is
    set whenever there is a new one, and at the end.
    """

    stage: str
    fraction: float
    remaining_seconds: float | None = None
    map: CollectionMap | None = None


@dataclass(frozen=True)
class MapState:
    """The map of a collection and the computation in progress, None if there is none; and why the last one failed."""

    map: CollectionMap | None
    progress: MapProgress | None
    failure: str = ""


@dataclass(frozen=True)
class MapPlaces:
    """Where the images of a map lie, in the order in which they were added; all x and y are from −1 to 1.

    Iterates over (id, x, y).
    """

    map: CollectionMap
    ids: tuple[str, ...] = field(repr=False)
    places: tuple[tuple[float, float], ...] = field(repr=False)

    def __iter__(self) -> Iterator[tuple[str, float, float]]:
        return ((image_id, x, y) for image_id, (x, y) in zip(self.ids, self.places, strict=True))

    def __len__(self) -> int:
        return len(self.ids)
