"""The model that serves if none was activated: the one that ships, one made from a recipe, or one in a folder.

Contract: a recipe's model is made at the first start that needs it, completely or not at all, by one of several
processes, and is reused afterwards. Calls can always name the model that ships, so that images embedded with it can
still be searched.
"""

from __future__ import annotations

from pathlib import Path

import structlog

from embedder_service.errors import ModelNotFound
from embedder_service.models import ModelFolder
from embedder_service.pulling import Pulls
from embedder_service.recipes import RecipeFolder
from model.bundle.reading import check_files
from model.errors import BundleDamaged

TINY, TINY_BUNDLE = "tiny", Path("starter/bundle")

log = structlog.get_logger(__name__)


class DefaultModel:
    """The model named by the setting: "tiny", a recipe's name, or the path of a bundle's folder, with a slash."""

    def __init__(self, name: str, models: Path, recipes: RecipeFolder) -> None:
        """Read the setting.

        Raises:
            RecipeNotFound: no recipe has that name.
            RecipeUnusable: the recipe cannot be read.
        """
        self._recipe = "" if name == TINY or "/" in name else name
        if self._recipe:
            # The manifest beside a recipe is the manifest of its model.
            self.folder = ModelFolder(models, recipes.open(name).folder, (TINY_BUNDLE,))
        else:
            bundle = TINY_BUNDLE if name == TINY else Path(name)
            self.folder = ModelFolder(models, bundle, (bundle, TINY_BUNDLE))

    async def make(self, pulls: Pulls) -> None:
        """Make the model if it should serve, but is missing or damaged.

        Raises:
            PullError, RecipeError, BundleError, StorageFull: see `Pulls.pull`.
        """
        if not self._recipe or self._is_here():
            return
        log.info("the default model is being made; this takes a moment and happens only once", recipe=self._recipe)
        async for progress in pulls.pull(self._recipe):
            log.info(
                "making the default model",
                recipe=self._recipe,
                bytes_done=progress.bytes_done,
                bytes_total=progress.bytes_total,
            )

    def _is_here(self) -> bool:
        """Return whether another model serves, or this one exists and is undamaged."""
        model_id = self.folder.active_id()
        if model_id != self.folder.default_id():
            return True
        try:
            check_files(self.folder.folder(model_id), self.folder.manifest(model_id))
        except (ModelNotFound, BundleDamaged):
            return False
        return True
