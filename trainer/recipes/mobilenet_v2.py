"""MobileNetV2 (Sandler et al. 2018), trained on ImageNet and quantised, as a backbone fetched from its authors.

Its scores of a thousand classes are the features, and the head is ConSE (Norouzi et al. 2014): the mean of the classes'
vectors, weighted by their probabilities. So nothing is trained on images here, only the vectors are made to fit the
words (`class_vectors`). The recipe ships the head, the curves and the self-test; the network comes from its authors'
publication.

The figures are measured on enlarged photos of 64 pixels, of which the network names one in five correctly; the curves
are fitted on those, which it recognises like sharp ones.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Container, Sequence
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from model.bundle.manifest import License
from model.bundle.reading import WordTable, open_bundle
from model.bundle.recipe import Recipe
from model.bundle.writing import write_recipe
from model.images import Resize, decode
from model.networks.tflite_backbone import TfliteBackbone
from trainer.data_sets.reading import read_images
from trainer.exporting.export import Description, export_bundle
from trainer.exporting.measuring import Measured
from trainer.fitting.head import save_head
from trainer.labels.class_words import read_class_words
from trainer.labels.sense_words import FittingWords, fitting_words, read_senses
from trainer.labels.space import vocabulary_of
from trainer.recipes.class_vectors import VectorSettings, class_vectors
from trainer.words.wordnet import WordNet

INPUT_SIZE = 224
FEATURE_LAYER = "MobilenetV2/Logits/Squeeze1"
# The last place that publishes the authors' file by itself and unchanged; the commit makes the link permanent.
URL = (
    "https://raw.githubusercontent.com/google-coral/test_data/c21de4450f88a20ac5968628d375787745932a5a/"
    "mobilenet_v2_1.0_224_quant.tflite"
)
NEAREST_KINDS = 2
LICENSES = (
    License("network: MobileNetV2 1.0 224, ImageNet, int8", "Apache-2.0", "https://github.com/tensorflow/models"),
    License("word vectors: all-MiniLM-L6-v2", "Apache-2.0", "https://huggingface.co/sentence-transformers"),
    License("kinds: WordNet 3.0", "WordNet-3.0", "https://wordnet.princeton.edu"),
    License("class vectors and curves", "Apache-2.0", "python -m trainer mobilenet-v2"),
)


def make_recipe(
    backbone: Path, labels: Path, photos: Path, words_of: Path, class_words: Path, target: Path,
    on_image: Callable[[], None] = lambda: None,
) -> Recipe:  # fmt: skip
    """Write the recipe's folder.

    `labels`: the names of the network's classes, a line each. `photos`: folder with classes.json and val.tar.
    `words_of`: the bundle whose words are used. `class_words`: the words of the photos' classes.

    Raises:
        TrainerError: a file does not fit the others; the message says what to do.
        FileExistsError: the target already exists.
    """
    wordnet = WordNet.read()
    words_bundle = open_bundle(words_of)
    vocabulary = vocabulary_of(words_bundle.words)
    classes = [
        fitting_words(sense, wordnet, vocabulary) if sense else FittingWords() for sense in read_senses(labels, wordnet)
    ]
    words = _with_tags(words_bundle.words, {word for each in classes for word in (*each.own, *each.kinds)})
    tags = [word for word, may in zip(words.words, words.taggable, strict=True) if may]
    head = head_of(class_vectors(classes, vocabulary, tags, VectorSettings()))
    with tempfile.TemporaryDirectory() as folder:
        head_file, bundle = Path(folder) / "head.keras", Path(folder) / "bundle"
        save_head(head, head_file)
        names = labels.read_text(encoding="utf-8").splitlines()
        export_bundle(
            bundle,
            backbone,
            head_file,
            words,
            _seen(backbone, names, photos, class_words, on_image),
            NEAREST_KINDS,
            Description(
                name=target.name,
                display_name="MobileNetV2: 1,000 kinds of things in photos, 30,000 words",
                command="python -m trainer mobilenet-v2",
                licenses=LICENSES,
                input_size=INPUT_SIZE,
                feature_layer=FEATURE_LAYER,
            ),
        )
        return write_recipe(bundle, target, {"backbone.tflite": URL}, words_from=words_bundle.manifest.id)


def head_of(vectors: NDArray[np.float32]) -> keras.Model:
    """Return ConSE as a head: scores (n, classes) to the mean of the class vectors, weighted by probability."""
    scores = keras.Input((len(vectors),), name="scores")
    mean = keras.layers.Dense(vectors.shape[1], use_bias=False, name="space")
    head = keras.Model(scores, mean(keras.layers.Softmax()(scores)), name="head")
    mean.set_weights([vectors])
    return head


def _with_tags(words: WordTable, more: Container[str]) -> WordTable:
    """Return the words with more tags: those of the classes that the network knows."""
    named = np.array([word in more for word in words.words], np.bool_)
    return replace(words, taggable=words.taggable | named)


def _seen(
    backbone: Path, names: Sequence[str], photos: Path, class_words: Path, on_image: Callable[[], None]
) -> Measured:
    """Return the photos, and which of them the network names correctly."""
    class_of = {wnid: names.index(text) for wnid, text in json.loads((photos / "classes.json").read_text()).items()}
    classes = tuple(each for each in read_class_words(class_words) if each.name in class_of)
    position = {each.name: number for number, each in enumerate(classes)}
    network = TfliteBackbone(backbone, input_size=INPUT_SIZE, feature_layer=FEATURE_LAYER)
    pixels, labels, named = [], [], []
    for image in read_images([photos / "val.tar"]):
        pixels.append(decode(image.content, size=INPUT_SIZE, resize=Resize.CENTER_CROP).pixels)
        labels.append(position[image.label])
        named.append(network(pixels[-1][np.newaxis])[0].argmax() == class_of[image.label])
        on_image()
    return Measured(np.stack(pixels), np.array(labels, np.int64)[:, None], classes, np.array(named, np.bool_))
