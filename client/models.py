"""ModelService: which models there are."""

from __future__ import annotations

from collections.abc import Iterator

from semsearch.v1 import model_service_pb2 as pb
from semsearch.v1 import model_service_pb2_grpc as pb_grpc

from client import translate
from client.connection import Connection
from client.results import Model


class ModelCalls(Connection):
    """The calls of ModelService; every method raises `SemsearchError`."""

    def get_model(self, model_id: str = "") -> Model:
        """Returns a model's description; "" means the one that serves now."""
        request = pb.GetModelRequest(id=model_id)
        return translate.model(self.call(pb_grpc.ModelServiceStub(self.channel).GetModel, request).model)

    def list_models(self) -> Iterator[Model]:
        """Yields the models that can be served, by id."""
        request = pb.ListModelsRequest()
        while True:
            page = self.call(pb_grpc.ModelServiceStub(self.channel).ListModels, request)
            yield from map(translate.model, page.models)
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token
