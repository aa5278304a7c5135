"""Refuse calls that their callers may not make."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import structlog

from serving import callers
from serving.access.ended_streams import EndedStreams
from serving.access.errors import AccessRefused, MethodClosed
from serving.access.identity import Identity
from serving.access.rules import Rule, Rules
from serving.access.settings import AccessSettings
from serving.callers import Role
from serving.gates import Call

if TYPE_CHECKING:
    from serving.access.authentication import Authentication

_CHANNELZ = (
    "GetChannel",
    "GetServer",
    "GetServers",
    "GetServerSockets",
    "GetSocket",
    "GetSubchannel",
    "GetTopChannels",
)
# The methods of gRPC's own services. Reflection says which methods a server has, so it is for those who may call some;
# channelz says who is connected. Health passes no gate.
OF_ALL_SERVERS: Rules = {
    "grpc.reflection.v1.ServerReflection.ServerReflectionInfo": Rule(Role.READ),
    "grpc.reflection.v1alpha.ServerReflection.ServerReflectionInfo": Rule(Role.READ),
    **{f"grpc.channelz.v1.Channelz.{name}": Rule(Role.ADMIN, whole_suite=True) for name in _CHANNELZ},
}


class AccessGate:
    """Finds the caller of each call, and holds the call to the rule of its method."""

    def __init__(self, authentication: Authentication, rules: Rules) -> None:
        self._authentication = authentication
        self.identity = authentication.identity
        self._rules = {**OF_ALL_SERVERS, **rules}
        self._streams = EndedStreams(authentication)

    @asynccontextmanager
    async def kept_current(self) -> AsyncIterator[None]:
        """Return a context in which changes of tokens and keys are followed, and streams end with their tokens."""
        async with self._authentication.kept_current(), asyncio.TaskGroup() as group:
            ending = group.create_task(self._streams.keep_current())
            try:
                yield
            finally:
                ending.cancel()

    @asynccontextmanager
    async def enter(self, call: Call) -> AsyncIterator[None]:
        """Set the caller of a call; raises `AccessRefused`, for a stream also when its token is refused later."""
        callers.begin(callers.UNKNOWN)  # for the audit log, if the call is refused
        sources = self._authentication.sources()
        identity = await self._authentication.identify(call.metadata)
        callers.begin(identity.caller, from_suite=identity.from_suite)
        self._rule(call.service, call.method).check_caller(identity.caller, call.method, from_suite=identity.from_suite)
        structlog.contextvars.bind_contextvars(caller=identity.caller.name)
        is_watched = call.is_stream and not identity.from_suite
        with self._streams.watched(call.metadata, identity, sources) if is_watched else nullcontext():
            yield

    async def identity_of(self, service: str, method: str, metadata: Mapping[str, str]) -> Identity | None:
        """Return who makes a call, None if `enter` would refuse it; sets no caller."""
        try:
            identity = await self._authentication.identify(metadata)
            self._rule(service, method).check_caller(identity.caller, method, from_suite=identity.from_suite)
        except AccessRefused:
            return None
        return identity

    def check(self, call: Call, request: Any) -> None:
        """Check the collections that a request names; raises `CollectionNotAllowed`."""
        self._rule(call.service, call.method).check_request(callers.current(), request)

    def _rule(self, service: str, method: str) -> Rule:
        rule = self._rules.get(f"{service}.{method}")
        if rule is None:
            raise MethodClosed(method)
        return rule


def access_gate(settings: AccessSettings, rules: Rules) -> AccessGate | None:
    """Return the gate that settings ask for; None if anyone may call.

    Raises:
        UnusableFile: A file of tokens or keys cannot be used.
    """
    if not settings.knows_callers:
        return None
    from serving.access.authentication import authentication  # loads the libraries of cryptography

    return AccessGate(authentication(settings), rules)
