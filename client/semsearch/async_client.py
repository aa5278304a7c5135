"""The client of a gateway for asyncio."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable
from typing import TypeVar

import grpc

from semsearch.api.gateway import GatewayMethods
from semsearch.client import DEFAULT_SERVER, UPLOAD_SECONDS
from semsearch.image_sources import ImageContent
from semsearch.rpc_errors import GATEWAY
from semsearch.transport.asynchronous import AsyncConnection
from semsearch.transport.calls import next_call
from semsearch.transport.retries import Retries
from semsearch.transport.server import DEFAULT_TIMEOUT_SECONDS, Server, Token
from semsearch.transport.tls import Tls
from semsearch.transport.upload_stream import AsyncUploadStream
from semsearch.values import Upload, UploadResult
from semsearch.values.drawn import Page, call_of

PageT = TypeVar("PageT", bound=Page)


class AsyncClient(GatewayMethods, AsyncConnection):
    """The twin of `Client` for asyncio: the same methods, awaited or iterated over with `async for`.

    >>> async def search():
    ...     async with AsyncClient(server) as client:
    ...         found, words = await asyncio.gather(client.search_by_text("fruit"), client.similar_words("dog"))
    ...         print(found[0].image.attributes["label"], words[0].word)
    ...         print(len([image async for image in client.list_images(where={"label": "apple"})]) > 0)
    >>> asyncio.run(search())
    banana canine
    True

    It belongs to the event loop of its first call. Cancelling a task cancels its call. Files are read,
    and pictures encoded, in threads.
    """

    def __init__(
        self,
        server: str = DEFAULT_SERVER,
        *,
        tls: bool | Tls | grpc.ChannelCredentials | None = None,
        token: Token | None = None,
        timeout: float = DEFAULT_TIMEOUT_SECONDS,
        retries: Retries = Retries(),  # noqa: B008 — frozen
    ) -> None:
        """Set how to reach the gateway; the arguments are those of `Client`."""
        super().__init__(Server(server, GATEWAY, tls, token, timeout, retries))

    async def pages(self, found: PageT) -> AsyncIterator[PageT]:
        """Yield a page of a search and the pages after it; each is fetched when it is needed, or just before."""
        yield found
        if found.next_page_token:
            async for page in self._each_page(next_call(call_of(found), found.next_page_token)):
                yield page

    def index_images(
        self,
        uploads: AsyncIterable[Upload | ImageContent] | Iterable[Upload | ImageContent],
        *,
        collection: str = "",
        timeout: float = UPLOAD_SECONDS,
    ) -> AsyncIterator[UploadResult]:
        """Add images; yield the result of each, in order, as soon as the image is durable and searchable.

        See `Client.index_images`. `uploads` may also be an asynchronous iterable.
        """
        return self._upload(AsyncUploadStream(uploads, collection), timeout)
