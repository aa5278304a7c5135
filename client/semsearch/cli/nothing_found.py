"""Why a search or a listing found nothing: an empty collection, the filter, or the threshold."""

from __future__ import annotations

import difflib
import itertools
import shlex
from collections.abc import Callable, Iterator, Mapping

from semsearch.cli.output import place_of
from semsearch.client import DEFAULT_COLLECTION, Client
from semsearch.values import Equal, ImageMatches

# How many images are looked at for the attributes that there are.
_SAMPLE = 100
_SHOWN = 8


def why_no_image(client: Client, collection: str, equal: Equal) -> str:
    """Return a sentence if the collection is empty or no image passes the filter, or else ""."""
    if not client.get_collection(collection).image_count:
        where = "" if collection == DEFAULT_COLLECTION else f" -c {shlex.quote(collection)}"
        return f"The collection {collection} is empty. Add images with: semsearch index DIR{where}"
    for name in equal:
        if _is_empty(client.list_images(collection=collection, present=[name], page_size=1)):
            return f'No image has the attribute "{name}". {_attributes_instead(client, collection, name)}'
    if equal and _is_empty(client.list_images(collection=collection, equal=equal, page_size=1)):
        return f"No image passes the filter on {' and '.join(equal)}. Change it, or leave it out."
    return ""


def why_no_match(
    client: Client,
    collection: str,
    equal: Equal,
    min_relevance: float | None,
    nearest: Callable[[], ImageMatches],
) -> str:
    """Return why a search found nothing, as sentences; `nearest` searches again without a threshold."""
    if reason := why_no_image(client, collection, equal):
        return reason
    found = nearest().matches
    if not found:
        return "There is no other image."
    if min_relevance is None:
        model = client.get_collection(collection).model_id
        min_relevance = client.get_model(model).default_min_relevance
    return (
        f"No image is relevant enough. The nearest is {place_of(found[0].image)} with a relevance of "
        f"{found[0].relevance:.3f}, and the threshold is {min_relevance:.3g}. --min-relevance 0 shows the nearest all "
        "the same."
    )


def _attributes_instead(client: Client, collection: str, name: str) -> str:
    names: set[str] = set()
    for image in itertools.islice(client.list_images(collection=collection, page_size=_SAMPLE), _SAMPLE):
        names.update(_names(image.attributes))
    if not names:
        return "The images have no attributes."
    if close := difflib.get_close_matches(name, names):
        return f"Did you mean {' or '.join(close)}?"
    return f"Images have: {', '.join(sorted(names)[:_SHOWN])}{' …' if len(names) > _SHOWN else '.'}"


def _names(attributes: Mapping[str, object], prefix: str = "") -> Iterator[str]:
    for name, value in attributes.items():
        path = f"{prefix}`{name}`" if "." in name else prefix + name
        if isinstance(value, dict):
            yield from _names(value, f"{path}.")
        else:
            yield path


def _is_empty(images: Iterator[object]) -> bool:
    return next(images, None) is None
