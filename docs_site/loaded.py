"""Find what a browser would load from elsewhere when it shows the site."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser
from pathlib import Path

from typing_extensions import override

_FOREIGN = re.compile(r"(?:https?:)?//")
_FOREIGN_STYLE = re.compile(r"""(?:url\(["']?|@import\s+["'])(?:https?:)?//""")
# Links of these kinds are for people and search engines; a browser loads the others.
_NOT_LOADED = {"canonical", "next", "prev", "author", "license", "alternate"}


def loaded_from_elsewhere(site: Path) -> Iterator[str]:
    """Yield the files of a site that load something from another host."""
    for file in sorted(site.rglob("*")):
        if file.suffix == ".html":
            parser = _Loads()
            parser.feed(file.read_text(encoding="utf-8"))
            found = any(map(_FOREIGN.match, parser.addresses))
        else:
            found = file.suffix == ".css" and bool(_FOREIGN_STYLE.search(file.read_text(encoding="utf-8")))
        if found:
            yield str(file.relative_to(site))


class _Loads(HTMLParser):
    """Collects the addresses that a page loads."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    @override
    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        """Collect a `src`, or the `href` of a link that is loaded."""
        values = dict(attrs)
        self.addresses.append(values.get("src") or "")
        if tag == "link" and (values.get("rel") or "") not in _NOT_LOADED:
            self.addresses.append(values.get("href") or "")
