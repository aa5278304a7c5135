"""Camera metadata is read tag by tag; unreadable tags count as absent."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.ExifTags import GPS, IFD, Base

from model.images import PhotoMetadata, Resize, decode
from model.images.metadata import parse_exif
from tests.unit.model.images.picture_files import encode, exif, ramp

# How a camera in this orientation stores an upright picture.
_STORED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
FORMATS = ["JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF"]


def stored_as(picture: Image.Image, orientation: int) -> Image.Image:
    """Return an upright picture as a camera with that orientation stores it."""
    return picture.transpose(_STORED[orientation]) if orientation > 1 else picture


def camera_exif(orientation: int = 1) -> Image.Exif:
    tags = Image.Exif()
    tags[Base.Make], tags[Base.Model] = "Canon", "Canon EOS R5\x00"
    tags[Base.Orientation] = orientation
    photo, place = tags.get_ifd(IFD.Exif), tags.get_ifd(IFD.GPSInfo)
    photo[Base.DateTimeOriginal] = "2024:06:05 14:03:22"
    photo[Base.OffsetTimeOriginal] = "+02:00"
    photo[Base.LensModel] = "RF24-70mm F2.8 L IS USM"
    place[GPS.GPSLatitudeRef], place[GPS.GPSLatitude] = "S", (33.0, 51.0, 25.2)
    place[GPS.GPSLongitudeRef], place[GPS.GPSLongitude] = "E", (151.0, 12.0, 54.0)
    return tags


@pytest.mark.parametrize("format_name", FORMATS)
def test_every_format_with_exif_gives_the_same_metadata(format_name: str) -> None:
    metadata = decode(encode(ramp(), format_name, exif=camera_exif().tobytes()), size=8).metadata
    assert metadata == PhotoMetadata(
        "2024-06-05T14:03:22+02:00", "Canon EOS R5", "RF24-70mm F2.8 L IS USM", -33.857, 151.215, 1
    )


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_format_is_turned_by_its_orientation(format_name: str, orientation: int) -> None:
    stored = stored_as(ramp(64, 48), orientation)
    options = {} if format_name in ("PNG", "TIFF") else {"quality": 95}
    content = encode(stored, format_name, exif=camera_exif(orientation).tobytes(), **options)
    decoded = decode(content, size=32, resize=Resize.SQUASH, thumbnail_edge=64)
    assert (decoded.width, decoded.height, decoded.metadata.orientation) == (64, 48, orientation)
    upright = decode(encode(ramp(64, 48), "PNG"), size=32, resize=Resize.SQUASH)
    assert abs(decoded.pixels.astype(int) - upright.pixels).mean() < 5
    assert decoded.pixels[16, 30, 0] > decoded.pixels[16, 2, 0] + 150


@pytest.mark.parametrize("size", [(1002, 1001), (1001, 1002), (999, 999)])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_the_size_is_that_of_the_upright_image(size: tuple[int, int], orientation: int) -> None:
    content = encode(ramp(*size), "JPEG", exif=camera_exif(orientation))
    decoded = decode(content, size=32)
    assert (decoded.width, decoded.height) == (size if orientation < 5 else size[::-1])


@pytest.mark.parametrize(
    ("entry", "orientation"),
    [
        ((0x0112, 3, 1, b"\x00\x06\x00\x00"), 6),
        ((0x0112, 4, 1, b"\x00\x00\x00\x06"), 6),
        ((0x0112, 11, 1, struct.pack(">f", 6)), 6),
        ((0x0112, 3, 1, b"\x00\x09\x00\x00"), 1),
        ((0x0112, 2, 1, b"6\x00\x00\x00"), 6),
        ((0x0112, 11, 1, struct.pack(">f", float("nan"))), 1),
        ((0x0128, 2, 1, b"inch"), 1),
    ],
)
def test_an_orientation_of_another_numeric_type_is_read(entry: tuple[int, int, int, bytes], orientation: int) -> None:
    content = encode(ramp(), "JPEG", exif=b"Exif\x00\x00" + exif(entry))
    assert decode(content, size=8).metadata.orientation == orientation


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2024:06:05 14:03:22", "2024-06-05T14:03:22"),
        ("2024-06-05 14:03", "2024-06-05T14:03:00"),
        ("0000:00:00 00:00:00", ""),
        ("2024:13:05 14:03:22", ""),
        ("    :  :     :  :  ", ""),
        ("yesterday", ""),
    ],
)
def test_a_time_is_read_or_counts_as_absent(written: str, read: str) -> None:
    tags = Image.Exif()
    tags.get_ifd(IFD.Exif)[Base.DateTimeOriginal] = written
    assert parse_exif(tags.tobytes()).taken_time == read


def test_a_place_out_of_range_counts_as_absent() -> None:
    tags = Image.Exif()
    place = tags.get_ifd(IFD.GPSInfo)
    place[GPS.GPSLatitudeRef], place[GPS.GPSLatitude] = "N", (99.0, 0.0, 0.0)
    place[GPS.GPSLongitudeRef], place[GPS.GPSLongitude] = "E", (10.0, 0.0, 0.0)
    metadata = parse_exif(tags.tobytes())
    assert (metadata.latitude, metadata.longitude) == (None, None)


@given(st.binary(max_size=300), st.sampled_from([b"", b"II*\x00", b"MM\x00*", b"Exif\x00\x00II*\x00\x08\x00\x00\x00"]))
def test_any_bytes_are_metadata_or_none(garbage: bytes, beginning: bytes) -> None:
    parse_exif(beginning + garbage)


@given(st.data())
def test_damaged_exif_never_refuses_a_picture(data: st.DataObject) -> None:
    tags = bytearray(camera_exif(6).tobytes())
    for _ in range(data.draw(st.integers(1, 6))):
        tags[data.draw(st.integers(0, len(tags) - 1))] = data.draw(st.integers(0, 255))
    for name in ("JPEG", "PNG", "WEBP"):
        assert decode(encode(Image.new("RGB", (8, 8)), name, exif=bytes(tags)), size=8).pixels.shape == (8, 8, 3)
