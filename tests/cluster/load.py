"""People who add, delete, search and read images all the time, through two kinds of clients.

A *plain* client sends each call once and waits `PLAIN_SECONDS`: its failures show what the suite itself does. A
*default* client is what users have: it repeats what may be repeated. Every answer is compared with the oracle's.
"""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray
from semsearch import Client
from semsearch.errors import NotFound, SemsearchError
from semsearch.transport.retries import Retries
from semsearch.values import ImageMatches, Upload

from tests.cluster.oracle import Oracle
from tests.cluster.server import wait_until

SEARCH, ADD, DELETE, READ = "search", "add", "delete", "read"
PLAIN_SECONDS = 5.0
# Between the calls of one thread, so that the load leaves the processors to the suite, and pictures last.
_PAUSE_SECONDS = {SEARCH: 0.05, READ: 0.05, ADD: 0.2, DELETE: 0.2}
_STOP_SECONDS = 60.0
_LARGEST_BATCH = 100
_PAGE = 10
_CHECKED = 10  # one in so many is searched for at the end
_ADDS_A_DELETION = 4


@dataclass(frozen=True)
class Picture:
    """An image as a file, and its vector."""

    content: bytes
    vector: NDArray[np.float32]


@dataclass(frozen=True)
class Call:
    """What became of a call; `failure` is why it had no answer, `fault` what is wrong with the answer."""

    kind: str
    is_plain: bool
    start: float
    end: float
    failure: str = ""
    fault: str = ""


