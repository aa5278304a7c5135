"""The arguments and results of calls: frozen values without gRPC."""

from __future__ import annotations

from collections.abc import Collection as AnyCollection
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from semsearch.errors import SemsearchError

JsonValue: TypeAlias = "bool | float | str | list[JsonValue] | dict[str, JsonValue] | None"
Attributes: TypeAlias = Mapping[str, JsonValue]
Scalar: TypeAlias = bool | float | str | None
Equal: TypeAlias = Mapping[str, Scalar | AnyCollection[Scalar]]


@dataclass(frozen=True)
class Term:
    """A word or phrase of a query; a negative weight means less like it."""

    text: str
    weight: float = 1.0


@dataclass(frozen=True)
class CropBox:
    """A part of an image, in fractions of its width and height, 0…1."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True)
class ImageTerm:
    """An image of a query: its bytes, or a stored one's id; a negative weight means less like it."""

    image: bytes | str
    weight: float = 1.0
    crop: CropBox | None = None


@dataclass(frozen=True)
class Upload:
    """An image to add; `id` "" means the SHA-256 of the bytes.

    If `original_at` says where the original stays, only its thumbnail is stored.
    """

    content: bytes
    id: str = ""
    attributes: Attributes = field(default_factory=dict)
    original_at: str = ""


@dataclass(frozen=True)
class Image:
    """A stored image. `sha256` is lower-case hex of the original bytes; `width` and `height` are pixels, as shown.

    What the camera wrote is "" or None if it is unknown: `taken_time` is local time in ISO 8601, with the offset from
    UTC if the camera wrote one; latitude and longitude are degrees north and east. `original_at` is where the original
    lies if only a thumbnail is stored.
    """

    id: str
    collection: str
    attributes: Attributes
    sha256: str
    media_type: str
    size_bytes: int
    width: int
    height: int
    create_time: datetime
    taken_time: str = ""
    camera: str = ""
    lens: str = ""
    latitude: float | None = None
    longitude: float | None = None
    original_at: str = ""


@dataclass(frozen=True)
class ImageMatch:
    """An image that a search found.

    `distance` is √(2 − 2·cos), 0…2; `similarity` the cosine, −1…1; `relevance` calibrated, 0…1.
    """

    image: Image
    distance: float
    similarity: float
    relevance: float


@dataclass(frozen=True)
class UnknownWord:
    """A word of a query that was ignored, with similar words of the vocabulary, best first."""

    word: str
    suggestions: tuple[str, ...]


@dataclass(frozen=True)
class UnderstoodTerm:
    """A part of a query as the server understood it.

    `text` is what was written, and `words` are the vocabulary's words for it. A negative `weight` steers away. Words
    that did not count, such as "the" and "a photo of", are in no part.
    """

    text: str
    words: tuple[str, ...]
    weight: float


@dataclass(frozen=True)
class ImageMatches:
    """A page of matches, nearest first; `next_page_token` is "" on the last one."""

    matches: tuple[ImageMatch, ...]
    unknown_words: tuple[UnknownWord, ...] = ()
    next_page_token: str = ""
    understood: tuple[UnderstoodTerm, ...] = ()


@dataclass(frozen=True)
class Tag:
    """A word for an image; the numbers are those of `ImageMatch`."""

    word: str
    distance: float
    similarity: float
    relevance: float


@dataclass(frozen=True)
class Tags:
    """The words for an image, most relevant first."""

    tags: tuple[Tag, ...]
    unknown_words: tuple[UnknownWord, ...] = ()


@dataclass(frozen=True)
class WordMatch:
    """A word that a search found."""

    word: str
    distance: float
    similarity: float


@dataclass(frozen=True)
class WordMatches:
    """A page of words, nearest first; `next_page_token` is "" on the last one."""

    words: tuple[WordMatch, ...]
    unknown_words: tuple[UnknownWord, ...] = ()
    next_page_token: str = ""
    understood: tuple[UnderstoodTerm, ...] = ()


@dataclass(frozen=True)
class UploadResult:
    """The result of an upload; `number` counts from 0.

    If `error` is None, the image is durable and searchable under `id`. `duplicate_of` is set if the collection had the
    same bytes before.
    """

    number: int
    id: str
    duplicate_of: str = ""
    error: SemsearchError | None = None


@dataclass(frozen=True)
class Deletion:
    """The number of deleted images, and the ids that the collection did not have."""

    deleted_count: int
    unknown_ids: tuple[str, ...]


@dataclass(frozen=True)
class DuplicatesProgress:
    """The progress of a search for duplicates, and the groups found since the last report.

    The images of a group show the same picture as its first, which is the best copy. `unhashed_count` images were
    added before images had a perceptual hash, and `plain_count` have almost no contrast; neither were compared.
    """

    done_count: int
    total_count: int
    groups: tuple[tuple[Image, ...], ...] = ()
    unhashed_count: int = 0
    plain_count: int = 0


@dataclass(frozen=True)
class Collection:
    """A named set of images that are searched together.

    `index_bytes` and `image_bytes` (originals and thumbnails) are on disk; the latter is None in lists.
    """

    id: str
    display_name: str
    image_count: int
    model_id: str
    create_time: datetime
    index_bytes: int = 0
    image_bytes: int | None = None


@dataclass(frozen=True)
class Model:
    """A joint space of words and images."""

    id: str
    display_name: str
    dimension: int
    input_size: int
    word_count: int
    active: bool
    default_min_relevance: float
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Recipe:
    """Instructions to build a model; `download_bytes` is 0 if nothing is downloaded."""

    name: str
    model_id: str
    display_name: str
    download_bytes: int


@dataclass(frozen=True)
class PullProgress:
    """How many bytes of a model's files have been fetched; `model` is None until it is built."""

    bytes_done: int
    bytes_total: int
    model: Model | None = None


@dataclass(frozen=True)
class SwitchProgress:
    """How many words of the new model are indexed, and how many images are embedded or failed.

    `model` is None until it serves.
    """

    images_done: int
    images_total: int
    images_failed: int
    model: Model | None = None
    words_done: int = 0
    words_total: int = 0
