"""The starter's training pictures in memory, their features, and a pretrained network's opinion of them.

Pictures are 64 × 64 photos of 200 classes and rendered scenes of 20, as one array. Labels number the classes in use:
the photos' by sorted name, then the scenes' in the order of the catalogue. For a network's features they are enlarged
as in the embedder; the features are kept in a cache.

The pretrained network is the backbone's teacher (distillation, Hinton et al. 2015). Its classes differ from ours, and
our pictures are enlarged small ones; so a linear classifier of our classes is trained on its features. A single
classifier would memorise its training pictures and only repeat their labels; so each picture is judged by one of five
classifiers that was not trained on it. Contract: the same features, labels and seed give the same probabilities.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from serving.durable_files import replacing
from trainer.data_sets.reading import read_images
from trainer.errors import TrainingSetUnusable
from trainer.features.cache import CacheSpec, FeatureCache
from trainer.features.computing import Extractor, compute_features
from trainer.features.feature_set import FeatureSet
from trainer.starter.scene_catalog import SCENE_CLASSES
from trainer.starter.scenes import VALIDATION_SEEDS, render_many

EDGE = 64
TRAINING_SCENES = 250
VALIDATION_SCENES = 20
_FEATURES_BATCH = 256
TEACHER_FOLDS = 5
TEACHER_EPOCHS = 8
TEACHER_BATCH = 512


@dataclass(frozen=True)
class Pictures:
    """uint8 (n, 64, 64, 3) RGB and int64 (n) labels."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class PictureSource:
    """The source of the pictures.

    `photos`: folder of classes.json, train-*.tar and val.tar. `cache`: folder in which decoded and rendered
    pictures are kept. `without`: classes none of whose pictures is ever returned, nor their name.
    """

    photos: Path
    cache: Path
    without: frozenset[str] = frozenset()

    @property
    def names(self) -> tuple[str, ...]:
        """The classes in use: the WordNet ids of the photos', then the scenes' words."""
        return tuple(name for name in _all_names(self.photos) if name not in self.without)

    def training(self) -> Pictures:
        """Return the training pictures.

        Raises:
            TrainingSetUnusable: photos cannot be read, or a class that is to be left out does not exist.
        """
        shards = sorted(self.photos.glob("train-*.tar"))
        return self._in_use(
            _cached(self.cache / "training.npz", self.photos, shards, VALIDATION_SEEDS, TRAINING_SCENES)
        )

    def validation(self) -> Pictures:
        """Return the validation pictures; raises as `training`."""
        first = VALIDATION_SEEDS - VALIDATION_SCENES
        shards = [self.photos / "val.tar"]
        return self._in_use(_cached(self.cache / "validation.npz", self.photos, shards, first, VALIDATION_SCENES))

    def _in_use(self, pictures: Pictures) -> Pictures:
        if not self.without:
            return pictures
        names = _all_names(self.photos)
        if unknown := sorted(self.without - set(names)):
            raise TrainingSetUnusable(f"There are no classes {', '.join(unknown[:5])} to leave out. Check the names.")
        used = np.array([number for number, name in enumerate(names) if name not in self.without])
        chosen = np.isin(pictures.labels, used)
        return Pictures(pictures.pixels[chosen], np.searchsorted(used, pictures.labels[chosen]))


def _all_names(photos: Path) -> tuple[str, ...]:
    return (*sorted(json.loads((photos / "classes.json").read_text())), *(each.word for each in SCENE_CLASSES))


