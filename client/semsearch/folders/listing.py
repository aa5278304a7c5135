"""A collection's listing of one root: for each path, the SHA-256 of its image."""

from __future__ import annotations

from collections.abc import Iterator

from semsearch.folders.gallery import Gallery
from semsearch.folders.places import places_of
from semsearch.folders.roots import Root

_SIZE = 32


class Listing:
    """Paths and hashes, stored compactly: a hundred thousand are in memory.

    A killed run may have left a path with two images, the old one and the new one.
    """

    def __init__(self) -> None:
        self._hashes: dict[str, bytes] = {}

    @classmethod
    def of(cls, client: Gallery, root: Root) -> Listing:
        """Fetch the listing from the server, page by page."""
        listing = cls()
        for image in client.list_images(collection=root.collection, where={"roots": [root.name]}):
            sha256 = bytes.fromhex(image.sha256)
            for place in places_of(image.attributes):
                if (path := root.path(place)) is not None:
                    listing.add(path, sha256)
        return listing

    def __len__(self) -> int:
        return len(self._hashes)

    def __iter__(self) -> Iterator[str]:
        return iter(self._hashes)

    def at(self, path: str) -> tuple[bytes, ...]:
        """Return the hashes of a path's images, usually one."""
        joined = self._hashes.get(path, b"")
        return tuple(joined[start : start + _SIZE] for start in range(0, len(joined), _SIZE))

    def is_only(self, path: str, sha256: bytes) -> bool:
        """Return whether a path has this image and no other."""
        return self._hashes.get(path) == sha256

    def hashes(self) -> set[bytes]:
        """Return the hashes of all images."""
        return {sha256 for path in self._hashes for sha256 in self.at(path)}

    def add(self, path: str, sha256: bytes) -> None:
        """Record an image at a path."""
        if sha256 not in self.at(path):
            self._hashes[path] = self._hashes.get(path, b"") + sha256

    def remove(self, path: str, sha256: bytes) -> None:
        """Record that an image is no longer at a path."""
        if rest := b"".join(each for each in self.at(path) if each != sha256):
            self._hashes[path] = rest
        else:
            self._hashes.pop(path, None)
