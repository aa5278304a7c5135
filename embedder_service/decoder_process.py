"""Runs a decoder process (see `decoder_program`), and explains how it ended.

Contract: `open` and then `decode` are called for one image after the other, by one thread at a time. A process that is
not `idle` after an error cannot be used again.
"""

from __future__ import annotations

import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import numpy as np

from embedder_service.decoder_channel import Channel
from embedder_service.decoder_limits import DecoderLimits
from embedder_service.image_input import ImageInput
from model import errors
from model.errors import ImageTooLarge, UndecodableImage
from model.images import DecodedImage, PhotoMetadata, Resize

_MOST_THUMBNAIL_BYTES = 16 * 2**20
_START_SECONDS = 120.0
# How often to look whether the caller is gone, and how long the decoding of its image may then go on.
_LOOK_SECONDS = 0.2
_GRACE_SECONDS = 1.0
_END_SECONDS = 5.0
_REFUSALS = {
    kind.__name__: kind
    for kind in (errors.NotAnImage, errors.UnsupportedImage, errors.DamagedImage, errors.InvalidCrop)
}


class DecoderEnded(Exception):
    """The process ended while it decoded an image; perhaps not because of that image."""


class DecoderFailed(Exception):
    """The process could not start, or something of ours failed in it."""


class DecoderProcess:
    """A process that decodes one image at a time."""

    def __init__(self, limits: DecoderLimits) -> None:
        self._limits = limits
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 — our own module
                [sys.executable, "-m", "embedder_service.decoder_program", str(theirs.fileno()), limits.to_json()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                process_group=0,  # so that Ctrl-C reaches only the embedder, which drains first
            )
        self._channel = Channel(ours)
        self._ready = False
        self._size = 0
        self.idle = True

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    def open(self, image: ImageInput, size: int, resize: Resize, is_abandoned: Callable[[], bool]) -> int:
        """Begin with an image, to be decoded to a square of `size` × `size`; return how many pixels it has.

        Raises:
            ImageError: the image is refused.
            DecoderEnded, DecoderFailed: see the classes.
        """
        self._wait_until_ready()
        crop = image.crop
        request = {
            "size": size,
            "resize": resize.value,
            "crop": [crop.left, crop.top, crop.right, crop.bottom] if crop else None,
            "thumbnail_edge": image.thumbnail_edge,
        }
        self.idle, self._size = False, size
        self._send(request, image.content)
        pixels: int = self._answer(is_abandoned)[0]["pixels"]
        return pixels

    def decode(self, is_abandoned: Callable[[], bool]) -> DecodedImage:
        """Return the decoded image; raises as `open` does."""
        self._send({})
        answer, content = self._answer(is_abandoned)
        pixel_bytes = self._size**2 * 3
        pixels = np.frombuffer(content[:pixel_bytes], np.uint8).reshape(self._size, self._size, 3)
        self.idle = True
        return DecodedImage(
            pixels,
            answer["width"],
            answer["height"],
            answer["media_type"],
            content[pixel_bytes:],
            PhotoMetadata(**answer["metadata"]),
            bytes.fromhex(answer["perceptual_hash"]),
        )

    def stop(self) -> None:
        """End the process at once."""
        self._process.kill()
        self._channel.connection.close()
        self._process.wait()

    def _wait_until_ready(self) -> None:
        if self._ready:
            return
        self._channel.connection.settimeout(_START_SECONDS)
        try:
            self._channel.receive(0)
        except (OSError, ValueError) as error:
            self.idle = False
            self._process.kill()
            raise DecoderFailed(
                f"A decoder process did not start (status {self._process.wait()}); its reason is on stderr."
            ) from error
        self._channel.connection.settimeout(self._limits.stalled_seconds)
        self._ready = True

    def _send(self, document: Mapping[str, object], content: bytes = b"") -> None:
        try:
            self._channel.send(document, content)
        except OSError as error:
            self._explain(error)

    def _answer(self, is_abandoned: Callable[[], bool]) -> tuple[dict[str, Any], bytes]:
        """Return an answer, or raise the error that it names."""
        self._wait_for_answer(is_abandoned)
        try:
            answer, content = self._channel.receive(self._size**2 * 3 + _MOST_THUMBNAIL_BYTES)
        except (OSError, ValueError) as error:
            self._explain(error)
        if "pixels" in answer or "width" in answer:
            return answer, content
        self.idle = True
        if "too_large" in answer:
            raise ImageTooLarge(*answer["too_large"])
        if "refused" in answer:
            raise _REFUSALS[answer["refused"]](answer["message"])
        if "out_of_memory" in answer:
            raise UndecodableImage(f"it needs more memory than {self._limits.memory_bytes // 2**20:,} MiB")
        raise DecoderFailed(answer["failed"])

    def _wait_for_answer(self, is_abandoned: Callable[[], bool]) -> None:
        stalled = time.monotonic() + self._limits.stalled_seconds
        waiting = select.poll()  # unlike `select`, it takes a socket with a number above 1,023
        waiting.register(self._channel.connection, select.POLLIN)
        while not waiting.poll(_LOOK_SECONDS * 1_000):
            if is_abandoned():
                stalled = min(stalled, time.monotonic() + _GRACE_SECONDS)
                is_abandoned = _never
            if time.monotonic() > stalled:
                raise UndecodableImage(f"it took more than {self._limits.stalled_seconds:g} seconds")

    def _explain(self, error: Exception) -> NoReturn:
        """Raise what the end of the process means."""
        if isinstance(error, TimeoutError):
            raise UndecodableImage(f"it took more than {self._limits.stalled_seconds:g} seconds") from error
        self._process.kill()  # if it closed the socket without ending
        status = self._process.wait()
        if status == -signal.SIGXCPU:
            raise UndecodableImage(f"it took more than {self._limits.seconds} seconds of processor time") from error
        ending = signal.Signals(-status).name if status < 0 else f"status {status}"
        raise DecoderEnded(ending) from error


def _never() -> bool:
    return False
