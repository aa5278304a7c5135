"""Build the site into `build/docs`: `python -m docs_site`. Nothing is fetched, by the build or by the site.

Exit status 1 if a link, an anchor or a file is missing, or if the site would load something from elsewhere.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

import tomli_w

from docs_site.configuration import configuration
from docs_site.links import BrokenLink
from docs_site.loaded import loaded_from_elsewhere
from docs_site.pages import collect

_ROOT = Path(__file__).parents[1]
_CONFIGURATION = "zensical.toml"


def main() -> int:
    """Build the site and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m docs_site", description="Builds the documentation site.")
    parser.add_argument("--out", type=Path, default=_ROOT / "build", help="folder for the pages and the site")
    out = parser.parse_args().out.resolve()
    pages, site = out / "pages", out / "docs"
    for folder in (pages, site):
        shutil.rmtree(folder, ignore_errors=True)
    pages.mkdir(parents=True)
    try:
        collect(_ROOT, pages)
    except BrokenLink as error:
        return _fail(f"A link is broken: {error}.")
    (out / _CONFIGURATION).write_text(tomli_w.dumps(configuration(pages, site)), encoding="utf-8")
    generator = Path(sys.executable).parent / "zensical"
    built = subprocess.run(  # noqa: S603 — our own tool and arguments
        [generator, "build", "--strict", "--clean", "--config-file", _CONFIGURATION],
        cwd=out, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    if built.returncode:
        return _fail(f"The site has problems:\n{built.stdout.partition('Traceback')[0]}")
    if foreign := list(loaded_from_elsewhere(site)):
        return _fail(f"These pages would load something from elsewhere: {', '.join(foreign)}.")
    count = sum(1 for _ in pages.rglob("*.md"))
    sys.stdout.write(f"{count} pages in {site}. Read them with: python -m http.server -d {site}\n")
    return 0


def _fail(message: str) -> int:
    sys.stderr.write(message + "\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
