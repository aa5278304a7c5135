"""Maps of collections."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from datetime import UTC

from semsearch.transport.calls import Call
from semsearch.transport.methods import collected, streamed, unary
from semsearch.v1 import map_service_pb2 as pb
from semsearch.values.maps import CollectionMap, MapPlaces, MapProgress, MapRegion, MapState

# A million images, behind other maps.
_MAP_SECONDS = 24 * 3600.0
_PLACE = struct.Struct("<ff")


class MapMethods:
    """The methods of MapService. `collection` "" means the default one, "gallery"."""

    @unary
    def get_map(self, collection: str = "", *, timeout: float | None = None) -> Call[MapState]:
        """Return the map of a collection, how far it is out of date, and the computation in progress."""
        return Call(pb.GetMapRequest(collection=collection), _state, timeout)

    @streamed
    def compute_map(
        self, collection: str = "", *, again: bool = False, timeout: float = _MAP_SECONDS
    ) -> Call[MapProgress]:
        """Compute the map of a collection, unless it is up to date; yield the progress, with the map at the end.

        A first map is available at once. If the iteration ends early, the computation continues in the server, and
        another call reports its progress. `again` computes the map even if it is up to date.

        >>> for progress in client.compute_map():
        ...     newest = progress.map
        >>> print(newest.layout, newest.up_to_date, newest.image_count == client.count_images())
        neighbors True True
        >>> image_id, x, y = next(iter(client.map_places()))
        >>> -1 <= x <= 1
        True
        >>> client.cancel_map()
        False
        """
        return Call(pb.ComputeMapRequest(collection=collection, again=again), _progress, timeout)

    @unary
    def cancel_map(self, collection: str = "", *, timeout: float | None = None) -> Call[bool]:
        """Stop the computation in progress, and return whether there was one; the previous map stays."""
        return Call(pb.CancelMapRequest(collection=collection), lambda response: bool(response.cancelled), timeout)

    @collected
    def map_places(self, collection: str = "", *, timeout: float | None = None) -> Call[MapPlaces]:
        """Return where the images of a collection lie on its map."""
        return Call(pb.StreamMapRequest(collection=collection), _places, timeout)


def _state(response: pb.GetMapResponse) -> MapState:
    return MapState(
        _map(response.map) if response.HasField("map") else None,
        _progress_at(response.progress) if response.HasField("progress") else None,
        response.failure,
    )


def _progress(response: pb.ComputeMapResponse) -> MapProgress:
    found = _map(response.map) if response.HasField("map") else None
    if not response.HasField("progress"):
        return MapProgress("done", 1.0, 0.0, found)
    return _progress_at(response.progress, found)


def _progress_at(message: pb.MapProgress, found: CollectionMap | None = None) -> MapProgress:
    remaining = message.remaining_seconds if message.HasField("remaining_seconds") else None
    stage = pb.MapStage.Name(message.stage).removeprefix("MAP_STAGE_").lower()
    return MapProgress(stage, message.fraction, remaining, found)


def _places(responses: Sequence[pb.StreamMapResponse]) -> MapPlaces:
    return MapPlaces(
        _map(responses[0].map),
        tuple(image_id for response in responses for image_id in response.ids),
        tuple(place for response in responses for place in _PLACE.iter_unpack(response.places)),
    )


def _map(message: pb.CollectionMap) -> CollectionMap:
    return CollectionMap(
        message.collection,
        message.revision,
        pb.Layout.Name(message.layout).removeprefix("LAYOUT_").lower(),
        message.model_id,
        message.create_time.ToDatetime(UTC),
        message.image_count,
        message.added_count,
        message.deleted_count,
        message.up_to_date,
        tuple(
            MapRegion(tuple(each.words), each.x, each.y, each.image_count, each.image_id) for each in message.regions
        ),
    )
