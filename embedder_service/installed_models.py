"""Which models this embedder has, for its health: gateways send calls for a model only to embedders that report it.

Each model is reported as SERVING under `<service>/<model id>`. The folder is looked at every second, because people may
put bundles there by hand, and at once when a model was made here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import Executor
from contextlib import suppress

from embedder_service.models import ModelFolder

POLL_SECONDS = 1.0


class InstalledModels:
    """Follows the folder of models, for one watcher."""

    def __init__(self, folder: ModelFolder, threads: Executor) -> None:
        self._folder = folder
        self._threads = threads
        self._look = asyncio.Event()

    def look_again(self) -> None:
        """Record that a model was added."""
        self._look.set()

    async def watch(self) -> AsyncIterator[frozenset[str]]:
        """Yield the models' ids, now and after each change."""
        loop = asyncio.get_running_loop()
        seen: object = None
        while True:
            self._look.clear()
            files = await loop.run_in_executor(self._threads, self._folder.fingerprint)
            if files != seen:
                seen = files
                manifests = await loop.run_in_executor(self._threads, self._folder.manifests)
                yield frozenset(manifest.id for manifest in manifests)
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await self._look.wait()
