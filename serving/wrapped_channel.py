"""A channel whose calls subclasses make, and whose state is that of the channel in it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import grpc
import grpc.aio
from typing_extensions import override


class WrappedChannel(grpc.aio.Channel):
    """Passes everything but calls and `close` on to `_channel`."""

    _channel: grpc.aio.Channel

    @abstractmethod
    def _method(self, kind: str, path: str, *more: Any, **options: Any) -> Callable[..., Any]:
        """Return what makes calls of a method; `kind` is the name of gRPC's own factory, such as "unary_unary"."""

    @override
    def unary_unary(self, *method: Any, **options: Any) -> Any:
        return self._method("unary_unary", *method, **options)

    @override
    def unary_stream(self, *method: Any, **options: Any) -> Any:
        return self._method("unary_stream", *method, **options)

    @override
    def stream_unary(self, *method: Any, **options: Any) -> Any:
        return self._method("stream_unary", *method, **options)

    @override
    def stream_stream(self, *method: Any, **options: Any) -> Any:
        return self._method("stream_stream", *method, **options)

    @override
    async def __aenter__(self) -> Self:
        return self

    @override
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    @override
    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        return self._channel.get_state(try_to_connect)

    @override
    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        await self._channel.wait_for_state_change(last_observed_state)

    @override
    async def channel_ready(self) -> None:
        await self._channel.channel_ready()
