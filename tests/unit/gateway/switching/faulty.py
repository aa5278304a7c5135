"""Calls that a test can stop: at the N-th call, or every call until it is released."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import AsyncIterator
from typing import Any


class Crash(BaseException):
    """The end of the process; nothing catches it."""


class CrashPoint:
    """Once armed, counts the calls of all wrapped objects, and crashes before or after one."""

    def __init__(self, at: int, *, after: bool = False) -> None:
        self.armed = False
        self._calls = 0
        self._at = at
        self._after = after

    def wrap(self, inner: Any) -> Any:
        return _Wrapped(inner, self._around)

    async def _around(self, name: str, call: Any) -> Any:
        crash = self.armed and self._calls == self._at
        self._calls += self.armed
        if crash and not self._after:
            raise Crash(name)
        try:
            return await call()
        finally:
            if crash:
                raise Crash(name)


class Turnstile:
    """Lets only released calls of wrapped objects through."""

    def __init__(self) -> None:
        self._permits = asyncio.Semaphore(0)
        self._open = False
        self._waiting = 0

    def wrap(self, inner: Any) -> Any:
        return _Wrapped(inner, self._around)

    @property
    def waiting(self) -> bool:
        """Whether a call waits for its release."""
        return self._waiting > 0

    def release(self) -> None:
        self._waiting -= 1
        self._permits.release()

    def open(self) -> None:
        """Let everything through from now on."""
        self._open = True
        self._permits.release()

    async def _around(self, _: str, call: Any) -> Any:
        if not self._open:
            self._waiting += 1
            await self._permits.acquire()
            if self._open:
                self._permits.release()
        return await call()


class _Wrapped:
    def __init__(self, inner: Any, around: Any) -> None:
        self._inner = inner
        self._around = around

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        if inspect.isasyncgenfunction(method):
            return functools.partial(self._stream, name, method)
        if not inspect.iscoroutinefunction(method):
            return method

        async def call(*args: Any, **kwargs: Any) -> Any:
            return await self._around(name, lambda: method(*args, **kwargs))

        return call

    async def _stream(self, name: str, method: Any, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        stream = method(*args, **kwargs)
        while True:
            try:
                value = await self._around(name, lambda: anext(stream))
            except StopAsyncIteration:
                return
            yield value
