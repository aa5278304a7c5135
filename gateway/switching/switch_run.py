"""The progress of one switch to another model, as watchers see it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from gateway.backends.embedding import Model
from gateway.errors import GatewayError
from gateway.switching.index_copy import Tally


@dataclass(frozen=True)
class SwitchProgress:
    """A switch's progress: the words, then the images of all collections; `model` is None until it is done."""

    images_done: int
    images_total: int
    images_failed: int
    model: Model | None = None
    words_done: int = 0
    words_total: int = 0


class SwitchRun:
    """How far a switch is, and how it ended. `target` is the model's id."""

    def __init__(self, target: str) -> None:
        self.target = target
        self._tallies: dict[str, Tally] = {}
        self._model: Model | None = None
        self._error: GatewayError | None = None
        self._words_done = self._words_total = 0
        self._changed = asyncio.Event()

    @property
    def ended(self) -> bool:
        """Return whether it is done or was given up."""
        return self._model is not None or self._error is not None

    def count(self, collections: Mapping[str, Tally]) -> None:
        """Set the collections; those already counted keep their tallies."""
        self._tallies = {name: self._tallies.get(name, tally) for name, tally in collections.items()}
        self.notify()

    def count_words(self, done: int, total: int) -> None:
        """Take over how many words of the model's vocabulary are indexed."""
        self._words_done, self._words_total = done, total
        self.notify()

    def tally(self, collection: str) -> Tally:
        """Return the tally of a collection, which its mover updates."""
        return self._tallies.setdefault(collection, Tally())

    def notify(self) -> None:
        """Wake all watchers."""
        self._changed.set()
        self._changed = asyncio.Event()

    def succeed(self, model: Model) -> None:
        """End it: the model serves everywhere."""
        self._model = model
        self.notify()

    def fail(self, error: GatewayError) -> None:
        """End it: it was given up."""
        self._error = error
        self.notify()

    async def watch(self) -> AsyncIterator[SwitchProgress]:
        """Yield how far it is, now and after each change; a slow watcher gets only the newest figures.

        Raises:
            GatewayError: it was given up.
        """
        while not self.ended:
            changed = self._changed
            yield self._progress()
            await changed.wait()
        if self._error is not None:
            raise self._error
        yield self._progress()

    def _progress(self) -> SwitchProgress:
        tallies = self._tallies.values()
        return SwitchProgress(
            sum(each.done for each in tallies),
            sum(each.total for each in tallies),
            sum(each.failed for each in tallies),
            self._model,
            self._words_done,
            self._words_total,
        )
