"""A bundle's manifest and its text form: ProtoJSON of `semsearch.bundle.v1.Manifest`.

A bundle is written in the oldest format that can express it. Format 2 added .tflite heads: an older semsearch reports
that such a bundle is too new for it, and continues to serve the others.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import exp

from google.protobuf import json_format
from semsearch.bundle.v1 import manifest_pb2 as pb

from model.errors import BundleDamaged, BundleTooNew
from model.images import Resize
from model.networks.pixel_scale import PixelScale

FORMAT_VERSION = 2
# Dimensions of word vectors. Fewer numbers separate words badly; with more, a page of vectors is a large message.
MIN_DIMENSION, MAX_DIMENSION = 50, 1_024
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
KERAS_BACKBONE, TFLITE_BACKBONE = "backbone.keras", "backbone.tflite"
KERAS_HEAD, TFLITE_HEAD = "head.keras", "head.tflite"
_NETWORKS = {(KERAS_BACKBONE, KERAS_HEAD), (TFLITE_BACKBONE, KERAS_HEAD), (TFLITE_BACKBONE, TFLITE_HEAD)}
WORDS, VECTORS, TAGGABLE = "words.txt", "words.npy", "taggable.npy"
_RESIZE = {pb.RESIZE_MODE_CENTER_CROP: Resize.CENTER_CROP, pb.RESIZE_MODE_SQUASH: Resize.SQUASH}
_RESIZE_MODE = {resize: mode for mode, resize in _RESIZE.items()}


@dataclass(frozen=True)
class Logistic:
    """Map cosine similarity to relevance, 0…1: 1 / (1 + exp(−(slope · similarity + offset))) (Platt 1999)."""

    slope: float
    offset: float

    def __call__(self, similarity: float) -> float:
        """Return the relevance of a similarity."""
        return 1 / (1 + exp(-(self.slope * similarity + self.offset)))


@dataclass(frozen=True)
class Calibration:
    """The calibration curves, and the default minimum relevance of searches and of tags."""

    text_to_image: Logistic
    tags: Logistic
    image_to_image: Logistic
    min_relevance: float
    min_tag_relevance: float


@dataclass(frozen=True)
class License:
    """The license of something that the bundle was made from: its SPDX expression, and where it is described."""

    subject: str
    spdx: str
    source: str


@dataclass(frozen=True)
class File:
    """A file of the bundle: its size in bytes and its SHA-256 in hex."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """Everything about a bundle except the content of its files."""

    id: str
    display_name: str
    input_size: int
    resize: Resize
    feature_dimension: int
    dimension: int
    word_count: int
    calibration: Calibration
    files: tuple[File, ...]
    create_time: datetime
    backbone: str = "backbone.keras"  # or backbone.tflite
    head: str = "head.keras"  # or head.tflite, behind backbone.tflite
    feature_layer: str = ""  # tensor of a .tflite backbone that holds the features; empty means its output
    pixel_scale: PixelScale | None = None  # scale of a .tflite backbone's float32 pixels; None means uint8 pixels
    command: str = ""
    licenses: tuple[License, ...] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)


def bundle_id(name: str, files: Sequence[File]) -> str:
    """Return `name@sha256:12 hex digits`; the digits come from the checksums of all files.

    Raises:
        ValueError: the name is not 1 to 63 lower-case letters, digits, ".", "_" and "-".
    """
    if not NAME.fullmatch(name):
        raise ValueError(f"A bundle cannot be named {name!r}: use lower-case letters, digits, '.', '_' and '-'.")
    digest = hashlib.sha256()
    for file in sorted(files, key=lambda each: each.name):
        digest.update(f"{file.name} {file.sha256}\n".encode())
    return f"{name}@sha256:{digest.hexdigest()[:12]}"


def manifest_to_json(manifest: Manifest) -> str:
    """Return the text of manifest.json."""
    message = pb.Manifest(
        format_version=2 if manifest.head == TFLITE_HEAD else 1,
        id=manifest.id,
        display_name=manifest.display_name,
        dimension=manifest.dimension,
        backbone=_backbone(manifest),
        head=pb.Head(tflite_file=TFLITE_HEAD) if manifest.head == TFLITE_HEAD else pb.Head(keras_file=KERAS_HEAD),
        words=pb.Words(count=manifest.word_count, words_file=WORDS, vectors_file=VECTORS, taggable_file=TAGGABLE),
        calibration=calibration_message(manifest.calibration),
        metrics=manifest.metrics,
        licenses=[pb.License(subject=each.subject, spdx=each.spdx, source=each.source) for each in manifest.licenses],
        files=[pb.File(name=each.name, size_bytes=each.size, sha256=each.sha256) for each in manifest.files],
        command=manifest.command,
    )
    message.create_time.FromDatetime(manifest.create_time)
    return json_format.MessageToJson(message, ensure_ascii=False) + "\n"


def manifest_from_json(text: str) -> Manifest:
    """Parse the text of a manifest.json.

    Raises:
        BundleTooNew: it was written in a newer format.
        BundleDamaged: it is not a manifest, or not one of a bundle that this version serves.
    """
    try:
        # A newer format may have unknown fields. They are ignored here, so that its version can be reported.
        message = json_format.Parse(text, pb.Manifest(), ignore_unknown_fields=True)
    except json_format.ParseError as error:
        raise BundleDamaged(f"manifest.json is not a manifest: {error}. Fetch the bundle again.") from error
    if message.format_version > FORMAT_VERSION:
        raise BundleTooNew(
            f"The bundle {message.id} has format {message.format_version}, but this version of semsearch reads only up "
            f"to {FORMAT_VERSION}. Install a newer semsearch, or choose another bundle."
        )
    backbone = message.backbone
    file = backbone.keras_file or backbone.tflite_file
    head = message.head.keras_file or message.head.tflite_file
    if (
        message.format_version < 1
        or (file, head) not in _NETWORKS
        or not (backbone.keras_file == KERAS_BACKBONE or backbone.tflite_file == TFLITE_BACKBONE)
        or not (message.head.keras_file == KERAS_HEAD or message.head.tflite_file == TFLITE_HEAD)
        or (backbone.feature_layer and file == KERAS_BACKBONE)
        or backbone.resize_mode not in _RESIZE
        or backbone.preprocessing not in {pb.PREPROCESSING_NONE, pb.PREPROCESSING_SCALE}
        or (backbone.preprocessing == pb.PREPROCESSING_SCALE and file == KERAS_BACKBONE)
    ):
        raise BundleDamaged(
            f"manifest.json does not describe a bundle that this version serves: it needs {KERAS_BACKBONE} or "
            f"{TFLITE_BACKBONE}, which takes pixels, and {KERAS_HEAD}, or {TFLITE_HEAD} after {TFLITE_BACKBONE}. Make "
            "the bundle again with the trainer."
        )
    if not MIN_DIMENSION <= message.dimension <= MAX_DIMENSION:
        raise BundleDamaged(
            f"manifest.json says that vectors have {message.dimension:,} numbers each, but this version serves only "
            f"bundles of {MIN_DIMENSION} to {MAX_DIMENSION:,}. Make the bundle again, with other word vectors."
        )
    calibration = message.calibration
    return Manifest(
        id=message.id,
        display_name=message.display_name,
        input_size=backbone.input_size,
        resize=_RESIZE[backbone.resize_mode],
        feature_dimension=backbone.feature_dimension,
        dimension=message.dimension,
        word_count=message.words.count,
        calibration=Calibration(
            _logistic(calibration.text_to_image),
            _logistic(calibration.tags),
            _logistic(calibration.image_to_image),
            calibration.default_min_relevance,
            calibration.default_min_tag_relevance,
        ),
        files=tuple(File(each.name, each.size_bytes, each.sha256) for each in message.files),
        create_time=message.create_time.ToDatetime(UTC),
        backbone=file,
        head=head,
        feature_layer=backbone.feature_layer,
        pixel_scale=_pixel_scale(backbone),
        command=message.command,
        licenses=tuple(License(each.subject, each.spdx, each.source) for each in message.licenses),
        metrics=dict(message.metrics),
    )


def _backbone(manifest: Manifest) -> pb.Backbone:
    backbone = pb.Backbone(
        input_size=manifest.input_size,
        resize_mode=_RESIZE_MODE[manifest.resize],
        preprocessing=pb.PREPROCESSING_SCALE if manifest.pixel_scale else pb.PREPROCESSING_NONE,
        feature_layer=manifest.feature_layer,
        feature_dimension=manifest.feature_dimension,
    )
    if manifest.pixel_scale:
        backbone.pixel_means.extend(manifest.pixel_scale.mean)
        backbone.pixel_deviations.extend(manifest.pixel_scale.deviation)
    if manifest.backbone == TFLITE_BACKBONE:
        backbone.tflite_file = manifest.backbone
    else:
        backbone.keras_file = manifest.backbone
    return backbone


def _pixel_scale(backbone: pb.Backbone) -> PixelScale | None:
    if backbone.preprocessing == pb.PREPROCESSING_NONE:
        return None
    try:
        return PixelScale(tuple(backbone.pixel_means), tuple(backbone.pixel_deviations))
    except ValueError as error:
        raise BundleDamaged(f"manifest.json has no valid pixel scale: {error}. Fetch the bundle again.") from error


def calibration_message(calibration: Calibration) -> pb.Calibration:
    """Return the calibration as a message."""
    return pb.Calibration(
        text_to_image=_curve(calibration.text_to_image),
        tags=_curve(calibration.tags),
        image_to_image=_curve(calibration.image_to_image),
        default_min_relevance=calibration.min_relevance,
        default_min_tag_relevance=calibration.min_tag_relevance,
    )


def _curve(logistic: Logistic) -> pb.Logistic:
    return pb.Logistic(slope=logistic.slope, offset=logistic.offset)


def _logistic(curve: pb.Logistic) -> Logistic:
    return Logistic(curve.slope, curve.offset)
