"""Make the starter from photos, a sentence model and WordNet, in stages that survive an interruption.

1. The backbone is trained on photos and rendered scenes.
2. A pretrained network, the teacher, classifies the same pictures.
3. Training continues with the teacher's probabilities; the kernels are then stored as float16, as they are served.
4. The words are made.
5. The backbone runs once over its training pictures.
6. The head is trained to map features to the label vectors.
7. Curves and figures are measured on pictures not used in training, and everything becomes a bundle.
8. The classes' words are copied into the bundle's folder, and the gallery is rendered.

The twin is a bundle made the same way without some classes, to measure searches for classes never shown (zero-shot). It
has no teacher, since the teacher knows those classes.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rich.console import Console

from model.bundle.manifest import License
from serving.durable_files import replacing
from trainer.console import progress_bar
from trainer.exporting.export import Description, export_bundle
from trainer.exporting.measuring import Measured
from trainer.features.extractors import keras_extractor, tflite_extractor
from trainer.features.feature_set import read_feature_set, write_feature_set
from trainer.fitting.head import fit_head, save_head
from trainer.fitting.settings import HeadSettings, LossSettings
from trainer.keras_files import halve_weights
from trainer.labels.class_words import read_class_words
from trainer.labels.space import label_space_of, vocabulary_of
from trainer.runs import Run, Stage, run_stages
from trainer.starter.pictures import PictureSource, enlarged, held_out_probabilities, picture_features
from trainer.starter.pretrain import Cycle, PretrainSettings, StartingPoint, pretrain
from trainer.starter.scenes import write_gallery
from trainer.starter.word_files import make_words
from trainer.words.word_space import read_word_table

# Things look smaller in whole pictures than in the crops of training; larger pictures make up for that (Touvron et al.
# 2019). The classifier's hit@1 on half of val.tar at 64, 72, 80, 96 pixels: 0.403, 0.432, 0.430, 0.392.
SERVED_EDGE = 72
DISTILLATION = PretrainSettings(cycles=(Cycle((40, 40, 40, 40, 48, 48, 48, 56), peak_rate=0.1),), teacher_share=0.7)
# Shorter than the starter's, as the twin is only measured.
TWIN = PretrainSettings(cycles=(Cycle((32, 32, 32, 32, 32, 40, 40, 40, 48, 48), peak_rate=0.2),))
TEACHER_EDGE = 224
TEACHER_LAYER = "MobilenetV2/Logits/AvgPool"
NEAREST_KINDS = 2
FOREIGN_WORDS = 2_000
HEAD = HeadSettings(hidden=(512,), dropout=0.3, loss=LossSettings("joint"), epochs=20)
LICENSES = (
    License("photos: Tiny ImageNet, 60,000 of its training set", "LicenseRef-research", "https://www.image-net.org"),
    License("word vectors: all-MiniLM-L6-v2", "Apache-2.0", "https://huggingface.co/sentence-transformers"),
    License("kinds and definitions: WordNet 3.0", "WordNet-3.0", "https://wordnet.princeton.edu"),
    License("scenes: Noto Color Emoji", "OFL-1.1", "https://github.com/googlefonts/noto-emoji"),
    License("teacher: MobileNetV2 1.0 224, ImageNet, int8", "Apache-2.0", "https://github.com/tensorflow/models"),
    License("network weights", "Apache-2.0", "python -m trainer starter"),
)
STARTER = Description(
    name="starter",
    display_name="Starter: 200 kinds of things in photos, 20 in drawings, 30,000 words",
    command="python -m trainer starter PHOTOS --teacher mobilenet_v2_1.0_224_quant.tflite",
    licenses=LICENSES,
    input_size=SERVED_EDGE,
)
TWIN_DESCRIPTION = replace(
    STARTER,
    name="starter-twin",
    display_name="Starter's twin: some classes were kept out of all training",
    command="python -m trainer starter-twin PHOTOS --unseen trainer/starter/unseen.json",
    licenses=tuple(each for each in LICENSES if not each.subject.startswith("teacher")),
)


@dataclass(frozen=True)
class _Files:
    """The run's files, and the pictures that it is made from."""

    run: Path
    source: PictureSource

    @property
    def trained(self) -> Path:
        return self.run / "trained" / "backbone.keras"

    @property
    def teacher(self) -> Path:
        return self.run / "teacher.npy"

    @property
    def distilled(self) -> Path:
        return self.run / "distilled" / "backbone.keras"

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


def make_starter(photos: Path, teacher: Path, run: Path, bundle: Path, gallery: Path, console: Console) -> None:
    """Make the bundle and the gallery, or continue making them.

    `teacher`: MobileNetV2 1.0 224 quantised, a .tflite file.

    Raises:
        TrainerError: something is not installed, or does not fit; the message says what to do.
    """
    files = _Files(run, PictureSource(photos, run / "pictures"))
    run_stages(
        (
            Stage("training", files.trained, lambda: _train(files, PretrainSettings())),
            Stage("teacher", files.teacher, lambda: _ask_teacher(teacher, files, console)),
            Stage("distillation", files.distilled, lambda: _distil(files)),
            Stage("backbone", files.backbone, lambda: _make_backbone(files.distilled, files)),
            *_from_backbone_to_bundle(files, bundle, STARTER, console),
            Stage("labels", bundle.with_name("labels.json"), lambda: _copy_labels(files, bundle)),
            Stage("gallery", gallery / "truth.jsonl", lambda: _make_gallery(gallery)),
        ),
        console,
    )


