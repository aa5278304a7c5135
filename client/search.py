"""SearchService: images and words by meaning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from semsearch.v1 import query_pb2
from semsearch.v1 import search_service_pb2 as pb
from semsearch.v1 import search_service_pb2_grpc as pb_grpc

from client import translate
from client.connection import Connection
from client.results import ImageMatches, JsonValue, Tags, WordMatches


@dataclass(frozen=True)
class Term:
    """A word or phrase of a query; a negative weight steers away from it."""

    text: str
    weight: float = 1.0


@dataclass(frozen=True)
class CropBox:
    """A part of an image, in fractions of its width and height, 0…1."""

    left: float
    top: float
    right: float
    bottom: float


Equal = Mapping[str, Sequence[JsonValue]]


class SearchCalls(Connection):
    """The calls of SearchService.

    Wherever `min_relevance` is None, the server's own threshold holds; 0 keeps everything. `equal` maps an attribute
    to the values that it may have. `page_size` 0 means the server's default, 20. A page token is good until the
    collection is switched to another model, deleted or emptied. Every method raises `SemsearchError`.
    """

    def search_by_text(
        self,
        query: str,
        *,
        collection: str = "",
        page_size: int = 0,
        page_token: str = "",
        min_relevance: float | None = None,
        equal: Equal | None = None,
    ) -> ImageMatches:
        """Finds the images nearest to words: `cat sofa`, `"sports car"`, `-dog`, `beach^0.5`, `a photo of a dog`."""
        request = pb.SearchByTextRequest(
            query=query,
            collection=collection,
            page_size=page_size,
            page_token=page_token,
            min_relevance=min_relevance,
            filter=translate.filter_of(equal or {}),
        )
        response = self.call(pb_grpc.SearchServiceStub(self.channel).SearchByText, request)
        return ImageMatches(
            translate.image_matches(response.matches),
            translate.unknown_words(response.unknown_words),
            response.next_page_token,
            translate.understood(response.understood),
        )

    def search_by_image(
        self,
        image: bytes | str,
        *,
        crop: CropBox | None = None,
        terms: Sequence[Term] = (),
        collection: str = "",
        page_size: int = 0,
        page_token: str = "",
        min_relevance: float | None = None,
        equal: Equal | None = None,
    ) -> ImageMatches:
        """Finds the images nearest to an image — its bytes, or a stored one's id — with words added or taken away."""
        request = pb.SearchByImageRequest(
            crop=_crop(crop),
            terms=[query_pb2.Term(text=term.text, weight=term.weight) for term in terms],
            collection=collection,
            page_size=page_size,
            page_token=page_token,
            min_relevance=min_relevance,
            filter=translate.filter_of(equal or {}),
        )
        _set_source(request, image)
        response = self.call(pb_grpc.SearchServiceStub(self.channel).SearchByImage, request)
        return ImageMatches(
            translate.image_matches(response.matches),
            translate.unknown_words(response.unknown_words),
            response.next_page_token,
            translate.understood(response.understood),
        )

    def tag_image(
        self,
        image: bytes | str,
        *,
        crop: CropBox | None = None,
        labels: Sequence[str] = (),
        max_tags: int = 0,
        min_relevance: float | None = None,
        collection: str = "",
    ) -> Tags:
        """Names what an image — its bytes, or a stored one's id — shows: any word, or the best of `labels`."""
        request = pb.TagImageRequest(
            crop=_crop(crop),
            labels=labels,
            max_tags=max_tags,
            min_relevance=min_relevance,
            collection=collection,
        )
        _set_source(request, image)
        response = self.call(pb_grpc.SearchServiceStub(self.channel).TagImage, request)
        return Tags(translate.tags(response.tags), translate.unknown_words(response.unknown_words))

    def similar_words(self, query: str, *, page_size: int = 0, page_token: str = "") -> WordMatches:
        """Finds the words nearest to words: `king -man woman`."""
        request = pb.SimilarWordsRequest(query=query, page_size=page_size, page_token=page_token)
        response = self.call(pb_grpc.SearchServiceStub(self.channel).SimilarWords, request)
        return WordMatches(
            translate.word_matches(response.words),
            translate.unknown_words(response.unknown_words),
            response.next_page_token,
            translate.understood(response.understood),
        )


def _crop(crop: CropBox | None) -> query_pb2.CropBox | None:
    if crop is None:
        return None
    return query_pb2.CropBox(left=crop.left, top=crop.top, right=crop.right, bottom=crop.bottom)


def _set_source(request: pb.SearchByImageRequest | pb.TagImageRequest, image: bytes | str) -> None:
    if isinstance(image, bytes):
        request.content = image
    else:
        request.image_id = image
