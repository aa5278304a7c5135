"""Links from pages to files outside docs/, which work in a checkout, are rewritten for the site.

A link to a proto becomes a link to its generated page, and a link to a folder of protos a link to the list of all RPCs.
Other files of the repository are not on the site, so a link to one is replaced by its text.
"""

from __future__ import annotations

import re
from pathlib import Path

from docs_site.reference.rpcs import page_of

_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)#\s]*)(#[^)\s]*)?\)")
_ELSEWHERE = re.compile(r"[a-z]+:")


class BrokenLink(Exception):
    """A page links to a file that does not exist."""


def for_the_site(text: str, page: Path, docs: Path) -> str:
    """Return a page's text with its links to files outside `docs` replaced; `page` is its file.

    Raises:
        BrokenLink: a link leads nowhere. Links to pages and anchors are left to the site generator, which checks them.
    """

    def replaced(link: re.Match[str]) -> str:
        target = link[3]
        if not target or _ELSEWHERE.match(target):
            return link[0]
        file = (page.parent / target).resolve()
        if file.is_relative_to(docs):
            if not file.exists() and not _is_generated(file, docs):
                raise BrokenLink(f"{page}: there is no {target}")
            return link[0]
        if not file.exists():
            raise BrokenLink(f"{page}: there is no {target}")
        protos = docs.parent / "protos"
        if not file.is_relative_to(protos) or (file.is_file() and file.suffix != ".proto"):
            return link[2]
        up = "../" * len(page.parent.relative_to(docs).parts)
        name = page_of(str(file.relative_to(protos))) if file.is_file() else "index.md"
        return f"[{link[2]}]({up}reference/rpcs/{name})"

    return _LINK.sub(replaced, text)


def _is_generated(file: Path, docs: Path) -> bool:
    return file.is_relative_to(docs / "reference")
