"""Targets that read pictures: the decoder of images, and the parser of EXIF."""

from __future__ import annotations

from functools import cache

from PIL import Image

from model.errors import ImageError
from model.images import ImageLimits, Resize, decode
from model.images.metadata import parse_exif
from tests.fuzz.target import Target
from tests.unit.model.images.picture_files import encode, ramp, rgb_profile
from tests.unit.model.images.test_metadata import camera_exif
from tests.unit.model.images.test_raw import dng

_LIMITS = ImageLimits(pixels=250_000)
_SIZE = 8


def decode_image(content: bytes) -> None:
    """Decode an image, whatever the bytes are; a picture must come out whole."""
    try:
        image = decode(content, size=_SIZE, resize=Resize.SQUASH, thumbnail_edge=16, limits=_LIMITS)
    except ImageError:
        return
    assert image.pixels.shape == (_SIZE, _SIZE, 3)
    assert min(image.width, image.height) > 0
    assert image.thumbnail.startswith(b"RIFF")


def read_exif(content: bytes) -> None:
    """Parse a structure of EXIF tags; no metadata may raise an error."""
    metadata = parse_exif(content)
    assert metadata.orientation in range(1, 9)
    assert all(text.isprintable() for text in (metadata.camera, metadata.lens, metadata.taken_time))
    assert metadata.latitude is None or -90 <= metadata.latitude <= 90
    assert metadata.longitude is None or -180 <= metadata.longitude <= 180


@cache
def pictures() -> tuple[bytes, ...]:
    """Return small files of every format and kind."""
    exif, profile = camera_exif(6).tobytes(), rgb_profile("Display P3")
    files = [
        encode(ramp(), name, exif=exif, icc_profile=profile) for name in ("JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF")
    ]
    files += [encode(ramp(), "JPEG", exif=exif, progressive=True), encode(ramp().convert("CMYK"), "JPEG")]
    files += [
        encode(ramp().convert(mode), "TIFF", compression=how)
        for mode in ("L", "F", "I;16", "CMYK")
        for how in ("raw", "tiff_lzw", "tiff_adobe_deflate")
    ]
    files += [encode(ramp().convert("P"), name) for name in ("GIF", "PNG", "BMP")]
    frames = [ramp().rotate(turn) for turn in (90, 180)]
    files += [
        encode(ramp(), name, save_all=True, append_images=frames) for name in ("GIF", "PNG", "WEBP", "AVIF", "MPO")
    ]
    return (*files, dng(encode(Image.new("RGB", (32, 24)), "JPEG"), 6))


def _exif() -> list[bytes]:
    return [camera_exif(turn).tobytes().removeprefix(b"Exif\x00\x00") for turn in (1, 6)]


TARGETS = {
    "image": Target(decode_image, pictures, max_bytes=16_384, seconds=20),
    "exif": Target(read_exif, _exif),
}
