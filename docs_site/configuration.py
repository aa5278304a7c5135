"""The configuration of the site generator: what the site looks like, and the order of its pages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

# Folders that are sections of their own, with their titles.
_LISTED = {
    "models": "Models",
    "decisions": "Decisions",
    "reference/rpcs": "RPCs",
    "reference/commands": "Commands",
}
_NAVIGATION: Sequence[tuple[str, Sequence[str]]] = (
    ("", ("index.md",)),
    ("Guides", ("guides",)),
    ("Concepts", ("concepts",)),
    (
        "Reference",
        (
            "reference/settings.md",
            "reference/commands",
            "reference/rpcs",
            "reference/error-reasons.md",
            "reference/access.md",
            "reference/limits.md",
            "reference/metrics.md",
            "reference/dependencies.md",
        ),
    ),
    ("Background", ("comparison.md", "ARCHITECTURE.md", "models", "decisions")),
)
# The pages that newcomers need first, in this order; the others follow by name.
_FIRST = (
    "guides/quick-start.md",
    "guides/in-the-browser.md",
    "guides/your-own-photos.md",
    "guides/query-language.md",
    "guides/search-from-the-command-line.md",
    "guides/keep-folders-in-step.md",
    "guides/bulk.md",
    "guides/train-your-own.md",
    "guides/python.md",
    "guides/http.md",
    "guides/other-languages.md",
    "guides/operate.md",
    "guides/watch.md",
    "guides/deploy.md",
    "guides/encrypt.md",
    "guides/limit-callers.md",
    "guides/when-machines-fail.md",
    "guides/size.md",
    "guides/operate-the-index.md",
    "guides/index-on-a-cluster.md",
    "guides/read-replicas.md",
    "guides/back-up.md",
    "guides/troubleshooting.md",
    "concepts/the-space.md",
    "concepts/the-head.md",
    "concepts/recall.md",
    "concepts/crashes.md",
    "models/index.md",
    "models/evaluation.md",
    "reference/commands/semsearch.md",
    "reference/rpcs/index.md",
    "reference/rpcs/v1-search-service.md",
    "reference/rpcs/v1-gallery-service.md",
    "reference/rpcs/v1-model-service.md",
)


def configuration(pages: Path, site: Path) -> dict[str, Any]:
    """Return the configuration for pages that are collected in a folder."""
    return {
        "project": {
            "site_name": "semsearch",
            "site_description": "Search and tag images by meaning",
            "docs_dir": pages.name,
            "site_dir": site.name,
            "use_directory_urls": False,  # so that links work in files too
            "copyright": "Apache-2.0",
            "extra_css": ["style.css"],
            "nav": [_section(pages, title, parts) for title, parts in _NAVIGATION],
            # No web fonts: the site loads nothing from other hosts.
            "theme": {
                "font": False,
                "features": ["navigation.sections", "navigation.top", "content.code.copy"],
                "palette": [
                    {"media": f"(prefers-color-scheme: {mode})", "scheme": scheme}
                    for mode, scheme in (("light", "default"), ("dark", "slate"))
                ],
            },
            "markdown_extensions": {
                "admonition": {},
                "attr_list": {},
                "md_in_html": {},
                "tables": {},
                "toc": {"permalink": True},
                "pymdownx": {"highlight": {}, "superfences": {}},
            },
        }
    }


def _section(pages: Path, title: str, parts: Iterable[str]) -> dict[str, Any] | str:
    found = [entry for part in parts for entry in _entries(pages, part)]
    return {title: found} if title else found[0]


def _entries(pages: Path, part: str) -> list[Any]:
    if part.endswith(".md"):
        return [part]
    files = [str(file.relative_to(pages)) for file in (pages / part).glob("*.md")]
    order = sorted(files, key=lambda name: (_FIRST.index(name) if name in _FIRST else len(_FIRST), name))
    return [{_LISTED[part]: order}] if part in _LISTED else list(order)
