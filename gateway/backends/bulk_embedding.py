"""Embed images that may wait, on all embedders at once.

Each embedder has room for a few small calls. A call goes to the embedder that has the most room; if none
has, the calls wait in their order. So an embedder gets work as fast as it does it, and a slow one holds no other back.
One that is full gets nothing for as long as it asks, and what it refused goes to the next that has room, as does what
it fails over. One that does not answer at all costs each of its calls their deadline, so it is left alone for longer.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from prometheus_client import Counter

from gateway.backends.embedding import ImageEmbedding, ImageEmbeddings, ImageInput
from gateway.backends.refusals import ModelNotFound, Overloaded, Refused
from gateway.errors import DependencyUnavailable
from serving import deadlines, lanes

Result = ImageEmbedding | Refused

# Calls in progress for each embedder, and the images and bytes of each; one larger image is a call of its own.
CALLS = 3
CALL_IMAGES = 8
CALL_BYTES = 4 * 2**20
_FAILED_SECONDS = 1.0
# Twice the deadline of a call: a silent embedder may delay an upload in a third of the time, until its health says so.
_SILENT_SECONDS = 60.0

_IMAGES = Counter(
    "semsearch_gateway_bulk_images", "Images embedded for uploads and switches, by embedder.", ["address"]
)


class ImageEmbedder(Protocol):
    """What of `gateway.backends.embedding.Embedder` images need."""

    async def embed_images(self, images: Sequence[ImageInput], model_id: str = "") -> ImageEmbeddings:
        """Embed images."""
        ...


@dataclass
class _Share:
    """The work that an embedder does; `models` is None if it has every model.

    `is_silent`: its last call had no answer.
    """

    address: str
    embedder: ImageEmbedder
    models: frozenset[str] | None = None
    calls: int = 0
    pauses: int = 0
    is_silent: bool = False

    def serves(self, model_id: str) -> bool:
        return self.models is None or not model_id or model_id in self.models


@dataclass(eq=False)
class _Waiter:
    model_id: str
    share: asyncio.Future[_Share] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class BulkEmbedding:
    """Spreads images over the embedders that `put` adds; on one event loop.

    While there is none for a model, `fallback` is called, so that its error says why.
    """

    def __init__(self, fallback: ImageEmbedder) -> None:
        self._fallback = _Share("", fallback)
        self._shares: dict[str, _Share] = {}
        self._waiting: deque[_Waiter] = deque()

    @property
    def addresses(self) -> list[str]:
        """The embedders that may get work."""
        return sorted(self._shares)

    @property
    def embedders(self) -> int:
        """The number of embedders that work, at least 1; what callers have in progress should grow with it."""
        return max(1, len(self._shares))

    @property
    def batches_ahead(self) -> int:
        """How many batches should wait for a caller that takes them in order: 1 for one embedder.

        With more, the batch of a slow one is waited for while the others do several.
        """
        return 4 * self.embedders - 3

    def put(self, address: str, embedder: ImageEmbedder, models: frozenset[str] | None = None) -> None:
        """Add an embedder that may get work, or change the models that it has."""
        self._shares.setdefault(address, _Share(address, embedder)).models = models
        self._assign()

    def remove(self, address: str) -> None:
        """Give an embedder no more work."""
        if self._shares.pop(address, None) is not None:
            self._assign()

    async def embed(
        self, images: Sequence[ImageInput], model_id: str, patience_seconds: float, call_bytes: int = CALL_BYTES
    ) -> list[Result]:
        """Return one result for each image, in order; images still `Overloaded` after `patience_seconds` stay so.

        A call carries at most `call_bytes`, or one larger image.

        Raises:
            DependencyUnavailable, Refused: A call failed, for a reason other than a full queue.
            TimeoutError: The deadline of the current call has passed.
        """
        give_up = asyncio.get_running_loop().time() + patience_seconds
        try:
            async with asyncio.TaskGroup() as group:
                calls = [
                    group.create_task(self._embed(call, model_id, give_up))
                    for call in _calls(images, min(call_bytes, CALL_BYTES))
                ]
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None
        return [result for call in calls for result in call.result()]

    async def _embed(self, images: Sequence[ImageInput], model_id: str, give_up: float) -> list[Result]:
        """Embed the images of one call; what an embedder has no room for is sent again."""
        clock = asyncio.get_running_loop().time
        results: dict[int, Result] = {}
        missing = list(range(len(images)))
        failures = 0
        while missing:
            share = await self._take(model_id)
            try:
                with lanes.bulk():
                    answer: Sequence[Result] = (
                        await share.embedder.embed_images([images[place] for place in missing], model_id)
                    ).results
            except Overloaded as error:
                answer = [error] * len(missing)
            except (DependencyUnavailable, Refused) as error:
                failures += 1
                if not _is_embedders_own(error) or failures >= self.embedders:
                    raise
                # Its health will say so in a moment; until then, the others are tried.
                self._pause(share, _FAILED_SECONDS)
                continue
            except TimeoutError:
                if deadlines.cap(_FAILED_SECONDS) < _FAILED_SECONDS:
                    raise  # the current call has no time left
                share.is_silent = True
                if all(each.is_silent for each in self._serving(model_id)):
                    raise DependencyUnavailable("embedder") from None
                self._pause(share, _SILENT_SECONDS)
                continue
            finally:
                self._give_back(share)
            share.is_silent = False
            results.update(zip(missing, answer, strict=True))
            refused = [result for result in answer if isinstance(result, Overloaded)]
            _IMAGES.labels(share.address).inc(len(answer) - len(refused))
            missing = [place for place in missing if isinstance(results[place], Overloaded)]
            if missing:
                delay = max(error.refusal.retry_after_seconds or 1.0 for error in refused)
                self._pause(share, delay)
                if clock() + (0.0 if self._any_open(model_id) else delay) > give_up:
                    break
        return [results[place] for place in range(len(images))]

    async def _take(self, model_id: str) -> _Share:
        """Wait for room, and take it."""
        waiter = _Waiter(model_id)
        self._waiting.append(waiter)
        self._assign()
        try:
            return await waiter.share
        except asyncio.CancelledError:
            if waiter.share.done() and not waiter.share.cancelled():
                self._give_back(waiter.share.result())
            else:
                self._waiting.remove(waiter)
            raise

    def _give_back(self, share: _Share) -> None:
        share.calls -= 1
        self._assign()

    def _pause(self, share: _Share, seconds: float) -> None:
        share.pauses += 1
        asyncio.get_running_loop().call_later(seconds, self._resume, share)

    def _resume(self, share: _Share) -> None:
        share.pauses -= 1
        self._assign()

    def _any_open(self, model_id: str) -> bool:
        return any(not share.pauses for share in self._serving(model_id))

    def _serving(self, model_id: str) -> list[_Share]:
        return [share for share in self._shares.values() if share.serves(model_id)]

    def _assign(self) -> None:
        """Give room to those who wait, in their order."""
        for waiter in tuple(self._waiting):
            if waiter.share.done():
                continue  # cancelled: it leaves by itself
            share = self._with_most_room(waiter.model_id)
            if share is not None:
                self._waiting.remove(waiter)
                share.calls += 1
                waiter.share.set_result(share)

    def _with_most_room(self, model_id: str) -> _Share | None:
        shares = self._serving(model_id)
        if not shares:
            return None if self._fallback.pauses else self._fallback
        free = [share for share in shares if not share.pauses and share.calls < CALLS]
        return min(free, key=lambda share: share.calls, default=None)


def _is_embedders_own(error: DependencyUnavailable | Refused) -> bool:
    """Return whether another embedder might do better."""
    return isinstance(error, DependencyUnavailable | ModelNotFound) or (
        isinstance(error, Refused) and error.refusal.reason == "INTERNAL"
    )


def _calls(images: Sequence[ImageInput], call_bytes: int) -> Iterator[list[ImageInput]]:
    """Yield the images of each call."""
    call: list[ImageInput] = []
    size = 0
    for image in images:
        size += len(image.content)
        if call and (size > call_bytes or len(call) == CALL_IMAGES):
            yield call
            call, size = [], len(image.content)
        call.append(image)
    if call:
        yield call
