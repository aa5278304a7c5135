"""Explains why a search or a listing found nothing: an empty collection, the filter, or the threshold."""

from __future__ import annotations

import difflib
import itertools
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence

from semsearch.cli.options import where_of
from semsearch.cli.output import place_of
from semsearch.client import DEFAULT_COLLECTION, Client
from semsearch.filters import Field, path_of
from semsearch.values import ImageMatches, Scalar

# How many images to sample for existing attributes.
_SAMPLE = 100
_SHOWN = 8

# The result of `options.equal_of`: the values that each attribute may have, the typed text first.
Filters = Mapping[str, Sequence[Scalar]]


def why_no_image(client: Client, collection: str, equal: Filters, taken: str = "") -> str:
    """Return a sentence if the collection is empty or no image passes the filter, otherwise ""."""
    if not client.get_collection(collection).image_count:
        where = "" if collection == DEFAULT_COLLECTION else f" -c {shlex.quote(collection)}"
        return f"The collection {collection} is empty. Add images with: semsearch index DIR{where}"
    for name, accepted in equal.items():
        if _is_empty(client.list_images(collection=collection, where=Field(name).exists(), page_size=1)):
            return f'No image has the attribute "{name}". {_attributes_instead(client, collection, name)}'
        if _is_empty(client.list_images(collection=collection, where={name: accepted}, page_size=1)):
            return f"No image has {name}={accepted[0]}. {_values_instead(client, collection, name, accepted[0])}"
    if equal and _is_empty(client.list_images(collection=collection, where=equal, page_size=1)):
        return f"No image passes the filters on {' and '.join(equal)} together."
    if taken and _is_empty(client.list_images(collection=collection, where=where_of(equal, taken), page_size=1)):
        if _is_empty(client.list_images(collection=collection, where=Field("image.taken_time").exists(), page_size=1)):
            return "No image has a time taken: the files have no EXIF time, or an older version added them."
        return f"No image{' that passes the filters' if equal else ''} was taken in {taken}."
    return ""


def why_no_match(
    client: Client,
    collection: str,
    equal: Filters,
    taken: str,
    min_relevance: float | None,
    nearest: Callable[[], ImageMatches],
) -> str:
    """Return sentences that explain why a search found nothing; `nearest` searches again without a threshold."""
    if reason := why_no_image(client, collection, equal, taken):
        return reason
    found = nearest().matches
    if not found:
        return "There is no other image."
    if min_relevance is None:
        model = client.get_collection(collection).model_id
        min_relevance = client.get_model(model).default_min_relevance
    return (
        f"No image is relevant enough. The nearest is {place_of(found[0].image)} with a relevance of "
        f"{found[0].relevance:.3f}, and the threshold is {min_relevance:.3g}. --min-relevance 0 shows the nearest "
        "anyway."
    )


def _attributes_instead(client: Client, collection: str, name: str) -> str:
    return _instead(name, {path for path, _ in _sample(client, collection)}) or "The images have no attributes."


def _values_instead(client: Client, collection: str, name: str, value: Scalar) -> str:
    values = {str(value) for path, value in _sample(client, collection) if path == name}
    return _instead(str(value), values)


def _instead(name: str, known: set[str]) -> str:
    """Return a sentence that suggests known names, close ones if any; "" if there are no names."""
    if close := difflib.get_close_matches(name, known):
        return f"Did you mean {' or '.join(close)}?"
    return f"There are {', '.join(sorted(known)[:_SHOWN])}{' …' if len(known) > _SHOWN else '.'}" if known else ""


def _sample(client: Client, collection: str) -> Iterator[tuple[str, object]]:
    """Yield paths and values of the attributes of some images."""
    for image in itertools.islice(client.list_images(collection=collection, page_size=_SAMPLE), _SAMPLE):
        yield from _flat(image.attributes)


def _flat(attributes: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, value in attributes.items():
        path = prefix + path_of(name)
        if isinstance(value, dict):
            yield from _flat(value, f"{path}.")
        else:
            yield path, value


def _is_empty(images: Iterator[object]) -> bool:
    return next(images, None) is None
