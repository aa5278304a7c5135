"""The files of maps, `<index>.npz` each: a cache of this machine.

A map belongs to an index, not to a collection: it survives a new id of the collection, and a collection that is
emptied or switched to another model has none. A file is written completely or not at all. One that cannot be read
counts as missing, because a map can be computed again.
"""

from __future__ import annotations

import json
import time
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import structlog
from numpy.typing import NDArray

from gateway.errors import MapNotStored
from serving.durable_files import is_temporary, replacing

_MAP = ".npz"
_FORMAT = 1
_WRITING_SECONDS = 3_600.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Region:
    """A part of a map; `image_id` is nearest to the mean of its images, and `mean` is the direction of that."""

    words: tuple[str, ...]
    x: float
    y: float
    image_count: int
    image_id: str
    mean: NDArray[np.float32]


@dataclass(frozen=True)
class MapHeader:
    """What a map is, without its places.

    `neighborly` says how the places were found, `final` that no better ones will follow. `cursor` is the token of the
    last page that was read from the index. `computed_count` images were laid out; since then `added_count` were placed
    beside them and `deleted_count` were removed.
    """

    revision: str
    model_id: str
    create_time: datetime
    neighborly: bool
    final: bool
    cursor: str
    computed_count: int
    added_count: int
    deleted_count: int
    regions: tuple[Region, ...]


@dataclass(frozen=True)
class StoredMap:
    """A map: the ids of its images, oldest first, and their places, float32 (n, 2)."""

    header: MapHeader
    ids: Sequence[str]
    places: NDArray[np.float32]


class MapFiles:
    """Reads and writes the files in a folder. The methods block; a map of 100,000 images takes some 50 ms."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def scratch(self) -> Path:
        """Return the folder for a computation's own files; whatever it contains may be removed."""
        return self._folder / "scratch"

    def read_header(self, index: str) -> MapHeader | None:
        """Return the header of an index's map, or None."""
        found = self._read(index, ids=False)
        return found.header if found else None

    def read(self, index: str) -> StoredMap | None:
        """Return an index's map, or None."""
        return self._read(index, ids=True)

    def write(self, index: str, stored: StoredMap) -> None:
        """Write or replace an index's map; raises `MapNotStored`."""
        header = vars(stored.header) | {"create_time": stored.header.create_time.isoformat(), "format": _FORMAT}
        regions = header.pop("regions")
        header["regions"] = [{name: value for name, value in vars(each).items() if name != "mean"} for each in regions]
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with replacing(self._path(index)) as temporary:
                np.savez(
                    temporary,
                    header=_text(json.dumps(header)),
                    ids=_text("\n".join(stored.ids)),  # an id has no line break
                    places=stored.places,
                    means=np.array([each.mean for each in regions], np.float32),
                )
        except OSError as error:
            raise MapNotStored(error.strerror or str(error)) from error

    def change_words(self, index: str, words: Sequence[tuple[str, ...]]) -> None:
        """Give the regions of an index's map their words; raises `MapNotStored`."""
        stored = self.read(index)
        if stored is not None:
            regions = tuple(
                replace(region, words=each) for region, each in zip(stored.header.regions, words, strict=True)
            )
            self.write(index, replace(stored, header=replace(stored.header, regions=regions)))

    def remove_all_but(self, indexes: Iterable[str]) -> None:
        """Remove the maps of all other indexes, and files that were not completed."""
        kept = {self._path(index) for index in indexes}
        latest = time.time() - _WRITING_SECONDS
        for path in self._folder.glob(f"*{_MAP}"):
            # Another process may be writing a recent one.
            if path not in kept and (not is_temporary(path) or path.stat().st_mtime < latest):
                path.unlink(missing_ok=True)

    def _path(self, index: str) -> Path:
        return self._folder / f"{index}{_MAP}"

    def _read(self, index: str, *, ids: bool) -> StoredMap | None:
        try:
            # Opened here: NumPy leaves a damaged file open.
            with self._path(index).open("rb") as opened, np.load(opened) as file:
                header = json.loads(bytes(file["header"]))
                if header.pop("format") != _FORMAT:
                    return None
                names = bytes(file["ids"]).decode() if ids else ""
                places = file["places"] if ids else np.zeros((0, 2), np.float32)
                return StoredMap(_header(header, file["means"]), names.split("\n") if names else [], places)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            log.warning("a map cannot be read and will be computed again", index=index, error=str(error))
            return None


def _header(values: dict[str, Any], means: NDArray[np.float32]) -> MapHeader:
    regions = [
        Region(**(each | {"words": tuple(each["words"])}), mean=mean)
        for each, mean in zip(values.pop("regions"), means, strict=True)
    ]
    return MapHeader(
        **(values | {"create_time": datetime.fromisoformat(values["create_time"])}), regions=tuple(regions)
    )


def _text(text: str) -> NDArray[np.uint8]:
    return np.frombuffer(text.encode(), np.uint8)
