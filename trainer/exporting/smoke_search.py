"""Searches on a finished bundle, as the embedder would answer them, before the bundle is called done.

Contract: a word goes through the embedder's own text pipeline, a picture through the bundle's own network, relevance
comes from the bundle's own curves: nothing is taken from what was measured before. A few pictures stand for all, the
classes by turns. Whether searches are better than chance is told by the figures of all pictures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from model.bundle.manifest import Logistic
from model.bundle.reading import Bundle
from model.errors import UnknownWords
from model.text.embedding import embed_terms
from model.text.query import Term
from model.text.vocabulary import Vocabulary
from trainer.errors import BundleUnsearchable
from trainer.evaluation.baselines import hit_by_chance
from trainer.evaluation.images import vocabulary_of
from trainer.exporting.measured import Measured
from trainer.measures.evaluate import Evaluation
from trainer.measures.tagging import nearest_tags, taggable_words
from trainer.measures.truth import Truth

__all__ = ["Found", "HitsBesideChance", "SmokeSearch", "beside_chance", "smoke_search"]

_PICTURES = 48
_QUERIES = 5
_FOUND = 3
_TAGS = 5
_DEVIATIONS = 2  # of a random order; about one in forty is above them

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Found:
    """A picture or a word that a search found, what it is (a picture's label, or nothing), and its relevance, 0…1."""

    name: str
    label: str
    relevance: float


@dataclass(frozen=True)
class SmokeSearch:
    """What each word found among the pictures, what tags each picture got; and the words that are never found.

    ``pictures``: how many pictures the words were searched in.
    """

    by_word: Mapping[str, tuple[Found, ...]]
    tags: Mapping[str, tuple[Found, ...]]
    unknown: tuple[str, ...]
    pictures: int


@dataclass(frozen=True)
class HitsBesideChance:
    """hit@k of labels' words, what it is in a random order, and by how much it must be more to tell of anything."""

    k: int
    hit: float
    chance: float
    margin: float

    @property
    def above(self) -> bool:
        """Whether searches are better than chance."""
        return self.hit > self.chance + self.margin


def smoke_search(bundle: Bundle, measured: Measured) -> SmokeSearch:
    """Search a few pictures by their classes' words, and words by a few pictures.

    Raises:
        BundleUnsearchable: the embedder understands no class's word, or the network gives vectors without a direction.
    """
    chosen = measured.by_turns(_PICTURES)
    vectors = bundle.network(measured.pixels[chosen])
    if not np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3):
        raise BundleUnsearchable(
            "The bundle cannot be searched: its vectors of pictures are zero or not numbers, so nothing is near to "
            "them. Train the head again, with a lower learning rate."
        )
    labels = [measured.words(image) for image in (*chosen.tolist(), *range(len(measured.labels)))]
    asked, unknown = _embedded(tuple(dict.fromkeys(word for each in labels for word in each)), bundle)
    words, queries = list(asked)[:_QUERIES], np.stack(list(asked.values())[:_QUERIES])
    calibration, names = bundle.manifest.calibration, [measured.name(int(image)) for image in chosen]
    vocabulary = vocabulary_of(bundle.words)
    tags = taggable_words(vocabulary, bundle.words.taggable)
    found = _nearest(queries, vectors, _FOUND, names, list(map(", ".join, labels)), calibration.text_to_image)
    tagged = _nearest(vectors[:_QUERIES], vocabulary.vectors(tags), _TAGS, tags, None, calibration.tags)
    return SmokeSearch(
        dict(zip(words, found, strict=True)), dict(zip(names, tagged, strict=False)), unknown, len(chosen)
    )


def beside_chance(evaluation: Evaluation, truth: Truth) -> HitsBesideChance:
    """hit@5 of all pictures of the truth beside chance; of fewer than ten classes hit@2, of fewer than four hit@1."""
    k = max(k for k in (1, 2, 5) if k == 1 or k <= evaluation.classes / 2)
    chance = hit_by_chance(truth, k)
    margin = _DEVIATIONS * sqrt(chance * (1 - chance) / evaluation.images)
    return HitsBesideChance(k, evaluation.word_hits[k], chance, margin)


def _embedded(words: tuple[str, ...], bundle: Bundle) -> tuple[dict[str, Floats], tuple[str, ...]]:
    """The vectors of words as the embedder answers them, and the words that it has no answer to."""
    vocabulary = Vocabulary(bundle.words)
    asked: dict[str, Floats] = {}
    for word in words:
        with suppress(UnknownWords):
            asked[word] = embed_terms((Term(word.replace("_", " "), quoted=True),), vocabulary).vector
    if not asked:
        raise BundleUnsearchable(
            f"The bundle cannot be searched: the embedder finds none of the words {', '.join(map(repr, words[:5]))} "
            "that the classes are called by. It looks words up in lower case: convert them with --lowercase."
        )
    return asked, tuple(word for word in words if word not in asked)


def _nearest(
    queries: Floats, vectors: Floats, k: int, names: Sequence[str], labels: Sequence[str] | None, curve: Logistic
) -> list[tuple[Found, ...]]:
    """The k vectors nearest to each query, by name."""
    [(places, cosines)] = nearest_tags(queries, vectors, k)
    return [
        tuple(
            Found(names[place], labels[place] if labels else "", curve(float(cosine)))
            for place, cosine in zip(row, similar, strict=True)
        )
        for row, similar in zip(places, cosines, strict=True)
    ]
