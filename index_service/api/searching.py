"""A search of an index: its messages, and whether it is so fast that no thread is needed."""

from __future__ import annotations

from semsearch.index.v1 import index_service_pb2 as pb

from index_service.api.translate import searches
from index_service.contract import Index


def is_small(index: Index, request: pb.SearchRequest) -> bool:
    """Return whether a search is so fast that it runs on the event loop."""
    return len(request.queries) == 1 and not request.HasField("filter") and index.answers_at_once(request.k)


def search(index: Index, request: pb.SearchRequest) -> pb.SearchResponse:
    """Search an index; raises `PositionOutOfDate`, `ModelMismatch` and what `to_terms` does."""
    if searches.has_positions(request):
        index.check_uid(request.index_uid)
    if searches.has_vectors(request):
        index.check_model(request.model_id)
    terms = searches.to_terms(request, index.definition.dimension)
    answer = index.search(
        terms.queries,
        terms.k,
        terms.condition,
        attributes=terms.paths != (),
        vectors=request.include_vectors,
        recall=terms.recall,
        after=terms.after,
    )
    return searches.from_answer(answer, terms.paths, index.uid)
