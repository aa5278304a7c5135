"""Open an image: check it against the limits and read its metadata, without decoding.

Contract: bytes, pixels and scans are checked before any pixel is decoded, so that a small file cannot consume a lot of
memory or time. Whatever the bytes, only `ImageError` is raised.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from model.errors import ImageTooLarge
from model.images.containers import ImageFile, read_container
from model.images.decoding import CropBox, DecodedImage, OpenedImage, Resize
from model.images.formats import damage, open_pillow
from model.images.metadata import PhotoMetadata, parse_exif
from model.images.raw import raw_media_type, read_preview


@dataclass(frozen=True)
class ImageLimits:
    """The limits for one image; `scans` are those of a progressive JPEG, each over the whole picture."""

    bytes: int = 32 * 2**20
    pixels: int = 100_000_000
    scans: int = 100


def decode(
    content: bytes,
    *,
    size: int,
    resize: Resize = Resize.CENTER_CROP,
    crop: CropBox | None = None,
    thumbnail_edge: int = 0,
    limits: ImageLimits | None = None,
) -> DecodedImage:
    """Open and decode in one step; see `open_image` and `OpenedImage.decode`."""
    with open_image(content, limits) as image:
        return image.decode(size=size, resize=resize, crop=crop, thumbnail_edge=thumbnail_edge)


@contextmanager
def open_image(content: bytes, limits: ImageLimits | None = None) -> Iterator[OpenedImage]:
    """Read an image's header and check it against the limits, for the duration of a `with` block.

    Raises:
        NotAnImage, UnsupportedImage, DamagedImage, ImageTooLarge: see `model.errors`.
    """
    limits = limits or ImageLimits()
    if len(content) > limits.bytes:
        raise ImageTooLarge("bytes", len(content), limits.bytes)
    if media_type := raw_media_type(content):
        with _open_raw(content, media_type, limits) as opened:
            yield opened
        return
    file = read_container(content)
    if file.scans > limits.scans:
        raise ImageTooLarge("scans", file.scans, limits.scans)
    with open_pillow(file.content) as image:
        _check_pixels(image.size, limits)
        with damage():
            exif, turn = _orientation(image, file)
            opened = OpenedImage(
                image,
                file,
                media_type=Image.MIME.get(image.format or "", "application/octet-stream"),
                metadata=exif,
                turn=turn,
                size=image.size,
            )
        yield opened


@contextmanager
def _open_raw(content: bytes, media_type: str, limits: ImageLimits) -> Iterator[OpenedImage]:
    preview = read_preview(content)
    if isinstance(preview.picture, bytes):
        file = read_container(preview.picture)
        image = open_pillow(file.content)
    else:
        file, image = ImageFile(b""), preview.picture
    size = preview.width, preview.height
    with image:
        _check_pixels(size, limits)
        _check_pixels(image.size, limits)
        metadata = parse_exif(content)
        if metadata == PhotoMetadata(orientation=metadata.orientation):
            metadata = parse_exif(file.exif)
        metadata = replace(metadata, orientation=preview.orientation)
        yield OpenedImage(image, file, media_type=media_type, metadata=metadata, turn=preview.orientation, size=size)


def _check_pixels(size: tuple[int, int], limits: ImageLimits) -> None:
    if (pixels := size[0] * size[1]) > limits.pixels:
        raise ImageTooLarge("pixels", pixels, limits.pixels)


def _orientation(image: Image.Image, file: ImageFile) -> tuple[PhotoMetadata, int]:
    """Return a photo's metadata, and the orientation of the pixels that Pillow will return."""
    if isinstance(image, TiffImageFile):  # Pillow turns the pixels itself
        return parse_exif(file.content), 1
    metadata = parse_exif(file.exif or image.info.get("exif") or b"")
    if (stored := image.info.get("original_orientation")) is not None or image.format == "HEIF":  # libheif turns them
        return replace(metadata, orientation=stored or 1), 1
    return metadata, metadata.orientation
