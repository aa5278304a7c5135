"""Whatever a file's colour space and depth, the decoded image looks right."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from model.errors import UnsupportedImage
from model.images import Resize, decode
from tests.unit.model.images.picture_files import (
    SPACES,
    cmyk_profile,
    encode,
    in_space,
    ramp,
    rgb_profile,
    with_tiff_tag,
)


def pixels(content: bytes) -> NDArray[np.int16]:
    return decode(content, size=32, resize=Resize.SQUASH).pixels.astype(np.int16)


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "TIFF", "WEBP", "HEIF", "AVIF"])
@pytest.mark.parametrize("space", list(SPACES))
def test_an_embedded_profile_is_converted_to_srgb(format_name: str, space: str) -> None:
    soft = Image.fromarray((np.asarray(ramp()) // 3 + 80).astype(np.uint8))  # within every space
    options = {"quality": 95} if format_name not in ("PNG", "TIFF") else {}
    shown = pixels(encode(in_space(soft, space), format_name, icc_profile=rgb_profile(space), **options))
    expected = pixels(encode(soft, format_name, **options))
    assert np.abs(shown - expected).mean() < 3
    assert np.abs(pixels(encode(in_space(soft, space), format_name, **options)) - expected).mean() > 3


def test_a_cmyk_profile_is_used() -> None:
    green = (150, 60, 180)  # CIELAB, 8 bits
    profile = cmyk_profile([green] * 16)
    content = encode(Image.new("CMYK", (16, 16), (0, 0, 0, 0)), "JPEG", icc_profile=profile)
    red, level, blue = pixels(content)[16, 16]
    assert level > red + 40
    assert level > blue + 40


def test_a_profile_of_other_pixels_counts_as_absent() -> None:
    gray = Image.new("L", (8, 8), 77)
    assert np.abs(pixels(encode(gray, "PNG", icc_profile=cmyk_profile([(0, 0, 0)] * 16))) - 77).max() == 0
    assert np.abs(pixels(encode(gray, "PNG", icc_profile=b"garbage")) - 77).max() == 0


LEVELS = np.tile(np.linspace(0.03, 0.96, 64), (32, 1))


@pytest.mark.parametrize(
    "values",
    [
        (LEVELS * 65535).astype(np.uint16),
        LEVELS.astype(np.float32),
        (LEVELS * 255).astype(np.float32),
        (LEVELS * 65535).astype(np.float32),
        (LEVELS * (2**31 - 1)).astype(np.int32),
    ],
    ids=["16 bits", "float 1", "float 255", "float 65535", "32 bits"],
)
@pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
def test_deep_levels_are_read_by_their_values(values: NDArray[np.generic], compression: str) -> None:
    shown = pixels(encode(Image.fromarray(values), "TIFF", compression=compression))
    assert np.abs(shown[16, 1] - 255 * 0.06).max() < 8
    assert np.abs(shown[16, 30] - 255 * 0.93).max() < 8


@pytest.mark.parametrize("bits", [8, 16])
def test_white_may_be_zero(bits: int) -> None:
    values = (LEVELS * (2**bits - 1)).astype(np.uint8 if bits == 8 else np.uint16)
    shown = pixels(with_tiff_tag(encode(Image.fromarray(values), "TIFF"), 262, 0))
    assert shown[16, 1, 0] > 220
    assert shown[16, 30, 0] < 35


def test_unsigned_32_bit_numbers_are_read_as_unsigned() -> None:
    values = (LEVELS * (2**32 - 1)).astype(np.uint32).view(np.int32)
    shown = pixels(with_tiff_tag(encode(Image.fromarray(values), "TIFF"), 339, 1))
    assert shown[16, 1, 0] < 30
    assert shown[16, 30, 0] > 225


def test_not_a_number_is_black_and_infinity_white() -> None:
    values = np.full((32, 32), 0.5, np.float32)
    values[0:16, 0:16], values[16:, 16:] = np.nan, np.inf
    shown = pixels(encode(Image.fromarray(values), "TIFF"))
    assert (shown[4, 4].max(), shown[28, 28].min(), shown[4, 28, 0]) == (0, 255, 128)


def test_an_alpha_of_zeros_alone_is_none_in_a_bmp() -> None:
    picture = ramp()
    picture.putalpha(0)
    content = bytearray(encode(picture, "BMP"))
    assert np.abs(pixels(bytes(content)) - pixels(encode(ramp(), "BMP"))).max() == 0


@pytest.mark.parametrize("transparency", [True, False])
def test_a_large_picture_is_averaged_as_a_small_one_is(transparency: bool) -> None:
    picture = ramp(2_000, 1_500)
    if transparency:
        picture.putalpha(Image.linear_gradient("L").resize(picture.size))
    large = pixels(encode(picture, "PNG", compress_level=1))
    small = pixels(encode(picture.resize((64, 48), Image.Resampling.BOX), "PNG"))
    assert np.abs(large - small).mean() < 1.5


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x00\x00\x00\x18ftypmp42" + bytes(40), "This is a video"),
        (b"\x1aE\xdf\xa3" + bytes(40), "This is a video"),
        (b"\xff\x0a" + bytes(40), "JPEG XL"),
        (b"\x00\x00\x00\x0cjP  \r\n\x87\n" + bytes(40), "JPEG 2000"),
    ],
)
def test_other_kinds_of_files_are_named(content: bytes, said: str) -> None:
    with pytest.raises(UnsupportedImage, match=said):
        pixels(content)
