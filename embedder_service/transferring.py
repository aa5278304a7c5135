"""Models as files: reading those of a model for a backup, and making a model from them.

One rename is the commit point of an import: the model exists completely, with every check passed, or not at all.

1. The files are written into a folder under a temporary name. 2. It is synced, and opened as the embedder would open
it: checksums, shapes, self-test. 3. It is renamed. If the process is killed before, a later import removes the folder.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from embedder_service.errors import ModelNotFound
from embedder_service.models import ModelFolder
from model.bundle.manifest import File, Manifest
from model.bundle.reading import CARD, MANIFEST, check_files, open_bundle, peek
from model.errors import BundleDamaged, storage_errors
from serving.durable_files import discard, is_temporary, publish, remove_folder, sha256, sync, temporary_beside

PART_BYTES = 2**20
_ABANDONED_SECONDS = 24 * 3_600.0
_PLAIN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,126}")


def files_of(models: ModelFolder, model_id: str) -> Sequence[File]:
    """Return all files of a model, by name.

    Raises:
        ModelNotFound: no bundle has that id.
        BundleDamaged: its manifest cannot be read.
    """
    folder, manifest = models.folder(model_id), models.manifest(model_id)
    beside = [folder / name for name in (MANIFEST, CARD) if (folder / name).exists()]
    described = [File(path.name, path.stat().st_size, sha256(path)) for path in beside]
    return sorted([*manifest.files, *described], key=lambda each: each.name)


def read(models: ModelFolder, model_id: str, name: str) -> Iterator[bytes]:
    """Yield the content of a file of a model in parts.

    Raises:
        ModelNotFound: no bundle has that id.
        BundleDamaged: it has no such file.
    """
    path = models.folder(model_id) / _plain(name)
    try:
        with path.open("rb") as file:
            while part := file.read(PART_BYTES):
                yield part
    except OSError as error:
        raise BundleDamaged(f"{name} of the model {model_id} cannot be read: {error.strerror}.") from error


class ModelImport:
    """A model that is being made from its files; the caller must always discard it at the end."""

    def __init__(self, models: ModelFolder, model_id: str) -> None:
        """Prepare an import; touch no file yet."""
        self._models = models
        self._id = model_id
        self._target = models.models / _plain(model_id.replace("@sha256:", "-"))
        self._folder = temporary_beside(self._target)
        self._name = ""
        self._file: BinaryIO | None = None

    def is_here(self) -> bool:
        """Return whether the model exists, undamaged."""
        with suppress(ModelNotFound, BundleDamaged):
            check_files(self._models.folder(self._id), self._models.manifest(self._id))
            return True
        return False

    def add(self, name: str, content: bytes) -> None:
        """Add the next part of a file; a file begins where the name changes.

        Raises:
            BundleDamaged: that is no name of a file.
            StorageFull: it cannot be written.
        """
        with storage_errors(self._models.models):
            if name != self._name:
                self._close()
                if not self._folder.exists():
                    _remove_abandoned(self._models.models)
                    self._folder.mkdir(parents=True)
                try:
                    self._name, self._file = name, (self._folder / _plain(name)).open("xb")
                except FileExistsError as error:
                    raise BundleDamaged(f"The file {name!r} comes twice.") from error
            if self._file is not None:
                self._file.write(content)

    def complete(self) -> Manifest:
        """Check the files, and give the model its name: the commit point.

        Raises:
            BundleDamaged, BundleTooNew: they do not make the model.
            StorageFull: it cannot be written.
        """
        with storage_errors(self._models.models):
            self._close()
            manifest = peek(self._folder)
            if manifest.id != self._id:
                raise BundleDamaged(f"The files are those of the model {manifest.id}, not of {self._id}.")
            for path in (*self._folder.iterdir(), self._folder):
                sync(path)
            open_bundle(self._folder)
            if self._target.exists():  # damaged, or it would not have been imported
                remove_folder(self._target)
            publish(self._folder, self._target)
        return manifest

    def discard(self) -> None:
        """Remove the files, unless the import is complete."""
        self._close()
        discard(self._folder)

    def _close(self) -> None:
        file, self._file, self._name = self._file, None, ""
        if file is not None:
            file.close()


def _plain(name: str) -> str:
    """Return the name of a file if it has no folder in it, is not hidden, and every file system takes it."""
    if not _PLAIN.fullmatch(name):
        raise BundleDamaged(f"{name[:60]!r} is no name of a file of a bundle.")
    return name


def _remove_abandoned(models: Path) -> None:
    """Remove what imports left that were killed; another embedder may be at work on the same folder."""
    latest = time.time() - _ABANDONED_SECONDS
    for folder in models.glob(".*"):
        if is_temporary(folder) and folder.is_dir() and folder.stat().st_mtime < latest:
            discard(folder)
