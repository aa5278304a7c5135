"""Searches of images and of words: a query becomes a vector, its neighbours become matches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from semsearch.v1.query_pb2 import Filter

from gateway.backends.embedding import Logistic, TextEmbedding, TextQuery, UnderstoodTerm, UnknownWord, Vector
from gateway.backends.filters import in_store
from gateway.backends.models import ModelCatalog
from gateway.backends.refusals import PositionOutOfDate
from gateway.backends.vector_index import Item, Neighbor, VectorIndex, similarity_at
from gateway.collections.images import Order, StoredImage
from gateway.collections.names import alias_of, errors_of
from gateway.collections.placements import Placement, Placements
from gateway.errors import SearchOutOfDate, WordsNotReady
from gateway.search.cursors import Cursor, TimeCursor
from gateway.search.cuts import farthest
from gateway.search.distinct import distinct_page
from gateway.search.newest import newest_page
from gateway.search.query_vectors import ImageSource, QueryVectors
from gateway.search.words import WordsIndex


@dataclass(frozen=True)
class Page:
    """A page: the first `size` neighbours after a cursor of the same order, or the first of all."""

    size: int
    after: Cursor | TimeCursor | None = None


@dataclass(frozen=True)
class Scope:
    """Where to search for images, and what to leave out. `min_relevance` None means the default of the search.

    `distinct` leaves out images that show the same picture as a nearer one; not if the newest come first.
    """

    collection: str
    filter: Filter | None = None
    min_relevance: float | None = None
    distinct: bool = False
    order: Order = Order.OF_METHOD


@dataclass(frozen=True)
class ImageMatch:
    """An image that was found."""

    image: StoredImage
    distance: float
    similarity: float
    relevance: float


@dataclass(frozen=True)
class WordMatch:
    """A word that was found."""

    word: str
    distance: float
    similarity: float


@dataclass(frozen=True)
class ImageMatches:
    """A page of matches; `next` is where the following one begins, None on the last."""

    matches: tuple[ImageMatch, ...]
    next: Cursor | TimeCursor | None
    unknown_words: tuple[UnknownWord, ...]
    understood: tuple[UnderstoodTerm, ...]


@dataclass(frozen=True)
class WordMatches:
    """A page of words, nearest first; `next` is where the following one begins, None on the last."""

    words: tuple[WordMatch, ...]
    next: Cursor | None
    unknown_words: tuple[UnknownWord, ...]
    understood: tuple[UnderstoodTerm, ...]


class Search:
    """Finds images, with the model of their collection, and words, with the model that serves.

    Every search raises `SearchOutOfDate` if its page begins in an index that has been replaced.
    """

    def __init__(
        self,
        vectors: QueryVectors,
        index: VectorIndex,
        models: ModelCatalog,
        placements: Placements,
        words: WordsIndex,
    ) -> None:
        self._vectors = vectors
        self._index = index
        self._models = models
        self._placements = placements
        self._words = words

    async def by_text(self, query: TextQuery, scope: Scope, page: Page) -> ImageMatches:
        """Find the images nearest to words; by default those that the model calls relevant."""

        async def find(placement: Placement) -> ImageMatches:
            _, text = await self._vectors.of_text(query, placement.model_id)
            calibration = (await self._models.describe(placement.model_id)).calibration
            threshold = calibration.default_min_relevance if scope.min_relevance is None else scope.min_relevance
            vector = page.after.vector if page.after else text.vector
            matches, following = await self._images(
                scope, placement, page, vector, calibration.text_to_image, threshold
            )
            return ImageMatches(matches, following, text.unknown_words, text.understood)

        if scope.order is Order.NEWEST_FIRST:
            return await self._placements.using(scope.collection, find)
        return await self._placements.using_alias(scope.collection, find)

    async def by_images(
        self, images: Sequence[ImageSource], words: TextQuery, scope: Scope, page: Page
    ) -> ImageMatches:
        """Find the images nearest to images, or to images and words; by default all of them.

        Stored images are left out of their own matches.
        """

        async def find(placement: Placement) -> ImageMatches:
            vector, text = await self._vectors.of_images_and_words(
                images, words, scope.collection, placement, page.after.vector if page.after else None
            )
            curve = (await self._models.describe(placement.model_id)).calibration.image_to_image
            matches, following = await self._images(
                scope, placement, page, vector, curve, scope.min_relevance or 0.0, left_out=stored_ids(images)
            )
            return ImageMatches(matches, following, text.unknown_words if text else (), text.understood if text else ())

        return await self._placements.using(scope.collection, find)

    async def similar_words(self, query: TextQuery, page: Page) -> WordMatches:
        """Find the words nearest to words, without those of the query."""
        model_id, text = await self._vectors.of_text(query)
        try:
            return await self._similar(text, model_id, page)
        except WordsNotReady:
            # Another model may serve now, and the previous one's words may be gone.
            newer, text = await self._vectors.of_text(query)
            if newer == model_id:
                raise
        return await self._similar(text, newer, page)

    async def _similar(self, text: TextEmbedding, model_id: str, page: Page) -> WordMatches:
        begun = page.after if isinstance(page.after, Cursor) else None
        vector, after = (begun.vector, begun.place) if begun else (text.vector, None)
        with _position_errors():
            found = await self._words.nearest(
                vector, page.size + 1 + len(text.words), model_id, taggable=False, after=after
            )
        shown, following = _page_of([each for each in found if each.id not in text.words], page, vector)
        words = tuple(WordMatch(each.id, each.distance, each.similarity) for each in shown)
        return WordMatches(words, following, text.unknown_words, text.understood)

    async def _images(
        self,
        scope: Scope,
        placement: Placement,
        page: Page,
        vector: Vector,
        curve: Logistic,
        min_relevance: float,
        *,
        left_out: frozenset[str] = frozenset(),
    ) -> tuple[tuple[ImageMatch, ...], Cursor | TimeCursor | None]:
        """Return a page of the images nearest to a vector, or of the newest near it, and where the next begins."""
        filter_ = in_store(scope.filter) if scope.filter else None
        if scope.order is Order.NEWEST_FIRST:
            distance = farthest(curve, min_relevance)
            later = page.after if isinstance(page.after, TimeCursor) else None
            with errors_of(scope.collection):
                near, later = await newest_page(
                    self._index, placement, vector, distance, page.size, later, filter_, left_out
                )
            return tuple(_match(scope.collection, each.item, each.distance, curve) for each in near), later
        after = page.after if isinstance(page.after, Cursor) else None
        search = partial(
            self._index.search, alias_of(scope.collection), vector, model_id=placement.model_id, filter_=filter_
        )

        def is_relevant(neighbor: Neighbor) -> bool:
            return curve.relevance(neighbor.similarity) >= min_relevance

        with errors_of(scope.collection), _position_errors():
            if scope.distinct:
                shown, following = await distinct_page(
                    lambda k, after, paths: search(k, after=after, attributes=paths, vectors=True),
                    page.size,
                    vector,
                    after,
                    lambda each: None if each.id in left_out else is_relevant(each),
                )
            else:
                found = await search(page.size + 1 + len(left_out), after=after.place if after else None)
                relevant = [each for each in found.neighbors if is_relevant(each)]
                cut = found.cut and len(relevant) == len(found.neighbors)
                shown, following = _page_of(
                    [each for each in relevant if each.id not in left_out], page, vector, cut=cut
                )
        return tuple(_match(scope.collection, each, each.distance, curve) for each in shown), following


def stored_ids(images: Sequence[ImageSource]) -> frozenset[str]:
    """Return the ids of the stored images that are searched with, which are no matches."""
    return frozenset(image.image_id for image in images if image.image_id is not None)


def _match(collection: str, item: Item | Neighbor, distance: float, curve: Logistic) -> ImageMatch:
    similarity = similarity_at(distance)
    return ImageMatch(StoredImage.from_item(collection, item), distance, similarity, curve.relevance(similarity))


def _page_of(
    found: Sequence[Neighbor], page: Page, vector: Vector, *, cut: bool = False
) -> tuple[Sequence[Neighbor], Cursor | None]:
    """Return what a page shows of the neighbours found, and where the next begins, if any is left for it.

    If others were `cut` off, it begins after the last that was found.
    """
    shown = found[: page.size]
    return shown, Cursor(vector, shown[-1].place) if cut or len(found) > page.size else None


@contextmanager
def _position_errors() -> Iterator[None]:
    try:
        yield
    except PositionOutOfDate as error:
        raise SearchOutOfDate from error
