"""The embedder's interface. All vectors are float32 (dimension,), of unit length."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gateway.backends.refusals import Refused

Vector = NDArray[np.float32]


@dataclass(frozen=True)
class Term:
    """A word or phrase with its weight; negative weights steer away."""

    text: str
    weight: float = 1.0


@dataclass(frozen=True)
class TextQuery:
    """A query: as people type it, or as a list of terms."""

    raw: str = ""
    terms: tuple[Term, ...] = ()


@dataclass(frozen=True)
class UnknownWord:
    """A word outside the vocabulary, with the nearest words in it, best first."""

    word: str
    suggestions: tuple[str, ...] = ()


@dataclass(frozen=True)
class UnderstoodTerm:
    """A part of a query that counts: its text as written, the vocabulary's words for it, and its weight."""

    text: str
    words: tuple[str, ...]
    weight: float = 1.0


@dataclass(frozen=True)
class TextEmbedding:
    """A query's vector, its understood terms, and its unknown words.

    `length` is the norm of the weighted sum of the terms: `length · vector` is the sum.
    """

    vector: Vector
    understood: tuple[UnderstoodTerm, ...] = ()
    unknown_words: tuple[UnknownWord, ...] = ()
    length: float = 1.0

    @property
    def words(self) -> frozenset[str]:
        """Return the vocabulary's words for the query."""
        return frozenset(word for term in self.understood for word in term.words)


@dataclass(frozen=True)
class RefusedText:
    """A query without a vector."""

    error: Refused
    unknown_words: tuple[UnknownWord, ...] = ()


@dataclass(frozen=True)
class TextEmbeddings:
    """One result for each query, in order, and the model that made them."""

    model_id: str
    results: tuple[TextEmbedding | RefusedText, ...]


@dataclass(frozen=True)
class Crop:
    """A part of an image, in fractions of its width and height."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True)
class ImageInput:
    """An image to embed; `thumbnail_edge` is the longest edge of the thumbnail wanted, 0 for none."""

    content: bytes
    crop: Crop | None = None
    thumbnail_edge: int = 0


@dataclass(frozen=True)
class PhotoMetadata:
    """What the camera wrote (EXIF); "" and None where it is unknown.

    `taken_time` is local time in ISO 8601, with the offset from UTC if known. Latitude and longitude are degrees north
    and east. `orientation` is that of the original, 1 to 8.
    """

    taken_time: str = ""
    camera: str = ""
    lens: str = ""
    latitude: float | None = None
    longitude: float | None = None
    orientation: int = 1


@dataclass(frozen=True)
class ImageEmbedding:
    """An image's vector and the properties found while decoding it; `thumbnail` is WebP."""

    vector: Vector
    width: int
    height: int
    media_type: str
    thumbnail: bytes
    photo: PhotoMetadata = PhotoMetadata()
    perceptual_hash: bytes = b""


@dataclass(frozen=True)
class ImageEmbeddings:
    """One result for each image, in order, and the model that made them."""

    model_id: str
    results: tuple[ImageEmbedding | Refused, ...]


@dataclass(frozen=True)
class Logistic:
    """From cosine similarity to relevance, 0…1 (Platt 1999)."""

    slope: float
    offset: float

    def relevance(self, similarity: float) -> float:
        """Return 1 / (1 + exp(−(slope · similarity + offset))), written so that nothing overflows."""
        return 0.5 * (1.0 + math.tanh(0.5 * (self.slope * similarity + self.offset)))


@dataclass(frozen=True)
class Calibration:
    """A model's relevance curves and default thresholds."""

    text_to_image: Logistic
    tags: Logistic
    image_to_image: Logistic
    default_min_relevance: float
    default_min_tag_relevance: float


@dataclass(frozen=True)
class Model:
    """A joint space of words and images; immutable, named by its id."""

    id: str
    display_name: str
    dimension: int
    input_size: int
    word_count: int
    calibration: Calibration
    metrics: Mapping[str, float]
    active: bool

    @property
    def short_hash(self) -> str:
        """Return the digest part of the id, after which the model's indexes are named."""
        return short_hash(self.id)


def short_hash(model_id: str) -> str:
    """Return the digest part of a model's id, after which its indexes are named."""
    return model_id.rpartition(":")[2]


@dataclass(frozen=True)
class Limits:
    """What one call to the embedder may carry."""

    max_queries: int
    max_images: int
    max_image_bytes: int


@dataclass(frozen=True)
class Word:
    """A word of the vocabulary; rank 0 is the most frequent one."""

    text: str
    rank: int
    taggable: bool


@dataclass(frozen=True)
class Words:
    """The next words of a vocabulary, in the order of their rank, and their vectors: float32 (words, dimension)."""

    words: tuple[Word, ...]
    vectors: NDArray[np.float32]


@dataclass(frozen=True)
class Recipe:
    """Instructions that make a model; `download_bytes` is 0 where nothing is downloaded."""

    name: str
    model_id: str
    display_name: str
    download_bytes: int


@dataclass(frozen=True)
class PullProgress:
    """How many bytes of a recipe's files are present; `model` is the result, None until it is complete."""

    bytes_done: int
    bytes_total: int
    model: Model | None = None


class Embedder(Protocol):
    """Turns words and images into vectors, with the model of a given id; the empty id means the serving model.

    Every method raises `ModelNotFound` if no model has that id, `DependencyUnavailable` if the embedder does not
    answer, `Refused` (or another subclass) if it refuses the whole call, and `TimeoutError` if the deadline passes.
    """

    async def embed_texts(self, queries: Sequence[TextQuery], model_id: str = "") -> TextEmbeddings:
        """Embed 1 to `Limits.max_queries` queries."""

    async def embed_images(self, images: Sequence[ImageInput], model_id: str = "") -> ImageEmbeddings:
        """Embed 1 to `Limits.max_images` images."""

    def stream_words(self, skip: int, model_id: str = "") -> AsyncGenerator[Words, None]:
        """Yield the vocabulary after its first `skip` words; close the generator to stop."""

    async def get_model(self, model_id: str = "") -> tuple[Model, Limits]:
        """Return a model."""

    async def list_models(self) -> Sequence[Model]:
        """Return the models that can be served."""

    async def list_recipes(self) -> Sequence[Recipe]:
        """Return the built-in recipes, by name."""

    def pull_model(self, recipe: str) -> AsyncGenerator[PullProgress, None]:
        """Make a model from a built-in recipe, yielding progress; close the generator to stop."""

    async def activate_model(self, model_id: str) -> Model:
        """Make a model the default for calls that name none, and return it."""
