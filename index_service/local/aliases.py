"""Aliases: one small file, replaced as a whole, so that an alias moves from one index to another atomically.

The first start creates the file. The catalog knows whether a first start has happened, and so whether a missing file
was lost.

Format: {"format_version": 1, "aliases": {alias: index}, "checksum": SHA-256 of the aliases}. If the file is damaged,
its aliases are lost: a name that is not an index's cannot be resolved, and the next `set` starts an empty file and
keeps the damaged one beside it. The new file has "lost": why, until a `set` after which every index has an alias: only
then is an index without one known to be unused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from pathlib import Path

import structlog

from index_service.errors import StoreDamaged, StoreTooNew
from index_service.storage import storage_errors
from serving.durable_files import write_file

FORMAT_VERSION = 1
ALIASES_FILE = ".aliases.json"  # no index name begins with a dot

log = structlog.get_logger(__name__)


class Aliases:
    """The aliases of a data folder; not thread-safe."""

    def __init__(self, folder: Path, *, expected: bool) -> None:
        """Read the aliases of a folder; `expected` says whether their file must exist."""
        self._path = folder / ALIASES_FILE
        self._names: dict[str, str] = {}
        self._damage: StoreDamaged | None = None
        self._is_readable = True
        try:
            self._names, lost = _read(self._path)
            if lost:
                self._damage = _incomplete(self._path, lost)
        except FileNotFoundError:
            if expected:
                self._damage = _incomplete(self._path, "there is no such file")
            else:
                self._write({})
        except StoreDamaged as error:
            self._is_readable = False
            self._damage = error if isinstance(error, StoreTooNew) else _incomplete(self._path, error.cause)
        if self._damage is not None:
            log.warning("aliases lost", problem=str(self._damage))

    def get(self, alias: str) -> str | None:
        """Return the index that an alias names.

        Raises:
            StoreDamaged: the alias is unknown, and the file's aliases are lost.
        """
        if self._damage is not None and alias not in self._names:
            raise self._damage
        return self._names.get(alias)

    def check_complete(self) -> None:
        """Check that no alias is missing.

        Raises:
            StoreDamaged: the file's aliases are lost, and not every index has had an alias since.
        """
        if self._damage is not None:
            raise self._damage

    def all(self) -> Mapping[str, str]:
        """Return the aliases that are known, with the index that each names."""
        return self._names  # replaced as a whole, never changed

    def of(self, index: str) -> tuple[str, ...]:
        """Return the aliases that name an index, sorted."""
        return tuple(sorted(alias for alias, name in self._names.items() if name == index))

    def set(self, alias: str, index: str, indexes: Collection[str]) -> str | None:
        """Point an alias at one of all indexes and return what it named before; on disk when this returns."""
        previous = self._names.get(alias)
        names = {**self._names, alias: index}
        self._write(names, self._damage if set(indexes) - set(names.values()) else None)
        return previous

    def remove(self, alias: str) -> str | None:
        """Remove an alias; return the index that it named, or None."""
        previous = self.get(alias)
        if previous is not None:
            self._write({name: index for name, index in self._names.items() if name != alias}, self._damage)
        return previous

    def _write(self, names: dict[str, str], damage: StoreDamaged | None = None) -> None:
        content = {"format_version": FORMAT_VERSION, "aliases": names, "checksum": _checksum(names)}
        if damage is not None:
            content["lost"] = damage.cause
        with storage_errors(self._path):
            if not self._is_readable and self._path.exists():
                self._path.rename(self._path.with_suffix(".damaged"))
            write_file(self._path, json.dumps(content).encode())
        self._names = names
        self._damage = damage
        self._is_readable = True


def _incomplete(path: Path, cause: str) -> StoreDamaged:
    return StoreDamaged(
        path,
        cause,
        f"{path.parent.name}/{path.name} is damaged or missing, or was ({cause}): aliases are lost, so no index is "
        "created or deleted. Restore the file from a backup and restart; or set the aliases of each index again "
        "(SetAlias), and any alias of an index that is not needed.",
    )


def _read(path: Path) -> tuple[dict[str, str], str]:
    """Return the aliases, and why others are lost, or ""."""
    try:
        content = json.loads(path.read_bytes())
        version, names = content["format_version"], content["aliases"]
        if version > FORMAT_VERSION:
            raise StoreTooNew(path, version, FORMAT_VERSION)
        if content["checksum"] != _checksum(names):
            raise StoreDamaged(path, "it does not match its checksum")
    except (ValueError, KeyError, TypeError) as error:
        raise StoreDamaged(path, f"it cannot be read: {error}") from error
    return dict(names), str(content.get("lost", ""))


def _checksum(names: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(names, sort_keys=True).encode()).hexdigest()
