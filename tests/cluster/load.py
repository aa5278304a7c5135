"""People who add, delete, search and read images all the time, through two kinds of clients.

A *plain* client sends each call once and waits a few seconds: its failures show what the servers themselves do. A
*default* client is what users have: it repeats what may be repeated. Every answer is compared with the oracle's.
"""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tests.cluster.gallery import Connect, Gallery, Missing, Picture, Unanswered
from tests.cluster.oracle import Oracle

SEARCH, ADD, DELETE, READ = "search", "add", "delete", "read"
# Between the calls of one thread, so that the load leaves the processors to the suite, and pictures last.
_PAUSE_SECONDS = {SEARCH: 0.05, READ: 0.05, ADD: 0.2, DELETE: 0.2}
_STOP_SECONDS = 60.0
_POLL_SECONDS = 0.05
_WANTED = 10
_CHECKED = 10  # every tenth is searched for at the end
_ADDS_A_DELETION = 4


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

    connect: Connect
    pictures: Mapping[str, Picture]
    words: Mapping[str, NDArray[np.float32]]
    calls: list[Call] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.oracle = Oracle({image_id: picture.vector for image_id, picture in self.pictures.items()})
        self._plain, self._default = self.connect(True), self.connect(False)
        self._unused = iter(self.pictures)
        self._lock = threading.Lock()

    def fill(self, count: int) -> None:
        """Make the collection, and add the first images."""
        self._default.create()
        self._add(self._default, [*itertools.islice(self._unused, count)])

    def start(self) -> None:
        """Begin to call."""
        self._stop.clear()
        for number, is_plain in enumerate((True, False)):
            gallery = self._plain if is_plain else self._default
            for work in (self._search, self._write, self._read):
                steps = work(gallery, random.Random(number))
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

    def wait_for_answers(self, kinds: Collection[str], seconds: float, *, since: float, count: int = 5) -> str:
        """Wait until calls of some kinds were answered some times; only calls that began after a time count.

        Return "", or after some seconds which kinds were not.
        """
        until = time.monotonic() + seconds
        while unanswered := self._unanswered(kinds, since, count):
            if time.monotonic() > until:
                return f"not answered within {seconds:.0f} s: {', '.join(unanswered)}"
            time.sleep(_POLL_SECONDS)
        return ""

    def _unanswered(self, kinds: Collection[str], since: float, count: int) -> list[str]:
        done = Counter((call.kind, call.is_plain) for call in self.calls if call.start > since and not call.failure)
        return [
            f"{kind} by a {'plain' if is_plain else 'default'} client"
            for kind, is_plain in itertools.product(sorted(kinds), (True, False))
            if done[kind, is_plain] < count
        ]

    def check(self) -> str:
        """Say what is lost of the collection while nobody changes it, or wrong with it; "" if nothing is."""
        gallery = self._default
        try:
            if difference := self.oracle.difference(gallery.ids()):
                return difference
            there = self.oracle.present()
            for image_id in there:
                if not gallery.has(image_id, self.pictures[image_id]):
                    return f"{image_id} has changed"
            faults = (self._nearest(gallery, self.pictures[image_id]) for image_id in there[::_CHECKED])
            return next(filter(None, faults), "")
        except (Unanswered, Missing) as error:
            return f"{type(error).__name__}: {error}"

    def _run(self, steps: Iterator[tuple[str, Callable[[], str]]], is_plain: bool) -> None:
        for kind, call in steps:
            failure = fault = ""
            start = time.monotonic()
            try:
                fault = call()
            except Missing as error:
                fault = str(error)
            except Unanswered as error:
                failure = str(error)
            self.calls.append(Call(kind, is_plain, start, time.monotonic(), failure, fault))
            if self._stop.wait(_PAUSE_SECONDS[kind]):
                return

    def _search(self, gallery: Gallery, chance: random.Random) -> Iterator[tuple[str, Callable[[], str]]]:
        """Search by words, whose vectors are remembered, and by pictures, which an embedder must see."""
        pictures, words = list(self.pictures.values()), list(self.words)
        while True:
            yield SEARCH, lambda: self._nearest(gallery, chance.choice(words))
            yield SEARCH, lambda: self._nearest(gallery, chance.choice(pictures))

    def _nearest(self, gallery: Gallery, query: str | Picture) -> str:
        vector = self.words[query] if isinstance(query, str) else query.vector
        start = time.monotonic()
        matches = gallery.nearest(query, _WANTED)
        return self.oracle.fault(vector.astype(np.float64), matches, _WANTED, start, time.monotonic())

    def _write(self, gallery: Gallery, chance: random.Random) -> Iterator[tuple[str, Callable[[], str]]]:
        """Add images, again until they are acknowledged, and now and then delete one."""
        mine: list[str] = []
        while True:
            for _ in range(_ADDS_A_DELETION):
                with self._lock:
                    added = next(self._unused)
                while not self.oracle.has([added]):
                    yield ADD, lambda added=added: self._add(gallery, [added])  # type: ignore[misc]
                mine.append(added)
            chosen = mine.pop(chance.randrange(len(mine)))
            while not self.oracle.lacks(chosen):
                yield DELETE, lambda chosen=chosen: self._delete(gallery, chosen)  # type: ignore[misc]

    def _add(self, gallery: Gallery, ids: Sequence[str]) -> str:
        with self.oracle.adding(ids):
            gallery.add({each: self.pictures[each] for each in ids})
        return ""

    def _delete(self, gallery: Gallery, image_id: str) -> str:
        with self.oracle.deleting([image_id]):
            gallery.delete(image_id)
        return ""

    def _read(self, gallery: Gallery, chance: random.Random) -> Iterator[tuple[str, Callable[[], str]]]:
        """Read images that are there."""

        def read() -> str:
            start = time.monotonic()
            try:
                is_same = gallery.has(image_id, self.pictures[image_id])
            except Missing:
                return self.oracle.absence(image_id, start, time.monotonic())
            return "" if is_same else f"{image_id} has changed"

        while True:
            image_id = chance.choice(self.oracle.present())
            yield READ, read
