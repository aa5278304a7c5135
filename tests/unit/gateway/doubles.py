"""An embedder and an index in memory, with the contracts of gateway/backends/embedding.py and vector_index.py.

The embedder's space is made of colours: a word is a colour, an image is the mean of its pixels.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from semsearch.v1.query_pb2 import Filter

from gateway.backends.attributes import from_text
from gateway.backends.embedding import (
    Calibration,
    ImageEmbedding,
    ImageEmbeddings,
    ImageInput,
    Limits,
    Logistic,
    Model,
    PhotoMetadata,
    PullProgress,
    Recipe,
    RefusedText,
    TextEmbedding,
    TextEmbeddings,
    TextQuery,
    UnderstoodTerm,
    UnknownWord,
    Vector,
    Word,
    Words,
)
from gateway.backends.refusals import (
    IndexExists,
    IndexNotFound,
    InvalidCrop,
    ModelMismatch,
    ModelNotFound,
    Overloaded,
    PositionOutOfDate,
    Refusal,
    Refused,
    UnknownWords,
)
from gateway.backends.vector_index import (
    MAX_ITEMS_A_CALL,
    MAX_NEIGHBORS,
    Found,
    IndexInfo,
    Item,
    NearItem,
    Neighbor,
    Neighborhood,
    NewIndex,
    Position,
)
from index_service.api.translate.filters import to_filter
from index_service.errors import InvalidFilter
from model.images.metadata import parse_exif
from model.images.perceptual_hash import perceptual_hash
from tests.unit.index_service.filter_oracle import passes

COLORS: Mapping[str, tuple[int, int, int]] = {
    "red": (255, 0, 0),
    "green": (0, 255, 0),
    "blue": (0, 0, 255),
    "yellow": (255, 255, 0),
    "purple": (128, 0, 255),
    "orange": (255, 128, 0),
    "sky/blue": (0, 160, 255),
    "crimson": (220, 20, 60),
    "the": (128, 128, 128),
}
UNTAGGABLE = {"the"}
MODEL = Model(
    id="toy@sha256:0123456789ab",
    display_name="Colours",
    dimension=4,
    input_size=8,
    word_count=len(COLORS),
    calibration=Calibration(
        text_to_image=Logistic(20.0, -18.0),
        tags=Logistic(20.0, -17.0),
        image_to_image=Logistic(20.0, -16.0),
        default_min_relevance=0.5,
        default_min_tag_relevance=0.5,
    ),
    metrics={"hit_at_1": 0.5},
    active=True,
)
_EXIF, _DATE_TIME_ORIGINAL = 0x8769, 0x9003
OTHER_MODEL = replace(MODEL, id="another@sha256:ba9876543210", active=False)


def color_vector(color: Sequence[float]) -> Vector:
    vector = np.array([*color, 10.0], dtype=np.float32)
    return np.asarray(vector / np.linalg.norm(vector), dtype=np.float32)


def picture(color: str | tuple[int, int, int], *, size: tuple[int, int] = (16, 12), seed: int = 0) -> bytes:
    """Return a PNG of one colour; another seed gives other bytes that look the same."""
    image = Image.new("RGB", size, COLORS[color] if isinstance(color, str) else color)
    image.putpixel((0, 0), (seed // 65536 % 256, seed // 256 % 256, seed % 256))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def photo(color: tuple[int, int, int], taken: str, seed: int) -> bytes:
    """Return a JPEG of one colour, taken at a time or, if that is empty, without one."""
    image = Image.new("RGB", (16, 12), color)
    exif = Image.Exif()
    exif[0x010E] = f"{seed}"
    if taken:
        exif.get_ifd(_EXIF)[_DATE_TIME_ORIGINAL] = taken
    file = io.BytesIO()
    image.save(file, "JPEG", exif=exif)
    return file.getvalue()


def refusal(reason: str, message: str, retry: float | None = None) -> Refusal:
    code = {"OVERLOADED": 8, "INDEX_NOT_FOUND": 5, "ITEM_NOT_FOUND": 5, "INDEX_EXISTS": 6, "MODEL_MISMATCH": 9}.get(
        reason, 3
    )
    return Refusal(message, code, reason, retry_after_seconds=retry)


class ColorEmbedder:
    """An `Embedder`. `before_images` is called before images are embedded, and may raise."""

    def __init__(self, model: Model = MODEL) -> None:
        self.models = {model.id: model}
        self.model = model
        self.models[OTHER_MODEL.id] = OTHER_MODEL
        self.limits = Limits(max_queries=1_000, max_images=256, max_image_bytes=2**20)
        self.before_images: Callable[[], None] = lambda: None
        self.embedded_images = 0
        self.words_sent = 0
        self.open_word_streams = 0
        self.break_words_after: int | None = None
        self.pulls: Mapping[str, Sequence[PullProgress]] = {}

    @property
    def model(self) -> Model:
        """The active model."""
        return self._serving

    @model.setter
    def model(self, model: Model) -> None:
        self.models[model.id] = self._serving = model

    def vector(self, color: Sequence[float], model_id: str) -> Vector:
        """Return a colour's vector in a model's space: models rotate the axes, so that their vectors never agree."""
        return np.roll(color_vector(color), list(self.models).index(model_id))

    async def embed_texts(self, queries: Sequence[TextQuery], model_id: str = "") -> TextEmbeddings:
        model = self._find(model_id)
        return TextEmbeddings(model.id, tuple(self._text(query, model.id) for query in queries))

    async def embed_images(self, images: Sequence[ImageInput], model_id: str = "") -> ImageEmbeddings:
        model = self._find(model_id)
        self.before_images()
        self.embedded_images += len(images)
        return ImageEmbeddings(model.id, tuple(self._image(image, model.id) for image in images))

    async def stream_words(self, skip: int, model_id: str = "") -> AsyncGenerator[Words, None]:
        model = self._find(model_id)
        self.open_word_streams += 1
        try:
            for rank, (text, color) in enumerate(COLORS.items()):
                if rank < skip:
                    continue
                if self.break_words_after is not None and rank >= self.break_words_after:
                    raise Refused(refusal("INTERNAL", "the stream broke off"))
                self.words_sent += 1
                yield Words((Word(text, rank, text not in UNTAGGABLE),), self.vector(color, model.id)[None])
        finally:
            self.open_word_streams -= 1

    async def get_model(self, model_id: str = "") -> tuple[Model, Limits]:
        return replace(self._find(model_id), active=model_id in ("", self.model.id)), self.limits

    async def list_models(self) -> Sequence[Model]:
        return [replace(model, active=model.id == self.model.id) for model in self.models.values()]

    async def list_recipes(self) -> Sequence[Recipe]:
        return [
            Recipe(name, steps[-1].model.id if steps[-1].model else "", name.title(), steps[-1].bytes_total)
            for name, steps in sorted(self.pulls.items())
        ]

    async def pull_model(self, recipe: str) -> AsyncGenerator[PullProgress, None]:
        if recipe not in self.pulls:
            raise Refused(Refusal(f"There is no recipe {recipe}.", 5, "RECIPE_NOT_FOUND"))
        for progress in self.pulls[recipe]:
            if progress.model:
                self.models[progress.model.id] = progress.model
            yield progress

    async def activate_model(self, model_id: str) -> Model:
        self.model = self._find(model_id)
        return replace(self.model, active=True)

    def _find(self, model_id: str) -> Model:
        if model_id and model_id not in self.models:
            raise ModelNotFound(Refusal(f"There is no model {model_id}.", 5, "MODEL_NOT_FOUND"))
        return self.models[model_id or self.model.id]

    def _text(self, query: TextQuery, model_id: str) -> TextEmbedding | RefusedText:
        terms = [(term.text.lower(), term.weight) for term in query.terms] or [
            (word.lstrip("-"), -1.0 if word.startswith("-") else 1.0)
            for word in re.findall(r"-?[\w/]+", query.raw.lower())
        ]
        unknown = tuple(UnknownWord(word, ("red",)) for word, _ in terms if word not in COLORS)
        known = [(word, weight) for word, weight in terms if word in COLORS]
        if not terms:
            return RefusedText(Refused(refusal("EMPTY_QUERY", "The query has no word in it.")))
        if not known:
            return RefusedText(UnknownWords(refusal("UNKNOWN_WORDS", "No word is known.")), unknown)
        total = sum(weight * self.vector(COLORS[word], model_id) for word, weight in known)
        length = float(np.linalg.norm(total))
        understood = tuple(UnderstoodTerm(word, (word,), weight) for word, weight in known)
        return TextEmbedding(np.asarray(total / length, dtype=np.float32), understood, unknown, length)

    def _image(self, image: ImageInput, model_id: str) -> ImageEmbedding | Refused:
        try:
            opened = Image.open(io.BytesIO(image.content))
            pixels = opened.convert("RGB")
        except UnidentifiedImageError:
            return Refused(refusal("NOT_AN_IMAGE", "The bytes are not an image."))
        except OSError:
            return Refused(refusal("DAMAGED_IMAGE", "The image is cut off."))
        if crop := image.crop:
            if not (0 <= crop.left < crop.right <= 1 and 0 <= crop.top < crop.bottom <= 1):
                return InvalidCrop(refusal("INVALID_CROP", "The crop box is empty or outside the image."))
            edges = (crop.left * pixels.width, crop.top * pixels.height)
            pixels = pixels.crop((*map(int, edges), int(crop.right * pixels.width), int(crop.bottom * pixels.height)))
        thumbnail = io.BytesIO()
        if image.thumbnail_edge:
            small = pixels.copy()
            small.thumbnail((image.thumbnail_edge, image.thumbnail_edge))
            small.save(thumbnail, "WEBP")
        mean = np.asarray(pixels, dtype=np.float64).reshape(-1, 3).mean(axis=0)
        media_type = Image.MIME[opened.format or "PNG"]
        vector = self.vector(mean, model_id)
        photo = PhotoMetadata(**asdict(parse_exif(opened.info.get("exif", b""))))
        looks = perceptual_hash(pixels)
        return ImageEmbedding(vector, pixels.width, pixels.height, media_type, thumbnail.getvalue(), photo, looks)


@dataclass
class _Index:
    definition: NewIndex
    items: dict[str, Item] = field(default_factory=dict)
    sequences: dict[str, int] = field(default_factory=dict)  # each item's place in lists, never reused
    last_sequence: int = 0
    rows: dict[str, int] = field(default_factory=dict)  # each item's place among equals, new with each vector
    last_row: int = 0
    uid: str = field(default_factory=lambda: secrets.token_hex(8))
    create_time: datetime = field(default_factory=lambda: datetime.now(UTC))


class MemoryRecords:
    """`Records`."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}

    async def read(self, name: str) -> bytes:
        return self.values.get(name, b"")

    async def write(self, name: str, value: bytes) -> None:
        self.values[name] = value

    async def write_first(self, name: str, value: bytes) -> bytes:
        return self.values.setdefault(name, value)


