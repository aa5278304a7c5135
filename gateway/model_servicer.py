"""ModelService over the embedder."""

from __future__ import annotations

from typing import Any

import grpc.aio
from semsearch.v1 import model_service_pb2 as pb
from semsearch.v1 import model_service_pb2_grpc as pb_grpc

from gateway import translate
from gateway.embedding import Embedder
from serving.errors import InvalidField
from serving.page_tokens import PageTokens, page_size

DEFAULT_PAGE_SIZE = 100
MAX_PAGE_SIZE = 1_000
MAX_ID_CHARACTERS = 200

Context = grpc.aio.ServicerContext[Any, Any]


class ModelServicer(pb_grpc.ModelServiceServicer):
    """Tells what the embedder knows of models."""

    def __init__(self, embedder: Embedder, tokens: PageTokens) -> None:
        self._embedder = embedder
        self._tokens = tokens

    async def ListModels(self, request: pb.ListModelsRequest, context: Context) -> pb.ListModelsResponse:
        """Lists the models that can be served, by id."""
        size = page_size(request.page_size, DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)
        after = self._tokens.decode(request.page_token, request) or ""
        models = sorted(
            (model for model in await self._embedder.list_models() if model.id > after), key=lambda model: model.id
        )
        more = len(models) > size
        return pb.ListModelsResponse(
            models=[translate.model_message(model) for model in models[:size]],
            next_page_token=self._tokens.encode(models[size - 1].id, request) if more else "",
        )

    async def GetModel(self, request: pb.GetModelRequest, context: Context) -> pb.GetModelResponse:
        """Returns a model's description."""
        if len(request.id) > MAX_ID_CHARACTERS:
            raise InvalidField("id", f"a model's id has at most {MAX_ID_CHARACTERS} characters.")
        model, _ = await self._embedder.get_model(request.id)
        return pb.GetModelResponse(model=translate.model_message(model))
