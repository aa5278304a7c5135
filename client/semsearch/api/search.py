"""Searching, tagging and words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from typing_extensions import TypeIs

from semsearch import translate
from semsearch.filters import Where, filter_of
from semsearch.image_sources import ImageSource
from semsearch.transport.calls import Call, HasServer
from semsearch.transport.methods import reading, unary
from semsearch.transport.server import Server
from semsearch.v1 import search_service_pb2 as pb
from semsearch.values import CropBox, ImageMatches, ImageTerm, MatchCounts, Tags, Term, WordMatches
from semsearch.values.drawn import Page

PageT = TypeVar("PageT", bound=Page)
Listed = TypeVar("Listed", str, ImageTerm)


class SearchMethods:
    """The methods of SearchService.

    A search returns one page, which is a sequence of its matches; `client.pages(found)` yields it and the next ones.
    `page_size` 0 means the server's default, 20. If `min_relevance` is None, the server's own threshold applies; 0
    keeps everything. With `newest_first`, the matches above the threshold are ordered by the time they were taken.
    `distinct` leaves out images that show the same picture as a nearer match. A page token is valid until the
    collection is switched to another model, deleted or emptied.
    """

    @unary
    def search_by_text(
        self: HasServer,
        query: str | Sequence[Term | str],
        *,
        collection: str = "",
        where: Where | None = None,
        min_relevance: float | None = None,
        distinct: bool = False,
        newest_first: bool = False,
        page_size: int = 0,
        page_token: str = "",
        timeout: float | None = None,
    ) -> Call[ImageMatches]:
        """Find the images nearest to words: `cat sofa`, `"sports car"`, `-dog`, `beach^0.5`, `a photo of a dog`.

        Words may also be given as a list of terms, which are read as they are, without signs and quotes.

        >>> found = client.search_by_text("fruit", page_size=3)
        >>> [match.image.attributes["label"] for match in found]
        ['banana', 'banana', 'banana']
        >>> found[0].relevance > 0.9
        True
        >>> client.search_by_text(["fruit", Term("banana", -0.5)], page_size=1)[0].image.attributes["label"]
        'apple'
        """
        request = pb.SearchByTextRequest(
            collection=collection,
            page_size=page_size,
            page_token=page_token,
            min_relevance=min_relevance,
            filter=filter_of(where),
            distinct=distinct,
            order=translate.order_of(newest_first=newest_first),
        )
        _set_words(request, query)
        return _page(self.server, request, translate.image_matches, timeout)

    @reading
    def search_by_image(
        self: HasServer,
        image: ImageSource | Sequence[ImageTerm],
        *,
        crop: CropBox | None = None,
        words: str | Sequence[Term | str] = "",
        collection: str = "",
        where: Where | None = None,
        min_relevance: float | None = None,
        distinct: bool = False,
        newest_first: bool = False,
        page_size: int = 0,
        page_token: str = "",
        timeout: float | None = None,
    ) -> Call[ImageMatches]:
        """Find the images nearest to an image, plus or minus words.

        An image is a Path, its bytes, a Pillow image, a NumPy array, or the id of a stored one. Pass several as a list
        of `ImageTerm`, each with its own weight and crop. `words` are added to them, or taken away where they have a
        minus. `min_relevance` None keeps everything.

        >>> photo = client.search_by_text("banana")[0].image
        >>> found = client.search_by_image(photo.id, words="animal^0.5 -table")
        >>> photo.id in [match.image.id for match in found]
        False
        """
        request = pb.SearchByImageRequest(
            crop=translate.crop_of(crop),
            collection=collection,
            page_size=page_size,
            page_token=page_token,
            min_relevance=min_relevance,
            filter=filter_of(where),
            distinct=distinct,
            order=translate.order_of(newest_first=newest_first),
        )
        _set_images(request, image)
        _set_words(request, words)
        return _page(self.server, request, translate.image_matches, timeout)

    @reading
    def tag_image(
        self: HasServer,
        image: ImageSource | Sequence[str],
        *,
        crop: CropBox | None = None,
        labels: Sequence[str] = (),
        max_tags: int = 0,
        min_relevance: float | None = None,
        collection: str = "",
        timeout: float | None = None,
    ) -> Call[Tags]:
        """Name what an image shows: any word, or the best of `labels`.

        A list of the ids of stored images, at most 1,000, is named by what they have in common.

        >>> client.tag_image(photos / "banana-00.webp", labels=["banana", "bicycle"])[0]
        Tag('banana', ...)
        """
        request = pb.TagImageRequest(
            crop=translate.crop_of(crop),
            labels=labels,
            max_tags=max_tags,
            min_relevance=min_relevance,
            collection=collection,
        )
        if _is_list(image):
            request.image_ids.extend(image)
        else:
            translate.set_source(request, image)
        return Call(request, translate.tags, timeout)

    @reading
    def count_matches(
        self,
        words: str | Sequence[Term | str] = "",
        *,
        image: ImageSource | Sequence[ImageTerm] | None = None,
        crop: CropBox | None = None,
        collection: str = "",
        where: Where | None = None,
        min_relevance: float | None = None,
        timeout: float | None = None,
    ) -> Call[MatchCounts]:
        """Count the images that a search by words, by images or by both finds, without returning them.

        >>> counts = client.count_matches("fruit")
        >>> counts.match_count == len(client.search_by_text("fruit", page_size=1_000))
        True
        >>> counts.counts_by_relevance[0] == client.count_images()
        True
        """
        request = pb.CountMatchesRequest()
        search = request.by_text if image is None else request.by_image
        search.collection = collection
        if (filter_ := filter_of(where)) is not None:
            search.filter.CopyFrom(filter_)
        if min_relevance is not None:
            search.min_relevance = min_relevance
        _set_words(search, words)
        if image is not None:
            if (box := translate.crop_of(crop)) is not None:
                request.by_image.crop.CopyFrom(box)
            _set_images(request.by_image, image)
        return Call(request, translate.match_counts, timeout)

    @unary
    def similar_words(
        self: HasServer, query: str, *, page_size: int = 0, page_token: str = "", timeout: float | None = None
    ) -> Call[WordMatches]:
        """Find the words nearest to words: `king -man woman`.

        >>> client.similar_words("dog", page_size=3)
        <WordMatches 3: canine, animal, pup; more pages>
        """
        request = pb.SimilarWordsRequest(query=query, page_size=page_size, page_token=page_token)
        return _page(self.server, request, translate.word_matches, timeout)


def _set_words(request: pb.SearchByTextRequest | pb.SearchByImageRequest, words: str | Sequence[Term | str]) -> None:
    """Put words as people type them, or a list of terms, into a request."""
    if isinstance(words, str):
        request.query = words
    else:
        request.terms.extend(map(translate.term_of, words))


def _set_images(request: pb.SearchByImageRequest, image: ImageSource | Sequence[ImageTerm]) -> None:
    if _is_list(image):
        request.images.extend(map(translate.image_term_of, image))
    else:
        translate.set_source(request, image)


def _is_list(image: ImageSource | Sequence[Listed]) -> TypeIs[Sequence[Listed]]:
    """Return whether several images were given; strings and bytes are sequences too."""
    return isinstance(image, list | tuple)


def _page(
    server: Server, request: Any, translated: Callable[[Any, Server], PageT], timeout: float | None
) -> Call[PageT]:
    """Return a call whose answer is a page that remembers it."""

    def answer(response: Any) -> PageT:
        page = translated(response, server)
        page.remember_call(call)
        return page

    call = Call(request, answer, timeout)
    return call
