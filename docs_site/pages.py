"""Collect the pages of the site in one folder: the written ones from docs/, and the generated ones."""

from __future__ import annotations

import shutil
from pathlib import Path

from docs_site.links import for_the_site
from docs_site.reference import access, commands, dependencies, error_reasons, limits, metrics, rpcs, settings

_DESCRIPTORS = Path("client/protos.binpb")


def collect(root: Path, pages: Path) -> None:
    """Fill an empty folder with the pages of a checkout.

    Raises:
        BrokenLink: a page links to a file that does not exist.
    """
    docs = root / "docs"
    for file in sorted(docs.rglob("*")):
        if file.is_dir():
            continue
        target = pages / file.relative_to(docs)
        target.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix == ".md":
            target.write_text(for_the_site(file.read_text(encoding="utf-8"), file, docs), encoding="utf-8")
        else:
            shutil.copyfile(file, target)
    for name, text in _generated(root).items():
        target = pages / "reference" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")


def _generated(root: Path) -> dict[str, str]:
    descriptors = root / _DESCRIPTORS
    return {
        "settings.md": settings.page(),
        "access.md": access.page(),
        "limits.md": limits.page(),
        "metrics.md": metrics.page(root),
        "dependencies.md": dependencies.page(root),
        "error-reasons.md": error_reasons.page(root, descriptors),
        **{f"rpcs/{name}": text for name, text in rpcs.pages(descriptors).items()},
        **{f"commands/{name}": text for name, text in commands.pages().items()},
    }
