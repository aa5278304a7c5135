"""Starts the embedder: `python -m embedder_service --help`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from semsearch.embedder.v1 import embedder_service_pb2, embedder_service_pb2_grpc

from embedder_service import translate
from embedder_service.batching import open_batcher
from embedder_service.bundle.reading import Bundle, open_bundle
from embedder_service.image_embedding import ImageEmbedder, Preprocessing
from embedder_service.images import ImageLimits
from embedder_service.models import ModelFolder
from embedder_service.servicer import EmbedderServicer
from embedder_service.settings import EmbedderSettings
from embedder_service.statuses import ERRORS
from serving.server import GrpcService, run
from serving.settings import load_settings


@asynccontextmanager
async def open_services(settings: EmbedderSettings) -> AsyncIterator[Sequence[GrpcService]]:
    """Opens the active bundle and the servicer over it."""
    models = ModelFolder(settings.data / "models", settings.default_bundle)
    limits = ImageLimits(settings.max_image_bytes, settings.max_image_pixels, settings.max_image_frames)
    with (
        ThreadPoolExecutor(settings.call_threads, thread_name_prefix="call") as threads,
        ThreadPoolExecutor(settings.decode_threads, thread_name_prefix="decode") as decoders,
    ):
        bundle = await asyncio.get_running_loop().run_in_executor(threads, lambda: _open(models))
        manifest = bundle.manifest
        preprocessing = Preprocessing(manifest.input_size, manifest.resize, limits)
        async with open_batcher(bundle.network, settings.max_batch_images) as batcher:
            images = ImageEmbedder(batcher, preprocessing, decoders, settings.max_queued_images)
            servicer = EmbedderServicer(bundle, images, models, translate.limits(settings), threads)
            name = embedder_service_pb2.DESCRIPTOR.services_by_name["EmbedderService"].full_name
            yield [
                GrpcService(
                    name,
                    lambda server: embedder_service_pb2_grpc.add_EmbedderServiceServicer_to_server(servicer, server),
                )
            ]


def _open(models: ModelFolder) -> Bundle:
    return open_bundle(models.active())


def main() -> int:
    """Reads the settings and serves until a signal."""
    settings = load_settings(EmbedderSettings)
    return run(settings, lambda: open_services(settings), ERRORS)


if __name__ == "__main__":
    sys.exit(main())
