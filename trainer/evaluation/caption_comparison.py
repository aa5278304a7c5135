"""Compare bundles on captioned pictures not used in training, for `python -m trainer evaluate-captions`.

1. The pictures are those held out, or those on a list; up to a limit, chosen by a hash of their paths.
2. Each bundle embeds the pictures and the captions as in serving, and is measured.
3. Chance is the expected result of the first bundle's searches if every order is equally likely.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.bundle.reading import Bundle, open_bundle, peek
from model.errors import ImageError, QueryError
from model.images import decode
from model.text.embedding import embed_terms
from model.text.query import parse
from model.text.vocabulary import Vocabulary
from trainer.data_sets.captions import CaptionedImage, CaptionedSet, read_captioned
from trainer.data_sets.survey import GROUP_CHARACTERS, held_out
from trainer.errors import EvaluationImpossible
from trainer.evaluation.captions import (
    CaptionColumn,
    CaptionReport,
    CaptionVectors,
    Chosen,
    WordFigures,
    image_ranks,
    own_caption_ranks,
    retrieval_by_chance,
    retrieval_metrics,
    right_tags_among,
    search_words,
    searchable_words,
    tags_by_chance,
    words_by_chance,
)
from trainer.labels.caption_words import NEITHER, RIGHT, words_of_captions
from trainer.labels.space import unit_rows

_BATCH = 64
_BY_CAPTION, _BY_IMAGE = "caption_to_image", "image_to_caption"


@dataclass
class _Images:
    """Pictures embedded by one bundle."""

    vectors: list[NDArray[np.float32]] = field(default_factory=list)
    shown: list[CaptionedImage] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)


def choose_held_out(
    found: CaptionedSet, share: float, images: int, *, seed: int = 0, characters: int = GROUP_CHARACTERS
) -> Chosen:
    """Choose up to `images` of the pictures whose scenes are held out (see `held_out`).

    Raises:
        EvaluationImpossible: no picture is held out.
    """
    paths = held_out(found.captions, share, seed, characters)
    if not paths:
        raise EvaluationImpossible(
            f"None of the {len(found.captions):,} captioned pictures is held out at a share of {share}. "
            "Give a greater --held-out, or list the pictures with --only."
        )
    how = f"held out: {len(paths):,} of {len(found.captions):,} pictures (share {share}, seed {seed}, "
    how += f"scenes by the first {characters} characters of names)" if characters else "each a scene of its own)"
    return Chosen(_at_most(paths, images, seed), how)


def choose_listed(found: CaptionedSet, file: Path, images: int, *, seed: int = 0) -> Chosen:
    """Choose up to `images` of the pictures that a file lists, one path per line.

    Raises:
        EvaluationImpossible: the file cannot be read, or lists a picture that has no caption or does not exist.
    """
    try:
        paths = tuple(dict.fromkeys(filter(None, map(str.strip, file.read_text(encoding="utf-8-sig").splitlines()))))
    except (OSError, UnicodeDecodeError) as error:
        raise EvaluationImpossible(f"{file} cannot be read as UTF-8 text ({error}). Write the list again.") from error
    unknown = [path for path in paths if path not in found.captions]
    if unknown or not paths:
        what = f"{unknown[0]} and {len(unknown) - 1:,} more" if len(unknown) > 1 else "".join(unknown) or "nothing"
        raise EvaluationImpossible(
            f"{file} lists {what}: not among the {len(found.captions):,} captioned pictures of {found.images}. "
            f"A line is a path as {found.file} has it."
        )
    return Chosen(_at_most(paths, images, seed), f"listed in {file}: {len(paths):,} pictures")


def _at_most(paths: Sequence[str], images: int, seed: int) -> tuple[str, ...]:
    """Return up to `images` paths, drawn by a hash of each, in an order independent of the scenes."""
    return tuple(sorted(paths, key=lambda path: hashlib.sha256(f"{seed} {path}".encode()).digest())[:images])


def compare_on_captions(
    bundles: Sequence[Path], found: CaptionedSet, chosen: Chosen, tick: Callable[[str], None] = lambda _: None
) -> CaptionReport:
    """Measure the bundles in the folders, the first in question; `tick` gets a bundle's id for each picture.

    Raises:
        TrainingSetUnusable: a picture cannot be read from its folder or tar.
        EvaluationImpossible: none of the pictures can be decoded.
        ModelError: a bundle cannot be opened.
    """
    for folder in bundles:  # refuse a folder that is not a bundle before the first is measured
        peek(folder)
    columns: list[CaptionColumn] = []
    for folder in bundles:
        bundle = open_bundle(folder)
        images = _embed_images(bundle, found, chosen, tick)
        column, chance = _measure(bundle, images)
        if not columns:
            first, by_chance = images, chance
        columns.append(column)
    return CaptionReport(
        images=len(first.shown),
        captions=sum(len(each.captions) for each in first.shown),
        chosen=chosen,
        findings=found.findings,
        unreadable=tuple(first.unreadable),
        columns=(*columns, by_chance),
    )


def _embed_images(bundle: Bundle, found: CaptionedSet, chosen: Chosen, tick: Callable[[str], None]) -> _Images:
    images, pixels = _Images(), list[NDArray[np.uint8]]()
    for image in read_captioned(found, chosen.paths):
        tick(bundle.manifest.id)
        try:
            picture = decode(image.content, size=bundle.manifest.input_size, resize=bundle.manifest.resize)
        except ImageError:
            images.unreadable.append(image.path)
            continue
        images.shown.append(CaptionedImage(image.path, b"", image.captions))
        pixels.append(picture.pixels)
        if len(pixels) == _BATCH:
            images.vectors.append(bundle.network(np.stack(pixels)))
            pixels.clear()
    if pixels:
        images.vectors.append(bundle.network(np.stack(pixels)))
    if not images.shown:
        raise EvaluationImpossible(f"None of the {len(images.unreadable):,} pictures can be read as an image.")
    return images


def embed_captions(captions: Sequence[Sequence[str]], vocabulary: Vocabulary) -> CaptionVectors:
    """Return the vectors of each picture's captions, as queries get them; an owner is a picture's number."""
    texts = [(number, text) for number, of_picture in enumerate(captions) for text in of_picture]
    vectors = np.zeros((len(texts), vocabulary.table.vectors.shape[1]), dtype=np.float32)
    answered = np.ones(len(texts), dtype=np.bool_)
    for row, (_, text) in enumerate(texts):
        try:
            vectors[row] = embed_terms(parse(text), vocabulary, suggest=False).vector
        except QueryError:
            answered[row] = False
    return CaptionVectors(vectors, np.array([number for number, _ in texts], dtype=np.int64), answered)


def _measure(bundle: Bundle, images: _Images) -> tuple[CaptionColumn, CaptionColumn]:
    """Return the figures of a bundle, and of chance on the same questions."""
    vectors, captions = np.concatenate(images.vectors), [each.captions for each in images.shown]
    vocabulary = Vocabulary(bundle.words)
    queries = embed_captions(captions, vocabulary)
    caption_words = words_of_captions(captions, vocabulary)
    columns_searched = searchable_words(caption_words.shown)
    shown = caption_words.shown[:, columns_searched]
    words = search_words(
        [caption_words.words[column] for column in columns_searched],
        _word_vectors(bundle, caption_words.rows[columns_searched]),
        shown,
        vectors,
    )
    tag_rows = np.flatnonzero(bundle.words.taggable)
    tag_of_row = {int(row): tag for tag, row in enumerate(tag_rows)}
    column_of_tag = {
        tag_of_row[int(row)]: column for column, row in enumerate(caption_words.rows) if int(row) in tag_of_row
    }
    tags = right_tags_among(_word_vectors(bundle, tag_rows), column_of_tag, caption_words.shown, vectors)
    metrics = {
        **retrieval_metrics(_BY_CAPTION, image_ranks(queries, vectors)),
        **retrieval_metrics(_BY_IMAGE, own_caption_ranks(queries, vectors)),
        **({"words": float(len(words))} if words else {}),
        **_means(words),
        **{f"tagged@{k}": share for k, share in tags.items()},
    }
    per_image = np.array([len(each) for each in captions], dtype=np.int64)
    taggable = caption_words.shown[:, sorted(column_of_tag.values())]
    chance = {
        **retrieval_by_chance(_BY_CAPTION, np.ones(1, dtype=np.int64), len(vectors)),
        **retrieval_by_chance(_BY_IMAGE, per_image, int(per_image.sum())),
        **words_by_chance(words, (shown != NEITHER).sum(axis=0)),
        **tags_by_chance((taggable == RIGHT).sum(axis=1), len(tag_rows)),
    }
    column = CaptionColumn(bundle.manifest.id, metrics, words, int((~queries.answered).sum()))
    return column, CaptionColumn("chance", chance)


def _means(words: Sequence[WordFigures]) -> dict[str, float]:
    if not words:
        return {}
    return {
        "word_precision@10": float(np.mean([each.precision for each in words])),
        "word_map": float(np.mean([each.average_precision for each in words])),
    }


def _word_vectors(bundle: Bundle, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    return unit_rows(bundle.words.vectors[rows])
