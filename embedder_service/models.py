"""The bundles on disk, and which one is active.

Contract: bundles are folders in `SEMSEARCH_DATA/models`, and others ship. The file `models/active` holds the id of the
active bundle; without it, the default bundle is active. Unreadable bundles are left out of the list and logged, so that
a damaged bundle does not hide the others. Folders whose names begin with a dot are work in progress.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import structlog

from embedder_service.errors import ModelNotFound
from model.bundle.manifest import Manifest
from model.bundle.reading import MANIFEST, peek
from model.errors import BundleError, storage_errors
from serving.durable_files import write_file

ACTIVE = "active"

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class ModelFolder:
    """The folder of bundles, and the bundles elsewhere.

    `default` is the folder whose manifest names the model that serves if none is chosen: a bundle's or a recipe's.
    """

    models: Path
    default: Path
    shipped: tuple[Path, ...]

    def active(self) -> Path:
        """Return the folder of the bundle that should serve.

        Raises:
            ModelNotFound: `models/active` names a bundle that does not exist.
            BundleError: `models/active` does not exist, and the default bundle cannot be read.
        """
        return self.folder(self.active_id())

    def active_id(self) -> str:
        """Return the id of the bundle that should serve; the bundle may be missing.

        An empty `models/active`, which an interrupted copy may leave, counts as one that does not exist.

        Raises:
            BundleError: `models/active` does not exist, and the default bundle cannot be read.
        """
        try:
            chosen = (self.models / ACTIVE).read_text(encoding="utf-8", errors="replace").strip()
        except FileNotFoundError:
            chosen = ""
        return chosen or self.default_id()

    def default_id(self) -> str:
        """Return the id of the model that serves if none is chosen; the model may be missing.

        Raises:
            BundleError: its manifest cannot be read.
        """
        return peek(self.default).id

    def choice(self) -> tuple[int, ...] | None:
        """Return a value that changes whenever `models/active` is written, or None if the file does not exist."""
        try:
            status = (self.models / ACTIVE).stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ino, status.st_size

    def set_active(self, model_id: str) -> None:
        """Choose the bundle that should serve, now and after a restart.

        Raises:
            StorageFull: the file cannot be written.
        """
        with storage_errors(self.models / ACTIVE):
            self.models.mkdir(parents=True, exist_ok=True)
            write_file(self.models / ACTIVE, f"{model_id}\n".encode())

    def folder(self, model_id: str) -> Path:
        """Return the folder of a bundle.

        Raises:
            ModelNotFound: no bundle has that id.
        """
        return self._bundle(model_id)[0]

    def manifests(self) -> list[Manifest]:
        """Return the manifests of all readable bundles, sorted by id."""
        found = {manifest.id: manifest for _, manifest in self.bundles()}
        return [found[model_id] for model_id in sorted(found)]

    def manifest(self, model_id: str) -> Manifest:
        """Return the manifest of a bundle.

        Raises:
            ModelNotFound: no bundle has that id.
        """
        return self._bundle(model_id)[1]

    def _bundle(self, model_id: str) -> tuple[Path, Manifest]:
        for folder, manifest in self.bundles():
            if manifest.id == model_id:
                return folder, manifest
        raise ModelNotFound(model_id)

    def fingerprint(self) -> tuple[tuple[str, int], ...]:
        """Return a value that changes when bundles are added or removed."""
        return tuple(_written(folder / MANIFEST) for folder in self._folders())

    def bundles(self) -> Iterator[tuple[Path, Manifest]]:
        """Yield the folder and the manifest of every readable bundle, those that ship first."""
        for folder in self._folders():
            try:
                yield folder, peek(folder)
            except BundleError as error:
                log.warning("a bundle is ignored", folder=str(folder), error=str(error))

    def _folders(self) -> Iterable[Path]:
        kept = sorted(file.parent for file in self.models.glob(f"[!.]*/{MANIFEST}"))
        return dict.fromkeys((*self.shipped, *kept))


def _written(file: Path) -> tuple[str, int]:
    """Return a file and when it was written; 0 if it is not there."""
    try:
        return str(file), file.stat().st_mtime_ns
    except OSError:
        return str(file), 0
