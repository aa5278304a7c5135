"""Values that notebooks draw, and pages that remember their call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

from typing_extensions import override

if TYPE_CHECKING:
    from semsearch.transport.calls import Call
    from semsearch.transport.server import Server


class Drawn:
    """A value that notebooks draw, with thumbnails from the server that it came from.

    The server is no field: it is neither compared nor printed, nor copied, nor pickled, since it may hold a token.
    """

    _server: ClassVar[Server | None] = None

    def remember_server(self, server: Server) -> Self:
        """Remember the server."""
        object.__setattr__(self, "_server", server)
        return self

    @override
    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in {"_server", "_call"}}

    def _repr_html_(self) -> str:
        from semsearch.notebook import html_of  # only notebooks need it

        return html_of(self, self._server)


class Page(Drawn):
    """A page of a search's results; it remembers its call, so that a client can fetch the next page."""

    _call: ClassVar[Call[Any] | None] = None
    next_page_token: str

    def remember_call(self, call: Call[Any]) -> None:
        """Remember the call."""
        object.__setattr__(self, "_call", call)


def call_of(page: Page) -> Call[Any] | None:
    """Return the call that a page came from; None for one that did not come from a client."""
    return page._call
