"""The limits of the embedder's calls, and of images and queries wherever they enter the suite; see `serving.limits`."""

from __future__ import annotations

from embedder_service import translate
from embedder_service.settings import EmbedderSettings
from model.text import embedding, query, suggestions
from serving.limits import Limit, chosen, of_fields, of_process

_PACKAGE = "semsearch.embedder.v1"


def public_limits(settings: EmbedderSettings) -> tuple[Limit, ...]:
    """Return the limits that callers of the gateway meet."""
    return (
        chosen(settings, "max_image_bytes", "image", "bytes"),
        chosen(settings, "max_image_pixels", "image", "pixels"),
        chosen(settings, "max_image_scans", "image", "scans of a progressive JPEG"),
        chosen(settings, "max_queued_bytes", "images waiting for the model", "bytes"),
        chosen(settings, "max_queued_images", "images waiting for the model", "images"),
        chosen(settings, "max_decoding_pixels", "images being decoded", "pixels"),
        Limit("query", query.MAX_CHARACTERS, "characters"),
        Limit("query", query.MAX_TERMS, "words and phrases"),
        Limit("semsearch.v1.Term.text", query.MAX_CHARACTERS, "characters"),
        Limit("semsearch.v1.Term.weight", query.MAX_WEIGHT, "either way"),
        Limit("semsearch.v1.UnknownWord.suggestions", suggestions.SUGGESTIONS, "elements"),
        Limit("semsearch.v1.UnknownWord.suggestions", embedding.MAX_SUGGESTED, "words"),
    )


def limits(settings: EmbedderSettings) -> tuple[Limit, ...]:
    """Return all limits."""
    return (
        *of_process(settings),
        *public_limits(settings),
        chosen(settings, "max_batch_images", "batch of the model", "images"),
        *of_fields(
            _PACKAGE,
            "elements",
            {"EmbedTextRequest.queries": translate.MAX_QUERIES, "EmbedImagesRequest.images": translate.MAX_IMAGES},
        ),
        *of_fields(_PACKAGE, "pixels", {"ImageInput.thumbnail_edge": translate.MAX_THUMBNAIL_EDGE}),
    )
