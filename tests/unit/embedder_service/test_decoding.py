"""Images are decoded in processes, and one that ends or stalls its process refuses only itself."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from embedder_service.decoder_limits import DecoderLimits
from embedder_service.decoder_process import DecoderEnded, DecoderFailed, DecoderProcess
from embedder_service.decoding import ImageDecoder, open_decoder
from embedder_service.image_input import ImageInput
from model.errors import UndecodableImage
from model.images import CropBox, DecodedImage, ImageLimits, PhotoMetadata, Resize, decode
from tests.unit.model.images.picture_files import encode, ramp
from tests.unit.model.images.test_metadata import camera_exif

DEADLINE = 120.0
LIMITS = DecoderLimits(
    ImageLimits(pixels=9_000_000, scans=10**6), seconds=60, memory_bytes=2**30, stalled_seconds=DEADLINE
)
VIDEO = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom"
PHOTO = encode(ramp(), "JPEG", exif=camera_exif(6).tobytes(), quality=90)


def never() -> bool:
    return False


def black(edge: int) -> bytes:
    """Return a PNG of `edge` × `edge` black pixels, which is a thousandth of them in bytes."""
    return encode(Image.new("L", (edge, edge)), "PNG", compress_level=1)


def many_scans() -> bytes:
    """Return a small JPEG that takes many seconds to decode: each of its scans is over the whole picture."""
    content = encode(Image.new("L", (2_000, 2_000)), "JPEG", progressive=True)
    last = content.rindex(b"\xff\xda")
    return content[:-2] + content[last:-2] * 20_000 + content[-2:]


@pytest.fixture(scope="module")
def process() -> Iterator[DecoderProcess]:
    process = DecoderProcess(LIMITS)
    yield process
    process.stop()


def decoded_by(process: DecoderProcess, image: ImageInput, resize: Resize = Resize.CENTER_CROP) -> DecodedImage:
    process.open(image, 32, resize, never)
    return process.decode(never)


def test_a_process_decodes_as_the_library_does(process: DecoderProcess) -> None:
    image = ImageInput(PHOTO, CropBox(0.1, 0.2, 0.7, 1.0), thumbnail_edge=48)
    found = decoded_by(process, image, Resize.SQUASH)
    expected = decode(PHOTO, size=32, resize=Resize.SQUASH, crop=image.crop, thumbnail_edge=48)
    np.testing.assert_array_equal(found.pixels, expected.pixels)
    assert replace(found, pixels=expected.pixels) == expected
    assert found.metadata.camera


def test_refusals_keep_their_words_and_the_process(process: DecoderProcess) -> None:
    for content in (b"no image", PHOTO[:300], VIDEO, black(3_001)):
        with pytest.raises(Exception) as expected:  # noqa: PT011 — the library's own
            decode(content, size=32, limits=LIMITS.image)
        with pytest.raises(type(expected.value)) as found:
            decoded_by(process, ImageInput(content))
        assert str(found.value) == str(expected.value)
    assert decoded_by(process, ImageInput(PHOTO)).width == 48


@pytest.fixture
def limited() -> Iterator[Callable[..., DecoderProcess]]:
    started: list[DecoderProcess] = []

    def start(**changes: Any) -> DecoderProcess:
        started.append(DecoderProcess(replace(LIMITS, **changes)))
        return started[-1]

    yield start
    for each in started:
        each.stop()


@pytest.fixture
def many_files() -> Iterator[None]:
    """Have more files open than `select` can tell apart."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4_096, hard), hard))
    files = [os.open(os.devnull, os.O_RDONLY) for _ in range(1_024)]
    yield
    for each in files:
        os.close(each)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_files")
def test_a_process_decodes_while_many_files_are_open(limited: Callable[..., DecoderProcess]) -> None:
    assert decoded_by(limited(), ImageInput(PHOTO)).width == 48


def test_an_image_that_needs_too_much_memory_is_refused(limited: Callable[..., DecoderProcess]) -> None:
    process = limited(image=ImageLimits(pixels=10**9), memory_bytes=256 * 2**20)
    with pytest.raises(UndecodableImage, match="more memory than 256 MiB"):
        decoded_by(process, ImageInput(black(15_000)))
    assert decoded_by(process, ImageInput(PHOTO)).width == 48


