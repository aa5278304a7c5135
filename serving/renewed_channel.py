"""A channel whose certificate is renewed: gRPC's credentials are fixed, so a new certificate needs a new channel.

Invariants:
- Each call runs to its end on the channel on which it began. A channel that was replaced is closed after its last call.
- The new channel takes over once it is connected, or as soon as the old one cannot connect. So a certificate that the
  other side refuses does no harm while the old one is still good.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import grpc
import grpc.aio
import structlog
from typing_extensions import override

from serving.tls import CertificateFiles, Certificates
from serving.wrapped_channel import WrappedChannel

# gRPC closes a channel after its calls, or after such a time. No call lasts as long.
_NO_LIMIT_SECONDS = 30 * 24 * 3_600.0
# A channel that does not connect in as many looks, a second apart, is worth a warning.
_SLOW_LOOKS = 10
_READY = grpc.ChannelConnectivity.READY
_FAILING = (grpc.ChannelConnectivity.TRANSIENT_FAILURE, grpc.ChannelConnectivity.SHUTDOWN)

log = structlog.get_logger(__name__)


class RenewedChannel(WrappedChannel):
    """Calls a target over the channel with the newest certificate that connects."""

    def __init__(self, target: str, files: CertificateFiles, open_: Callable[[Certificates], grpc.aio.Channel]) -> None:
        """Open the first channel.

        Args:
            target: The name of the target in the log.
            files: The certificates; they are followed elsewhere.
            open_: Opens a channel with certificates.
        """
        self._target = target
        self._files = files
        self._open = open_
        self._opened_with = files.current
        self._channel = open_(files.current)
        self._next: grpc.aio.Channel | None = None
        self._looks = 0
        self._closing: dict[asyncio.Task[None], grpc.aio.Channel] = {}
        self._unsubscribe: Callable[[], None] | None = files.subscribe(self._look)

    def _look(self) -> None:
        """Open a channel if there is a new certificate, and use it if it is connected."""
        if self._files.current is not self._opened_with:
            if self._next is not None:
                self._retire(self._next)
            self._opened_with = self._files.current
            self._next = self._open(self._opened_with)
            self._looks = 0
        if self._next is None:
            return
        is_connected = self._next.get_state(try_to_connect=True) is _READY
        if is_connected or self._channel.get_state() in _FAILING:
            self._retire(self._channel)
            self._channel, self._next = self._next, None
            log.info("calls use the new certificate", target=self._target)
            return
        self._looks += 1
        if self._looks == _SLOW_LOOKS:
            log.warning("the new certificate does not connect; calls go on with the old one", target=self._target)

    def _retire(self, channel: grpc.aio.Channel) -> None:
        task = asyncio.get_running_loop().create_task(channel.close(_NO_LIMIT_SECONDS))
        self._closing[task] = channel
        task.add_done_callback(self._closing.pop)

    @override
    def _method(self, kind: str, *method: Any, **options: Any) -> Callable[..., Any]:
        channel = self._channel
        call = getattr(channel, kind)(*method, **options)

        def start(*request: Any, **arguments: Any) -> Any:
            nonlocal channel, call
            if channel is not self._channel:
                channel = self._channel
                call = getattr(channel, kind)(*method, **options)
            return call(*request, **arguments)

        return start

    @override
    async def close(self, grace: float | None = None) -> None:
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
        open_ = [self._channel, *([self._next] if self._next is not None else []), *self._closing.values()]
        await asyncio.gather(*(channel.close(grace) for channel in open_))