@dataclass
class Load:
    """The threads that call, and their calls so far."""

    address: str
    collection: str
    pictures: Mapping[str, Picture]
    words: Mapping[str, NDArray[np.float32]]
    calls: list[Call] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.oracle = Oracle({image_id: picture.vector for image_id, picture in self.pictures.items()})
        self._unused = iter(self.pictures)
        self._lock = threading.Lock()

    def fill(self, count: int) -> None:
        """Add the first images; the collection is made if it is not there."""
        client = self._client(is_plain=False)
        client.create_collection(self.collection)
        ids = [*itertools.islice(self._unused, count)]
        for first in range(0, count, _LARGEST_BATCH):
            self._add(client, ids[first : first + _LARGEST_BATCH])
        client.close()

    def start(self) -> None:
        """Begin to call."""
        self._stop.clear()
        for number, is_plain in enumerate((True, False)):
            client = self._client(is_plain)
            for work in (self._search, self._write, self._read):
                steps = work(client, random.Random(number))
                thread = threading.Thread(target=self._run, args=(steps, is_plain), name=f"{work.__name__}-{is_plain}")
                thread.start()
                self._threads.append(thread)

    def stop(self) -> None:
        """Let every call end, and make no more."""
        self._stop.set()
        for thread in self._threads:
            thread.join(_STOP_SECONDS)
            assert not thread.is_alive(), f"{thread.name} hangs"
        self._threads.clear()

    def wait_for_answers(self, seconds: float, *, since: float, count: int = 5) -> None:
        """Wait until some calls of each kind, through each kind of client, that began after a time are answered."""
        pairs = [*itertools.product((SEARCH, ADD, READ), (True, False))]

        def answered() -> bool:
            done = [(call.kind, call.is_plain) for call in self.calls if call.start > since and not call.failure]
            return all(done.count(pair) >= count for pair in pairs)

        wait_until(answered, seconds, lambda: f"no answers: {self.last_failures()}")

    def last_failures(self) -> list[str]:
        return [f"{call.kind}: {call.failure}" for call in self.calls if call.failure][-4:]

    def check_bytes(self, client: Client) -> str:
        """Read every image that is there; say which has other bytes than were sent, or ""."""
        for image_id in self.oracle.present():
            if client.download_image(image_id, collection=self.collection) != self.pictures[image_id].content:
                return f"{image_id} has other bytes"
        return ""

    def check_searches(self, client: Client) -> str:
        """Search by some of the images that are there; say what is wrong with an answer, or ""."""
        for image_id in self.oracle.present()[::_CHECKED]:
            picture = self.pictures[image_id]
            if fault := self._by_picture(client, picture):
                return fault
        return ""

    def _client(self, is_plain: bool) -> Client:
        if is_plain:
            return Client(self.address, timeout=PLAIN_SECONDS, retries=Retries(attempts=1))
        return Client(self.address)

    def _run(self, steps: Iterator[tuple[str, Callable[[], str]]], is_plain: bool) -> None:
        for kind, call in steps:
            failure = fault = ""
            start = time.monotonic()
            try:
                fault = call()
            except NotFound as error:
                fault = str(error)
            except SemsearchError as error:
                failure = f"{type(error).__name__} {error.reason}: {error}"
            self.calls.append(Call(kind, is_plain, start, time.monotonic(), failure, fault))
            if self._stop.wait(_PAUSE_SECONDS[kind]):
                return

    def _search(self, client: Client, chance: random.Random) -> Iterator[tuple[str, Callable[[], str]]]:
        """Search by words, whose vectors are remembered, and by pictures, which an embedder must see."""
        pictures, words = list(self.pictures.values()), list(self.words)
        while True:
            yield SEARCH, lambda: self._by_word(client, chance.choice(words))
            yield SEARCH, lambda: self._by_picture(client, chance.choice(pictures))

    def _by_word(self, client: Client, word: str) -> str:
        found = partial(client.search_by_text, word, collection=self.collection, min_relevance=0.0, page_size=_PAGE)
        return self._fault(found, self.words[word])

    def _by_picture(self, client: Client, picture: Picture) -> str:
        found = partial(
            client.search_by_image, picture.content, collection=self.collection, min_relevance=0.0, page_size=_PAGE
        )
        return self._fault(found, picture.vector)

    def _fault(self, search: Callable[[], ImageMatches], query: NDArray[np.float32]) -> str:
        start = time.monotonic()
        matches = [(match.image.id, match.distance) for match in search()]
        return self.oracle.fault(query.astype(np.float64), matches, _PAGE, start, time.monotonic())

    def _write(self, client: Client, chance: random.Random) -> Iterator[tuple[str, Callable[[], str]]]:
        """Add images, again until they are acknowledged, and now and then delete one."""
        mine: list[str] = []
        while True:
            for _ in range(_ADDS_A_DELETION):
                with self._lock:
                    added = next(self._unused)
                while not self.oracle.has([added]):
                    yield ADD, lambda added=added: self._add(client, [added])  # type: ignore[misc]
                mine.append(added)
            chosen = mine.pop(chance.randrange(len(mine)))
            while not self.oracle.lacks(chosen):
                yield DELETE, lambda chosen=chosen: self._delete(client, chosen)  # type: ignore[misc]

    def _add(self, client: Client, ids: Sequence[str]) -> str:
        with self.oracle.adding(ids):
            uploads = [Upload(self.pictures[each].content, id=each) for each in ids]
            for result in client.index_batch(uploads, collection=self.collection):
                if result.error is not None:
                    raise result.error
        return ""

    def _delete(self, client: Client, image_id: str) -> str:
        with self.oracle.deleting([image_id]):
            client.delete_images([image_id], collection=self.collection)
        return ""

    def _read(self, client: Client, chance: random.Random) -> Iterator[tuple[str, Callable[[], str]]]:
        """Read the bytes of images that are there."""

        def read() -> str:
            start = time.monotonic()
            try:
                content = client.download_image(image_id, collection=self.collection)
            except NotFound:
                return self.oracle.absence(image_id, start, time.monotonic())
            return "" if content == self.pictures[image_id].content else f"{image_id} has other bytes"

        while True:
            image_id = chance.choice(self.oracle.present())
            yield READ, read
