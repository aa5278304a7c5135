"""The client of a gateway for programs that block."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

import grpc

from semsearch.api.gateway import GatewayMethods
from semsearch.image_sources import ImageContent
from semsearch.rpc_errors import GATEWAY
from semsearch.transport.blocking import BlockingConnection
from semsearch.transport.calls import next_call
from semsearch.transport.retries import Retries
from semsearch.transport.server import DEFAULT_TIMEOUT_SECONDS, Server, Token
from semsearch.transport.tls import Tls
from semsearch.transport.upload_stream import UploadStream
from semsearch.values import Upload, UploadResult
from semsearch.values.drawn import Page, call_of

DEFAULT_SERVER = "127.0.0.1:50051"
DEFAULT_COLLECTION = "gallery"
# A stream lives as long as it has work; this deadline ends one that both sides have abandoned.
UPLOAD_SECONDS = 24 * 3600.0

PageT = TypeVar("PageT", bound=Page)


class Client(GatewayMethods, BlockingConnection):
    """A client of a gateway. Every method raises `SemsearchError`; see `semsearch.errors`.

    >>> with Client(server) as client:
    ...     for match in client.search_by_text("fruit", page_size=2):
    ...         print(match.image.name, round(match.relevance, 2))
    banana-00.webp 1.0
    banana-05.webp 1.0

    It connects on the first call, and again if the connection breaks. Threads may share it, but not its iterators; a
    forked process needs a client of its own. `close()`, or the end of a `with` block, cancels running calls.
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
        """Set how to reach the gateway.

        Args:
            server: Its address, "host:port".
            tls: Whether to encrypt; `Tls` names certificates. None means what the variables SEMSEARCH_CLIENT_TLS_… say.
            token: Sent with each call as "authorization: Bearer"; or a function that returns it. Without TLS it is
                refused for any server but this machine's. None means that of SEMSEARCH_CLIENT_TOKEN, if it is set.
            timeout: Seconds that a call may take, its repetitions included; each call has its own `timeout`. Calls
                that take long by nature, such as a switch to another model, have longer ones.
            retries: How often failed calls are repeated, after what delays, and how long uploads wait.
        """
        super().__init__(Server(server, GATEWAY, tls, token, timeout, retries))

    def pages(self, found: PageT) -> Iterator[PageT]:
        """Yield a page of a search and the pages after it; each is fetched when it is needed, or just before.

        >>> pages = client.pages(client.search_by_text("fruit", min_relevance=0, page_size=10))
        >>> len(next(pages)), len(next(pages))
        (10, 10)
        """
        yield found
        if found.next_page_token:
            yield from self._each_page(next_call(call_of(found), found.next_page_token))

    def index_images(
        self,
        uploads: Iterable[Upload | ImageContent],
        *,
        collection: str = "",
        timeout: float = UPLOAD_SECONDS,
    ) -> Iterator[UploadResult]:
        """Add images; yield the result of each, in order, as soon as the image is durable and searchable.

        An upload is an `Upload`, with an id and attributes, or just an image: a Path, its bytes, a Pillow image or a
        NumPy array. `uploads` is read once, as fast as the server answers, in another thread. One bad image does not
        end the stream. If a gateway ends it, because it is being restarted or cannot go on for the moment, what was
        not answered is sent on a new stream, until there was no result for a minute (the `patience` of the client's
        `retries`), or `timeout` seconds have passed in all. An image that was stored already is a duplicate then.
        Images whose results were yielded stay, even if the iteration ends early or fails. Sending an image again
        changes nothing, so a failed run can simply be repeated.

        >>> banana = photos / "banana-00.webp"
        >>> [result.error for result in client.index_images([Upload(banana, attributes={"label": "banana"}), banana])]
        [None, None]
        """
        return self._upload(UploadStream(uploads, collection), timeout)
