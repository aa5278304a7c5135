"""Descriptions of models, requested from the embedder once each: models are immutable."""

from __future__ import annotations

from gateway.backends.embedding import Embedder, Limits, Model
from gateway.errors import ImageTooLarge


class ModelCatalog:
    """Caches the models' descriptions."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._known: dict[str, tuple[Model, Limits]] = {}
        self._limits: Limits | None = None

    async def describe(self, model_id: str) -> Model:
        """Return the model of an id that the embedder returned."""
        if model_id not in self._known:
            self._known[model_id] = await self._embedder.get_model(model_id)
        return self._known[model_id][0]

    async def serving(self) -> Model:
        """Return the serving model; ask the embedder every time."""
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
        """Return an image's bytes if they are within the embedder's limit.

        Raises:
            ImageTooLarge: They are not. Checked here because a message beyond the channel's limit would fail without
                a useful reason.
        """
        limit = (await self.limits()).max_image_bytes
        if len(content) > limit:
            raise ImageTooLarge(len(content), limit)
        return content
