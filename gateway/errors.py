"""The errors of the gateway's core. `statuses.py` maps each to a gRPC status.

`backups/errors` has those of backups; `backends/refusals` those with which the embedder or the index refuses a call.

GatewayError
├── InvalidId                the id of an image or a collection is malformed
├── ImageTooLarge            more bytes than the embedder accepts
├── CancelledTerms           an image and words cancel each other out
├── StreamConfigError        a stream's configuration is missing or repeated
├── CollectionNotFound
├── CollectionExists
├── CollectionOfOtherModel   the collection's vectors and the query's come from different models
├── ListingOutOfDate         the collection has a new index, without the last page's last image
├── SearchOutOfDate          the search began in an index that has been replaced
├── UnknownModel             no model has that name
├── AmbiguousModel           several models have that name
├── SwitchUnderWay           a switch to another model is in progress
├── SwitchNotStored          the target of a switch cannot be recorded in the data folder
├── ImageNotFound
├── BlobMissing              the image exists, but its file is missing or damaged
├── OriginalElsewhere        the caller kept the original; only a thumbnail is stored
├── MapNotFound              the collection has no map yet
├── MapFailed                a map could not be computed
├── MapCancelled             the computation of a map was cancelled
├── MapNotStored             a map cannot be written to the data folder
├── StorageFull              the data folder is full or not writable
├── ImageStoreUnusable       the setting of the image store is wrong
├── WordsNotReady            the words index is being filled
├── DependencyUnavailable    the embedder, the index or the image store does not answer
└── OwnerChanged             another process has taken over all changes
"""

from __future__ import annotations

from collections.abc import Sequence


class GatewayError(Exception):
    """Base class of the core's errors."""


class InvalidId(GatewayError):
    """The id is empty, too long, or has a forbidden character."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


class ImageTooLarge(GatewayError):
    """The image has more bytes than the embedder accepts."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(
            f"The image has {size:,} bytes; the limit is {limit:,}. Send a smaller or more compressed image."
        )
        self.limit = limit


class CancelledTerms(GatewayError):
    """The images and the terms cancel each other out."""

    def __init__(self) -> None:
        super().__init__(
            "The images and the words cancel each other out, so that no direction is left to search in. "
            "Remove one or change a weight."
        )


class StreamConfigError(GatewayError):
    """The first message of a stream must carry the configuration, and only the first."""


class CollectionNotFound(GatewayError):
    """No collection has that id."""

    def __init__(self, collection: str) -> None:
        super().__init__(f'There is no collection "{collection}". ListCollections lists all collections.')
        self.collection = collection


class CollectionExists(GatewayError):
    """A collection with that id already exists."""

    def __init__(self, collection: str) -> None:
        super().__init__(f'The collection "{collection}" already exists. Use it, or choose another id.')
        self.collection = collection


class CollectionOfOtherModel(GatewayError):
    """The collection's vectors and the query's come from different models."""

    def __init__(self, collection: str) -> None:
        super().__init__(
            f'The images of the collection "{collection}" were switched to another model while the query was '
            "processed, so they cannot be compared. Try again."
        )
        self.collection = collection


class ListingOutOfDate(GatewayError):
    """The collection was switched to another index, which lacks the last image of the last page."""

    def __init__(self) -> None:
        super().__init__(
            "The collection was switched to another model or emptied since the last page, and the last image of that "
            "page no longer exists. Start again without the token."
        )


class SearchOutOfDate(GatewayError):
    """The search began in an index that was since replaced: for another model, or because it was emptied."""

    def __init__(self) -> None:
        super().__init__(
            "Since the last page, the index was switched to another model, emptied or recreated, so the search "
            "cannot continue. Start again without the token."
        )


