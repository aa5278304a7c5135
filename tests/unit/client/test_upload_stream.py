"""The flow control of one stream of uploads, and its end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator

import pytest
from semsearch.errors import InvalidRequest
from semsearch.transport.upload_stream import AsyncUploadStream, UploadStream
from semsearch.transport.uploads import MAX_BYTES, MAX_IMAGE_BYTES, MAX_IMAGES
from semsearch.v1 import gallery_service_pb2 as pb
from semsearch.values import Upload

WAIT_SECONDS = 20.0


class Sending:
    """Sends the requests of a stream in a thread, as gRPC does."""

    def __init__(self, stream: UploadStream) -> None:
        self.sent: list[pb.IndexImagesRequest] = []
        self._stream = stream
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def wait_until_sent(self, images: int) -> None:
        """Wait until the configuration and this many images were sent."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.sent) == 1 + images, WAIT_SECONDS)

    def wait_until_ended(self) -> None:
        self._thread.join(WAIT_SECONDS)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        for request in self._stream.requests():
            with self._changed:
                self.sent.append(request)
                self._changed.notify_all()


class Counted:
    """Uploads without end; `read` counts those taken."""

    def __init__(self, size: int) -> None:
        self.read = 0
        self._size = size
        self._changed = threading.Condition()

    def __iter__(self) -> Iterator[Upload]:
        while True:
            with self._changed:
                self.read += 1
                self._changed.notify_all()
            yield Upload(bytes(self._size))

    def wait_until_read(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.read == count, WAIT_SECONDS)


def test_the_configuration_comes_first_and_uploads_are_numbered() -> None:
    uploads = [Upload(b"a", "x", {"n": 1, "tags": ["p", True, None]}), Upload(b"b")]
    first, second, third = UploadStream(uploads, "zoo").requests()
    assert first == pb.IndexImagesRequest(config=pb.IndexImagesConfig(collection="zoo"))
    assert (second.image.sequence, second.image.content, second.image.id) == (0, b"a", "x")
    assert dict(second.image.attributes)["n"] == 1
    assert list(second.image.attributes["tags"]) == ["p", True, None]
    assert (third.image.sequence, third.image.id, dict(third.image.attributes)) == (1, "", {})


@pytest.mark.parametrize(("size", "room"), [(1, MAX_IMAGES), (MAX_BYTES // 4, 4), (MAX_BYTES, 1), (MAX_BYTES + 1, 1)])
def test_no_more_is_sent_and_read_than_there_is_room_for(size: int, room: int) -> None:
    uploads = Counted(size)
    stream = UploadStream(uploads, "")
    sending = Sending(stream)
    for answered in range(3):
        sending.wait_until_sent(room + answered)
        uploads.wait_until_read(room + answered + 1)  # the one that waits for room
        stream.release(answered)
    sending.wait_until_sent(room + 3)
    stream.close()
    sending.wait_until_ended()
    assert len(sending.sent) == 1 + room + 3
    assert uploads.read == room + 4


def test_a_closed_stream_takes_no_further_upload() -> None:
    stream = UploadStream(Counted(1), "")
    requests = stream.requests()
    next(requests)
    next(requests)
    stream.close()
    assert next(requests, None) is None
    stream.raise_fault()


class OutOfPaper(Exception):
    pass


def test_the_iterables_exception_is_raised_after_all_results() -> None:
    def uploads() -> Iterator[Upload]:
        yield Upload(b"a")
        raise OutOfPaper

    stream = UploadStream(uploads(), "")
    assert len(list(stream.requests())) == 2
    with pytest.raises(OutOfPaper):
        stream.raise_fault()


@pytest.mark.parametrize(
    ("bad", "error", "said"),
    [
        (Upload(bytes(MAX_IMAGE_BYTES + 1)), InvalidRequest, "66,060,289 bytes"),
        (Upload(b"a", attributes={"when": object()}), InvalidRequest, "attributes"),  # type: ignore[dict-item]
        (Upload(b"a", attributes={"name": "\ud800"}), InvalidRequest, "attributes"),
    ],
    ids=["too large", "not JSON", "not Unicode"],
)
def test_an_upload_too_large_or_invalid_ends_the_stream(bad: Upload, error: type[Exception], said: str) -> None:
    stream = UploadStream([Upload(b"a"), bad, Upload(b"c")], "")
    assert len(list(stream.requests())) == 2
    with pytest.raises(error, match=said) as caught:
        stream.raise_fault()
    assert "Upload 1" in str(caught.value)


def test_the_next_stream_begins_with_what_was_not_answered_while_the_iterable_waits() -> None:
    answered = threading.Event()

    def uploads() -> Iterator[Upload]:
        yield from (Upload(b"a"), Upload(b"b"), Upload(b"c"))
        answered.wait(WAIT_SECONDS)
        yield Upload(b"d")

    stream = UploadStream(uploads(), "zoo")
    broken = Sending(stream)
    broken.wait_until_sent(3)
    stream.release(0)
    following = Sending(stream)
    following.wait_until_sent(2)
    broken.wait_until_ended()
    answered.set()
    following.wait_until_ended()
    assert [request.image.sequence for request in following.sent[1:]] == [1, 2, 3]
    assert len(broken.sent) == 4
    stream.raise_fault()


async def test_the_asynchronous_twin_leaves_the_iterable_alone_when_a_stream_ends() -> None:
    answered = asyncio.Event()

    async def uploads() -> AsyncIterator[Upload]:
        yield Upload(b"a")
        yield Upload(b"b")
        await answered.wait()
        yield Upload(b"c")

    stream = AsyncUploadStream(uploads(), "")
    requests = stream.requests()
    sent = [(await anext(requests)).image.content for _ in range(3)]
    waiting = asyncio.create_task(anext(requests, None))
    stream.release(0)
    following = stream.requests()
    assert await asyncio.wait_for(waiting, WAIT_SECONDS) is None
    answered.set()
    sent += [request.image.content async for request in following]
    assert sent == [b"", b"a", b"b", b"", b"b", b"c"]
    stream.raise_fault()


async def test_the_asynchronous_twin_sends_no_more_than_there_is_room_for() -> None:
    read: asyncio.Queue[int] = asyncio.Queue()

    async def uploads() -> AsyncIterator[Upload]:
        for number in range(3 * MAX_IMAGES):
            read.put_nowait(number)
            yield Upload(b"a")

    stream = AsyncUploadStream(uploads(), "zoo")
    requests = stream.requests()
    assert await anext(requests) == pb.IndexImagesRequest(config=pb.IndexImagesConfig(collection="zoo"))
    sent = [(await anext(requests)).image.sequence for _ in range(MAX_IMAGES)]
    assert sent == [read.get_nowait() for _ in range(MAX_IMAGES)] == list(range(MAX_IMAGES))
    for answered in (7, 0):
        waiting = asyncio.create_task(anext(requests))
        held_back = await asyncio.wait_for(read.get(), WAIT_SECONDS)
        assert not waiting.done()
        stream.release(answered)
        assert (await asyncio.wait_for(waiting, WAIT_SECONDS)).image.sequence == held_back
    stream.raise_fault()