class MemoryIndex:
    """A `VectorIndex`, with the records beside it. `before_upsert` is called before a write, and may raise."""

    def __init__(self) -> None:
        self.records = MemoryRecords()
        self.indexes: dict[str, _Index] = {}
        self.aliases: dict[str, str] = {}
        self.optimized: list[str] = []
        self.descriptions = 0
        self.most_neighbors = MAX_NEIGHBORS  # as if more did not fit into an answer
        self.before_upsert: Callable[[], None] = lambda: None

    async def create(self, index: NewIndex) -> IndexInfo:
        if index.name in self.indexes:
            raise IndexExists(refusal("INDEX_EXISTS", f"There is an index {index.name}."))
        self.indexes[index.name] = _Index(index)
        return await self.get(index.name)

    async def get(self, name: str) -> IndexInfo:
        self.descriptions += 1
        index = self._index(name)
        definition = index.definition
        aliases = tuple(alias for alias, target in self.aliases.items() if target == definition.name)
        return IndexInfo(
            definition.name, definition.model_id, definition.labels, aliases, len(index.items), index.create_time
        )

    async def list_all(self) -> Sequence[IndexInfo]:
        return [await self.get(name) for name in sorted(self.indexes)]

    async def delete(self, name: str) -> int:
        if name not in self.indexes:
            self._index(name)
            raise AssertionError(f"{name} is an alias")
        assert name not in self.aliases.values(), "an alias names it"
        return len(self.indexes.pop(name).items)

    async def load(self, name: str, model_id: str, batches: AsyncIterator[Sequence[Item]]) -> None:
        async for items in batches:
            await self.upsert(name, model_id, items)

    async def upsert(self, name: str, model_id: str, items: Sequence[Item]) -> None:
        self.before_upsert()
        index = self._index(name)
        if model_id != index.definition.model_id:
            raise ModelMismatch(refusal("MODEL_MISMATCH", "Another model."))
        assert 1 <= len(items) <= MAX_ITEMS_A_CALL
        assert len({item.id for item in items}) == len(items), "an id twice in one message"
        if missing := [item.id for item in items if item.vector is None and item.id not in index.items]:
            raise Refused(refusal("ITEM_NOT_FOUND", f"There is no item {missing[0]}."))
        for item in items:
            assert "/" not in item.id
            vector = item.vector if item.vector is not None else index.items[item.id].vector
            if item.vector is not None:
                index.last_row += 1
                index.rows[item.id] = index.last_row
            index.items[item.id] = Item(item.id, item.attributes, vector)
            if item.id not in index.sequences:
                index.last_sequence += 1
                index.sequences[item.id] = index.last_sequence

    async def delete_items(self, name: str, ids: Sequence[str]) -> Sequence[str]:
        index = self._index(name)
        assert 1 <= len(ids) <= MAX_ITEMS_A_CALL
        for item_id in ids:
            index.sequences.pop(item_id, None)
        return [item_id for item_id in ids if index.items.pop(item_id, None) is None]

    async def get_items(self, name: str, ids: Sequence[str], *, vectors: bool = False) -> Sequence[Item]:
        items = self._index(name).items
        assert 1 <= len(ids) <= MAX_ITEMS_A_CALL
        return [
            items[item_id] if vectors else replace(items[item_id], vector=None) for item_id in ids if item_id in items
        ]

    async def sum_attribute(self, name: str, path: str) -> float:
        group, field_name = path.split(".")
        parts: list[Any] = [from_text(item.attributes).get(group) for item in self._index(name).items.values()]
        return float(sum(part.get(field_name, 0) for part in parts if part))

    async def count(
        self,
        name: str,
        *,
        filter_: Filter | None = None,
        near: tuple[str, Vector] | None = None,
        distances: Sequence[float] = (),
        excluded: Collection[str] = (),
    ) -> tuple[int, Sequence[int]]:
        items = self._passing(name, filter_)
        assert near is not None or not (distances or excluded)
        assert list(distances) == sorted(distances)
        if near is None:
            return len(items), ()
        self._check_model(name, near[0])
        found = [_distance(item, near[1]) for item in items if item.id not in excluded]
        return len(items), [sum(each <= distance for each in found) for distance in distances]

    async def list_within(
        self,
        name: str,
        neighborhood: Neighborhood,
        *,
        descending_by: str,
        page_size: int,
        page_token: str = "",
        filter_: Filter | None = None,
    ) -> tuple[Sequence[NearItem], str]:
        self._check_model(name, neighborhood.model_id)
        near = [
            item
            for item in self._passing(name, filter_)
            if _distance(item, neighborhood.vector) <= neighborhood.distance
        ]
        page, token = self._descending(name, near, descending_by, page_size, page_token)
        return [NearItem(item, _distance(item, neighborhood.vector)) for item in page], token

    def _descending(
        self, name: str, items: Sequence[Item], path: str, page_size: int, page_token: str
    ) -> tuple[Sequence[Item], str]:
        def place(item: Item) -> list[Any]:
            value: Any = from_text(item.attributes)
            for part in path.split("."):
                value = value.get(part, {})
            return [value or "", self._index(name).rows[item.id]]

        places = sorted((place(item), item.id) for item in items)[::-1]
        later = [each for each in places if not page_token or each[0] < json.loads(page_token)]
        page = [self._index(name).items[item_id] for _, item_id in later[:page_size]]
        return page, json.dumps(later[page_size - 1][0]) if len(later) > page_size else ""

    def _passing(self, name: str, message: Filter | None) -> list[Item]:
        """Return the items that pass a filter; one that the index would refuse is refused here."""
        items = self._index(name).items.values()
        try:
            condition = to_filter(message or Filter())
        except InvalidFilter as error:
            raise Refused(refusal("INVALID_FILTER", str(error))) from error
        return [item for item in items if condition is None or passes(condition, from_text(item.attributes))]

    def _check_model(self, name: str, model_id: str) -> None:
        if model_id != self._index(name).definition.model_id:
            raise ModelMismatch(refusal("MODEL_MISMATCH", "Another model."))

    async def list_items(
        self,
        name: str,
        *,
        page_size: int,
        page_token: str = "",
        filter_: Filter | None = None,
        descending_by: str = "",
        vectors: bool = False,
    ) -> tuple[Sequence[Item], str]:
        if descending_by:
            return self._descending(name, self._passing(name, filter_), descending_by, page_size, page_token)
        # As in the real index: changes between two pages make the second neither repeat nor skip an item.
        index, behind = self._index(name), int(page_token or 0)
        passing = [item for item in self._passing(name, filter_) if index.sequences[item.id] > behind]
        page = [item if vectors else replace(item, vector=None) for item in passing[:page_size]]
        return page, str(index.sequences[page[-1].id]) if len(passing) > page_size else ""

    async def search_many(
        self, name: str, vectors: NDArray[np.float32], k: int, model_id: str
    ) -> Sequence[Sequence[str]]:
        found = [await self.search(name, vector, k, model_id) for vector in vectors]
        return [[each.id for each in result.neighbors] for result in found]

    async def search(
        self,
        name: str,
        vector: Vector,
        k: int,
        model_id: str,
        *,
        filter_: Filter | None = None,
        attributes: Sequence[str] | None = None,
        vectors: bool = False,
        after: Position | None = None,
    ) -> Found:
        assert 1 <= k <= MAX_NEIGHBORS
        index = self._index(name)
        if after and after.index_uid != index.uid:
            raise PositionOutOfDate(refusal("INVALID_PAGE_TOKEN", "Another index."))
        self._check_model(name, model_id)
        found = []
        for item in self._passing(name, filter_):
            if item.vector is not None:
                place = _distance(item, vector), index.rows[item.id]
                if after is None or place > (after.distance, after.row):
                    found.append((place, item))
        found.sort(key=lambda each: each[0])
        neighbors = [
            Neighbor(
                item.id,
                item.attributes if attributes is None or attributes else "",
                Position(index.uid, *place, rank),
                item.vector if vectors else None,
            )
            for rank, (place, item) in enumerate(found[: min(k, self.most_neighbors)], 1 + (after.rank if after else 0))
        ]
        return Found(neighbors, cut=len(found[:k]) > len(neighbors))

    async def optimize(self, name: str) -> None:
        self.optimized.append(self._index(name).definition.name)

    async def set_alias(self, alias: str, name: str) -> str:
        self._index(name)
        previous = self.aliases.get(alias, "")
        self.aliases[alias] = name
        return previous

    async def delete_alias(self, alias: str) -> str:
        if alias not in self.aliases:
            raise IndexNotFound(refusal("INDEX_NOT_FOUND", f"There is no alias {alias}."))
        return self.aliases.pop(alias)

    def move(self, alias: str, index: NewIndex) -> None:
        """Point an alias to a new index and drop the old one, as another process would, in no time."""
        self.indexes[index.name] = _Index(index)
        del self.indexes[self.aliases[alias]]
        self.aliases[alias] = index.name

    def _index(self, name: str) -> _Index:
        name = self.aliases.get(name, name)
        if name not in self.indexes:
            raise IndexNotFound(refusal("INDEX_NOT_FOUND", f"There is no index {name}."))
        return self.indexes[name]


def _distance(item: Item, vector: Vector) -> float:
    assert item.vector is not None
    # A float32, as the index's distances are.
    return float(np.float32(np.linalg.norm(item.vector.astype(np.float64) - vector)))


def overloaded(retry: float) -> Overloaded:
    return Overloaded(refusal("OVERLOADED", "The queue is full.", retry))


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
