"""Ids of images as people type them: whole, or the beginning of one that is a SHA-256.

Only a SHA-256 is found by its beginning. Ids that a caller chose are typed whole, or `photo-1` would mean `photo-10`
once photo-1 is deleted.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from semsearch.cli.output import place_of
from semsearch.client import Client
from semsearch.errors import InvalidRequest, NotFound
from semsearch.values import Image

MIN_CHARACTERS = 4
_SHOWN = 10
_BEGINNING = re.compile(rf"[0-9a-f]{{{MIN_CHARACTERS},63}}")
_WHOLE = re.compile(r"[0-9a-f]{64}")


class AmbiguousId(InvalidRequest):
    """Several images have ids that begin so."""


def whole_ids(client: Client, collection: str, given: Sequence[str]) -> list[str]:
    """Return the ids that are meant, in their order; those that no image has are returned as they are.

    Raises:
        AmbiguousId: an id begins as several do; the message lists the images.
    """
    unknown = {each for each in given if _BEGINNING.fullmatch(each) and not _exists(client, collection, each)}
    if not unknown:
        return list(given)
    found: dict[str, list[Image]] = {beginning: [] for beginning in unknown}
    lengths = {len(beginning) for beginning in unknown}
    for image in client.list_images(collection=collection):
        if _WHOLE.fullmatch(image.id):
            for beginning in {image.id[:length] for length in lengths} & unknown:
                found[beginning].append(image)
    return [_only(each, found.get(each, [])) for each in given]


def whole_id(client: Client, collection: str, given: str) -> str:
    """Return the one id that is meant; see `whole_ids`."""
    return whole_ids(client, collection, [given])[0]


def _exists(client: Client, collection: str, image_id: str) -> bool:
    try:
        client.get_image(image_id, collection=collection)
    except NotFound as error:
        if error.reason == "IMAGE_NOT_FOUND":
            return False
        raise
    return True


def _only(given: str, images: Sequence[Image]) -> str:
    if len(images) > 1:
        shown = [f"{image.id} ({place_of(image)})" for image in images[:_SHOWN]]
        more = f" and {len(images) - _SHOWN:,} more" if len(images) > _SHOWN else ""
        raise AmbiguousId(f"{len(images):,} images have ids that begin with {given}: {', '.join(shown)}{more}.")
    return images[0].id if images else given
