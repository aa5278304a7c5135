"""How well a space finds what it should: the measures of an evaluation, over vectors.

Contract: vectors are unit rows; a query is its word's own vector, as the services answer it; an image is relevant to
a word if the word is the label of a class it shows or one of its kinds. Nothing here knows files or networks, so a head
in training and a bundle as served are measured by the same code.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.errors import EvaluationImpossible
from trainer.labels.class_words import Vocabulary
from trainer.measures.hierarchy import Hierarchy, hierarchical_precision_at, hierarchy_of
from trainer.measures.ranking import hit_at
from trainer.measures.searches import FIRST_PAGE, Searches, image_precision, search
from trainer.measures.tagging import tagged_at
from trainer.measures.truth import Truth

__all__ = ["HITS", "Evaluation", "classification", "evaluate", "label_targets"]

HITS = (1, 2, 5, 10)
HIERARCHICAL = (2, 5, 10, 20)
TAGS = (1, 5, 10)

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Evaluation:
    """The figures. Shares are 0…1.

    ``classified``: hit@k and hierarchical precision@k of the label vectors of all classes, nearest to the image first.
    ``word_hits``: hit@k with each label's word alone for its vector: zero-shot classification as served.
    ``tagged``: share of images with a right word among the first k of the taggable vocabulary.
    """

    images: int
    classes: int
    classified: dict[str, float]
    word_hits: dict[int, float]
    searches: Searches
    image_precision: float
    tagged: dict[int, float]

    def metrics(self) -> dict[str, float]:
        """The figures by name, as a bundle's manifest holds them; what these images cannot tell is left out."""
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

    ``taggable``: (words), which words may be tags. ``nearest_kinds``: how many kinds are in a label's vector.
    ``hierarchy``: of ``truth.classes``; without one, that of their kinds.

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
    """The label vector of each class: (classes, dimension)."""
    return np.stack([vocabulary.label_vector(each, nearest_kinds) for each in truth.classes])


def classification(scores: Floats, right: NDArray[np.bool_], hierarchy: Hierarchy) -> dict[str, float]:
    """Flat hit@k and hierarchical precision@k of classes' scores, whatever gave them; both (images, classes)."""
    flat = {f"hit@{k}": share for k, share in hit_at(HITS, scores, right).items()}
    near = hierarchical_precision_at(HIERARCHICAL, scores, right, hierarchy)
    return flat | {f"hierarchical_precision@{k}": share for k, share in near.items()}
