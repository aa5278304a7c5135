"""What searches find: pages of images and words. A page is a sequence of its matches, nearest first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar, overload

from typing_extensions import override

from semsearch.values.drawn import Drawn, Page
from semsearch.values.images import Image
from semsearch.values.queries import UnderstoodTerm, UnknownWord

T = TypeVar("T", covariant=True)


class _Items(Sequence[T]):
    """A sequence of the items of one field."""

    def _items(self) -> tuple[T, ...]:
        raise NotImplementedError

    @override
    def __len__(self) -> int:
        return len(self._items())

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[T, ...]: ...
    @override
    def __getitem__(self, index: int | slice) -> T | tuple[T, ...]:
        return self._items()[index]

    @override
    def __iter__(self) -> Iterator[T]:
        return iter(self._items())


@dataclass(frozen=True, repr=False)
class ImageMatch(Drawn):
    """An image that a search found.

    `distance` is √(2 − 2·cos), 0…2; `similarity` the cosine, −1…1; `relevance` calibrated, 0…1.
    """

    image: Image
    distance: float
    similarity: float
    relevance: float

    @override
    def __repr__(self) -> str:
        return f"ImageMatch({self.relevance:.3f}, {self.image!r})"


@dataclass(frozen=True, repr=False)
class ImageMatches(_Items[ImageMatch], Page):
    """A page of matches, nearest first; `next_page_token` is "" on the last one."""

    matches: tuple[ImageMatch, ...]
    unknown_words: tuple[UnknownWord, ...] = ()
    next_page_token: str = ""
    understood: tuple[UnderstoodTerm, ...] = ()

    @override
    def _items(self) -> tuple[ImageMatch, ...]:
        return self.matches

    @override
    def __repr__(self) -> str:
        return _summary(self, [f"{each.relevance:.3f} {each.image.name}" for each in self.matches])


@dataclass(frozen=True)
class MatchCounts:
    """How many images a search finds, at its threshold `min_relevance`.

    `counts_by_relevance` has 101 numbers: how many images have at least the relevance 0, 0.01, 0.02 … 1.
    """

    match_count: int
    min_relevance: float
    counts_by_relevance: tuple[int, ...] = field(repr=False)


@dataclass(frozen=True, repr=False)
class WordMatch:
    """A word that a search found."""

    word: str
    distance: float
    similarity: float

    @override
    def __repr__(self) -> str:
        return f"WordMatch({self.word!r}, {self.similarity:.3f})"


@dataclass(frozen=True, repr=False)
class WordMatches(_Items[WordMatch], Page):
    """A page of words, nearest first; `next_page_token` is "" on the last one."""

    words: tuple[WordMatch, ...]
    unknown_words: tuple[UnknownWord, ...] = ()
    next_page_token: str = ""
    understood: tuple[UnderstoodTerm, ...] = ()

    @override
    def _items(self) -> tuple[WordMatch, ...]:
        return self.words

    @override
    def __repr__(self) -> str:
        return _summary(self, [each.word for each in self.words])


@dataclass(frozen=True, repr=False)
class Tag:
    """A word for an image; the numbers are those of `ImageMatch`."""

    word: str
    distance: float
    similarity: float
    relevance: float

    @override
    def __repr__(self) -> str:
        return f"Tag({self.word!r}, {self.relevance:.3f})"


@dataclass(frozen=True, repr=False)
class Tags(_Items[Tag], Drawn):
    """The words for an image, most relevant first."""

    tags: tuple[Tag, ...]
    unknown_words: tuple[UnknownWord, ...] = ()

    @override
    def _items(self) -> tuple[Tag, ...]:
        return self.tags

    @override
    def __repr__(self) -> str:
        return _summary(self, [f"{each.relevance:.3f} {each.word}" for each in self.tags])


_SHOWN = 3


def _summary(page: ImageMatches | WordMatches | Tags, items: Sequence[str]) -> str:
    """Return a short description: how many there are, the first, what was unknown, and whether there are more."""
    parts = [f"{len(items)}: {', '.join(items[:_SHOWN])}{', …' if len(items) > _SHOWN else ''}" if items else "0"]
    if page.unknown_words:
        parts.append(f"unknown: {', '.join(each.word for each in page.unknown_words)}")
    if isinstance(page, Page) and page.next_page_token:
        parts.append("more pages")
    return f"<{type(page).__name__} {'; '.join(parts)}>"
