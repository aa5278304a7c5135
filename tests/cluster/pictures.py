"""Pictures for a load: views of the rendered gallery, each different, with the vectors that an embedder gives them."""

from __future__ import annotations

import io
import itertools
import random
from collections.abc import Iterator, Mapping
from pathlib import Path

import grpc
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance
from semsearch.embedder.v1 import embedder_service_pb2 as pb
from semsearch.embedder.v1 import embedder_service_pb2_grpc as pb_grpc

from tests.cluster.gallery import Picture

GALLERY = Path(__file__).parents[2] / "starter" / "gallery"
WORDS = ("dog", "cat", "boat", "fruit", "vehicle", "animal", "flower", "house", "music", "tree", "fish", "bicycle")
_EDGE = 96
_BATCH = 64
_SECONDS = 60.0


def view(file: Path, chance: random.Random) -> bytes:
    """Return part of a picture, in other light."""
    with Image.open(file) as picture:
        width, height = picture.size
        share = chance.uniform(0.6, 0.95)
        left, top = (chance.uniform(0, (1 - share) * side) for side in (width, height))
        part = picture.convert("RGB").crop((int(left), int(top), int(left + share * width), int(top + share * height)))
        light = ImageEnhance.Brightness(part.resize((_EDGE, _EDGE))).enhance(chance.uniform(0.6, 1.4))
        light.save(content := io.BytesIO(), "PNG", compress_level=1)
        return content.getvalue()


def views(count: int) -> Iterator[tuple[str, bytes]]:
    """Yield that many pictures with ids; always the same ones."""
    files = itertools.cycle(sorted(GALLERY.glob("*.webp")))
    for number, file in zip(range(count), files, strict=False):
        yield f"{number:05}-{file.stem}", view(file, random.Random(number))


def embedded(embedder: grpc.Channel, count: int) -> dict[str, Picture]:
    """Return that many pictures with their vectors."""
    found: dict[str, Picture] = {}
    with embedder as channel:
        stub = pb_grpc.EmbedderServiceStub(channel)
        remaining = views(count)
        while batch := [*itertools.islice(remaining, _BATCH)]:
            request = pb.EmbedImagesRequest(images=[pb.ImageInput(content=content) for _, content in batch])
            answers = stub.EmbedImages(request, timeout=_SECONDS).embeddings
            for (image_id, content), answer in zip(batch, answers, strict=True):
                found[image_id] = Picture(content, np.frombuffer(answer.vector, "<f4"))
    return found


def embedded_words(embedder: grpc.Channel) -> Mapping[str, NDArray[np.float32]]:
    """Return the vectors of some words."""
    with embedder as channel:
        request = pb.EmbedTextRequest(queries=[pb.TextQuery(raw=word) for word in WORDS])
        answers = pb_grpc.EmbedderServiceStub(channel).EmbedText(request, timeout=_SECONDS).embeddings
    return {word: np.frombuffer(answer.vector, "<f4") for word, answer in zip(WORDS, answers, strict=True)}
