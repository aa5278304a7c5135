"""Descriptions of models, asked of the embedder once each: a model is immutable, so what was learnt stays true."""

from __future__ import annotations

from gateway.backends.embedding import Embedder, Limits, Model
from gateway.errors import ImageTooLarge


class ModelCatalog:
    """Remembers the models that were asked for."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._known: dict[str, tuple[Model, Limits]] = {}
        self._limits: Limits | None = None

    async def describe(self, model_id: str) -> Model:
        """Return the model of an id that a response of the embedder carried."""
        if model_id not in self._known:
            self._known[model_id] = await self._embedder.get_model(model_id)
        return self._known[model_id][0]

    async def serving(self) -> Model:
        """Return the model that serves now; asks every time."""
        model, limits = await self._embedder.get_model()
        self._known[model.id] = model, limits
        self._limits = limits
        return model

    async def limits(self) -> Limits:
        """Return what one call to the embedder may carry."""
        if self._limits is None:
            await self.serving()
        assert self._limits is not None  # noqa: S101 — `serving` sets it or raises
        return self._limits

    async def require_size(self, content: bytes) -> bytes:
        """Return an image's bytes if the embedder takes as many.

        Raises:
            ImageTooLarge: it does not. Checked here because a message that is larger than the channel allows would
                fail without a word about the reason.
        """
        limit = (await self.limits()).max_image_bytes
        if len(content) > limit:
            raise ImageTooLarge(len(content), limit)
        return content
