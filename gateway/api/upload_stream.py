"""Read the images of IndexImages and of BatchIndexImages."""

from __future__ import annotations

from collections.abc import AsyncIterator

from semsearch.v1 import gallery_service_pb2 as pb

from gateway.api import translate
from gateway.errors import StreamConfigError
from gateway.ingest.plan import Upload
from serving.drain import until_shutdown
from serving.errors import InvalidField, ShuttingDown


class UploadStream:
    """A stream's configuration, followed by its uploads.

    A message that breaks the stream's rules ends the iteration, and so does the end of the process. Earlier uploads are
    still completed; `raise_fault` then raises the error.
    """

    def __init__(self, requests: AsyncIterator[pb.IndexImagesRequest]) -> None:
        self._requests = requests
        self._fault: StreamConfigError | InvalidField | ShuttingDown | None = None

    async def collection(self) -> str:
        """Read the first message and return its collection.

        Raises:
            StreamConfigError: The message is missing or carries no configuration.
        """
        async for request in self._requests:
            if request.WhichOneof("payload") != "config":
                break
            return translate.collection_or_default(request.config.collection, "config.collection")
        raise StreamConfigError("The first message of the stream must carry `config`; the images come after it.")

    async def __aiter__(self) -> AsyncIterator[Upload]:
        """Yield the uploads; an image with invalid fields becomes an upload with an error."""
        try:
            async for upload in self._each():
                yield upload
        except ShuttingDown as end:
            self._fault = end

    async def _each(self) -> AsyncIterator[Upload]:
        last: int | None = None
        async for request in until_shutdown(self._requests):
            payload = request.WhichOneof("payload")
            if payload == "config":
                self._fault = StreamConfigError("Only the first message of the stream may carry `config`.")
                return
            if payload is None:
                self._fault = InvalidField("image", "a message of the stream is empty.")
                return
            sequence = request.image.sequence
            if last is not None and sequence <= last:
                self._fault = InvalidField(
                    "image.sequence", f"must increase from message to message; {sequence} came after {last}."
                )
                return
            last = sequence
            yield upload_of(request.image)

    def raise_fault(self) -> None:
        """Raise the error that ended the iteration early, if any."""
        if self._fault is not None:
            raise self._fault


def upload_of(image: pb.ImageUpload) -> Upload:
    """Return an upload; one with invalid fields has an error."""
    attributes = None
    place = ""
    error = None
    try:
        place = translate.place_of_original(image.original_at)
        if image.HasField("attributes"):
            attributes = translate.attributes_from(image.attributes, "image.attributes")
    except InvalidField as invalid:
        error = invalid
    return Upload(image.sequence, image.content, image.id, attributes, original_at=place, error=error)
