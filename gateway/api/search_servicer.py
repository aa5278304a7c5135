"""SearchService on top of the core."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import grpc.aio
from google.protobuf.message import Message
from semsearch.v1 import search_service_pb2 as pb
from semsearch.v1 import search_service_pb2_grpc as pb_grpc
from typing_extensions import override

from gateway.api import translate
from gateway.backends.embedding import TextQuery
from gateway.backends.refusals import Part, Refused
from gateway.collections.images import Order
from gateway.search.counts import Counting
from gateway.search.cursors import Cursor, TimeCursor
from gateway.search.search import ImageMatches, Page, Scope, Search
from gateway.search.tagging import Tagging
from serving.errors import InvalidField, InvalidPageToken
from serving.page_tokens import PageTokens, page_size

DEFAULT_PAGE_SIZE = 20
MAX_PAGE_SIZE = 1_000
DEFAULT_TAGS = 10
MAX_TAGS = 100
MAX_LABELS = 1_000

Context = grpc.aio.ServicerContext[Any, Any]


class SearchServicer(pb_grpc.SearchServiceServicer):
    """Translates requests, calls the core and translates its answers."""

    def __init__(self, search: Search, counting: Counting, tagging: Tagging, tokens: PageTokens) -> None:
        self._search = search
        self._counting = counting
        self._tagging = tagging
        self._tokens = tokens

    @override
    async def SearchByText(self, request: pb.SearchByTextRequest, context: Context) -> pb.SearchByTextResponse:
        """Find the images nearest to words."""
        query, field = translate.text_query(request.query, request.terms)
        scope = _scope(request)
        page = self._page(request, request.page_size, request.page_token, _cursor_kind(scope))
        with _fields(text=field):
            found, matches = await _fitting(page, lambda page: self._search.by_text(query, scope, page))
        return pb.SearchByTextResponse(
            matches=matches,
            next_page_token=self._next(found.next, request),
            unknown_words=translate.unknown_messages(found.unknown_words),
            understood=translate.understood_messages(found.understood),
        )

    @override
    async def SearchByImage(self, request: pb.SearchByImageRequest, context: Context) -> pb.SearchByImageResponse:
        """Find the images nearest to an image, to a part of it, or to images and words together."""
        images = translate.image_sources(request)
        words, field = translate.added_words(request)
        scope = _scope(request)
        page = self._page(request, request.page_size, request.page_token, _cursor_kind(scope))
        with _fields(text=field, listed=bool(request.images)):
            found, matches = await _fitting(page, lambda page: self._search.by_images(images, words, scope, page))
        return pb.SearchByImageResponse(
            matches=matches,
            next_page_token=self._next(found.next, request),
            unknown_words=translate.unknown_messages(found.unknown_words),
            understood=translate.understood_messages(found.understood),
        )

    @override
    async def CountMatches(self, request: pb.CountMatchesRequest, context: Context) -> pb.CountMatchesResponse:
        """Count the images that a search finds, at its own cut and at a hundred others."""
        if request.HasField("by_text"):
            query, field = translate.text_query(request.by_text.query, request.by_text.terms)
            with _fields(text=field):
                found = await self._counting.by_text(query, _scope(request.by_text))
        elif request.HasField("by_image"):
            images = translate.image_sources(request.by_image)
            words, field = translate.added_words(request.by_image)
            with _fields(text=field, listed=bool(request.by_image.images)):
                found = await self._counting.by_images(images, words, _scope(request.by_image))
        else:
            raise InvalidField("search", "send the search to count, as `by_text` or `by_image`.")
        return pb.CountMatchesResponse(
            match_count=found.matches, min_relevance=found.min_relevance, counts_by_relevance=found.at_cuts
        )

    @override
    async def TagImage(self, request: pb.TagImageRequest, context: Context) -> pb.TagImageResponse:
        """Name what an image shows."""
        source = translate.taggable(request)
        collection = translate.collection_or_default(request.collection)
        max_tags = _max_tags(request.max_tags)
        relevance = translate.min_relevance(request)
        if len(request.labels) > MAX_LABELS:
            raise InvalidField("labels", f"at most {MAX_LABELS:,} are taken; there were {len(request.labels):,}.")
        with _fields(text="labels"):
            if request.labels:
                found = await self._tagging.choose(source, collection, request.labels, max_tags, relevance or 0.0)
            else:
                found = await self._tagging.tag(source, collection, max_tags, relevance)
        return pb.TagImageResponse(
            tags=[
                pb.Tag(word=tag.word, distance=tag.distance, similarity=tag.similarity, relevance=tag.relevance)
                for tag in found.tags
            ],
            unknown_words=translate.unknown_messages(found.unknown_words),
        )

    @override
    async def SimilarWords(self, request: pb.SimilarWordsRequest, context: Context) -> pb.SimilarWordsResponse:
        """Find the words nearest to words."""
        page = self._page(request, request.page_size, request.page_token)
        with _fields(text="query"):
            found = await self._search.similar_words(TextQuery(raw=request.query), page)
        return pb.SimilarWordsResponse(
            words=[
                pb.WordMatch(word=each.word, distance=each.distance, similarity=each.similarity) for each in found.words
            ],
            next_page_token=self._next(found.next, request),
            unknown_words=translate.unknown_messages(found.unknown_words),
            understood=translate.understood_messages(found.understood),
        )

    def _page(
        self, request: Message, requested: int, token: str, kind: type[Cursor] | type[TimeCursor] = Cursor
    ) -> Page:
        size = page_size(requested, DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)
        cursor = self._tokens.decode(token, request)
        try:
            return Page(size, None if cursor is None else kind.from_text(cursor))
        except ValueError as error:  # a token of another method or an earlier version
            raise InvalidPageToken from error

    def _next(self, cursor: Cursor | TimeCursor | None, request: Message) -> str:
        return "" if cursor is None else self._tokens.encode(cursor.to_text(), request)


@contextmanager
def _fields(text: str, *, listed: bool = False) -> Iterator[None]:
    """Attribute a refused part of a search to the caller's field.

    `text` is the field of the words; images may be `listed` in the field `images`.
    """
    names = {Part.TEXT: text, Part.IMAGE: "content", Part.CROP: "crop"}
    try:
        yield
    except Refused as error:
        if error.part is None:
            raise
        name = names[error.part]
        if error.part is Part.TEXT:
            raise error.at(name if error.number is None else f"{name}[{error.number}]") from error
        raise error.at(f"images[{error.number}].{name}" if listed else name) from error


async def _fitting(
    page: Page, search: Callable[[Page], Awaitable[ImageMatches]]
) -> tuple[ImageMatches, list[pb.ImageMatch]]:
    """Return a search's result and its messages; search again with a smaller page if they are too large."""
    found = await search(page)
    matches = [translate.match_message(match) for match in found.matches]
    if (fitting := translate.count_on_page(matches)) < len(matches):
        found = await search(replace(page, size=fitting))
        matches = [translate.match_message(match) for match in found.matches]
    return found, matches


def _scope(request: pb.SearchByTextRequest | pb.SearchByImageRequest) -> Scope:
    order = translate.order(request.order)
    if request.distinct and order is Order.NEWEST_FIRST:
        raise InvalidField(
            "distinct", "copies are left out only where the nearest come first. Unset `distinct` or `order`."
        )
    return Scope(
        translate.collection_or_default(request.collection),
        request.filter if request.HasField("filter") else None,
        translate.min_relevance(request),
        request.distinct,
        order,
    )


def _cursor_kind(scope: Scope) -> type[Cursor] | type[TimeCursor]:
    return TimeCursor if scope.order is Order.NEWEST_FIRST else Cursor


def _max_tags(requested: int) -> int:
    if requested < 0:
        raise InvalidField("max_tags", f"must not be negative; it was {requested}. 0 means {DEFAULT_TAGS}.")
    return min(requested or DEFAULT_TAGS, MAX_TAGS)