def _cached(file: Path, photos: Path, shards: list[Path], first_seed: int, scenes: int) -> Pictures:
    if not file.exists():
        position = {name: index for index, name in enumerate(_all_names(photos))}
        pixels, labels, unreadable = [], [], []
        for image in read_images(shards):
            try:
                pixels.append(_decoded(image.content))
            except OSError:
                unreadable.append(image.key)
                continue
            labels.append(position[image.label])
        if unreadable:
            raise TrainingSetUnusable(
                f"{len(unreadable)} photos cannot be read ({', '.join(unreadable[:5])}). Repair or remove them."
            )
        for scene, label in render_many(first_seed, scenes, EDGE):
            pixels.append(np.asarray(scene))
            labels.append(len(position) - len(SCENE_CLASSES) + label)
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file) as temporary:
            np.savez(temporary, pixels=np.stack(pixels), labels=np.asarray(labels, np.int64))
    with np.load(file) as stored:
        return Pictures(stored["pixels"], stored["labels"])


def _decoded(content: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(content)) as picture:
        return np.asarray(picture.convert("RGB").resize((EDGE, EDGE), Image.Resampling.LANCZOS))


def enlarged(pixels: NDArray[np.uint8], edge: int) -> NDArray[np.uint8]:
    """Return a square picture at another size."""
    return np.asarray(Image.fromarray(pixels).resize((edge, edge), Image.Resampling.BICUBIC))


def picture_features(
    pictures: Pictures,
    names: tuple[str, ...],
    extractor: Extractor,
    edge: int,
    folder: Path,
    show: Callable[[int, int], None],
) -> FeatureSet:
    """Return the features that an extractor's network gives of the pictures; its `decode` is not used.

    `show` gets the number of pictures done, and their total.
    """

    def pixels(content: bytes) -> NDArray[np.uint8]:
        return enlarged(np.frombuffer(content, np.uint8).reshape(EDGE, EDGE, 3), edge)

    of_pictures = replace(extractor, decode=pixels)
    spec = CacheSpec(extractor.name, ("plain",), extractor.dimension)
    with FeatureCache(folder, spec) as cache:
        return compute_features(_counted(pictures, names, show), names, of_pictures, cache, batch_size=_FEATURES_BATCH)


@dataclass(frozen=True)
class _Picture:
    """A decoded picture in the feature cache's form: its pixels as bytes, and its class."""

    key: str
    content: bytes
    labels: tuple[str]


def _counted(pictures: Pictures, names: tuple[str, ...], show: Callable[[int, int], None]) -> Iterator[_Picture]:
    for place, (pixels, label) in enumerate(zip(pictures.pixels, pictures.labels, strict=True), start=1):
        yield _Picture(str(place), pixels.tobytes(), (names[label],))
        show(place, len(pictures.labels))


def held_out_probabilities(data: FeatureSet, seed: int = 0) -> NDArray[np.float16]:
    """Return the probabilities of the classes that `data` names, by classifiers that did not see the picture."""
    fold = np.random.default_rng(seed).permutation(len(data)) % TEACHER_FOLDS
    probabilities = np.empty((len(data), len(data.names)), np.float16)
    for number in range(TEACHER_FOLDS):
        keras.utils.set_random_seed(seed + number)
        classifier = _fit(data, np.flatnonzero(fold != number))
        unseen = np.flatnonzero(fold == number)
        probabilities[unseen] = classifier.predict(data.take(unseen), batch_size=1024, verbose=0)
    return probabilities


def _fit(data: FeatureSet, chosen: NDArray[np.int64]) -> keras.Model:
    features = data.take(chosen)
    standardise = keras.layers.Normalization()
    standardise.adapt(features)
    classifier = keras.Sequential(
        [standardise, keras.layers.Dropout(0.2), keras.layers.Dense(len(data.names), activation="softmax")]
    )
    rate = keras.optimizers.schedules.CosineDecay(1e-3, TEACHER_EPOCHS * max(1, len(chosen) // TEACHER_BATCH))
    classifier.compile(keras.optimizers.AdamW(rate, weight_decay=1e-2), "sparse_categorical_crossentropy")
    classifier.fit(features, data.labels[chosen], batch_size=TEACHER_BATCH, epochs=TEACHER_EPOCHS, verbose=0)
    return classifier
