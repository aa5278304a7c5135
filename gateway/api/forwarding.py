"""Pass changes on to the owner; answer everything else here (see `gateway.lease`).

A servicer is wrapped, so a call over HTTP is passed on like one over gRPC. The owner receives the caller's request with
its deadline and trace id, and its answer or error is passed back as it came. A call is passed on once: the owner's
address may be out of date for a moment, and two processes must not send a call back and forth.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Any, TypeVar, cast

import grpc
import grpc.aio
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message_factory import GetMessageClass
from grpc_status import rpc_status

from gateway.api.owner import OWNER, Owner
from gateway.errors import DependencyUnavailable, WordsNotReady
from serving.errors import from_status

# Methods that only the owner runs.
CHANGES = frozenset(
    {
        "semsearch.v1.GalleryService.IndexImages",
        "semsearch.v1.GalleryService.BatchIndexImages",
        "semsearch.v1.GalleryService.UpdateImage",
        "semsearch.v1.GalleryService.DeleteImages",
        "semsearch.v1.GalleryService.CreateCollection",
        "semsearch.v1.GalleryService.RenameCollection",
        "semsearch.v1.GalleryService.DeleteCollection",
        "semsearch.v1.ModelService.ActivateModel",
        # The owner alone computes maps, brings them up to date and knows how far that is.
        "semsearch.v1.MapService.GetMap",
        "semsearch.v1.MapService.ComputeMap",
        "semsearch.v1.MapService.CancelMap",
        "semsearch.v1.MapService.StreamMap",
    }
)
# Of these, the methods that may safely be repeated: if the owner ends, the next owner is called.
REPEATABLE = frozenset({"semsearch.v1.ModelService.ActivateModel", "semsearch.v1.MapService.ComputeMap"})
# Methods that are passed on if words are missing: only the owner adds words, and only after a search needs them.
OF_WORDS = frozenset({"semsearch.v1.SearchService.SimilarWords", "semsearch.v1.SearchService.TagImage"})

_MARK = ("semsearch-forwarded", "1")
# An upper bound; the caller's own deadline applies first.
_NO_LIMIT_SECONDS = 7 * 24 * 3_600.0

Context = grpc.aio.ServicerContext[Any, Any]
S = TypeVar("S")


def forwarding(servicer: S, service: ServiceDescriptor, owner: Owner) -> S:
    """Return a servicer that passes the changes among its methods on, unless this process is the owner."""
    return cast("S", _Forwarding(servicer, service, owner))


class _Forwarding:
    """A servicer: each attribute is a method's handler."""

    def __init__(self, servicer: object, service: ServiceDescriptor, owner: Owner) -> None:
        for method in service.methods:
            handler = getattr(servicer, method.name)
            elsewhere = _Elsewhere(method, owner)
            if method.full_name in OF_WORDS:
                handler = _with_words(handler, elsewhere)
            elif method.full_name in CHANGES:
                handler = _stream(handler, elsewhere) if method.server_streaming else _unary(handler, elsewhere)
            setattr(self, method.name, handler)


class _Elsewhere:
    """A method of the owner."""

    def __init__(self, method: MethodDescriptor, owner: Owner) -> None:
        self._path = f"/{method.containing_service.full_name}/{method.name}"
        streams = (method.client_streaming, method.server_streaming)
        self._kind = "_".join("stream" if each else "unary" for each in streams)
        self._request, self._response = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
        self._owner = owner
        self.is_repeatable = method.full_name in REPEATABLE

    async def find(self, context: Context) -> Callable[[Any], Any] | None:
        """Return a function that starts the call; None if this process is the owner.

        Raises:
            DependencyUnavailable: There is no owner, or the call was passed on once already.
        """
        if self._owner.is_here:
            return None
        if _was_passed_on(context):
            raise DependencyUnavailable(OWNER)
        channel = await self._owner.channel()
        if channel is None:
            return None
        method = getattr(channel, self._kind)(
            self._path,
            request_serializer=self._request.SerializeToString,
            response_deserializer=self._response.FromString,
        )
        return lambda request: method(request, timeout=_NO_LIMIT_SECONDS, metadata=(_MARK,))


def _unary(handler: Callable[[Any, Context], Any], elsewhere: _Elsewhere) -> Callable[[Any, Context], Any]:
    async def call(request: Any, context: Context) -> Any:
        start = await elsewhere.find(context)
        return await (handler(request, context) if start is None else _response(start, request))

    return call


def _with_words(handler: Callable[[Any, Context], Any], elsewhere: _Elsewhere) -> Callable[[Any, Context], Any]:
    async def call(request: Any, context: Context) -> Any:
        try:
            return await handler(request, context)
        except WordsNotReady:
            start = await elsewhere.find(context)
            if start is None:
                raise
        return await _response(start, request)

    return call


def _stream(
    handler: Callable[[Any, Context], AsyncGenerator[Any, None]], elsewhere: _Elsewhere
) -> Callable[[Any, Context], AsyncGenerator[Any, None]]:
    async def call(request: Any, context: Context) -> AsyncGenerator[Any, None]:
        while (start := await elsewhere.find(context)) is not None:
            try:
                async with aclosing(_responses(start, request)) as responses:
                    async for response in responses:
                        yield response
            except DependencyUnavailable:
                if not elsewhere.is_repeatable:
                    raise
            else:
                return
        async with aclosing(handler(request, context)) as responses:
            async for response in responses:
                yield response

    return call


async def _response(start: Callable[[Any], Any], request: Any) -> Any:
    """Return the owner's response; raises `DependencyUnavailable` if it ends before it answers."""
    try:
        return await start(request)
    except grpc.aio.AioRpcError as error:
        raise _understood(error) from error


async def _responses(start: Callable[[Any], Any], request: Any) -> AsyncGenerator[Any, None]:
    """Yield the owner's responses. If a request in a stream cannot be read, those before it are still answered.

    Raises:
        DependencyUnavailable: The owner ended in between.
    """
    refusals: list[Exception] = []
    call = start(_until_refused(request, refusals) if isinstance(request, AsyncIterator) else request)
    try:
        async for response in call:
            yield response
    except grpc.aio.AioRpcError as error:
        raise _understood(error) from error
    finally:
        call.cancel()
    if refusals:
        raise refusals[0]


async def _until_refused(requests: AsyncIterator[Any], refusals: list[Exception]) -> AsyncIterator[Any]:
    try:
        async for request in requests:
            yield request
    except Exception as error:  # noqa: BLE001 — gRPC would swallow it
        refusals.append(error)


def _was_passed_on(context: Context) -> bool:
    """Return whether a call came from another gateway process; those call over gRPC, and HTTP has no metadata."""
    metadata = getattr(context, "invocation_metadata", None)
    return metadata is not None and _MARK in (metadata() or ())


def _understood(error: grpc.aio.AioRpcError) -> Exception:
    """Return an owner's error unchanged, or `DependencyUnavailable` if gRPC itself reports that the owner ended."""
    status = rpc_status.from_call(error)
    is_answer = status is not None and bool(from_status(status)[0])
    if not is_answer and error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
        return DependencyUnavailable(OWNER)
    return error
