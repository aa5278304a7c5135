"""The starter from photos, a sentence model and WordNet, in stages that an interruption does not undo.

1. The backbone is trained on photos and rendered scenes; its kernels are then kept as float16, which is what serves.
2. The words are made.
3. The backbone runs once over what it was trained on.
4. The head is trained to land on the label vectors.
5. Curves and figures are measured on pictures that no training saw, and all becomes a bundle.
6. The classes' words are put beside it, and the gallery is rendered.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from embedder_service.bundle.manifest import License
from trainer.bundle_evaluation import vocabulary_of
from trainer.class_words import read_class_words
from trainer.export import Description, Measured, export_bundle, read_word_table
from trainer.extractors import keras_extractor
from trainer.feature_cache import CacheSpec, FeatureCache
from trainer.feature_files import read_feature_set, write_feature_set
from trainer.features import VIEWS, Extractor, compute_features
from trainer.half_precision import halve_weights
from trainer.head import fit_head, save_head
from trainer.label_targets import label_space_of
from trainer.progress import progress_bar
from trainer.runs import Run
from trainer.settings import HeadSettings, LossSettings
from trainer.stages import Stage, run_stages
from trainer.starter.pixels import EDGE, Pictures, class_names, training_pictures, validation_pictures
from trainer.starter.pretrain import PretrainSettings, pretrain
from trainer.starter.scenes import write_gallery
from trainer.starter.word_files import make_words

__all__ = ["make_starter"]

NEAREST_KINDS = 2
FOREIGN_WORDS = 2_000
HEAD = HeadSettings(hidden=(512,), dropout=0.3, loss=LossSettings("joint"), epochs=20)
LICENSES = (
    License("word vectors: all-MiniLM-L6-v2", "Apache-2.0", "https://huggingface.co/sentence-transformers"),
    License("kinds and definitions: WordNet 3.0", "WordNet-3.0", "https://wordnet.princeton.edu"),
    License("scenes: Noto Color Emoji", "OFL-1.1", "https://github.com/googlefonts/noto-emoji"),
    License("network weights", "Apache-2.0", "python -m trainer starter"),
)


@dataclass(frozen=True)
class _Files:
    """Where the run keeps what."""

    run: Path

    @property
    def pictures(self) -> Path:
        return self.run / "pictures"

    @property
    def backbone(self) -> Path:
        return self.run / "served" / "backbone.keras"

    @property
    def words(self) -> Path:
        return self.run / "words"

    @property
    def features(self) -> Path:
        return self.run / "features" / "training.npz"

    @property
    def head(self) -> Path:
        return self.run / "head" / "head.keras"


def make_starter(photos: Path, run: Path, bundle: Path, gallery: Path, console: Console) -> None:
    """Makes the bundle and the gallery, or goes on with making them.

    Raises:
        StarterError, TrainerError: something is not installed, or does not fit; the message says what to do.
    """
    files = _Files(run)
    run_stages(
        (
            Stage("backbone", files.backbone, lambda: _make_backbone(photos, files)),
            Stage("words", files.words, lambda: _make_words(photos, files, console)),
            Stage("features", files.features, lambda: _make_features(photos, files, console)),
            Stage("head", files.head, lambda: _make_head(files, console)),
            Stage("bundle", bundle, lambda: _make_bundle(photos, files, bundle)),
            Stage("labels", bundle.with_name("labels.json"), lambda: _copy_labels(files, bundle)),
            Stage("gallery", gallery / "truth.jsonl", lambda: _make_gallery(gallery)),
        ),
        console,
    )


def _make_backbone(photos: Path, files: _Files) -> None:
    trained = pretrain(photos, files.run, PretrainSettings())
    files.backbone.parent.mkdir(exist_ok=True)
    halved = files.backbone.with_name("halved.keras")
    shutil.copyfile(trained, halved)
    halve_weights(halved)
    halved.replace(files.backbone)


def _make_words(photos: Path, files: _Files, console: Console) -> None:
    with _bar(console, "texts read") as show:
        make_words(photos, files.words, show)


def _make_features(photos: Path, files: _Files, console: Console) -> None:
    names = class_names(photos)
    pictures = training_pictures(photos, files.pictures)
    keras = keras_extractor(files.backbone, EDGE)
    extractor = Extractor(keras.name, keras.dimension, _to_pixels, keras.network)
    spec = CacheSpec(extractor.name, tuple(VIEWS), extractor.dimension)
    with (
        _bar(console, "pictures seen") as show,
        FeatureCache(files.features.parent, spec) as cache,
    ):
        features = compute_features(_counted(pictures, names, show), names, extractor, cache, batch_size=256)
        write_feature_set(files.features, features)


def _make_head(files: _Files, console: Console) -> None:
    data = read_feature_set(files.features)
    by_name = {each.name: each for each in read_class_words(files.words / "labels.json")}
    vocabulary = vocabulary_of(read_word_table(files.words))
    space = label_space_of([by_name[name] for name in data.names], vocabulary, NEAREST_KINDS, FOREIGN_WORDS)
    with _bar(console, "epochs of the head") as show:
        head = fit_head(
            Run(files.head.parent, HEAD), data, space, HEAD, lambda epoch, figures: show(epoch, HEAD.epochs)
        )
    written = files.head.with_name("written.keras")
    save_head(head, written)
    halve_weights(written)
    written.replace(files.head)


def _make_bundle(photos: Path, files: _Files, bundle: Path) -> None:
    pictures = validation_pictures(photos, files.pictures)
    by_name = {each.name: each for each in read_class_words(files.words / "labels.json")}
    classes = tuple(by_name[name] for name in class_names(photos))
    export_bundle(
        bundle,
        files.backbone,
        files.head,
        read_word_table(files.words),
        Measured(pictures.pixels, pictures.labels, classes),
        NEAREST_KINDS,
        Description(
            name="starter",
            display_name="Starter: 200 kinds of things in photos, 20 in drawings, 30,000 words",
            command="python -m trainer starter PHOTOS",
            licenses=LICENSES,
            input_size=EDGE,
        ),
    )


def _copy_labels(files: _Files, bundle: Path) -> None:
    """The classes' words beside the bundle: who evaluates it needs them, who serves it does not."""
    shutil.copyfile(files.words / "labels.json", bundle.with_name("labels.json"))


def _make_gallery(gallery: Path) -> None:
    write_gallery(gallery)


@dataclass(frozen=True)
class _Picture:
    """A decoded picture as the feature cache wants it: its pixels as bytes, and its class."""

    content: bytes
    label: str


def _to_pixels(content: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(content, np.uint8).reshape(EDGE, EDGE, 3)


def _counted(pictures: Pictures, names: tuple[str, ...], show: Callable[[int, int], None]) -> Iterator[_Picture]:
    for place, (pixels, label) in enumerate(zip(pictures.pixels, pictures.labels, strict=True), start=1):
        yield _Picture(pixels.tobytes(), names[label])
        show(place, len(pictures.labels))


@contextmanager
def _bar(console: Console, title: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar that is told how much is done, and of how much."""
    with progress_bar(console) as progress:
        task = progress.add_task(title, total=None, note="")
        yield lambda done, total: progress.update(task, completed=done, total=total)
