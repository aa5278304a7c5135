"""The process that decodes images, one after the other: `python -m embedder_service.decoder_program SOCKET LIMITS`.

For each image it receives a request with the image's bytes and answers with the number of its pixels. On the next
message, it answers with the decoded image. An image that exceeds the limit on processor time or memory, or that makes
a library crash, ends this process and nothing else. It exits when its parent does.
"""

from __future__ import annotations

import math
import os
import resource
import select
import signal
import socket
import sys
import threading
import traceback
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from embedder_service.decoder_channel import Channel
from embedder_service.decoder_limits import DecoderLimits
from model.errors import DamagedImage, ImageError, ImageTooLarge
from model.images import CropBox, DecodedImage, Resize, open_image

_TRACEBACK_CHARACTERS = 4_000


def main() -> None:
    """Decode until the parent is gone."""
    connection = socket.socket(fileno=int(sys.argv[1]))
    limits = DecoderLimits.from_json(sys.argv[2])
    for number in (signal.SIGINT, signal.SIGTERM):  # the parent drains first
        signal.signal(number, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (limits.memory_bytes, limits.memory_bytes))
    threading.Thread(target=_end_with_parent, args=(connection,), daemon=True).start()
    channel = Channel(connection)
    channel.send({"ready": True})
    _silence()
    with suppress(OSError):
        while True:
            request, content = channel.receive(limits.image.bytes)
            _answer(channel, request, content, limits)


def _answer(channel: Channel, request: dict[str, Any], content: bytes, limits: DecoderLimits) -> None:
    _allow_seconds(limits.seconds)
    try:
        with open_image(content, limits.image) as opened:
            channel.send({"pixels": opened.pixels})
            channel.receive(0)
            image = opened.decode(
                size=request["size"],
                resize=Resize(request["resize"]),
                crop=CropBox(*request["crop"]) if request["crop"] else None,
                thumbnail_edge=request["thumbnail_edge"],
            )
    except OSError:
        raise
    except ImageTooLarge as error:
        channel.send({"too_large": [error.what, error.actual, error.limit]})
    except ImageError as error:
        if isinstance(error, DamagedImage) and isinstance(error.__cause__, MemoryError):
            channel.send({"out_of_memory": True})
        else:
            channel.send({"refused": type(error).__name__, "message": str(error)})
    except MemoryError:
        channel.send({"out_of_memory": True})
    except Exception:  # noqa: BLE001 — a fault of ours, which the parent logs
        channel.send({"failed": traceback.format_exc()[-_TRACEBACK_CHARACTERS:]})
    else:
        channel.send(_described(image), image.pixels.tobytes() + image.thumbnail)


def _described(image: DecodedImage) -> dict[str, object]:
    return {
        "width": image.width,
        "height": image.height,
        "media_type": image.media_type,
        "metadata": asdict(image.metadata),
        "perceptual_hash": image.perceptual_hash.hex(),
    }


def _allow_seconds(seconds: int) -> None:
    """Have the system end this process if it takes more processor time from now on."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit = math.ceil(used.ru_utime + used.ru_stime) + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))


def _silence() -> None:
    """Drop what libraries print about images, so that no image writes to the log."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stderr.fileno())


def _end_with_parent(connection: socket.socket) -> None:
    """Exit when the parent's end of the socket is closed, even during a decoding."""
    waiting = select.poll()
    waiting.register(connection, 0)  # a hangup is always reported
    waiting.poll()
    os._exit(0)


if __name__ == "__main__":
    main()
