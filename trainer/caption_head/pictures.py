"""The training data of a caption head, as features: captioned pictures, and pictures of words.

Contract: the serving code decodes and embeds every picture. Features are computed once for each view and kept in a
cache on disk, so a restarted fit reads no pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.bundle.reading import WordTable
from model.errors import QueryError
from model.text.embedding import embed_terms
from model.text.query import parse
from model.text.vocabulary import Vocabulary
from trainer.data_sets.captions import CaptionedImage, CaptionedSet, read_captioned
from trainer.features.cache import CacheSpec, FeatureCache, cache_folder
from trainer.features.computing import ALL_VIEWS, Extractor, LabelledImage, Undecodable, compute_features
from trainer.features.feature_set import FeatureSet
from trainer.labels.caption_words import CaptionWords, words_of_captions
from trainer.labels.class_words import ClassWords

_CAPTIONED = "captioned"

Vectors = NDArray[np.float32]
OnPicture = Callable[[], None]


@dataclass(frozen=True)
class CaptionedFeatures:
    """Captioned pictures.

    Attributes:
        paths: The n pictures' paths in the list of captions.
        seen: Their features, (n, views, features) on disk.
        captions: (m, dimension): the sums of the captions' words as queries, in the space of the words as given.
        caption_words: uint8 (m, w), how often each word of `words` is in each caption.
        owners: (m,), each caption's picture.
        words: Which words are right for each picture.
    """

    paths: tuple[str, ...]
    seen: FeatureSet
    captions: Vectors
    caption_words: NDArray[np.uint8]
    owners: NDArray[np.int64]
    words: CaptionWords


@dataclass(frozen=True)
class WordedFeatures:
    """Pictures for which words of a closed list are right or wrong.

    Attributes:
        seen: Their features, (n, views, features) on disk.
        words: The w words.
        shown: int8 (n, w): 1 right, 0 wrong, −1 neither, as in `CaptionWords`.
    """

    seen: FeatureSet
    words: tuple[str, ...]
    shown: NDArray[np.int8]


@dataclass(frozen=True)
class _Captioned:
    """A captioned picture as the feature cache takes it."""

    image: CaptionedImage

    @property
    def key(self) -> str:
        return self.image.path

    @property
    def content(self) -> bytes:
        return self.image.content

    @property
    def labels(self) -> Sequence[str]:
        return (_CAPTIONED,)


def captioned_features(
    found: CaptionedSet,
    only: Collection[str],
    extractor: Extractor,
    caches: Path,
    words: WordTable,
    on_picture: OnPicture = lambda: None,
    on_left_out: Callable[[str], None] = lambda line: None,
) -> CaptionedFeatures:
    """Compute the training data from captioned pictures, only those whose paths are in `only`.

    `on_left_out` gets each picture that cannot be read: its path, a tab, why.

    Raises:
        TrainingSetUnusable: no picture can be read, or the tar breaks off.
        NotWritten: the disk is full; what was computed before is kept.
    """
    unreadable: set[str] = set()
    listed: list[str] = []

    def pictures() -> Iterator[_Captioned]:
        for image in read_captioned(found, only):
            listed.append(image.path)
            on_picture()
            yield _Captioned(image)

    def leave_out(image: LabelledImage, error: Undecodable) -> None:
        unreadable.add(image.key)
        on_left_out(f"{image.key}\t{error}")

    seen = features_of(pictures(), (_CAPTIONED,), extractor, caches, leave_out)
    paths = tuple(path for path in listed if path not in unreadable)
    vocabulary = Vocabulary(words)
    captions = [found.captions[path] for path in paths]
    caption_words = words_of_captions(captions, vocabulary)
    sums, counts, owners = _captions(captions, vocabulary, caption_words)
    return CaptionedFeatures(paths, seen, sums, counts, owners, caption_words)


def worded_features(
    images: Iterable[LabelledImage],
    classes: Sequence[ClassWords],
    extractor: Extractor,
    caches: Path,
    on_picture: OnPicture = lambda: None,
    *,
    views: Sequence[str] = ALL_VIEWS,
) -> WordedFeatures:
    """Compute the training data from pictures of classes: a class's words are right, all other classes' wrong.

    Raises:
        TrainingSetUnusable: no picture can be read, or one has a class that is not among `classes`.
        NotWritten: the disk is full; what was computed before is kept.
    """
    words = tuple(sorted({word for each in classes for word in each.words}))

    def counted() -> Iterator[LabelledImage]:
        for image in images:
            on_picture()
            yield image

    names = [each.name for each in classes]
    seen = features_of(counted(), names, extractor, caches, views=views)
    right = np.array([[word in each.words for word in words] for each in classes], np.int8)
    return WordedFeatures(seen, words, right[seen.labels[:, 0]])


def features_of(
    images: Iterable[LabelledImage],
    names: Sequence[str],
    extractor: Extractor,
    caches: Path,
    on_undecodable: Callable[[LabelledImage, Undecodable], Any] = lambda image, error: None,
    *,
    views: Sequence[str] = ALL_VIEWS,
) -> FeatureSet:
    """Return the features of labelled images in some views, from the cache or computed into it."""
    spec = CacheSpec(extractor.name, tuple(views), extractor.dimension)
    with FeatureCache(cache_folder(caches, spec), spec) as cache:
        return compute_features(images, names, extractor, cache, on_undecodable=on_undecodable)


def _captions(
    of_pictures: Sequence[Sequence[str]], vocabulary: Vocabulary, caption_words: CaptionWords
) -> tuple[Vectors, NDArray[np.uint8], NDArray[np.int64]]:
    """Return, for all captions with a known word: their sums, which words are in them, and their pictures."""
    column_of = {word: column for column, word in enumerate(caption_words.words)}
    sums, columns, owners = [], [], []
    for picture, captions in enumerate(of_pictures):
        for caption in captions:
            try:
                text = embed_terms(parse(caption), vocabulary, suggest=False)
            except QueryError:  # none of its words is known: nothing to learn from
                continue
            sums.append(text.length * text.vector)
            columns.append([column_of[word] for term in text.understood for word in term.words if word in column_of])
            owners.append(picture)
    counts = np.zeros((len(sums), len(caption_words.words)), np.uint8)
    for row, places in enumerate(columns):
        np.add.at(counts[row], places, 1)
    dimension = vocabulary.table.vectors.shape[1]
    return np.array(sums, np.float32).reshape(-1, dimension), counts, np.array(owners, np.int64)