def make_twin(photos: Path, without: frozenset[str], run: Path, bundle: Path, console: Console) -> None:
    """Make the twin of the starter that was never shown the classes `without`; raises as `make_starter`."""
    files = _Files(run, PictureSource(photos, run / "pictures", without))
    run_stages(
        (
            Stage("training", files.trained, lambda: _train(files, TWIN)),
            Stage("backbone", files.backbone, lambda: _make_backbone(files.trained, files)),
            *_from_backbone_to_bundle(files, bundle, TWIN_DESCRIPTION, console),
        ),
        console,
    )


def _from_backbone_to_bundle(
    files: _Files, bundle: Path, description: Description, console: Console
) -> tuple[Stage, ...]:
    return (
        Stage("words", files.words, lambda: _make_words(files, console)),
        Stage("features", files.features, lambda: _make_features(files, console)),
        Stage("head", files.head, lambda: _make_head(files, console)),
        Stage("bundle", bundle, lambda: _make_bundle(files, bundle, description)),
    )


def _train(files: _Files, settings: PretrainSettings) -> None:
    pretrain(files.source, files.trained.parent, settings)


def _ask_teacher(teacher: Path, files: _Files, console: Console) -> None:
    extractor = tflite_extractor(teacher, TEACHER_EDGE, TEACHER_LAYER)
    pictures, names = files.source.training(), files.source.names
    with _bar(console, "pictures seen by the teacher") as show:
        seen = picture_features(pictures, names, extractor, TEACHER_EDGE, files.run / "teacher-features", show)
    with replacing(files.teacher) as written:
        np.save(written, held_out_probabilities(seen))


def _distil(files: _Files) -> None:
    pretrain(files.source, files.distilled.parent, DISTILLATION, StartingPoint(files.trained, np.load(files.teacher)))


def _make_backbone(trained: Path, files: _Files) -> None:
    files.backbone.parent.mkdir(exist_ok=True)
    with replacing(files.backbone) as halved:
        shutil.copyfile(trained, halved)
        halve_weights(halved)


def _make_words(files: _Files, console: Console) -> None:
    with _bar(console, "texts read") as show:
        make_words(files.source.photos, files.words, show)


def _make_features(files: _Files, console: Console) -> None:
    pictures, names = files.source.training(), files.source.names
    extractor = keras_extractor(files.backbone, SERVED_EDGE)
    with _bar(console, "pictures seen") as show:
        features = picture_features(pictures, names, extractor, SERVED_EDGE, files.features.parent, show)
    write_feature_set(files.features, features, files.features.parent)


def _make_head(files: _Files, console: Console) -> None:
    data = read_feature_set(files.features)
    by_name = {each.name: each for each in read_class_words(files.words / "labels.json")}
    vocabulary = vocabulary_of(read_word_table(files.words))
    classes = [by_name[name] for name in data.names]
    spared = {by_name[name].word for name in files.source.without}
    space = label_space_of(classes, vocabulary, NEAREST_KINDS, FOREIGN_WORDS, spared=spared)
    with _bar(console, "epochs of the head") as show:
        head = fit_head(
            Run(files.head.parent, HEAD), data, space, HEAD, lambda epoch, figures: show(epoch, HEAD.epochs)
        )
    with replacing(files.head) as written:
        save_head(head, written)
        halve_weights(written)


def _make_bundle(files: _Files, bundle: Path, description: Description) -> None:
    pictures = files.source.validation()
    by_name = {each.name: each for each in read_class_words(files.words / "labels.json")}
    classes = tuple(by_name[name] for name in files.source.names)
    pixels = np.stack([enlarged(picture, SERVED_EDGE) for picture in pictures.pixels])
    export_bundle(
        bundle,
        files.backbone,
        files.head,
        read_word_table(files.words),
        Measured(pixels, pictures.labels[:, None], classes),
        NEAREST_KINDS,
        description,
    )


def _copy_labels(files: _Files, bundle: Path) -> None:
    """Copy the classes' words into the bundle's folder: evaluating it needs them, serving it does not."""
    shutil.copyfile(files.words / "labels.json", bundle.with_name("labels.json"))


def _make_gallery(gallery: Path) -> None:
    write_gallery(gallery)


@contextmanager
def _bar(console: Console, title: str) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar; yield a function that takes the amount done and the total."""
    with progress_bar(console) as progress:
        task = progress.add_task(title, total=None, note="")
        yield lambda done, total: progress.update(task, completed=done, total=total)
