"""Pass changes on to the owner; answer everything else here (see `gateway.lease`).

A servicer is wrapped, so a call over HTTP is passed on like one over gRPC. The owner receives the caller's request with
its deadline and trace id, and its answer or error is passed back as it came. A call is passed on once: the owner's
address may be out of date for a moment, and two processes must not send a call back and forth. A call that an owner
did not take, because it shuts down, is passed on to the next one.

A change that is made here is given up if this process stops being the owner (`interruption`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

import grpc
import grpc.aio
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message_factory import GetMessageClass

from gateway.api.interruption import in_term, stream_in_term
from gateway.api.owner import OWNER, Owner
from gateway.errors import DependencyUnavailable, OwnerChanged, WordsNotReady
from gateway.lease import Term
from gateway.terms import Terms
from serving import callers
from serving.drain import until_shutdown
from serving.received_errors import has_not_begun, is_end_of_server, reason_of
from serving.servers_status import servers_status

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
        "semsearch.v1.BackupService.CreateBackup",
        "semsearch.v1.BackupService.PruneBackups",
        "semsearch.v1.BackupService.RestoreBackup",
        # The owner alone computes maps, brings them up to date and knows how far that is.
        "semsearch.v1.MapService.GetMap",
        "semsearch.v1.MapService.ComputeMap",
        "semsearch.v1.MapService.CancelMap",
        "semsearch.v1.MapService.StreamMap",
    }
)
# Of these, the methods that may safely be repeated: if the owner ends, the next owner is called.
REPEATABLE = frozenset(
    {
        "semsearch.v1.BackupService.CreateBackup",
        "semsearch.v1.BackupService.RestoreBackup",
        "semsearch.v1.ModelService.ActivateModel",
        "semsearch.v1.MapService.ComputeMap",
    }
)
# Methods that are passed on if words are missing: only the owner adds words, and only after a search needs them.
OF_WORDS = frozenset({"semsearch.v1.SearchService.SimilarWords", "semsearch.v1.SearchService.TagImage"})

_MARK = ("semsearch-forwarded", "1")
# An upper bound; the caller's own deadline applies first.
_NO_LIMIT_SECONDS = 7 * 24 * 3_600.0
# An owner that takes no more calls keeps its connections for less than that.
_REFUSED_SECONDS = 0.2

Context = grpc.aio.ServicerContext[Any, Any]
Handler = Callable[[Any, Context], Any]


def forwarding(terms: Terms, service: ServiceDescriptor, owner: Owner) -> Any:
    """Return a servicer that passes the changes among its methods on, unless this process is the owner."""
    return _Forwarding(terms, service, owner)


class _Forwarding:
    """A servicer: each attribute is a method's handler."""

    def __init__(self, terms: Terms, service: ServiceDescriptor, owner: Owner) -> None:
        for method in service.methods:
            handler = _present(terms, service, method.name)
            elsewhere = _Elsewhere(method, owner)
            if method.full_name in OF_WORDS:
                handler = _with_words(handler, elsewhere)
            elif method.full_name in CHANGES:
                handler = _stream(handler, elsewhere) if method.server_streaming else _unary(handler, elsewhere)
            setattr(self, method.name, handler)


def _present(terms: Terms, service: ServiceDescriptor, name: str) -> Handler:
    """Return a method of whichever servicer serves at the time of a call."""
    return lambda request, context: getattr(terms.serving.servicers[service], name)(request, context)


class _Elsewhere:
    """A method of the owner."""

    def __init__(self, method: MethodDescriptor, owner: Owner) -> None:
        self._path = f"/{method.containing_service.full_name}/{method.name}"
        streams = (method.client_streaming, method.server_streaming)
        self._kind = "_".join("stream" if each else "unary" for each in streams)
        self._request, self._response = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
        self._owner = owner
        self.is_repeatable = method.full_name in REPEATABLE

    async def find(self, context: Context) -> Callable[[Any], Any] | Term:
        """Return the term if this process is the owner, else a function that starts the call.

        Raises:
            DependencyUnavailable: There is no owner, or the call was passed on once already.
        """
        if (term := self._owner.term) is not None:
            return term
        if _was_passed_on(context):
            raise DependencyUnavailable(OWNER)
        found = await self._owner.find()
        if isinstance(found, Term):
            return found
        method = getattr(found, self._kind)(
            self._path,
            request_serializer=self._request.SerializeToString,
            response_deserializer=self._response.FromString,
        )
        return lambda request: method(request, timeout=_NO_LIMIT_SECONDS, metadata=(_MARK,))


def _unary(handler: Handler, elsewhere: _Elsewhere) -> Handler:
    async def call(request: Any, context: Context) -> Any:
        answer = await _owners_answer(elsewhere, request, context)
        return await in_term(answer, handler(request, context)) if isinstance(answer, Term) else answer

    return call


