"""Which bundles there are, and which one serves.

Contract: bundles lie in folders of `SEMSEARCH_DATA/models`, beside the default one that ships. The file
`models/active` holds the id of the one that serves; without it the default one does. A bundle that cannot be read is
left out of the list and told in the log, so that one damaged download hides no other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import structlog

from embedder_service.bundle.manifest import Manifest
from embedder_service.bundle.reading import MANIFEST, peek
from embedder_service.errors import BundleError, ModelNotFound

__all__ = ["ACTIVE", "ModelFolder"]

ACTIVE = "active"

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class ModelFolder:
    """The folder of bundles, and the bundle that serves where none is chosen."""

    models: Path
    default: Path

    def active(self) -> Path:
        """Returns the folder of the bundle that should serve.

        Raises:
            ModelNotFound: `models/active` names a bundle that is not there.
        """
        file = self.models / ACTIVE
        if not file.exists():
            return self.default
        wanted = file.read_text(encoding="utf-8").strip()
        for folder, manifest in self._bundles():
            if manifest.id == wanted:
                return folder
        raise ModelNotFound(wanted)

    def manifests(self) -> list[Manifest]:
        """Returns the manifest of every bundle that can be read, by id."""
        found = {manifest.id: manifest for _, manifest in self._bundles()}
        return [found[model_id] for model_id in sorted(found)]

    def manifest(self, model_id: str) -> Manifest:
        """Returns the manifest of a bundle.

        Raises:
            ModelNotFound: there is none of that id.
        """
        for _, manifest in self._bundles():
            if manifest.id == model_id:
                return manifest
        raise ModelNotFound(model_id)

    def _bundles(self) -> Iterator[tuple[Path, Manifest]]:
        kept = sorted(self.models.glob(f"[!.]*/{MANIFEST}"))
        for file in (self.default / MANIFEST, *kept):
            try:
                yield file.parent, peek(file.parent)
            except BundleError as error:
                log.warning("bundle left out", folder=str(file.parent), error=str(error))
