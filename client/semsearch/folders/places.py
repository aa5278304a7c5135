"""An image's places in folders, as stored in its attributes.

paths     every place, as "ROOT/relative/path"
roots     the roots of these places, so that a root's images can be listed
path      the first place, relative to its root
name, folder, modified    of the first place: the file's name, its folder, and when it was changed (ISO 8601, UTC)
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from pathlib import PurePosixPath

from semsearch.values import Attributes, JsonValue

NAMES = ("paths", "roots", "path", "name", "folder", "modified")
# The server accepts 64 KiB of attributes; a picture may have a thousand places.
_MAX_BYTES = 40 * 2**10


def places_of(attributes: Attributes) -> list[str]:
    """Return the places in an image's attributes."""
    paths = attributes.get("paths")
    return [place for place in paths if isinstance(place, str)] if isinstance(paths, list) else []


def changed_places(old: list[str], add: Collection[str], remove: Collection[str]) -> list[str]:
    """Return an image's places after a change: the old ones first, then as many new ones as fit."""
    kept = [place for place in dict.fromkeys(old) if place not in remove]
    room = _MAX_BYTES - sum(len(place.encode()) for place in kept)
    for place in sorted(set(add) - set(kept)):
        room -= len(place.encode())
        if room < 0 and kept:
            break
        kept.append(place)
    return kept


def attributes_at(places: list[str], modified: Mapping[str, int], old: Attributes) -> dict[str, JsonValue]:
    """Return the attributes `NAMES` for one or more places; `modified` maps places to file times in ns.

    If the first place has no time there, the old `modified` stays.
    """
    first = places[0]
    path = PurePosixPath(first.partition("/")[2])
    values: dict[str, JsonValue] = {
        "paths": list(places),
        "roots": list(dict.fromkeys(place.partition("/")[0] for place in places)),
        "path": str(path),
        "name": path.name,
        "folder": str(path.parent),
    }
    if (when := _iso(modified.get(first))) is not None:
        values["modified"] = when
    elif "modified" in old:
        values["modified"] = old["modified"]
    return values


def _iso(time_ns: int | None) -> str | None:
    try:
        return None if time_ns is None else datetime.fromtimestamp(time_ns / 1e9, UTC).isoformat()
    except (ValueError, OverflowError, OSError):  # a time outside the calendar
        return None
