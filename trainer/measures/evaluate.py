"""Measure how well a space finds what it should: all measures together, from vectors.

Contract: vectors are unit rows; a query is its word's own vector, as the services answer it; an image is relevant to a
word if the word is the label of a class it shows or one of its kinds. Nothing here knows files or networks, so a head
in training and a bundle as served are measured by the same code.

Zero-shot: classes that were kept out of training altogether are found by their words alone (Frome et al. 2013, §4.2).
Nothing here can check that they were kept out: the caller must make sure. Kinds that such a class shares with others
were seen in training: the images are new, and so is the label.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainer.errors import EvaluationImpossible
from trainer.labels.space import Vocabulary
from trainer.measures.hierarchy import Hierarchy, hierarchical_precision_at, hierarchy_of
from trainer.measures.ranking import FIRST_PAGE, hit_at
from trainer.measures.searches_and_tags import QueryFigures, Searches, image_precision, search, search_by, tagged_at
from trainer.measures.truth import Truth

HITS = (1, 2, 5, 10)
HIERARCHICAL = (2, 5, 10, 20)
TAGS = (1, 5, 10)
Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Evaluation:
    """The figures. Shares are 0…1.

    `classified`: hit@k and hierarchical precision@k of the label vectors of all classes, nearest to the image first.
    `word_hits`: hit@k with each label's word alone for its vector: zero-shot classification as served.
    `tagged`: share of images with a right word among the first k of the taggable vocabulary.
    """

    images: int
    classes: int
    classified: dict[str, float]
    word_hits: dict[int, float]
    searches: Searches
    image_precision: float
    tagged: dict[int, float]

    def metrics(self) -> dict[str, float]:
        """Return the figures by name, as a bundle's manifest holds them; unknown ones are left out."""
        figures = {
            "images": float(self.images),
            "classes": float(self.classes),
            **self.classified,
            **{f"word_hit@{k}": share for k, share in self.word_hits.items()},
            **self.searches.metrics(),
            f"image_precision@{FIRST_PAGE}": self.image_precision,
            **{f"tagged@{k}": share for k, share in self.tagged.items()},
        }
        return {name: value for name, value in figures.items() if np.isfinite(value)}


def evaluate(
    truth: Truth,
    vocabulary: Vocabulary,
    taggable: NDArray[np.bool_],
    nearest_kinds: int,
    hierarchy: Hierarchy | None = None,
) -> Evaluation:
    """Measure a space on embedded images.

    `taggable`: (words), which words may be tags. `nearest_kinds`: how many kinds are in a label's vector.
    `hierarchy`: of `truth.classes`; without one, that of their kinds.

    Raises:
        EvaluationImpossible: there are no images, or fewer than two classes.
    """
    if not len(truth.labels) or len(truth.classes) < 2:
        raise EvaluationImpossible("An evaluation needs images of at least two classes. Check the folder and labels.")
    words = vocabulary.vectors([each.word for each in truth.classes])
    scores = truth.vectors @ label_targets(truth, vocabulary, nearest_kinds).T
    return Evaluation(
        images=len(truth.labels),
        classes=len(truth.classes),
        classified=classification(scores, truth.shows, hierarchy or hierarchy_of(truth.classes)),
        word_hits=hit_at(HITS, truth.vectors @ words.T, truth.shows),
        searches=search(truth, vocabulary),
        image_precision=image_precision(truth),
        tagged=tagged_at(TAGS, truth, vocabulary, taggable),
    )


def label_targets(truth: Truth, vocabulary: Vocabulary, nearest_kinds: int) -> NDArray[np.float32]:
    """Return the label vector of each class: (classes, dimension)."""
    return np.stack([vocabulary.label_vector(each, nearest_kinds) for each in truth.classes])


def classification(scores: Floats, right: NDArray[np.bool_], hierarchy: Hierarchy) -> dict[str, float]:
    """Return flat hit@k and hierarchical precision@k of classes' scores from any source; both (images, classes)."""
    flat = {f"hit@{k}": share for k, share in hit_at(HITS, scores, right).items()}
    near = hierarchical_precision_at(HIERARCHICAL, scores, right, hierarchy)
    return flat | {f"hierarchical_precision@{k}": share for k, share in near.items()}


@dataclass(frozen=True)
class ZeroShot:
    """Figures of the kept-out classes. `hits`: the label's word among those of the kept-out classes only.

    `hits_among_all`: among those of all `known` classes, which draw images to what was trained on. Of an
    image that shows other classes too, only the kept-out ones count as right. `queries`: a search for each label
    among all images. `times_chance`: their mean precision@10 over that of a random order.
    """

    classes: int
    known: int
    images: int
    hits: dict[int, float]
    hits_among_all: dict[int, float]
    queries: tuple[QueryFigures, ...]
    times_chance: float

    def metrics(self) -> dict[str, float]:
        """Return the figures by name."""
        return {
            "unseen_classes": float(self.classes),
            "unseen_images": float(self.images),
            **{f"unseen_hit@{k}": share for k, share in self.hits.items()},
            **{f"unseen_hit_among_all@{k}": share for k, share in self.hits_among_all.items()},
            f"unseen_precision@{FIRST_PAGE}": float(np.mean([query.precision for query in self.queries])),
            "unseen_times_chance": self.times_chance,
        }


def read_unseen(path: Path) -> frozenset[str]:
    """Return the names of a JSON list of classes, or the keys of a file of classes' words.

    Raises:
        EvaluationImpossible: the file is neither.
    """
    try:
        names = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EvaluationImpossible(f"{path} names no classes ({error}). It should be a JSON list of names.") from error
    if not isinstance(names, list | dict) or not all(isinstance(name, str) for name in names):
        raise EvaluationImpossible(f'{path} names no classes. It should be a JSON list, as ["n01443537", …].')
    return frozenset(names)


def measure_zero_shot(truth: Truth, vocabulary: Vocabulary, unseen: Collection[str]) -> ZeroShot:
    """Measure the kept-out classes that images show.

    Raises:
        EvaluationImpossible: fewer than two of them are shown.
    """
    shown = {each.name for each in truth.shown}
    columns = np.array([number for number, each in enumerate(truth.classes) if each.name in shown & set(unseen)])
    if len(columns) < 2:
        raise EvaluationImpossible(
            f"The images show {len(columns)} of the {len(unseen)} classes that were kept out of training; at least "
            "two are needed. Check the names, and that the images are those of these classes."
        )
    of_unseen = truth.take(np.any(truth.shows[:, columns], axis=1))
    right = of_unseen.shows & np.isin(np.arange(len(truth.classes)), columns)
    words = vocabulary.vectors([each.word for each in truth.classes])
    similarity = of_unseen.vectors @ words.T
    labels = tuple(dict.fromkeys(truth.classes[int(number)].word for number in columns))
    queries = search_by([(word,) for word in labels], truth, vocabulary)
    by_chance = np.mean([query.relevant / len(truth.labels) for query in queries])
    return ZeroShot(
        classes=len(columns),
        known=len(truth.classes),
        images=len(of_unseen.labels),
        hits=hit_at(HITS, similarity[:, columns], right[:, columns]),
        hits_among_all=hit_at(HITS, similarity, right),
        queries=queries,
        times_chance=float(np.mean([query.precision for query in queries]) / by_chance),
    )
