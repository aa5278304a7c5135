"""The results of this user's last search, for `semsearch open 3` and `--page-token next`."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from semsearch.folders.state import default_state

NEXT = "next"


@dataclass(frozen=True)
class LastSearch:
    """The ids found in a collection of a server, in order; `first` is the number of the first one."""

    server: str
    collection: str
    ids: tuple[str, ...]
    first: int = 1
    next_page_token: str = ""

    def id_of(self, number: int) -> str | None:
        """Return the id of the result with that number, or None if there is none."""
        place = number - self.first
        return self.ids[place] if 0 <= place < len(self.ids) else None


def remember(search: LastSearch) -> None:
    """Save a search in place of the previous one. A home that is not writable must not fail the search."""
    with suppress(OSError, RuntimeError):
        file = _file()
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = file.with_suffix(f".{os.getpid()}")
        fresh.write_text(json.dumps(asdict(search)), encoding="utf-8")
        fresh.replace(file)


def recall() -> LastSearch | None:
    """Return the last search, or None if none was saved or it cannot be read."""
    try:
        found: Any = json.loads(_file().read_text(encoding="utf-8"))
        return LastSearch(**{**found, "ids": tuple(found["ids"])})
    except (OSError, RuntimeError, ValueError, KeyError, TypeError):
        return None


def _file() -> Path:
    return default_state() / "last-search.json"
