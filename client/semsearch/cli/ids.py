"""Image ids as people type them: in full, or a prefix of one that is a SHA-256.

Only a SHA-256 is found by a prefix. Ids that a caller chose must be typed in full; otherwise `photo-1` would mean
`photo-10` once photo-1 is deleted.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

from semsearch.cli.output import place_of
from semsearch.client import Client
from semsearch.errors import InvalidRequest, NotFound
from semsearch.filters import Field

MIN_CHARACTERS = 4
_SHOWN = 10
_PAGE = _SHOWN + 1
_BEGINNING = re.compile(rf"[0-9a-f]{{{MIN_CHARACTERS},63}}")


class AmbiguousId(InvalidRequest):
    """Several images have ids with this prefix."""


def whole_ids(client: Client, collection: str, given: Sequence[str]) -> list[str]:
    """Return the full ids for what was typed, in order; ids that no image has are returned unchanged.

    Raises:
        AmbiguousId: several ids begin with the typed prefix; the message lists the images.
    """
    return [_whole(client, collection, each) if _BEGINNING.fullmatch(each) else each for each in given]


def whole_id(client: Client, collection: str, given: str) -> str:
    """Return the full id for what was typed; see `whole_ids`."""
    return whole_ids(client, collection, [given])[0]


def _whole(client: Client, collection: str, given: str) -> str:
    if _exists(client, collection, given):
        return given
    found = client.list_images(collection=collection, where=Field("image.sha256").starts_with(given), page_size=_PAGE)
    images = list(itertools.islice((image for image in found if image.id == image.sha256), _PAGE))
    if len(images) > 1:
        shown = ", ".join(f"{image.id} ({place_of(image)})" for image in images[:_SHOWN])
        more = " and others" if len(images) > _SHOWN else ""
        raise AmbiguousId(f"Several images have ids that begin with {given}: {shown}{more}.")
    return images[0].id if images else given


def _exists(client: Client, collection: str, image_id: str) -> bool:
    try:
        client.get_image(image_id, collection=collection)
    except NotFound as error:
        if error.reason == "IMAGE_NOT_FOUND":
            return False
        raise
    return True
