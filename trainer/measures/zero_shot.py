"""Classes that were kept out of training altogether, found by their words alone (zero-shot, Frome et al. 2013, §4.2).

Contract: the bundle was trained without the classes named; nothing here can check that, so whoever names them vouches
for it. Kinds that a kept-out class shares with others were seen in training: the images are new, and so is the label.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trainer.errors import EvaluationImpossible
from trainer.labels.class_words import Vocabulary
from trainer.measures.evaluate import HITS
from trainer.measures.ranking import hit_at
from trainer.measures.searches import FIRST_PAGE, QueryFigures, search_by
from trainer.measures.truth import Truth

__all__ = ["ZeroShot", "measure_zero_shot", "read_unseen"]


@dataclass(frozen=True)
class ZeroShot:
    """Figures of the kept-out classes. ``hits``: the label's word among those of the kept-out classes only.

    ``hits_among_all``: among those of all ``known`` classes, which draw images to what was trained on. Of an
    image that shows other classes too, only the kept-out ones count as right. ``queries``: a search for each label
    among all images. ``times_chance``: their mean precision@10 over that of a random order.
    """

    classes: int
    known: int
    images: int
    hits: dict[int, float]
    hits_among_all: dict[int, float]
    queries: tuple[QueryFigures, ...]
    times_chance: float

    def metrics(self) -> dict[str, float]:
        """The figures by name."""
        return {
            "unseen_classes": float(self.classes),
            "unseen_images": float(self.images),
            **{f"unseen_hit@{k}": share for k, share in self.hits.items()},
            **{f"unseen_hit_among_all@{k}": share for k, share in self.hits_among_all.items()},
            f"unseen_precision@{FIRST_PAGE}": float(np.mean([query.precision for query in self.queries])),
            "unseen_times_chance": self.times_chance,
        }


def read_unseen(path: Path) -> frozenset[str]:
    """The names of a JSON list of classes, or the keys of a file of classes' words.

    Raises:
        EvaluationImpossible: it is neither.
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
