"""Methods that are written once and belong to both clients.

A method of `semsearch.api` builds a `Call`. The decorators here turn it into a method of `Client` that returns the
answer, and of `AsyncClient` that returns a coroutine or an asynchronous iterator of it. They keep the signature and the
docstring, for people, editors and type checkers:

    class SearchMethods:
        @unary
        def search_by_text(self, query: str, *, timeout: float | None = None) -> Call[ImageMatches]: ...

    client.search_by_text("dog")                # ImageMatches
    await async_client.search_by_text("dog")    # ImageMatches

Each decorator names the method of a connection that runs its calls, which both connections have. Type checkers follow
`__get__`; when Python makes the class of a client, `Connection` puts plain functions in its place.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Concatenate, Generic, ParamSpec, Self, TypeVar, overload

from typing_extensions import override

from semsearch.transport.calls import Call

if TYPE_CHECKING:
    from semsearch.listing import AsyncListing, Listing
    from semsearch.transport.asynchronous import AsyncConnection
    from semsearch.transport.blocking import BlockingConnection
    from semsearch.transport.connection import Connection

# The annotation of a builder: `Call[Image]`, or `Call[tuple[Image, ...]]` for a list.
_ANSWERED = re.compile(r"Call\[(?:tuple\[(.+), \.\.\.\]|(.+))\]")

P = ParamSpec("P")
R = TypeVar("R")


class Method(Generic[P, R]):
    """A builder of calls, which becomes a method of each connection that inherits it."""

    run: ClassVar[str]
    blocking: ClassVar[str]  # how its answer is annotated, with {} for the translated response
    asynchronous: ClassVar[str]

    def __init__(self, build: Callable[Concatenate[Any, P], Call[R]]) -> None:
        self._build = build
        functools.update_wrapper(self, build)  # type: ignore[arg-type]

    def of(self, connection: type[Connection]) -> Callable[..., Any]:
        """Return the function that a class of connections has in place of the builder."""
        function = self._sending(getattr(connection, self.run))
        functools.update_wrapper(function, self._build)
        signature = inspect.signature(self._build)
        answer = self.asynchronous if connection.is_asynchronous else self.blocking
        answered = _ANSWERED.fullmatch(signature.return_annotation)
        returned = answer.format(answered[1] or answered[2]) if answered else signature.return_annotation
        this, *others = signature.parameters.values()
        shown = signature.replace(parameters=[this.replace(annotation=inspect.Parameter.empty), *others])
        function.__signature__ = shown.replace(return_annotation=returned)  # type: ignore[attr-defined]
        return function

    def _sending(self, run: Callable[..., Any]) -> Callable[..., Any]:
        build = self._build
        if inspect.iscoroutinefunction(run):

            async def send(client: Any, *args: Any, **kwargs: Any) -> Any:
                return await run(client, build(client, *args, **kwargs))

            return send
        return lambda client, *args, **kwargs: run(client, build(client, *args, **kwargs))


class unary(Method[P, R]):  # noqa: N801 — used as a decorator
    """One request, one response."""

    run = "_call"
    blocking = asynchronous = "{}"

    @overload
    def __get__(self, client: None, owner: type) -> Self: ...
    @overload
    def __get__(self, client: BlockingConnection, owner: type) -> Callable[P, R]: ...
    @overload
    def __get__(self, client: AsyncConnection, owner: type) -> Callable[P, Coroutine[Any, Any, R]]: ...
    def __get__(self, client: Any, owner: Any) -> Any:
        return self  # clients have plain functions instead, made by `of`


class reading(unary[P, R]):  # noqa: N801
    """As `unary`, with a request that takes time to build: files are read and pictures encoded.

    An asynchronous client does that in a thread.
    """

    @override
    def _sending(self, run: Callable[..., Any]) -> Callable[..., Any]:
        build = self._build
        if not inspect.iscoroutinefunction(run):
            return super()._sending(run)

        async def send(client: Any, *args: Any, **kwargs: Any) -> Any:
            return await run(client, await asyncio.to_thread(build, client, *args, **kwargs))

        return send


class collected(unary[P, R]):  # noqa: N801
    """One request, a stream of responses; one answer, made of all of them."""

    run = "_collect"


class listed(Method[P, tuple[R, ...]], Generic[P, R]):  # noqa: N801
    """A list in pages: the call's answer is the items of a page."""

    run = "_listing"
    blocking = "Listing[{}]"
    asynchronous = "AsyncListing[{}]"

    @overload
    def __get__(self, client: None, owner: type) -> Self: ...
    @overload
    def __get__(self, client: BlockingConnection, owner: type) -> Callable[P, Listing[R]]: ...
    @overload
    def __get__(self, client: AsyncConnection, owner: type) -> Callable[P, AsyncListing[R]]: ...
    def __get__(self, client: Any, owner: Any) -> Any:
        return self  # clients have plain functions instead, made by `of`


class streamed(Method[P, R]):  # noqa: N801
    """One request, a stream of responses, each with its answer."""

    run = "_stream"
    blocking = "Iterator[{}]"
    asynchronous = "AsyncIterator[{}]"

    @overload
    def __get__(self, client: None, owner: type) -> Self: ...
    @overload
    def __get__(self, client: BlockingConnection, owner: type) -> Callable[P, Iterator[R]]: ...
    @overload
    def __get__(self, client: AsyncConnection, owner: type) -> Callable[P, AsyncIterator[R]]: ...
    def __get__(self, client: Any, owner: Any) -> Any:
        return self  # clients have plain functions instead, made by `of`