def test_an_image_that_takes_too_long_is_refused(limited: Callable[..., DecoderProcess]) -> None:
    process = limited(image=ImageLimits(pixels=10**9, scans=10**6), seconds=1)
    with pytest.raises(UndecodableImage, match="more than 1 seconds of processor time"):
        decoded_by(process, ImageInput(many_scans()))
    assert not process.idle


def test_a_process_that_stalls_is_given_up(limited: Callable[..., DecoderProcess]) -> None:
    process = limited()
    decoded_by(process, ImageInput(PHOTO))
    process._limits = replace(LIMITS, stalled_seconds=0.3)  # only now: a busy machine takes longer to start it
    os.kill(process.pid, signal.SIGSTOP)
    with pytest.raises(UndecodableImage, match=r"more than 0\.3 seconds"):
        decoded_by(process, ImageInput(PHOTO))
    assert not process.idle


def test_a_process_that_stalls_is_given_up_soon_after_its_caller_is_gone(
    limited: Callable[..., DecoderProcess],
) -> None:
    process = limited()
    decoded_by(process, ImageInput(PHOTO))
    os.kill(process.pid, signal.SIGSTOP)
    with pytest.raises(UndecodableImage):
        process.open(ImageInput(PHOTO), 32, Resize.SQUASH, lambda: True)


def test_a_process_that_is_killed_says_by_which_signal(limited: Callable[..., DecoderProcess]) -> None:
    process = limited()
    process.open(ImageInput(PHOTO), 32, Resize.SQUASH, never)
    os.kill(process.pid, signal.SIGSEGV)
    with pytest.raises(DecoderEnded, match="SIGSEGV"):
        process.decode(never)
    assert not process.idle


def test_a_process_that_cannot_start_is_a_fault_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    process = DecoderProcess(LIMITS)
    with pytest.raises(DecoderFailed, match="did not start"):
        process.open(ImageInput(PHOTO), 32, Resize.SQUASH, never)
    process.stop()


def test_a_process_ends_with_its_parent_even_while_it_decodes(limited: Callable[..., DecoderProcess]) -> None:
    process = limited(image=ImageLimits(pixels=10**9, scans=10**6))
    process.open(ImageInput(many_scans()), 32, Resize.SQUASH, never)
    process._send({})
    process._channel.connection.close()
    assert process._process.wait(DEADLINE) == 0


class Crashing:
    """A decoder that ends at pictures whose first byte is "x"."""

    started = 0

    def __init__(self) -> None:
        type(self).started += 1
        self.idle = True

    def open(self, image: ImageInput, size: int, resize: Resize, is_abandoned: Callable[[], bool]) -> int:
        if image.content.startswith(b"x"):
            self.idle = False
            raise DecoderEnded("SIGSEGV")
        return 1

    def decode(self, is_abandoned: Callable[[], bool]) -> DecodedImage:
        return DecodedImage(np.zeros((1, 1, 3), np.uint8), 1, 1, "image/png", b"", PhotoMetadata())

    def stop(self) -> None:
        pass


async def test_an_image_that_ends_two_decoders_is_refused_and_others_are_decoded() -> None:
    Crashing.started = 0
    with ThreadPoolExecutor(2) as threads:
        decoder = ImageDecoder(threads, Crashing, 2, max_pixels=10)
        images = [ImageInput(b"x" if n % 3 == 0 else b"fine") for n in range(12)]
        answers = await asyncio.gather(
            *(decoder.decode(image, 1, Resize.SQUASH) for image in images), return_exceptions=True
        )
    assert [isinstance(answer, UndecodableImage) for answer in answers] == [n % 3 == 0 for n in range(12)]
    assert Crashing.started == 2 + 2 * 4


async def test_a_killed_decoder_costs_no_image() -> None:
    async with open_decoder(LIMITS, 1, max_pixels=10**9) as decoder:
        await decoder.decode(ImageInput(PHOTO), 32, Resize.SQUASH)
        [process] = decoder._idle
        assert isinstance(process, DecoderProcess)
        os.kill(process.pid, signal.SIGKILL)
        found = await decoder.decode(ImageInput(PHOTO), 32, Resize.SQUASH)
    assert found.image.width == 48
