"""All measures of one bundle: its column of figures, and what lies behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from model.bundle.manifest import Logistic
from model.bundle.reading import Bundle
from trainer.evaluation.baselines import EvaluationData
from trainer.evaluation.images import EmbeddedImages
from trainer.evaluation.report import BundleDetails, Column
from trainer.evaluation.words import WordPair, correlate, hubness, nearest_words
from trainer.labels.space import vocabulary_of
from trainer.measures.evaluate import evaluate, measure_zero_shot
from trainer.measures.figures import PAIRS_PREFIX
from trainer.measures.hierarchy import hierarchy_of
from trainer.measures.searches_and_tags import taggable_words
from trainer.relevance.calibration import LogisticCurve, Reliability, histogram, reliability
from trainer.relevance.fitting import tag_pairs, text_pairs, word_halves
from trainer.relevance.thresholds import far_words, search_effects, tag_effects, words_of_other_things
from trainer.words.wordnet import WordNet

__all__ = ["EvaluationOptions", "evaluation_data", "measure_bundle"]

NEAREST_OF = ("said", "ocean", "dog", "bottle", "street", "boat")
_FOREIGN_WORDS = 5_000


@dataclass(frozen=True)
class EvaluationOptions:
    """What every bundle is measured by. ``pairs``: lists of graded word pairs; ``unseen``: classes kept out."""

    nearest_kinds: int
    wordnet: WordNet | None
    pairs: Mapping[str, Sequence[WordPair]]
    unseen: frozenset[str] | None = None

    @property
    def foreign(self) -> str:
        """Which words count as matching no image, and who judges so."""
        judge = "WordNet calls other things" if self.wordnet else "are far from every class's words"
        return f"no image matches the taggable words that {judge}, of the half that fits no curve"


def evaluation_data(bundle: Bundle, embedded: EmbeddedImages, options: EvaluationOptions) -> EvaluationData:
    """Return what the bundle and its baselines are measured on."""
    classes = embedded.truth.classes
    return EvaluationData(
        truth=embedded.truth,
        vocabulary=vocabulary_of(bundle.words),
        taggable=bundle.words.taggable,
        nearest_kinds=options.nearest_kinds,
        hierarchy=hierarchy_of(classes, options.wordnet),
    )


def measure_bundle(
    bundle: Bundle, embedded: EmbeddedImages, data: EvaluationData, options: EvaluationOptions
) -> tuple[Column, BundleDetails]:
    """Measure everything that can be.

    Raises:
        EvaluationImpossible: the images, labels and vocabulary do not suffice for a measure.
    """
    truth, vocabulary = data.truth, data.vocabulary
    evaluation = evaluate(truth, vocabulary, data.taggable, data.nearest_kinds, data.hierarchy)
    unfitted = truth.take(~embedded.for_fitting)
    calibration = bundle.manifest.calibration
    text, tags = _curve(calibration.text_to_image), _curve(calibration.tags)
    bars = search_effects(unfitted, vocabulary, _foreign(data, options), text, calibration.min_relevance)
    by_text = text_pairs(unfitted, vocabulary, np.random.default_rng(0))
    by_tag = tag_pairs(unfitted, vocabulary, data.taggable)
    left_out, tags_kept = tag_effects(by_tag, tags, calibration.min_tag_relevance)
    details = BundleDetails(
        model=bundle.manifest.id,
        searches=evaluation.searches,
        bars=bars,
        min_relevance=calibration.min_relevance,
        text_reliability=reliability(text, by_text),
        tag_reliability=reliability(tags, by_tag),
        similarities=histogram(by_text),
        nearest={word: nearest_words(word, vocabulary) for word in NEAREST_OF},
        pairs=tuple(correlate(name, pairs, vocabulary) for name, pairs in options.pairs.items()),
        hubs=hubness(vocabulary),
        zero_shot=None if options.unseen is None else measure_zero_shot(truth, vocabulary, options.unseen),
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


def _foreign(data: EvaluationData, options: EvaluationOptions) -> list[str]:
    """Return words that no image matches, of the half that chooses no threshold; the most frequent at most."""
    tags = taggable_words(data.vocabulary, data.taggable)
    unfitted = [tag for tag, fitted in zip(tags, word_halves(tags), strict=True) if not fitted][:_FOREIGN_WORDS]
    classes = data.truth.classes
    if options.wordnet:
        return list(words_of_other_things(unfitted, classes, options.wordnet))
    return list(far_words(unfitted, classes, data.vocabulary))


def _curve(logistic: Logistic) -> LogisticCurve:
    return LogisticCurve(logistic.slope, logistic.offset)
