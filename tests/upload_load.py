"""Uploads without a pause, as one call of a default client, while services are restarted."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from semsearch import AsyncClient, Client, UploadResult

_AHEAD = 64


@dataclass
class UploadLoad:
    """The results of the uploads so far, and the error that ended them; `make` returns the bytes of an image."""

    make: Callable[[int], bytes]
    results: list[UploadResult] = field(default_factory=list)
    error: Exception | None = None
    _room: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(_AHEAD))
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _stop: bool = False

    @contextmanager
    def running(self, kind: str, address: str, collection: str) -> Iterator[None]:
        """Upload with a client of a kind while the context is open."""
        worker = threading.Thread(target=self._run, args=(kind, address, collection))
        worker.start()
        try:
            yield
        finally:
            self._stop = True
            worker.join()

    def wait_for_more(self, count: int, seconds: float) -> None:
        """Wait until that many more images are answered."""
        wanted = len(self.results) + count
        with self._changed:
            answered = self._changed.wait_for(lambda: self.error or len(self.results) >= wanted, seconds)
        assert answered, f"{len(self.results)} of {wanted} images were answered"
        if self.error:
            raise self.error

    def _uploads(self) -> Iterator[bytes]:
        for number in itertools.count():
            self._room.acquire()
            if self._stop:
                return
            yield self.make(number)

    async def _uploads_asynchronously(self) -> AsyncIterator[bytes]:
        uploads = self._uploads()
        while (image := await asyncio.to_thread(next, uploads, None)) is not None:
            yield image

    def _run(self, kind: str, address: str, collection: str) -> None:
        try:
            if kind == "Client":
                with Client(address) as client:
                    for result in client.index_images(self._uploads(), collection=collection):
                        self._record(result)
            else:
                asyncio.run(self._run_asynchronously(address, collection))
        except Exception as error:  # noqa: BLE001 — the test says what it is
            with self._changed:
                self.error = error
                self._changed.notify_all()

    async def _run_asynchronously(self, address: str, collection: str) -> None:
        async with AsyncClient(address) as client:
            async for result in client.index_images(self._uploads_asynchronously(), collection=collection):
                self._record(result)

    def _record(self, result: UploadResult) -> None:
        with self._changed:
            self.results.append(result)
            self._changed.notify_all()
        self._room.release()