def _with_words(handler: Handler, elsewhere: _Elsewhere) -> Handler:
    async def call(request: Any, context: Context) -> Any:
        try:
            return await handler(request, context)
        except WordsNotReady:
            answer = await _owners_answer(elsewhere, request, context)
            if isinstance(answer, Term):
                raise
        return answer

    return call


def _stream(
    handler: Callable[[Any, Context], AsyncGenerator[Any, None]], elsewhere: _Elsewhere
) -> Callable[[Any, Context], AsyncGenerator[Any, None]]:
    async def call(request: Any, context: Context) -> AsyncGenerator[Any, None]:
        while True:
            found = await elsewhere.find(context)
            is_here = isinstance(found, Term)
            work = (
                stream_in_term(found, handler(request, context))
                if isinstance(found, Term)
                else _responses(found, request)
            )
            try:
                async with aclosing(work) as responses:
                    async for response in responses:
                        yield response
            except (DependencyUnavailable, OwnerChanged) as error:
                # Here, only the end of the term is a reason to follow the next owner.
                if not elsewhere.is_repeatable or (is_here and not isinstance(error, OwnerChanged)):
                    raise
            except grpc.aio.AioRpcError as error:
                if is_here or not await _may_go_elsewhere(error, request):
                    raise
            else:
                return

    return call


async def _owners_answer(elsewhere: _Elsewhere, request: Any, context: Context) -> Any:
    """Return the owner's response, or the term if this process is, or became, the owner; raises as `_response`."""
    while True:
        found = await elsewhere.find(context)
        if isinstance(found, Term):
            return found
        try:
            return await _response(found, request)
        except grpc.aio.AioRpcError as error:
            if not await _may_go_elsewhere(error, request):
                raise


async def _may_go_elsewhere(error: grpc.aio.AioRpcError, request: Any) -> bool:
    """Wait a moment and return True if the owner did nothing of a call, which the next one may do.

    What came of a stream of requests is gone, so its caller has to send it again.
    """
    if isinstance(request, AsyncIterator) or not has_not_begun(error):
        return False
    await asyncio.sleep(_REFUSED_SECONDS)
    return True


async def _response(start: Callable[[Any], Any], request: Any) -> Any:
    """Return the owner's response.

    Raises:
        DependencyUnavailable: The owner ended before it answered.
        OwnerChanged: There is another owner.
    """
    try:
        return await start(request)
    except grpc.aio.AioRpcError as error:
        raise _understood(error) from error
    except asyncio.CancelledError:
        _check_caller_has_left()
        raise OwnerChanged from None


async def _responses(start: Callable[[Any], Any], request: Any) -> AsyncGenerator[Any, None]:
    """Yield the owner's responses.

    If a request in a stream is refused here, or this process shuts down, earlier requests are still answered.

    Raises:
        DependencyUnavailable: The owner ended in between.
        OwnerChanged: There is another owner.
    """
    requests = _UntilRefused(request) if isinstance(request, AsyncIterator) else None
    call = start(requests or request)
    try:
        async with servers_status(call):
            async for response in call:
                yield response
    except grpc.aio.AioRpcError as error:
        if requests is not None and requests.refusal is not None and not requests.passed_on:
            raise requests.refusal from None  # the owner got nothing, and says no more than that
        raise _understood(error) from error
    except asyncio.CancelledError:
        _check_caller_has_left()
        raise OwnerChanged from None
    finally:
        call.cancel()
    if requests is not None and requests.refusal is not None:
        raise requests.refusal


class _UntilRefused:
    """The requests of a stream, until one is refused here or this process shuts down.

    Attributes:
        passed_on: How many were passed on.
        refusal: The error that ended them early, if any.
    """

    def __init__(self, requests: AsyncIterator[Any]) -> None:
        self._requests = requests
        self.passed_on = 0
        self.refusal: Exception | None = None

    async def __aiter__(self) -> AsyncIterator[Any]:
        try:
            async for request in until_shutdown(self._requests):
                self.passed_on += 1
                yield request
        except Exception as error:  # noqa: BLE001 — gRPC would swallow it
            self.refusal = error


def _check_caller_has_left() -> None:
    """Raise the cancellation again if it is the caller's; otherwise `Owner.keep_up` has closed the channel."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _was_passed_on(context: Context) -> bool:
    """Return whether a call came from another gateway process; those call over gRPC, and HTTP has no metadata.

    Anyone can send the mark, so it counts only in calls of the suite itself.
    """
    metadata = getattr(context, "invocation_metadata", None)
    return metadata is not None and _MARK in (metadata() or ()) and callers.is_from_suite()


def _understood(error: grpc.aio.AioRpcError) -> Exception:
    """Return an owner's error unchanged, or `DependencyUnavailable` if the owner, or gRPC, reports that it ended.

    That it shuts down and has not begun stays, since only then may any call be repeated.
    """
    if reason_of(error) == "OWNER_CHANGED":
        return OwnerChanged()
    return DependencyUnavailable(OWNER) if is_end_of_server(error) and not has_not_begun(error) else error
