"""The starter's training pictures as one array in memory: 64 × 64 photos of 200 classes and rendered scenes of 20.

Labels 0…199 are the photos' classes by sorted name, 200…219 the scenes' in the order of the catalogue.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from trainer.datasets import read_images
from trainer.errors import TrainingSetUnusable
from trainer.starter.scene_catalog import SCENE_CLASSES
from trainer.starter.scenes import VALIDATION_SEEDS, render_many

__all__ = ["EDGE", "Pictures", "class_names", "training_pictures", "validation_pictures"]

EDGE = 64
TRAINING_SCENES = 250
VALIDATION_SCENES = 20


@dataclass(frozen=True)
class Pictures:
    """uint8 (n, 64, 64, 3) RGB and int64 (n) labels."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]


def class_names(photos: Path) -> tuple[str, ...]:
    """Returns the names of all classes: the WordNet ids of the photos', then the scenes' words."""
    return (*sorted(json.loads((photos / "classes.json").read_text())), *(each.word for each in SCENE_CLASSES))


def training_pictures(photos: Path, cache: Path) -> Pictures:
    """Returns what is trained on; decoded and rendered once, then kept in `cache`."""
    return _cached(
        cache / "training.npz", photos, sorted(photos.glob("train-*.tar")), VALIDATION_SEEDS, TRAINING_SCENES
    )


def validation_pictures(photos: Path, cache: Path) -> Pictures:
    """Returns what is measured on."""
    first = VALIDATION_SEEDS - VALIDATION_SCENES
    return _cached(cache / "validation.npz", photos, [photos / "val.tar"], first, VALIDATION_SCENES)


def _cached(file: Path, photos: Path, shards: list[Path], first_seed: int, scenes: int) -> Pictures:
    if not file.exists():
        position = {name: index for index, name in enumerate(class_names(photos))}
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
        temporary = file.with_suffix(".partial.npz")
        np.savez(temporary, pixels=np.stack(pixels), labels=np.asarray(labels, np.int64))
        temporary.replace(file)
    with np.load(file) as stored:
        return Pictures(stored["pixels"], stored["labels"])


def _decoded(content: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(content)) as picture:
        return np.asarray(picture.convert("RGB").resize((EDGE, EDGE), Image.Resampling.LANCZOS))
