"""Starts the embedder: `python -m embedder_service --help`."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from semsearch.embedder.v1 import embedder_service_pb2, embedder_service_pb2_grpc

from embedder_service import translate
from embedder_service.access import RULES
from embedder_service.costs import COSTS
from embedder_service.decoder_limits import DecoderLimits
from embedder_service.decoding import open_decoder
from embedder_service.default_model import DefaultModel
from embedder_service.installed_models import InstalledModels
from embedder_service.limits import limits
from embedder_service.loaded_models import open_models
from embedder_service.method_lanes import METHOD_LANES
from embedder_service.pulling import Pulls
from embedder_service.recipes import RecipeFolder
from embedder_service.served_model import model_opener
from embedder_service.servicer import EmbedderServicer
from embedder_service.settings import EmbedderSettings
from embedder_service.statuses import ERRORS
from model.images import ImageLimits
from serving.byte_budget import ByteBudget
from serving.limits_servicer import LimitsServicer, limits_service
from serving.safeguards import Methods
from serving.server import GrpcService, Served, run
from serving.settings import load_settings

_PULLS = 2  # concurrent pulls; more wait
# On a busy machine, a decoder's limit of processor time may take longer. After this multiple of it, it has stalled.
_STALLED_FACTOR = 10


@asynccontextmanager
async def open_services(settings: EmbedderSettings) -> AsyncIterator[Served]:
    """Load the active model, and yield the services."""
    recipes = RecipeFolder(settings.recipes)
    default = DefaultModel(settings.default_model, settings.data / "models", recipes)
    folder = default.folder
    decoder_limits = DecoderLimits(
        ImageLimits(settings.max_image_bytes, settings.max_image_pixels, settings.max_image_scans),
        settings.max_decoding_seconds,
        settings.max_decoding_bytes,
        stalled_seconds=_STALLED_FACTOR * settings.max_decoding_seconds,
    )
    with (
        ThreadPoolExecutor(settings.call_threads, thread_name_prefix="call") as threads,
        ThreadPoolExecutor(1, thread_name_prefix="load") as loader,
        ThreadPoolExecutor(_PULLS, thread_name_prefix="pull") as pullers,
    ):
        async with open_decoder(decoder_limits, settings.decoders, settings.max_decoding_pixels) as decoder:
            opener = model_opener(loader, decoder, settings.max_queued_images, settings.max_batch_images)
            pulls = Pulls(recipes, folder, settings.model_mirror, pullers)
            await default.make(pulls)
            async with open_models(folder, opener, threads) as models:
                budget = ByteBudget(settings.max_queued_bytes)
                installed = InstalledModels(folder, threads)
                servicer = EmbedderServicer(
                    models, folder, pulls, translate.limits(settings), threads, budget, installed
                )
                limits_servicer = LimitsServicer("embedder", limits(settings))

                def change(now: EmbedderSettings) -> None:
                    budget.resize(now.max_queued_bytes)
                    limits_servicer.use(limits(now))

                name = embedder_service_pb2.DESCRIPTOR.services_by_name["EmbedderService"].full_name
                yield Served(
                    [
                        limits_service(limits_servicer),
                        GrpcService(
                            name,
                            lambda server: embedder_service_pb2_grpc.add_EmbedderServiceServicer_to_server(
                                servicer, server
                            ),
                            background=(models.health,),
                            parts=installed.watch,
                        ),
                    ],
                    changed=change,
                )


def main() -> int:
    """Read the settings and serve until a signal."""
    settings = load_settings(EmbedderSettings)
    return run(settings, lambda _: open_services(settings), Methods(ERRORS, RULES, COSTS, METHOD_LANES))


if __name__ == "__main__":
    sys.exit(main())
