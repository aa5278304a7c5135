"""The model that serves where none was made active: one that ships, one that a recipe makes, or a folder's.

Contract: what a recipe makes is made at the first start that needs it, whole or not at all, whichever of several
processes does it, and is used again afterwards. The model that ships can be named by a call whichever serves, so that
images which it embedded go on being searched with it.
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

__all__ = ["DefaultModel"]

TINY, TINY_BUNDLE = "tiny", Path("starter/bundle")

log = structlog.get_logger(__name__)


class DefaultModel:
    """What the setting says: "tiny", the name of a recipe, or the path of a bundle's folder, which has a slash."""

    def __init__(self, name: str, models: Path, recipes: RecipeFolder) -> None:
        """Read the setting.

        Raises:
            RecipeNotFound: there is no recipe of that name.
            RecipeUnusable: it cannot be read.
        """
        self._recipe = "" if name == TINY or "/" in name else name
        if self._recipe:
            # The manifest beside a recipe is that of what it makes.
            self.folder = ModelFolder(models, recipes.open(name).folder, (TINY_BUNDLE,))
        else:
            bundle = TINY_BUNDLE if name == TINY else Path(name)
            self.folder = ModelFolder(models, bundle, (bundle, TINY_BUNDLE))

    async def make(self, pulls: Pulls) -> None:
        """Make the model if it should serve and is not here, or is damaged.

        Raises:
            PullError, RecipeError, BundleError, StorageFull: see `Pulls.pull`.
        """
        if not self._recipe or self._is_here():
            return
        log.info("the default model is made, which takes a moment and happens once", recipe=self._recipe)
        async for progress in pulls.pull(self._recipe):
            log.info(
                "making the default model",
                recipe=self._recipe,
                bytes_done=progress.bytes_done,
                bytes_total=progress.bytes_total,
            )

    def _is_here(self) -> bool:
        """Return whether another model serves, or this one is here and whole."""
        model_id = self.folder.active_id()
        if model_id != self.folder.default_id():
            return True
        try:
            check_files(self.folder.folder(model_id), self.folder.manifest(model_id))
        except (ModelNotFound, BundleDamaged):
            return False
        return True
