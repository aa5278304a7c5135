"""Refuse calls that their callers may not make."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import structlog

from serving import callers
from serving.access.authentication import Authentication
from serving.access.errors import MethodClosed
from serving.access.rules import Rule, Rules
from serving.callers import Role
from serving.gates import Call

# Every server has this service. It says which methods there are, so it is for callers that may use some.
REFLECTION: Rules = {
    f"grpc.reflection.{version}.ServerReflection.ServerReflectionInfo": Rule(Role.READ, suite_may=True)
    for version in ("v1", "v1alpha")
}
# A setting has a server show its connections and calls too (`channelz`).
CHANNELZ: Rules = {
    f"grpc.channelz.v1.Channelz.{method}": Rule(Role.ADMIN)
    for method in (
        "GetChannel",
        "GetServer",
        "GetServers",
        "GetServerSockets",
        "GetSocket",
        "GetSubchannel",
        "GetTopChannels",
    )
}


class AccessGate:
    """Finds the caller of each call, and holds the call to the rule of its method."""

    def __init__(self, authentication: Authentication, rules: Rules) -> None:
        self._authentication = authentication
        self._rules = {**REFLECTION, **CHANNELZ, **rules}

    @asynccontextmanager
    async def enter(self, call: Call) -> AsyncIterator[None]:
        """Set the caller of a call; raises `AccessRefused`."""
        caller, from_suite = await self._authentication.identify(call.metadata)
        # Before the check: the audit log and the log say who is refused.
        callers.begin(caller, from_suite=from_suite)
        structlog.contextvars.bind_contextvars(caller=caller.name)
        self._rule(call).check_caller(caller, call.method, from_suite=from_suite)
        yield

    def check(self, call: Call, request: Any) -> None:
        """Check the collections that a request names; raises `CollectionNotAllowed`."""
        self._rule(call).check_request(callers.current(), request)

    def _rule(self, call: Call) -> Rule:
        rule = self._rules.get(f"{call.service}.{call.method}")
        if rule is None:
            raise MethodClosed(call.method)
        return rule
