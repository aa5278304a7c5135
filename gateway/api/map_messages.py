"""Messages of MapService from the core's types."""

from __future__ import annotations

from collections.abc import Iterator

from google.protobuf import timestamp_pb2
from semsearch.v1 import map_service_pb2 as pb

from gateway.maps.changes import is_up_to_date
from gateway.maps.map_files import MapHeader, StoredMap
from gateway.maps.map_run import MapProgress, Stage

# About 350 KB where ids are SHA-256.
_IMAGES_A_MESSAGE = 5_000
_STAGES = {stage: pb.MapStage.Value(f"MAP_STAGE_{stage.name}") for stage in Stage}


def map_message(collection: str, header: MapHeader, *, regions: bool = True) -> pb.CollectionMap:
    """Return the description of a map."""
    created = timestamp_pb2.Timestamp()
    created.FromDatetime(header.create_time)
    return pb.CollectionMap(
        collection=collection,
        revision=header.revision,
        layout=pb.LAYOUT_NEIGHBORS if header.neighborly else pb.LAYOUT_PCA,
        model_id=header.model_id,
        create_time=created,
        image_count=header.computed_count,
        added_count=header.added_count,
        deleted_count=header.deleted_count,
        up_to_date=is_up_to_date(header),
        regions=[
            pb.MapRegion(words=each.words, x=each.x, y=each.y, image_count=each.image_count, image_id=each.image_id)
            for each in (header.regions if regions else ())
        ],
    )


def progress_message(progress: MapProgress) -> pb.MapProgress:
    """Return the progress of a computation."""
    return pb.MapProgress(
        stage=_STAGES[progress.stage], fraction=progress.fraction, remaining_seconds=progress.remaining_seconds
    )


def stream_messages(collection: str, stored: StoredMap) -> Iterator[pb.StreamMapResponse]:
    """Yield the images of a map and their places; at least one message."""
    for start in range(0, max(len(stored.ids), 1), _IMAGES_A_MESSAGE):
        message = pb.StreamMapResponse(
            ids=stored.ids[start : start + _IMAGES_A_MESSAGE],
            places=stored.places[start : start + _IMAGES_A_MESSAGE].astype("<f4", copy=False).tobytes(),
        )
        if not start:
            message.map.CopyFrom(map_message(collection, stored.header, regions=False))
            message.image_count = len(stored.ids)
        yield message
