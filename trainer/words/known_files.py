"""Word vectors that are fetched by name: where their publishers keep them, and which file of an archive they are.

The publishers tell no checksums. Those here are the SHA-256 that independent projects have recorded alike for these
addresses; a file without one is told to be unchecked when it is fetched.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from trainer.errors import WordFileUnknown

__all__ = ["KNOWN", "KnownFile", "known_file"]

_GLOVE = "https://nlp.stanford.edu/data/"
_FASTTEXT = "https://dl.fbaipublicfiles.com/fasttext/"


@dataclass(frozen=True)
class KnownFile:
    """A file at its publisher's: its SHA-256 in hex, or None, and the member of the zip if there are several."""

    url: str
    sha256: str | None = None
    member: str | None = None


def _glove(archive: str, sha256: str, *dimensions: int) -> dict[str, KnownFile]:
    """One archive with a file a dimension."""
    names = [f"{archive}.{dimension}d" for dimension in dimensions]
    return {name: KnownFile(f"{_GLOVE}{archive}.zip", sha256, f"{name}.txt") for name in names}


KNOWN: Mapping[str, KnownFile] = {
    **_glove("glove.6B", "617afb2fe6cbd085c235baf7a465b96f4112bd7f7ccb2b2cbd649fed9cbcf2fb", 50, 100, 200, 300),
    **_glove("glove.twitter.27B", "792af52f795d1a32c9842a3240f5f3fe5e941a8ff6df5eb0f9d668092ebc019c", 25, 50, 100, 200),
    "glove.42B.300d": KnownFile(
        f"{_GLOVE}glove.42B.300d.zip", "03d5d7fa28e58762ace4b85fb71fe86a345ef0b5ff39f5390c14869da0fc1970"
    ),
    "glove.840B.300d": KnownFile(
        f"{_GLOVE}glove.840B.300d.zip", "c06db255e65095393609f19a4cfca20bf3a71e20cc53e892aafa490347e3849f"
    ),
    "wiki-news-300d-1M": KnownFile(
        f"{_FASTTEXT}vectors-english/wiki-news-300d-1M.vec.zip",
        "bdeb85f44892c505953e3654183e9cb0d792ee51be0992460593e27198d746f8",
    ),
    "crawl-300d-2M": KnownFile(
        f"{_FASTTEXT}vectors-english/crawl-300d-2M.vec.zip",
        "5bfffffbabdab299d4c9165c47275e8f982807a6eaca37ee1f71d3a79ddb544d",
    ),
    "cc.en.300": KnownFile(f"{_FASTTEXT}vectors-crawl/cc.en.300.vec.gz"),
    "cc.de.300": KnownFile(f"{_FASTTEXT}vectors-crawl/cc.de.300.vec.gz"),
    "cc.es.300": KnownFile(f"{_FASTTEXT}vectors-crawl/cc.es.300.vec.gz"),
    "cc.fr.300": KnownFile(f"{_FASTTEXT}vectors-crawl/cc.fr.300.vec.gz"),
}


def known_file(name: str) -> KnownFile:
    """Returns the file of a name.

    Raises:
        WordFileUnknown: there is none of that name; the message tells those that there are.
    """
    if name not in KNOWN:
        raise WordFileUnknown(f"There are no word vectors {name!r} to fetch. There are: {', '.join(KNOWN)}.")
    return KNOWN[name]
