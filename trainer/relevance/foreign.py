"""Words that no image matches: what a search for a thing that is not there is tried with.

Two judges. By the space itself, a word is foreign if it is far from every word of the classes; that needs nothing but
the bundle, and serves to choose a threshold. By WordNet, a word is foreign if no meaning of it as a noun is a class, a
kind above one or a thing below one (a "tabby" may be what an image of a cat shows); that knows nothing of the space, so
it is what a report judges by.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trainer.labels.class_words import ClassWords, Vocabulary
from trainer.measures.hierarchy import sense_of
from trainer.words.wordnet import WordNet

__all__ = ["far_words", "words_of_other_things"]

# Of the starter's 2,628 taggable words 2,038 are farther than this from all words of its classes. WordNet holds 85 % of
# them for other things.
_FAR = 0.55


def far_words(words: Sequence[str], classes: Sequence[ClassWords], vocabulary: Vocabulary) -> tuple[str, ...]:
    """Those of the words whose cosine to every label and kind of the classes is low."""
    known = tuple(dict.fromkeys(word for each in classes for word in each.words))
    candidates = [word for word in words if word not in known]
    if not candidates:
        return ()
    nearest: NDArray[np.float32] = (vocabulary.vectors(candidates) @ vocabulary.vectors(known).T).max(axis=1)
    return tuple(word for word, cosine in zip(candidates, nearest, strict=True) if cosine < _FAR)


def words_of_other_things(words: Sequence[str], classes: Sequence[ClassWords], wordnet: WordNet) -> tuple[str, ...]:
    """Those of the words whose every meaning as a noun is something else than a class, a kind above or a thing below.

    A word that WordNet has no noun for is none of them, since nothing is known of it; nor is any word of the classes.
    """
    senses = [sense for each in classes if (sense := sense_of(each, wordnet))]
    shown = {sense.wnid for sense in senses}
    above = shown | {kind.wnid for sense in senses for _, kind in wordnet.ancestors(sense)}
    known = {word for each in classes for word in each.words}

    def is_other(word: str) -> bool:
        meanings = [sense for base in wordnet.base_forms(word) for sense in wordnet.senses(base)]
        return bool(meanings) and not any(
            sense.wnid in above or any(kind.wnid in shown for _, kind in wordnet.ancestors(sense)) for sense in meanings
        )

    return tuple(word for word in words if word not in known and is_other(word))
