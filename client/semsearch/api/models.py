"""Models: listing, building and activating them."""

from __future__ import annotations

from semsearch import translate
from semsearch.transport.calls import Call
from semsearch.transport.methods import listed, streamed, unary
from semsearch.v1 import model_service_pb2 as pb
from semsearch.values import Model, PullProgress, Recipe, SwitchProgress

# Hundreds of megabytes over a slow line.
_PULL_SECONDS = 24 * 3600.0
# A million images through a large network.
_SWITCH_SECONDS = 30 * 24 * 3600.0


class ModelMethods:
    """The methods of ModelService."""

    @unary
    def get_model(self, model_id: str = "", *, timeout: float | None = None) -> Call[Model]:
        """Return a model's description; "" means the active model.

        >>> client.get_model().dimension
        300
        """
        return Call(pb.GetModelRequest(id=model_id), lambda response: translate.model(response.model), timeout)

    @listed
    def list_models(self, *, page_size: int = 0, timeout: float | None = None) -> Call[tuple[Model, ...]]:
        """Iterate over the models that can be served, by id.

        >>> [model.id for model in client.list_models() if model.active]
        ['starter@sha256:...']
        """
        request = pb.ListModelsRequest(page_size=page_size)
        return Call(request, lambda response: tuple(map(translate.model, response.models)), timeout)

    @unary
    def list_recipes(self, *, timeout: float | None = None) -> Call[list[Recipe]]:
        """Return the recipes that models can be built from, by name.

        >>> [recipe.name for recipe in client.list_recipes()]
        [...]
        """
        return Call(pb.ListRecipesRequest(), lambda response: [*map(translate.recipe, response.recipes)], timeout)

    @streamed
    def pull_model(self, recipe: str, *, timeout: float = _PULL_SECONDS) -> Call[PullProgress]:
        """Build a model from one of the server's recipes; yield the progress, with the model at the end.

        A pull that ended early, or failed, resumes when it is called again.
        """
        return Call(pb.PullModelRequest(recipe=recipe), translate.pull_progress, timeout)

    @streamed
    def activate_model(self, model_id: str, *, timeout: float = _SWITCH_SECONDS) -> Call[SwitchProgress]:
        """Switch to a model; yield the progress, with the model at the end.

        `model_id` may be the part before "@" if only one model has it. If the iteration ends early, the switch
        continues in the server; calling again joins it.

        >>> for progress in client.activate_model(client.get_model().id):
        ...     print(progress.images_done, "of", progress.images_total)
        120 of 120
        """
        return Call(pb.ActivateModelRequest(id=model_id), translate.switch_progress, timeout)
