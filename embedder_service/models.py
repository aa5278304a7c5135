"""Which bundles there are, and which one serves.

Contract: bundles lie in folders of `SEMSEARCH_DATA/models`, beside those that ship. The file `models/active` holds the
id of the one that serves; without it the default one does. A bundle that cannot be read is
left out of the list and told in the log, so that one damaged download hides no other. Folders whose names begin with a
dot are work in progress.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import structlog

from embedder_service.errors import ModelNotFound
from model.bundle.manifest import Manifest
from model.bundle.reading import MANIFEST, peek
from model.errors import BundleError, storage_errors
from serving.durable_files import write_file

__all__ = ["ACTIVE", "ModelFolder"]

ACTIVE = "active"

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class ModelFolder:
    """The folder of bundles, and those that lie elsewhere.

    `default` is the folder whose manifest names the model that serves where none is chosen: a bundle's or a recipe's.
    """

    models: Path
    default: Path
    shipped: tuple[Path, ...]

    def active(self) -> Path:
        """Return the folder of the bundle that should serve.

        Raises:
            ModelNotFound: `models/active` names a bundle that is not there.
            BundleError: there is no `models/active`, and the default bundle cannot be read.
        """
        return self.folder(self.active_id())

    def active_id(self) -> str:
        """Return the id of the bundle that should serve; it need not be there.

        Raises:
            BundleError: there is no `models/active`, and the default bundle cannot be read.
        """
        try:
            return (self.models / ACTIVE).read_text(encoding="utf-8", errors="replace").strip()
        except FileNotFoundError:
            return self.default_id()

    def default_id(self) -> str:
        """Return the id of the model that serves where none is chosen; it need not be there.

        Raises:
            BundleError: its manifest cannot be read.
        """
        return peek(self.default).id

    def choice(self) -> tuple[int, ...] | None:
        """Return what differs whenever `models/active` was written, and None where it is not there."""
        try:
            status = (self.models / ACTIVE).stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ino, status.st_size

    def set_active(self, model_id: str) -> None:
        """Make a bundle the one that should serve, now and after a restart.

        Raises:
            StorageFull: the file cannot be written.
        """
        with storage_errors(self.models / ACTIVE):
            self.models.mkdir(parents=True, exist_ok=True)
            write_file(self.models / ACTIVE, f"{model_id}\n".encode())

    def folder(self, model_id: str) -> Path:
        """Return the folder of a bundle.

        Raises:
            ModelNotFound: there is none of that id.
        """
        for folder, manifest in self.bundles():
            if manifest.id == model_id:
                return folder
        raise ModelNotFound(model_id)

    def manifests(self) -> list[Manifest]:
        """Return the manifest of every bundle that can be read, by id."""
        found = {manifest.id: manifest for _, manifest in self.bundles()}
        return [found[model_id] for model_id in sorted(found)]

    def manifest(self, model_id: str) -> Manifest:
        """Return the manifest of a bundle.

        Raises:
            ModelNotFound: there is none of that id.
        """
        for _, manifest in self.bundles():
            if manifest.id == model_id:
                return manifest
        raise ModelNotFound(model_id)

    def bundles(self) -> Iterator[tuple[Path, Manifest]]:
        """Yield the folder and the manifest of every bundle that can be read, those that ship first."""
        kept = sorted(file.parent for file in self.models.glob(f"[!.]*/{MANIFEST}"))
        for folder in dict.fromkeys((*self.shipped, *kept)):
            try:
                yield folder, peek(folder)
            except BundleError as error:
                log.warning("bundle left out", folder=str(folder), error=str(error))
