"""The starter's training pictures as one array in memory: 64 × 64 photos of 200 classes and rendered scenes of 20.

Labels number the classes in use: the photos' by sorted name, then the scenes' in the order of the catalogue.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from serving.durable_files import replacing
from trainer.data_sets.reading import read_images
from trainer.errors import TrainingSetUnusable
from trainer.starter.scene_catalog import SCENE_CLASSES
from trainer.starter.scenes import VALIDATION_SEEDS, render_many

__all__ = ["EDGE", "PictureSource", "Pictures"]

EDGE = 64
TRAINING_SCENES = 250
VALIDATION_SCENES = 20


@dataclass(frozen=True)
class Pictures:
    """uint8 (n, 64, 64, 3) RGB and int64 (n) labels."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class PictureSource:
    """Where the pictures come from.

    ``photos``: folder of classes.json, train-*.tar and val.tar. ``cache``: folder in which decoded and rendered
    pictures are kept. ``without``: classes none of whose pictures is ever returned, nor their name.
    """

    photos: Path
    cache: Path
    without: frozenset[str] = frozenset()

    @property
    def names(self) -> tuple[str, ...]:
        """The classes in use: the WordNet ids of the photos', then the scenes' words."""
        return tuple(name for name in _all_names(self.photos) if name not in self.without)

    def training(self) -> Pictures:
        """What is trained on.

        Raises:
            TrainingSetUnusable: photos cannot be read, or a class that is to be left out does not exist.
        """
        shards = sorted(self.photos.glob("train-*.tar"))
        return self._in_use(
            _cached(self.cache / "training.npz", self.photos, shards, VALIDATION_SEEDS, TRAINING_SCENES)
        )

    def validation(self) -> Pictures:
        """What is measured on; raises as `training`."""
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
                f"{len(unreadable)} photos cannot be read ({', '.join(unreadable[:5])}). Mend or remove them."
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
