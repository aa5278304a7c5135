"""What can go wrong in the gateway's core. `statuses.py` says what each becomes on the wire.

GatewayError
├── InvalidId                the id of an image or a collection is not one that can exist
├── ImageTooLarge            more bytes than the embedder takes
├── CancelledTerms           an image and words together leave no direction
├── StreamConfigError        a stream's configuration is missing, or comes twice
├── CollectionNotFound
├── CollectionExists
├── CollectionOfOtherModel   the collection's vectors were made by another model than the query's
├── ListingOutOfDate         the collection has another index by now, without the image that a page ended with
├── SearchOutOfDate          the search was begun in another index than there is now
├── UnknownModel             no model has that name
├── AmbiguousModel           several models have that name
├── SwitchUnderWay           another model is being switched to
├── SwitchNotStored          which model is switched to cannot be written into the data folder
├── ImageNotFound
├── BlobMissing              the image is known, its file is missing or damaged
├── StorageFull              the data folder cannot be written
├── WordsNotReady            the words index is being filled
├── DependencyUnavailable    the embedder or the index does not answer
└── Refused                  the embedder or the index said no; carries its own reason, to be passed on
    ├── Overloaded
    ├── UnknownWords
    ├── InvalidCrop
    ├── ModelNotFound
    ├── IndexNotFound
    ├── IndexExists
    ├── ModelMismatch
    └── PositionOutOfDate
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

R = TypeVar("R", bound="Refused")


class GatewayError(Exception):
    """Base of all."""


class InvalidId(GatewayError):
    """The id is empty, too long, or has a character that ids do not have."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


class ImageTooLarge(GatewayError):
    """The image has more bytes than the embedder takes."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(
            f"The image has {size:,} bytes; at most {limit:,} are taken. Send it smaller, or compressed more."
        )
        self.limit = limit


class CancelledTerms(GatewayError):
    """The image and the terms cancel each other out."""

    def __init__(self) -> None:
        super().__init__(
            "The image and the words cancel each other out, so that no direction is left to search in. "
            "Take out a term, or change a weight."
        )


class StreamConfigError(GatewayError):
    """The first message of a stream must carry the configuration, and only the first."""


class CollectionNotFound(GatewayError):
    """There is no collection of that id."""

    def __init__(self, collection: str) -> None:
        super().__init__(f'There is no collection "{collection}". ListCollections lists those that there are.')
        self.collection = collection


class CollectionExists(GatewayError):
    """There is a collection of that id already."""

    def __init__(self, collection: str) -> None:
        super().__init__(f'There is a collection "{collection}" already. Use it, or choose another id.')
        self.collection = collection


class CollectionOfOtherModel(GatewayError):
    """The collection's vectors and the query's lie in different spaces."""

    def __init__(self, collection: str) -> None:
        super().__init__(
            f'The images of the collection "{collection}" were switched to another model while the query was worked '
            "on, so that they cannot be compared. Try again."
        )
        self.collection = collection


class ListingOutOfDate(GatewayError):
    """The collection was switched to another index, which does not have the image that the last page ended with."""

    def __init__(self) -> None:
        super().__init__(
            "The collection was switched to another model or emptied since the last page, and the image that it ended "
            "with is there no more. Start again without the token."
        )


class SearchOutOfDate(GatewayError):
    """The search was begun in another index: another model's, or one that was emptied since."""

    def __init__(self) -> None:
        super().__init__(
            "Since the last page what is searched was switched to another model, emptied or made anew, so that the "
            "search cannot go on where it ended. Start again without the token."
        )


