"""Search a finished bundle, as the embedder would, before it is put in place; print the results.

Contract: words go through the embedder's own text pipeline, pictures through the bundle's own network, and relevance
comes from the bundle's own curves: no earlier measurement is reused. A few pictures are searched, taken from the
classes in turn. The figures of all pictures decide whether searches are better than chance.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from model.bundle.manifest import Logistic
from model.bundle.reading import Bundle
from model.errors import UnknownWords
from model.text.embedding import embed_terms
from model.text.query import Term
from model.text.vocabulary import Vocabulary
from trainer.errors import BundleUnsearchable
from trainer.exporting.measuring import Measured
from trainer.labels.space import vocabulary_of
from trainer.measures.evaluate import Evaluation
from trainer.measures.ranking import hit_by_chance
from trainer.measures.searches_and_tags import nearest_tags, taggable_words
from trainer.measures.truth import Truth

_PICTURES = 48
_QUERIES = 5
_FOUND = 3
_TAGS = 5
_DEVIATIONS = 2  # of a random order; about one in forty is above them
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Match:
    """A picture or a word that a search found, what it is (a picture's label, or nothing), and its relevance, 0…1."""

    name: str
    label: str
    relevance: float


@dataclass(frozen=True)
class SmokeSearch:
    """The pictures that each word found, the tags that each picture got, and the words that the embedder does not find.

    `pictures`: how many pictures the words were searched in.
    """

    by_word: Mapping[str, tuple[Match, ...]]
    tags: Mapping[str, tuple[Match, ...]]
    unknown: tuple[str, ...]
    pictures: int


@dataclass(frozen=True)
class HitsAndChance:
    """hit@k of labels' words, its value in a random order, and the margin by which it must exceed that."""

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


def compare_with_chance(evaluation: Evaluation, truth: Truth) -> HitsAndChance:
    """Return hit@5 of all pictures and by chance; with fewer than ten classes hit@2, with fewer than four hit@1."""
    k = max(k for k in (1, 2, 5) if k == 1 or k <= evaluation.classes / 2)
    chance = hit_by_chance(truth, k)
    margin = _DEVIATIONS * sqrt(chance * (1 - chance) / evaluation.images)
    return HitsAndChance(k, evaluation.word_hits[k], chance, margin)


def _embedded(words: tuple[str, ...], bundle: Bundle) -> tuple[dict[str, Floats], tuple[str, ...]]:
    """Return the vectors of words as the embedder gives them, and the words for which it has none."""
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
) -> list[tuple[Match, ...]]:
    """Return the k vectors nearest to each query, by name."""
    [(places, cosines)] = nearest_tags(queries, vectors, k)
    return [
        tuple(
            Match(names[place], labels[place] if labels else "", curve(float(cosine)))
            for place, cosine in zip(row, similar, strict=True)
        )
        for row, similar in zip(places, cosines, strict=True)
    ]


def print_searches(console: Console, searches: SmokeSearch, hits: HitsAndChance) -> None:
    """Print what searches found, nearest first with relevance, and a warning if they are no better than chance."""
    table = Table(
        "search", "finds", title=f"Searches on the bundle ({searches.pictures} pictures)", title_justify="left"
    )
    for asked in (searches.by_word, searches.tags):
        for query, found in asked.items():
            table.add_row(escape(query), escape(_listed(found)))
        table.add_section()
    console.print(table)
    figures = f"hit@{hits.k} of the labels' words is {hits.hit:.3f}, by chance {hits.chance:.3f}"
    console.print(figures)
    if searches.unknown:
        console.print(
            f"Warning: the embedder does not find {', '.join(map(repr, searches.unknown))}, so no search by these "
            "labels will. It looks words up in lower case: convert the words with --lowercase.",
            markup=False,
        )
    if not hits.above:
        console.print(
            f"Warning: searches on this bundle are no better than chance ({figures}, ± {hits.margin:.3f}). It is "
            "written all the same. Is the head of this backbone, and of these words and labels? Was it trained enough?",
            markup=False,
        )


def _listed(found: Iterable[Match]) -> str:
    return "\n".join(f"{each.name}{f' ({each.label})' if each.label else ''} {each.relevance:.2f}" for each in found)
