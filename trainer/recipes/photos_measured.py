"""The pictures on which the curves of the photos model are fitted, and their right words.

Three sorts count equally, since people search for all of them: photos of single things, everyday photos with the words
that their captions agree on, and scenes. Contract: none of them was used in training. Of the photos of things, which
are 64 pixels wide, only those count whose class the network names correctly: it recognises these like sharp ones. Only
these can show that a word matches nothing, since the others show much that nobody wrote down.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.bundle.reading import WordTable
from model.images import decode
from model.networks.tflite_backbone import TfliteBackbone
from model.text.vocabulary import Vocabulary
from trainer.data_sets.captions import CaptionedSet, read_captioned
from trainer.data_sets.reading import LabelledFile, read_images
from trainer.exporting.measuring import Measured
from trainer.labels.caption_words import RIGHT, words_of_captions
from trainer.labels.class_words import ClassWords
from trainer.labels.space import padded_labels
from trainer.recipes.everyday_words import caption_classes
from trainer.words.wordnet import WordNet

_LEAST_RIGHT = 5  # photos that a word of captions must be right for
_TRAINING_SHARE = 0.7  # of the scenes
_LOOKED_AT = 4  # every fourth photo of things


@dataclass(frozen=True)
class Sources:
    """The locations of the pictures.

    Attributes:
        captions: Captioned photos.
        unseen: The paths of those not used in training.
        scenes: Photos of scenes.
        scene_words: What the scenes are called.
        photos: Folder with classes.json and val.tar.
        photo_words: What the classes of those are called.
        class_names: What the network's classes are called, a line each.
    """

    captions: CaptionedSet
    unseen: Sequence[str]
    scenes: Path
    scene_words: tuple[ClassWords, ...]
    photos: Path
    photo_words: tuple[ClassWords, ...]
    class_names: Path


@dataclass(frozen=True)
class _Picture:
    """A picture's pixels, and the classes that it shows."""

    pixels: NDArray[np.uint8]
    classes: tuple[ClassWords, ...]
    of_one_thing: bool = False


def is_training_scene(image: LabelledFile) -> bool:
    """Return whether a photo of a scene is for training, which its content decides; the others are measured."""
    return image.digest[0] < _TRAINING_SHARE * 256


def measured_pictures(
    sources: Sources,
    words: WordTable,
    backbone: Path,
    input_size: int,
    wordnet: WordNet,
    on_picture: Callable[[], None] = lambda: None,
) -> Measured:
    """Read the pictures not used in training."""
    tags = {word for word, may in zip(words.words, words.taggable, strict=True) if may}
    pictures = []
    for sort in (
        _captioned(sources, Vocabulary(words), wordnet, tags, input_size),
        _scenes(sources, input_size),
        _things(sources, backbone, input_size),
    ):
        for picture in sort:
            pictures.append(picture)
            on_picture()
    classes = tuple(dict.fromkeys(each for picture in pictures for each in picture.classes))
    number_of = {each: number for number, each in enumerate(classes)}
    labels = padded_labels([[number_of[each] for each in picture.classes] for picture in pictures])
    closed = np.array([picture.of_one_thing for picture in pictures], np.bool_)
    return Measured(np.stack([picture.pixels for picture in pictures]), labels, classes, closed=closed)


def _captioned(
    sources: Sources, vocabulary: Vocabulary, wordnet: WordNet, tags: set[str], size: int
) -> Iterator[_Picture]:
    images = list(read_captioned(sources.captions, sources.unseen))
    caption_words = words_of_captions([image.captions for image in images], vocabulary)
    right = caption_words.shown == RIGHT
    columns = np.flatnonzero(right.sum(axis=0) >= _LEAST_RIGHT)
    classes = caption_classes([caption_words.words[column] for column in columns], wordnet, tags)
    for image, row in zip(images, right[:, columns], strict=True):
        if row.any():
            shown = tuple(classes[number] for number in np.flatnonzero(row))
            yield _Picture(decode(image.content, size=size).pixels, shown)


def _scenes(sources: Sources, size: int) -> Iterator[_Picture]:
    by_name = {each.name: each for each in sources.scene_words}
    for image in read_images([sources.scenes]):
        if not is_training_scene(image):
            yield _Picture(decode(image.content, size=size).pixels, (by_name[image.label],))


def _things(sources: Sources, backbone: Path, size: int) -> Iterator[_Picture]:
    names = [name for name in sources.class_names.read_text(encoding="utf-8").splitlines() if name != "background"]
    class_of = {
        wnid: names.index(text) for wnid, text in json.loads((sources.photos / "classes.json").read_text()).items()
    }
    by_name = {each.name: each for each in sources.photo_words}
    network = TfliteBackbone(backbone, input_size=size)
    for place, image in enumerate(read_images([sources.photos / "val.tar"])):
        if place % _LOOKED_AT:
            continue
        pixels = decode(image.content, size=size).pixels
        logits = network(pixels[np.newaxis])[0, -len(names) :]
        if image.label in by_name and logits.argmax() == class_of[image.label]:
            yield _Picture(pixels, (by_name[image.label],), of_one_thing=True)
