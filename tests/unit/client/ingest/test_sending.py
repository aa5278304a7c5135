"""A shard's files are stored, present before, or have a problem; troubles of the server pass or end the run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

import pytest
from semsearch.errors import ErrorDetails, InvalidRequest, Overloaded, SemsearchError, ServerUnreachable
from semsearch.ingest.places import ListedFile, Unreadable
from semsearch.ingest.sending import ShardSender

from tests.unit.client.folders.gallery_double import NO_IMAGE, GalleryDouble

FILES = [ListedFile(f"{number:03}.png", "1", number * 10**9) for number in range(150)]


class MemoryPlace:
    """Every file holds its own path, except for those given."""

    base_name = "memory"

    def __init__(self, **contents: bytes | None) -> None:
        self._contents = {f"{name.strip('_')}.png": content for name, content in contents.items()}
        self.reads: list[str] = []

    def files(self) -> Iterator[ListedFile]:
        yield from FILES

    def read(self, path: str) -> bytes:
        self.reads.append(path)
        content = self._contents.get(path, path.encode())
        if content is None:
            raise Unreadable("Permission denied")
        return content


@dataclass
class Troubles:
    """Raises errors at chosen calls, counted from 0."""

    at: dict[int, SemsearchError]
    calls: Iterator[int] = field(default_factory=count)

    def __call__(self) -> None:
        if error := self.at.get(next(self.calls)):
            raise error


def sender(gallery: GalleryDouble, place: MemoryPlace, slept: list[float], patience: float = 100) -> ShardSender:
    return ShardSender(
        gallery, "c", place, "photos", patience=patience, sleep=slept.append, clock=lambda: sum(slept, 0.0)
    )


def test_files_are_added_with_their_places_and_those_that_cannot_be_are_named() -> None:
    gallery, place = GalleryDouble(), MemoryPlace(_003=None, _004=NO_IMAGE, _005=b"006.png")
    outcome = sender(gallery, place, []).send(7, FILES)
    assert (outcome.shard, outcome.added, outcome.present) == (7, 147, 1)
    assert outcome.problems == {"003.png": "Permission denied", "004.png": "The bytes are not an image."}
    assert "photos/149.png" in gallery.places()
    assert gallery.images[next(iter(gallery.images))].attributes["modified"] == "1970-01-01T00:00:00+00:00"


def test_what_the_collection_has_is_not_sent() -> None:
    gallery, place = GalleryDouble(), MemoryPlace()
    sender(gallery, place, []).send(0, FILES[:100])
    gallery.sent = 0
    outcome = sender(gallery, place, []).send(0, FILES)
    assert (outcome.added, outcome.present, gallery.sent) == (50, 100, 50)


@pytest.mark.parametrize(
    "error", [ServerUnreachable("Nothing answers."), Overloaded("Busy.", ErrorDetails(retry_after_seconds=9))]
)
def test_a_trouble_that_passes_costs_only_time(error: SemsearchError) -> None:
    gallery, place, slept = GalleryDouble(before_call=Troubles({0: error, 40: error})), MemoryPlace(), []
    outcome = sender(gallery, place, slept).send(0, FILES)
    assert (outcome.added, outcome.present, outcome.problems) == (150, 0, {})
    assert len(gallery.images) == 150
    assert len(slept) == 2
    assert (max(slept) >= 9) == isinstance(error, Overloaded)


def test_a_server_that_stays_away_ends_the_run() -> None:
    away = Troubles(dict.fromkeys(range(10, 1_000), ServerUnreachable("Nothing answers.")))
    gallery, slept = GalleryDouble(before_call=away), []
    with pytest.raises(ServerUnreachable):
        sender(gallery, MemoryPlace(), slept).send(0, FILES)
    assert 100 < sum(slept) < 200
    assert len(gallery.images) == 9


def test_a_refusal_ends_the_run_at_once() -> None:
    gallery = GalleryDouble(before_call=Troubles({5: InvalidRequest("There is no such collection.")}))
    with pytest.raises(InvalidRequest):
        sender(gallery, MemoryPlace(), []).send(0, FILES)