class UnknownModel(GatewayError):
    """No model has that name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no model {name!r}. ListModels lists all models; PullModel fetches others.")
        self.name = name


class AmbiguousModel(GatewayError):
    """Several models have that name."""

    def __init__(self, name: str, ids: Sequence[str]) -> None:
        super().__init__(f"Several models are called {name!r}. Use a full id: {', '.join(ids)}.")


class SwitchUnderWay(GatewayError):
    """A switch to another model is in progress."""

    def __init__(self, target: str) -> None:
        super().__init__(
            f"The images are being switched to the model {target}, and only one switch can run at a time. Nothing "
            "was changed. Activate that model to follow its progress, and activate the other one afterwards."
        )
        self.target = target


class SwitchNotStored(GatewayError):
    """The target of a switch cannot be recorded in the data folder."""

    def __init__(self, problem: str) -> None:
        super().__init__(
            f"The switch to another model cannot be recorded in the data folder: {problem}. Nothing is lost, and "
            "searches still work. Free space or fix the data folder's permissions, then activate the model again."
        )


class ImageNotFound(GatewayError):
    """The collection has no image with that id."""

    def __init__(self, collection: str, image_id: str) -> None:
        super().__init__(f'The collection "{collection}" has no image "{image_id}".')
        self.collection = collection
        self.image_id = image_id


class BlobMissing(GatewayError):
    """The image's file is missing, or its bytes differ from those stored."""

    def __init__(self, sha256: str, problem: str) -> None:
        super().__init__(
            f"The file of the image with SHA-256 {sha256} {problem}. Its vector and attributes are intact: searches "
            "still find it. To repair it, delete it and index the same bytes again, or restore the file from a backup."
        )
        self.sha256 = sha256


class OriginalElsewhere(GatewayError):
    """The caller kept the original, and only a thumbnail is stored."""

    def __init__(self, image_id: str, place: str) -> None:
        super().__init__(
            f"The original of the image {image_id} is not stored, only its thumbnail; it came from {place[:60]!r}. "
            "Ask for the thumbnail, or send the bytes again without `original_at` to store them."
        )


class MapNotFound(GatewayError):
    """The collection has no map, or one of a model that it had before."""

    def __init__(self, collection: str) -> None:
        super().__init__(f'The collection "{collection}" has no map yet. ComputeMap computes it.')
        self.collection = collection


class MapFailed(GatewayError):
    """A map could not be computed."""

    def __init__(self, problem: str) -> None:
        super().__init__(
            f"The map could not be computed: {problem}. Searches and the map that was there are unaffected."
        )


class MapCancelled(GatewayError):
    """The computation of a map was cancelled."""

    def __init__(self, collection: str) -> None:
        super().__init__(
            f'The computation of the map of "{collection}" was cancelled. The map that was there stays; ComputeMap '
            "computes it again."
        )


class MapNotStored(GatewayError):
    """A map cannot be written to the data folder."""

    def __init__(self, problem: str) -> None:
        super().__init__(
            f"The map cannot be written to the data folder: {problem}. No image is lost, and searches still work. Free "
            "space or fix the data folder's permissions, then compute the map again."
        )


class StorageFull(GatewayError):
    """The data folder is full or not writable."""

    def __init__(self, problem: str) -> None:
        super().__init__(
            f"The image cannot be stored: {problem}. Nothing that was acknowledged is lost. "
            "Free space or fix the data folder's permissions, then send the image again."
        )


class ImageStoreUnusable(GatewayError):
    """The image store cannot be used as it is set."""


class WordsNotReady(GatewayError):
    """The words index is still being filled."""

    retry_after_seconds = 2.0

    def __init__(self) -> None:
        super().__init__(
            "The vocabulary is still being indexed, which happens once per model; words and tags work when that is "
            "done. Image searches work already. Try again in a moment."
        )


class DependencyUnavailable(GatewayError):
    """A service that the gateway needs does not answer."""

    retry_after_seconds = 1.0

    def __init__(self, service: str) -> None:
        super().__init__(f"The {service} does not answer. It may be starting; try again in a moment.")
        self.service = service


class OwnerChanged(GatewayError):
    """Another process has taken over all changes, while this one made a change or before."""

    retry_after_seconds = 1.0

    def __init__(self) -> None:
        super().__init__(
            "Another gateway process has just taken over all changes, so this one gave the change up; a part of it may "
            "have been made. Nothing that was acknowledged is lost. Try again in a moment."
        )
