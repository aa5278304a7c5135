"""The folder in which feature caches lie, one for each backbone and way to look: shared by runs, cleaned by age.

Contract: a cache's folder follows from its spec, so two runs of the same backbone meet in it and those of two never do.
A cache that a process is writing is never removed; one that a process reads stays readable to it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from trainer.features.cache import CacheSpec, read_keys, read_spec

__all__ = ["Cached", "cache_folder", "clean", "list_caches", "shared_folder"]

_REMOVED = ".removed-"


@dataclass(frozen=True)
class Cached:
    """A cache: where, of what, how many images, its size on disk, and when it was last written or read into a run."""

    folder: Path
    spec: CacheSpec
    images: int
    bytes: int
    last_used: datetime


def shared_folder() -> Path:
    """Where caches lie unless told otherwise: `cache/features` of the suite's data folder."""
    return Path(os.environ.get("SEMSEARCH_DATA") or "var") / "cache" / "features"


def cache_folder(root: Path, spec: CacheSpec) -> Path:
    """The folder of a spec's cache."""
    digest = hashlib.sha256(json.dumps(asdict(spec)).encode()).hexdigest()
    return root / digest[:16]


def list_caches(root: Path) -> Iterator[Cached]:
    """Yields the caches of a folder, by name; what is no cache is passed over."""
    for spec_file in sorted(root.glob("[!.]*/spec.json")):
        folder = spec_file.parent
        try:
            spec = read_spec(folder)
            yield Cached(
                folder,
                spec,
                len(read_keys(folder, spec)),
                sum(each.stat().st_size for each in folder.iterdir()),
                datetime.fromtimestamp(spec_file.stat().st_mtime, UTC),
            )
        except (OSError, ValueError, TypeError, KeyError):
            continue


def clean(root: Path, unused_for: timedelta) -> tuple[list[Cached], list[Cached]]:
    """Removes the caches that were not used for so long; those removed, and those left because one writes to them."""
    before = datetime.now(UTC) - unused_for
    removed: list[Cached] = []
    in_use: list[Cached] = []
    for each in list(list_caches(root)):
        if each.last_used <= before:
            (removed if _remove(each.folder) else in_use).append(each)
    for leftover in root.glob(f"{_REMOVED}*"):  # of a removal that was interrupted
        shutil.rmtree(leftover)
    return removed, in_use


def _remove(folder: Path) -> bool:
    with (folder / "keys.bin").open("rb") as keys:
        try:
            fcntl.flock(keys, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        # Renamed first: a cache is there whole or not at all.
        gone = folder.rename(folder.with_name(_REMOVED + folder.name))
    shutil.rmtree(gone)
    return True
