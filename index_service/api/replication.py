"""What replication adds to calls: how old a replica's answer is, and from when on a write can be seen.

On a writer that publishes, the answer to a change carries `semsearch-index-beat` in its trailing metadata: a replica
has the change once it shows that beat or a later one. A caller that must see the change sends the value back with a
read, under the same name; a replica that is not that far refuses the call.

On a replica, the answer to a read carries in its trailing metadata `semsearch-index-version`, a version of the index
that it includes (the number of a commit), and `semsearch-index-age-ms`, the most milliseconds by which the answer is
out of date; without it, that is not known.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from typing import Any, TypeVar, cast

import grpc.aio
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from semsearch.index.v1 import index_service_pb2 as pb

from index_service.errors import IndexServiceError
from index_service.replication.following import Follower
from index_service.replication.publishing import Publisher
from index_service.replication.records import Beat
from index_service.replication.refusals import ReadReplica, ReplicaBehind, ReplicaStale
from serving.errors import InvalidField

BEAT_KEY = "semsearch-index-beat"
VERSION_KEY = "semsearch-index-version"
AGE_KEY = "semsearch-index-age-ms"

READS = frozenset(
    {
        "GetIndex",
        "ListIndexes",
        "GetItems",
        "CountItems",
        "ListItems",
        "SumAttribute",
        "Search",
        "ExportIndex",
        "CheckIndex",
    }
)
CHANGES = frozenset(
    {"CreateIndex", "DeleteIndex", "UpsertItems", "DeleteItems", "SetAlias", "DeleteAlias", "ImportIndex"}
)

Context = grpc.aio.ServicerContext[Any, Any]
S = TypeVar("S")
_BEAT = re.compile(r"([0-9]{1,18})-([0-9a-f]{16})-([0-9]{1,18})")


def publishing(servicer: S, service: ServiceDescriptor, publisher: Publisher) -> S:
    """Return a servicer whose answers to changes say from which beat on replicas have them."""
    wrapped = _Methods()
    for method in service.methods:
        handler = getattr(servicer, method.name)
        setattr(wrapped, method.name, _marked(handler, publisher) if method.name in CHANGES else handler)
    return cast("S", wrapped)


def reading(servicer: S, service: ServiceDescriptor, follower: Follower, limit_seconds: float) -> S:
    """Return a servicer that answers reads with their age, and refuses everything else.

    Args:
        servicer: serves the follower's catalog.
        service: its service.
        follower: knows how old the catalog is.
        limit_seconds: the greatest age at which reads are answered; 0 means any.
    """
    wrapped = _Methods()
    for method in service.methods:
        read = _Read(follower, limit_seconds) if method.name in READS else None
        setattr(wrapped, method.name, _answered(getattr(servicer, method.name), method, read, follower))
    return cast("S", wrapped)


class _Methods:
    """A servicer: each attribute is a method's handler."""


def _marked(handler: Callable[[Any, Context], Any], publisher: Publisher) -> Callable[[Any, Context], Any]:
    async def call(request: Any, context: Context) -> Any:
        response = await handler(request, context)
        if (beat := publisher.covering_beat()) is not None:
            context.set_trailing_metadata(((BEAT_KEY, to_text(beat)),))
        return response

    return call


class _Read:
    """Checks a read before it is answered."""

    def __init__(self, follower: Follower, limit_seconds: float) -> None:
        self._follower = follower
        self._limit_seconds = limit_seconds

    def begin(self, request: Any, context: Context) -> None:
        """Set the trailing metadata of a call.

        Raises:
            ReplicaStale, ReplicaBehind: the call cannot be answered here.
        """
        age, shown = self._follower.age_seconds, self._follower.beat
        if not self._follower.is_fresh(self._limit_seconds) or shown is None:
            raise ReplicaStale(age, self._limit_seconds)
        wanted = _wanted(context)
        if wanted is not None and shown < wanted:
            raise ReplicaBehind
        metadata = [] if age is None else [(AGE_KEY, str(round(age * 1_000)))]
        name = getattr(request, "index", "") or getattr(request, "name", "")
        with suppress(IndexServiceError):  # the call itself reports it
            metadata.append((VERSION_KEY, str(self._follower.catalog.get(name).version)))
        context.set_trailing_metadata(tuple(metadata))


def _answered(
    handler: Callable[[Any, Context], Any], method: MethodDescriptor, read: _Read | None, follower: Follower
) -> Callable[[Any, Context], Any]:
    def begin(request: Any, context: Context) -> None:
        if read is None:
            raise ReadReplica(follower.catalog.writer)
        read.begin(request, context)

    async def unary(request: Any, context: Context) -> Any:
        begin(request, context)
        response = await handler(request, context)
        if isinstance(response, pb.GetIndexResponse):
            _describe(response, follower)
        return response

    async def stream(request: Any, context: Context) -> AsyncGenerator[Any, None]:
        begin(request, context)
        async with aclosing(handler(request, context)) as responses:
            async for response in responses:
                yield response

    return stream if method.server_streaming else unary


def _describe(response: pb.GetIndexResponse, follower: Follower) -> None:
    response.replica.writer = follower.catalog.writer
    with suppress(IndexServiceError):  # it was replaced meanwhile
        response.replica.version = follower.catalog.get(response.index.name).version
    if (age := follower.age_seconds) is not None:
        response.replica.age.FromMilliseconds(round(age * 1_000))


def to_text(beat: Beat) -> str:
    """Return a beat as metadata."""
    return f"{beat.term}-{beat.writer}-{beat.number}"


def _wanted(context: Context) -> Beat | None:
    """Return the beat that the caller must see; raises `InvalidField`."""
    for key, value in context.invocation_metadata() or ():
        if key == BEAT_KEY:
            found = _BEAT.fullmatch(str(value))
            if found is None:
                raise InvalidField(BEAT_KEY, "must be the value that a change returned.")
            return Beat(int(found[1]), found[2], int(found[3]))
    return None
