"""All measures of one bundle: its column of figures, and what lies behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from model.bundle.manifest import Logistic
from model.bundle.reading import Bundle
from trainer.evaluation.baselines import Ground
from trainer.evaluation.hubs import hubness
from trainer.evaluation.images import Embedded, vocabulary_of
from trainer.evaluation.report import BundleDetails, Column
from trainer.evaluation.word_pairs import WordPair, correlate, nearest_words
from trainer.measures.evaluate import evaluate
from trainer.measures.figures import PAIRS_PREFIX
from trainer.measures.hierarchy import hierarchy_of
from trainer.measures.tagging import taggable_words
from trainer.measures.zero_shot import measure_zero_shot
from trainer.relevance.bars import search_bars, tag_bars
from trainer.relevance.calibration import LogisticCurve
from trainer.relevance.fitting import tag_pairs, text_pairs
from trainer.relevance.foreign import far_words, words_of_other_things
from trainer.relevance.halves import word_halves
from trainer.relevance.reliability import Reliability, histogram, reliability
from trainer.words.wordnet import WordNet

__all__ = ["NEAREST_OF", "Questions", "ground_of", "measure_bundle"]

NEAREST_OF = ("said", "ocean", "dog", "bottle", "street", "boat")
_FOREIGN_WORDS = 5_000


@dataclass(frozen=True)
class Questions:
    """What is asked of every bundle alike. ``pairs``: lists of graded word pairs; ``unseen``: classes kept out."""

    nearest_kinds: int
    wordnet: WordNet | None
    pairs: Mapping[str, Sequence[WordPair]]
    unseen: frozenset[str] | None = None

    @property
    def foreign(self) -> str:
        """Which words count as matching no image, and who judges so."""
        judge = "WordNet calls other things" if self.wordnet else "are far from every class's words"
        return f"no image matches the taggable words that {judge}, of the half that fits no curve"


def ground_of(bundle: Bundle, embedded: Embedded, questions: Questions) -> Ground:
    """What the bundle and its baselines are measured on."""
    classes = embedded.truth.classes
    return Ground(
        truth=embedded.truth,
        vocabulary=vocabulary_of(bundle.words),
        taggable=bundle.words.taggable,
        nearest_kinds=questions.nearest_kinds,
        hierarchy=hierarchy_of(classes, questions.wordnet),
    )


def measure_bundle(
    bundle: Bundle, embedded: Embedded, ground: Ground, questions: Questions
) -> tuple[Column, BundleDetails]:
    """Measure everything that can be.

    Raises:
        EvaluationImpossible: the images, labels and vocabulary do not suffice for a measure.
    """
    truth, vocabulary = ground.truth, ground.vocabulary
    evaluation = evaluate(truth, vocabulary, ground.taggable, ground.nearest_kinds, ground.hierarchy)
    unfitted = truth.take(~embedded.for_fitting)
    calibration = bundle.manifest.calibration
    text, tags = _curve(calibration.text_to_image), _curve(calibration.tags)
    bars = search_bars(unfitted, vocabulary, _foreign(ground, questions), text, calibration.min_relevance)
    by_text = text_pairs(unfitted, vocabulary, np.random.default_rng(0))
    by_tag = tag_pairs(unfitted, vocabulary, ground.taggable)
    left_out, tags_kept = tag_bars(by_tag, tags, calibration.min_tag_relevance)
    details = BundleDetails(
        model=bundle.manifest.id,
        searches=evaluation.searches,
        bars=bars,
        min_relevance=calibration.min_relevance,
        text_reliability=reliability(text, by_text),
        tag_reliability=reliability(tags, by_tag),
        similarities=histogram(by_text),
        nearest={word: nearest_words(word, vocabulary) for word in NEAREST_OF},
        pairs=tuple(correlate(name, pairs, vocabulary) for name, pairs in questions.pairs.items()),
        hubs=hubness(vocabulary),
        zero_shot=None if questions.unseen is None else measure_zero_shot(truth, vocabulary, questions.unseen),
    )
    of_tags = {"wrong_tags_left_out": left_out, "right_tags_kept": tags_kept}
    metrics = evaluation.metrics() | _of_details(details) | of_tags
    return Column(bundle.manifest.id, "bundle", len(truth.labels), metrics), details


def _of_details(details: BundleDetails) -> dict[str, float]:
    return {
        "unanswerable_empty": details.bars.empty,
        "right_on_top": details.bars.on_top,
        "right_in_five": details.bars.in_five,
        "right_images_kept": details.bars.kept,
        **_error("text", details.text_reliability),
        **_error("tag", details.tag_reliability),
        "hubness_skewness": details.hubs.skewness,
        "hubness_greatest": float(details.hubs.greatest),
        **{f"{PAIRS_PREFIX}{pairs.name}": pairs.correlation for pairs in details.pairs},
        **(details.zero_shot.metrics() if details.zero_shot else {}),
    }


def _error(name: str, found: Reliability | None) -> dict[str, float]:
    return {} if found is None else {f"{name}_calibration_error": found.error}


def _foreign(ground: Ground, questions: Questions) -> list[str]:
    """Words that no image matches, of the half that chooses no threshold; the most frequent of a huge vocabulary."""
    tags = taggable_words(ground.vocabulary, ground.taggable)
    unfitted = [tag for tag, fitted in zip(tags, word_halves(tags), strict=True) if not fitted][:_FOREIGN_WORDS]
    classes = ground.truth.classes
    if questions.wordnet:
        return list(words_of_other_things(unfitted, classes, questions.wordnet))
    return list(far_words(unfitted, classes, ground.vocabulary))


def _curve(logistic: Logistic) -> LogisticCurve:
    return LogisticCurve(logistic.slope, logistic.offset)