class UnknownModel(GatewayError):
    """No model has that name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no model {name!r}. ListModels tells which there are; PullModel fetches others.")
        self.name = name


class AmbiguousModel(GatewayError):
    """Several models have that name."""

    def __init__(self, name: str, ids: Sequence[str]) -> None:
        super().__init__(f"Several models are called {name!r}. Name one by its whole id: {', '.join(ids)}.")


class SwitchUnderWay(GatewayError):
    """Another model is being switched to."""

    def __init__(self, target: str) -> None:
        super().__init__(
            f"The images are being switched to the model {target}, and one switch is made at a time. Nothing was "
            "changed. Activate that model to see how far it is, and the other one when it is done."
        )
        self.target = target


class SwitchNotStored(GatewayError):
    """Which model is switched to cannot be written into the data folder."""

    def __init__(self, problem: str) -> None:
        super().__init__(
            f"The switch to another model cannot be noted in the data folder: {problem}. Nothing is lost, and searches "
            "go on. Free space or mend the permissions of the data folder, then activate the model again."
        )


class ImageNotFound(GatewayError):
    """The collection has no image of that id."""

    def __init__(self, collection: str, image_id: str) -> None:
        super().__init__(f'The collection "{collection}" has no image "{image_id}".')
        self.collection = collection
        self.image_id = image_id


class BlobMissing(GatewayError):
    """The image's file is missing, or its bytes are not those that were stored."""

    def __init__(self, sha256: str, problem: str) -> None:
        super().__init__(
            f"The file of the image with SHA-256 {sha256} {problem}. Its vector and attributes are intact: it is still "
            "found by searches. Delete it and index the same bytes again to mend it, or restore the file from a backup."
        )
        self.sha256 = sha256


class StorageFull(GatewayError):
    """The data folder cannot be written."""

    def __init__(self, problem: str) -> None:
        super().__init__(
            f"The image cannot be stored: {problem}. Nothing that was acknowledged is lost. "
            "Free space or mend the permissions of the data folder, then send the image again."
        )


class WordsNotReady(GatewayError):
    """The words index is not filled yet."""

    retry_after_seconds = 2.0

    def __init__(self) -> None:
        super().__init__(
            "The vocabulary is still being indexed, which happens once for each model; words and tags are answered "
            "when it is done. Searches for images work already. Try again in a moment."
        )


class DependencyUnavailable(GatewayError):
    """A service that the gateway needs does not answer."""

    retry_after_seconds = 1.0

    def __init__(self, service: str) -> None:
        super().__init__(f"The {service} does not answer. It may be starting; try again in a moment.")
        self.service = service


@dataclass(frozen=True)
class Violation:
    """A field that a service refused, and why."""

    field: str
    description: str


@dataclass(frozen=True)
class Refusal:
    """What a service said when it refused something.

    `code` is the number of the gRPC status code; `reason` the ErrorInfo reason, for example "EMPTY_QUERY".
    """

    message: str
    code: int
    reason: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    violations: tuple[Violation, ...] = ()
    retry_after_seconds: float | None = None


class Part(enum.Enum):
    """The part of a search that a refusal is about; the caller's field for it is the servicer's to name."""

    TEXT = enum.auto()
    IMAGE = enum.auto()
    CROP = enum.auto()


class Refused(GatewayError):
    """The embedder or the index refused a call, or one item of it.

    `part` and, where there are several such parts, `number` say what of a search it is about; None is not known.
    """

    def __init__(self, refusal: Refusal, part: Part | None = None, number: int | None = None) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal
        self.part = part
        self.number = number

    def about(self: R, part: Part, number: int | None = None) -> R:
        """Return the same error, about a part of a search."""
        return type(self)(self.refusal, part, number)

    def at(self: R, field: str) -> R:
        """Return the same error, about a field that the gateway's own caller knows."""
        return type(self)(replace(self.refusal, violations=(Violation(field, self.refusal.message),)))


class Overloaded(Refused):
    """The embedder's queue is full."""


class UnknownWords(Refused):
    """No word of a query is in the vocabulary."""


class InvalidCrop(Refused):
    """The crop box is empty or outside the image."""


class ModelNotFound(Refused):
    """No model of that id."""


class IndexNotFound(Refused):
    """No index of that name."""


class IndexExists(Refused):
    """An index of that name exists."""


class ModelMismatch(Refused):
    """The vector was made by another model than the index's items."""


class PositionOutOfDate(Refused):
    """The index is another one than that which a search was begun in."""
