"""Measure tags and searches by kind on photos of WordNet senses, one or a few of each.

Contract: photos lie in one folder and are named by their sense, `n01443537_goldfish.jpg`. The right words come from
WordNet (see `sense_words`), not from the classes that a bundle was trained on, so that bundles of other classes can be
measured by the same photos. A photo whose right words are all missing from the vocabulary counts as wrong.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from trainer.data_sets.reading import SUFFIXES, LabelledFile
from trainer.errors import EvaluationImpossible
from trainer.labels.sense_words import kinds_of, lemmas_of, right_words
from trainer.labels.space import Vocabulary
from trainer.measures.ranking import FIRST_PAGE, precision_at
from trainer.measures.searches_and_tags import nearest_tags, taggable_words
from trainer.words.wordnet import Sense, WordNet

_NAME = re.compile(r"(n\d{8})_.+")
_FIRST = 5
_SHOWN_BY = 5
_SHOWN = 15


@dataclass(frozen=True)
class PhotoFigures:
    """Shares are 0…1.

    `tagged`: a right word among the first five of the whole vocabulary, `tagged_taggable` of the taggable words, as
    served. `lemma` and `lemma_taggable`: a lemma of the photo's own sense among the first ten, of the
    `lemma_known` photos for which the vocabulary has one. `kinds`: precision@10 of each kind that at least five
    photos are of. `missed`: the first tags of photos without a right one among them.
    """

    photos: int
    tagged: float
    tagged_taggable: float
    lemma: float
    lemma_taggable: float
    lemma_known: int
    kinds: dict[str, float]
    missed: dict[str, tuple[str, ...]]

    def metrics(self) -> dict[str, float]:
        """Return the figures by name."""
        found = {
            "photos": float(self.photos),
            f"photos_tagged@{_FIRST}": self.tagged,
            f"photos_tagged_taggable@{_FIRST}": self.tagged_taggable,
            f"photos_lemma@{FIRST_PAGE}": self.lemma,
            f"photos_lemma_taggable@{FIRST_PAGE}": self.lemma_taggable,
            "photos_lemma_known": float(self.lemma_known),
            f"photos_kind_precision@{FIRST_PAGE}": float(np.mean(list(self.kinds.values()) or [np.nan])),
            "photos_kind_queries": float(len(self.kinds)),
        }
        return {name: value for name, value in found.items() if np.isfinite(value)}


def read_photos(folder: Path) -> Iterator[LabelledFile]:
    """Yield the photos of a flat folder, each labelled with the sense that its name begins with.

    Raises:
        EvaluationImpossible: the folder has none.
    """
    found = False
    for path in sorted(folder.iterdir()):
        name = _NAME.fullmatch(path.stem)
        if name and path.suffix.lower() in SUFFIXES:
            found = True
            yield LabelledFile(path.name, path.read_bytes(), (name[1],))
    if not found:
        raise EvaluationImpossible(f"{folder} has no photo that is named by its sense, such as n01443537_goldfish.jpg.")


def senses_of(names: Sequence[str], wordnet: WordNet) -> tuple[Sense, ...]:
    """Return the senses with these names.

    Raises:
        EvaluationImpossible: WordNet has no such noun.
    """
    try:
        return tuple(wordnet.sense(name) for name in names)
    except KeyError as error:
        raise EvaluationImpossible(f"WordNet 3.0 has no noun {error}. Are the photos named by its ids?") from error


def measure_photos(
    vectors: NDArray[np.float32],
    senses: Sequence[Sense],
    vocabulary: Vocabulary,
    taggable: NDArray[np.bool_],
    wordnet: WordNet,
) -> PhotoFigures:
    """Measure photos' unit vectors, (n, dimension), of n senses."""
    right = [right_words(sense, wordnet) for sense in senses]
    lemmas = [frozenset(word for word in lemmas_of(sense) if word in vocabulary) for sense in senses]
    tags = _tags(vectors, vocabulary, vocabulary.words)
    served = _tags(vectors, vocabulary, taggable_words(vocabulary, taggable))
    missed = {
        sense.lemmas[0]: words[:_FIRST]
        for sense, words, wanted in zip(senses, tags, right, strict=True)
        if not wanted & set(words[:_FIRST])
    }
    return PhotoFigures(
        photos=len(senses),
        tagged=_share(tags, right),
        tagged_taggable=_share(served, right),
        lemma=_own_found(tags, lemmas),
        lemma_taggable=_own_found(served, lemmas),
        lemma_known=sum(map(bool, lemmas)),
        kinds=_kind_queries(vectors, senses, vocabulary, wordnet),
        missed=missed,
    )


def _tags(vectors: NDArray[np.float32], vocabulary: Vocabulary, words: Sequence[str]) -> list[tuple[str, ...]]:
    found = nearest_tags(vectors, vocabulary.vectors(words), FIRST_PAGE)
    return [tuple(words[place] for place in row) for nearest, _ in found for row in nearest]


def _share(tags: Sequence[Sequence[str]], right: Sequence[frozenset[str]]) -> float:
    return float(np.mean([bool(wanted & set(words[:_FIRST])) for words, wanted in zip(tags, right, strict=True)]))


def _own_found(tags: Sequence[Sequence[str]], lemmas: Sequence[frozenset[str]]) -> float:
    found = [bool(own & set(words)) for own, words in zip(lemmas, tags, strict=True) if own]
    return float(np.mean(found)) if found else float("nan")


def _kind_queries(
    vectors: NDArray[np.float32], senses: Sequence[Sense], vocabulary: Vocabulary, wordnet: WordNet
) -> dict[str, float]:
    kinds = [frozenset(kinds_of(sense, wordnet)) for sense in senses]
    words = sorted({word for each in kinds for word in each if word in vocabulary})
    shows = {word: np.array([word in each for each in kinds]) for word in words}
    asked = [word for word in words if shows[word].sum() >= _SHOWN_BY]
    if not asked:
        return {}
    relevant = np.stack([shows[word] for word in asked])
    precision = precision_at(FIRST_PAGE, vocabulary.vectors(asked) @ vectors.T, relevant)
    return dict(zip(asked, precision.tolist(), strict=True))


def print_photos(console: Console, model: str, figures: PhotoFigures) -> None:
    """Print the figures, and some of the photos whose first tags are all wrong."""
    table = Table("", "share", title=f"{model}: {figures.photos} photos")
    table.add_row("right word among the first five of the whole vocabulary", f"{figures.tagged:.3f}")
    table.add_row("right word among the first five taggable words", f"{figures.tagged_taggable:.3f}")
    known = f"({figures.lemma_known} photos)"
    table.add_row(f"own lemma among the first ten of the whole vocabulary {known}", f"{figures.lemma:.3f}")
    table.add_row(f"own lemma among the first ten taggable words {known}", f"{figures.lemma_taggable:.3f}")
    mean = figures.metrics().get("photos_kind_precision@10", float("nan"))
    table.add_row(f"precision@10 of searches by kind ({len(figures.kinds)} kinds)", f"{mean:.3f}")
    console.print(table)
    for name, tags in list(figures.missed.items())[:_SHOWN]:
        console.print(f"{name}: {', '.join(tags)}", markup=False)
    if len(figures.missed) > _SHOWN:
        console.print(f"… and {len(figures.missed) - _SHOWN} more without a right word")


def as_json(model: str, figures: PhotoFigures) -> str:
    """Return the figures as JSON, with every kind and every photo that was missed."""
    return json.dumps(
        {"model": model, "metrics": figures.metrics(), "kinds": figures.kinds, "missed": figures.missed},
        indent=2,
        ensure_ascii=False,
    )
