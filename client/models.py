"""ModelService: which models there are, fetching others, and switching to one."""

from __future__ import annotations

from collections.abc import Iterator

from semsearch.v1 import model_service_pb2 as pb
from semsearch.v1 import model_service_pb2_grpc as pb_grpc

from client import translate
from client.connection import Connection
from client.results import Model, PullProgress, SwitchProgress

# Hundreds of megabytes over a slow line; a million images by a large network.
_PULL_SECONDS = 24 * 3600.0
_SWITCH_SECONDS = 30 * 24 * 3600.0


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

    def pull_model(self, recipe: str) -> Iterator[PullProgress]:
        """Makes a model from a recipe that the server has, and yields how far it is; the model comes last.

        A pull that is ended early, or fails, goes on when it is called again.
        """
        call = pb_grpc.ModelServiceStub(self.channel).PullModel(
            pb.PullModelRequest(recipe=recipe), timeout=_PULL_SECONDS
        )
        try:
            with self.translated_errors():
                for response in call:
                    model = translate.model(response.model) if response.HasField("model") else None
                    yield PullProgress(response.bytes_done, response.bytes_total, model)
        finally:
            call.cancel()

    def activate_model(self, model_id: str) -> Iterator[SwitchProgress]:
        """Switches to a model and yields how far it is; the model comes last.

        `model_id` may be the part before "@" if only one model has it. The switch goes on in the server if the
        iteration is ended early; calling again joins it.
        """
        call = pb_grpc.ModelServiceStub(self.channel).ActivateModel(
            pb.ActivateModelRequest(id=model_id), timeout=_SWITCH_SECONDS
        )
        try:
            with self.translated_errors():
                for response in call:
                    model = translate.model(response.model) if response.HasField("model") else None
                    yield SwitchProgress(
                        response.images_done,
                        response.images_total,
                        response.images_failed,
                        model,
                        response.words_done,
                        response.words_total,
                    )
        finally:
            call.cancel()
