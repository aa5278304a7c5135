"""The limits of the index service's calls; see `serving.limits`."""

from __future__ import annotations

from index_service import attributes, definition, filters
from index_service.api import listing
from index_service.api.translate import coordination, indexes, items, listings, searches
from index_service.coordination import database
from index_service.settings import IndexSettings
from serving.limits import Limit, chosen, of_fields, of_process

_PACKAGE = "semsearch.index.v1"


def limits(settings: IndexSettings) -> tuple[Limit, ...]:
    """Return the limits."""
    return (
        *of_process(settings),
        *filter_limits(),
        chosen(settings, "max_pending_bytes", "items being written", "bytes"),
        chosen(settings, "max_snapshot_log_bytes", "log while a backup reads", "bytes"),
        Limit("leases and records", database.MAX_NAMES, "of each"),
        *of_fields(
            _PACKAGE,
            "elements",
            {
                "CountItemsRequest.distances": listings.MAX_BOUNDS,
                "CountItemsRequest.excluded_ids": listings.MAX_EXCLUDED,
                "DeleteItemsRequest.ids": items.MAX_BATCH,
                "GetItemsRequest.ids": items.MAX_BATCH,
                "Index.indexed_attributes": indexes.MAX_INDEXED_ATTRIBUTES,
                "Index.labels": indexes.MAX_LABELS,
                "SearchRequest.queries": searches.MAX_QUERIES,
                "UpsertItemsRequest.items": items.MAX_BATCH,
            },
        ),
        *of_fields(_PACKAGE, "on a page", {"ListItemsRequest.page_size": listing.MAX_PAGE}),
        *of_fields(
            _PACKAGE,
            "neighbours",
            {
                "SearchRequest.k": searches.MAX_K,
                "SearchRequest.include_vectors": searches.MAX_NEIGHBORS_WITH_VECTORS,
            },
        ),
        *of_fields(_PACKAGE, "neighbours of all queries", {"SearchRequest.k": searches.MAX_NEIGHBORS}),
        *of_fields(_PACKAGE, "numbers", {"Index.dimension": definition.MAX_DIMENSION}),
        *of_fields(
            _PACKAGE,
            "characters",
            {"Index.labels": indexes.MAX_TEXT_CHARACTERS, "Index.model_id": indexes.MAX_TEXT_CHARACTERS},
        ),
        *of_fields(
            _PACKAGE,
            "bytes",
            {
                "Item.attributes": items.MAX_ATTRIBUTES_BYTES,
                "Item.id": items.MAX_ID_BYTES,
                "PutRecordRequest.value": coordination.MAX_VALUE_BYTES,
            },
        ),
        *of_fields(_PACKAGE, "levels", {"Item.attributes": attributes.MAX_DEPTH}),
        *of_fields(_PACKAGE, "seconds", {"AcquireLeaseRequest.ttl": coordination.MAX_TTL_SECONDS}),
    )


def filter_limits() -> tuple[Limit, ...]:
    """Return the limits of filters, which the gateway passes on unread."""
    return (
        *of_fields("semsearch.v1", "elements", {"Condition.any_of": filters.MAX_VALUES}),
        *of_fields("semsearch.v1", "characters", {"Condition.field": attributes.MAX_PATH_CHARACTERS}),
        *of_fields("semsearch.v1", "conditions", {"Filter": filters.MAX_CONDITIONS}),
        *of_fields("semsearch.v1", "levels", {"Filter": filters.MAX_DEPTH}),
        *of_fields("semsearch.v1", "values", {"Filter": filters.MAX_VALUES}),
    )
