"""What the gateway needs of an embedder. All vectors are float32 (dimension,), of unit length."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gateway.errors import Refused

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
    """A word that the vocabulary does not have, with the nearest that it has, best first."""

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
    """A query's vector, what it was understood as, and the words that did not count.

    `length` is how long the weighted sum of the terms was: `vector` times it is the sum.
    """

    vector: Vector
    understood: tuple[UnderstoodTerm, ...] = ()
    unknown_words: tuple[UnknownWord, ...] = ()
    length: float = 1.0

    @property
    def words(self) -> frozenset[str]:
        """Return the vocabulary's words that the query stands for."""
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
class ImageEmbedding:
    """An image's vector and what was learnt from reading it; `thumbnail` is WebP."""

    vector: Vector
    width: int
    height: int
    media_type: str
    thumbnail: bytes


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
        """Returns the digest part of the id, by which indexes of the model are named."""
        return short_hash(self.id)


def short_hash(model_id: str) -> str:
    """Return the digest part of a model's id, by which its indexes are named."""
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
class PullProgress:
    """How much of a recipe's files is there; `model` is what was made of them, None until all is done."""

    bytes_done: int
    bytes_total: int
    model: Model | None = None


class Embedder(Protocol):
    """Turns words and images into vectors, with the model of an id; the empty id is the one that serves now.

    Every method raises `ModelNotFound` where there is no model of that id, `DependencyUnavailable` where the embedder
    does not answer, `Refused` (or another subclass) where it refuses the whole call, and `TimeoutError` where the
    deadline passed.
    """

    async def embed_texts(self, queries: Sequence[TextQuery], model_id: str = "") -> TextEmbeddings:
        """Embeds 1 to `Limits.max_queries` queries."""

    async def embed_images(self, images: Sequence[ImageInput], model_id: str = "") -> ImageEmbeddings:
        """Embed 1 to `Limits.max_images` images."""

    def stream_words(self, skip: int, model_id: str = "") -> AsyncGenerator[Words, None]:
        """Yield the vocabulary after its first `skip` words; close it to leave."""

    async def get_model(self, model_id: str = "") -> tuple[Model, Limits]:
        """Return a model."""

    async def list_models(self) -> Sequence[Model]:
        """Return the models that could be served."""

    def pull_model(self, recipe: str) -> AsyncGenerator[PullProgress, None]:
        """Make a model from a recipe that ships, and tells how far it is; close it to leave."""

    async def activate_model(self, model_id: str) -> Model:
        """Make a model the one that serves where a call names none, and returns it."""
