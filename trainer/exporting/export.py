"""Make a bundle from a run: words, networks, curves, figures, and provenance.

Contract: curves and figures come from the given images, which must not have been used in training, through the network
to be served. The bundle is opened, self-tested and searched before it is put in place. The pictures of its self-test
are generated colour gradients, so that nobody's pictures ship; the same size gives the same pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from model.bundle.manifest import Calibration, License, Logistic, Manifest
from model.bundle.reading import WordTable
from model.bundle.writing import BundleContent, write_bundle
from model.images import Resize
from model.networks.network import Network
from model.networks.pixel_scale import PixelScale
from trainer.data_sets.reading import LabelledFile
from trainer.exporting.measuring import Measured, MeasuredNetworks, measure_networks, read_measured
from trainer.exporting.smoke_search import SmokeSearch, smoke_search
from trainer.exporting.weights import Weights, smaller_weights
from trainer.labels.class_words import ClassWords
from trainer.labels.space import vocabulary_of
from trainer.relevance.calibration import LogisticCurve
from trainer.relevance.fitting import Relevance, fit_relevance, image_halves
from trainer.words.word_space import read_word_table

_REPRESENTATIVE = 100
_PICTURES = 4
_WAVES = 5


@dataclass(frozen=True)
class Description:
    """The parts of a manifest that are not measured: names, provenance, and how pictures become features."""

    name: str
    display_name: str
    command: str
    licenses: tuple[License, ...]
    input_size: int
    resize: Resize = Resize.CENTER_CROP
    feature_layer: str = ""
    pixel_scale: PixelScale | None = None


@dataclass(frozen=True)
class Exported:
    """A bundle that was put in place: its manifest, the results of searches on it, its networks as measured.

    `given`: the original networks, measured too, if the bundle has them with smaller weights.
    """

    manifest: Manifest
    searches: SmokeSearch
    networks: MeasuredNetworks
    given: MeasuredNetworks | None = None


def calibration_of(relevance: Relevance) -> Calibration:
    """Return a bundle's curves and thresholds."""
    return Calibration(
        _logistic(relevance.text_to_image),
        _logistic(relevance.tag),
        _logistic(relevance.image_to_image),
        relevance.searches.min_relevance,
        relevance.tags.min_relevance,
    )


def export_measured(
    target: Path,
    backbone: Path,
    head: Path,
    words: Path,
    images: Iterable[LabelledFile],
    classes: Sequence[ClassWords],
    nearest_kinds: int,
    description: Description,
    on_left_out: Callable[[str], None] = lambda image: None,
    weights: Weights = Weights.AS_IS,
) -> Exported:
    """Decode the images as the embedder would, measure, and write the bundle, with smaller weights if requested.

    `on_left_out` gets each image that cannot be read, or that has no label: its key, a tab, the reason.

    Raises:
        TrainingSetUnusable: an image has a class that is not among `classes`, none can be measured, or a class has a
            word that gets no vector.
        BackboneUnusable: its weights cannot be made smaller in that way.
        BundleUnsearchable: searches on the bundle get no answers.
        FileExistsError: the target already exists.
    """
    table = read_word_table(words)
    vocabulary_of(table).vectors([word for each in classes for word in each.words])  # before the images, not after
    seen = read_measured(images, classes, description.input_size, description.resize, on_left_out)
    if weights is Weights.AS_IS:
        return export_bundle(target, backbone, head, table, seen, nearest_kinds, description)
    given = measure_networks(_network(backbone, head, description), (backbone, head), table, seen, nearest_kinds)
    with TemporaryDirectory() as folder:
        pixels = seen.pixels[seen.by_turns(_REPRESENTATIVE)]
        smaller = smaller_weights(backbone, head, weights, pixels, Path(folder))
        return replace(export_bundle(target, *smaller, table, seen, nearest_kinds, description), given=given)


def export_bundle(
    target: Path,
    backbone: Path,
    head: Path,
    words: WordTable,
    measured: Measured,
    nearest_kinds: int,
    description: Description,
) -> Exported:
    """Measure and write the bundle, and search it before it is put in place.

    Raises:
        BundleUnsearchable: searches on it get no answers.
        FileExistsError: the target already exists.
        BundleDamaged: the inputs do not open as a bundle.
    """
    files = backbone, head
    networks = measure_networks(_network(*files, description), files, words, measured, nearest_kinds)
    typical = np.ones(len(measured.pixels), np.bool_) if measured.typical is None else measured.typical
    halves = image_halves(measured.pixels[typical])
    closed = None if measured.closed is None else measured.closed[typical]
    truth = networks.truth.take(typical)
    relevance = fit_relevance(truth, vocabulary_of(words), words.taggable, halves, closed=closed)
    manifest = Manifest(
        id="",
        display_name=description.display_name,
        input_size=description.input_size,
        resize=description.resize,
        feature_dimension=networks.feature_dimension,
        feature_layer=description.feature_layer,
        pixel_scale=description.pixel_scale,
        dimension=words.vectors.shape[1],
        word_count=len(words.words),
        calibration=calibration_of(relevance),
        files=(),
        create_time=datetime.now(UTC),
        command=description.command,
        licenses=description.licenses,
        metrics={**networks.evaluation.metrics(), **_effects(relevance)},
    )
    content = BundleContent(backbone, head, words, self_test_pictures(description.input_size))
    searches: list[SmokeSearch] = []
    written = write_bundle(
        description.name, content, manifest, target, lambda bundle: searches.append(smoke_search(bundle, measured))
    )
    return Exported(written, searches[0], networks)


def _network(backbone: Path, head: Path, description: Description) -> Network:
    return Network(
        backbone,
        head,
        input_size=description.input_size,
        feature_layer=description.feature_layer,
        pixel_scale=description.pixel_scale,
    )


def _effects(relevance: Relevance) -> dict[str, float]:
    return {
        "unanswerable_empty": relevance.searches.empty,
        "right_images_kept": relevance.searches.kept,
        "wrong_tags_left_out": relevance.tags.empty,
        "right_tags_kept": relevance.tags.kept,
    }


def _logistic(curve: LogisticCurve) -> Logistic:
    return Logistic(curve.slope, curve.offset)


def self_test_pictures(size: int) -> NDArray[np.uint8]:
    """Return uint8 (4, size, size, 3): for each channel a sum of plane waves."""
    random = np.random.default_rng(0)
    down, right = np.mgrid[0 : 1 : size * 1j, 0 : 1 : size * 1j]
    shape = (_PICTURES, 3, _WAVES, 1, 1)
    across, along, phase = (random.uniform(-low, high, shape) for low, high in ((4, 4), (4, 4), (0, 1)))
    waves = np.sin(2 * np.pi * (across * right + along * down + phase)).mean(axis=2)
    pictures: NDArray[np.uint8] = np.moveaxis(127.5 + 127.5 * waves, 1, -1).round().astype(np.uint8)
    return pictures
