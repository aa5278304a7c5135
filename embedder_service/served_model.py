"""A model that is ready to serve: its bundle, its vocabulary, and the queue of its network."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from embedder_service.batching import open_batcher
from embedder_service.decoding import ImageDecoder
from embedder_service.image_embedding import ImageEmbedder, Preprocessing
from model.bundle.manifest import Manifest
from model.bundle.reading import Bundle, WordTable, open_bundle
from model.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class ServedModel:
    """The parts of a model that calls use."""

    manifest: Manifest
    vocabulary: Vocabulary
    images: ImageEmbedder

    @property
    def id(self) -> str:
        """The model's id."""
        return self.manifest.id

    @property
    def words(self) -> WordTable:
        """The model's words with their vectors."""
        return self.vocabulary.table


Opener = Callable[[Path], AbstractAsyncContextManager[ServedModel]]


def model_opener(loader: Executor, decoder: ImageDecoder, max_queued_images: int, max_batch_images: int) -> Opener:
    """Return an async context manager that opens a bundle, with every check, on `loader`.

    It raises the errors of `open_bundle`. Up to `max_queued_images` images may wait for each model.
    """

    @asynccontextmanager
    async def open_model(folder: Path) -> AsyncIterator[ServedModel]:
        bundle, vocabulary = await asyncio.get_running_loop().run_in_executor(loader, _load, folder)
        manifest = bundle.manifest
        preprocessing = Preprocessing(manifest.input_size, manifest.resize)
        async with open_batcher(bundle.network, max_batch_images) as batcher:
            images = ImageEmbedder(batcher, preprocessing, decoder, max_queued_images)
            yield ServedModel(manifest, vocabulary, images)

    return open_model


def _load(folder: Path) -> tuple[Bundle, Vocabulary]:
    bundle = open_bundle(folder)
    return bundle, Vocabulary(bundle.words)
