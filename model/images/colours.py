"""Pixels of any mode → 8-bit sRGB: levels, profiles, transparency.

- 16-bit, 32-bit and float levels are scaled to 8 bits: white is the smallest of 1 (floats), 255, 65,535 and the type's
  maximum that no pixel exceeds.
- LittleCMS converts an embedded profile to sRGB, with relative colorimetric intent. A profile that cannot be read, or
  that is for another kind of pixels, counts as absent.
- Transparency is composited on white.

Contract: pure; safe on many threads. Memory is proportional to the converted part, so callers pass small parts.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import lru_cache
from math import isfinite

import numpy as np
from PIL import Image, ImageCms
from PIL.TiffImagePlugin import PHOTOMETRIC_INTERPRETATION, SAMPLEFORMAT, TiffImageFile

_SIGNED = 2  # TIFF's SampleFormat
_WHITE_IS_ZERO = 0  # TIFF's PhotometricInterpretation
_PROFILES = 32  # cached: a camera writes the same one into every photo
# Colours to test whether a profile is sRGB itself.
_PROBES = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)

Levels = Callable[[Image.Image], Image.Image]


def find_levels(image: Image.Image) -> Levels | None:
    """Return the conversion of parts of a loaded image to 8 bits a channel; None if they already have 8 bits."""
    if not image.mode.startswith(("I", "F")):
        return None
    tags = image.tag_v2 if isinstance(image, TiffImageFile) else {}
    is_inverted = tags.get(PHOTOMETRIC_INTERPRETATION) == _WHITE_IS_ZERO
    # Pillow reads unsigned 32-bit numbers as signed.
    is_unsigned = image.mode == "I" and tags.get(SAMPLEFORMAT, (_SIGNED,))[0] != _SIGNED
    white = _white(image, is_unsigned)

    def convert(part: Image.Image) -> Image.Image:
        values = np.asarray(part)
        if is_unsigned:
            values = values.view(np.uint32)
        levels = np.nan_to_num(values.astype(np.float32), posinf=white) * np.float32(255 / white)
        levels = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
        return Image.fromarray(255 - levels if is_inverted else levels)

    return convert


def _white(image: Image.Image, is_unsigned: bool) -> float:
    if image.mode == "F":
        greatest = max(_extrema(image)[1], 0.0)
        if not isfinite(greatest):  # rare, so one more copy is acceptable
            values = np.asarray(image)
            greatest = float(np.max(values, initial=0.0, where=np.isfinite(values)))
        return next((white for white in (1.0, 255.0, 65535.0) if greatest <= white), greatest)
    least, greatest = _extrema(image)
    if is_unsigned and least < 0:
        return 2.0**32 - 1
    return next((white for white in (255.0, 65535.0) if greatest <= white), 2.0**32 - 1 if is_unsigned else 2.0**31 - 1)


def _extrema(image: Image.Image) -> tuple[float, float]:
    least, greatest = np.asarray(image.getextrema(), np.float64)
    return float(least), float(greatest)


def to_8_bits(part: Image.Image, levels: Levels | None) -> Image.Image:
    """Return a part as L, LA, RGB, RGBA, CMYK or LAB, whose pixels can be averaged."""
    if levels is not None:
        return levels(part)
    if part.mode in ("L", "LA", "RGB", "RGBA", "CMYK", "LAB"):
        # A single transparent colour ("tRNS") must become transparency before neighbours are averaged.
        return part.convert("RGBA") if "transparency" in part.info else part
    if part.mode == "YCbCr":
        return part.convert("RGB")
    if part.mode in ("1", "L;I"):
        return part.convert("L")
    return part.convert("RGBA" if part.has_transparency_data else "RGB")


def to_srgb(picture: Image.Image, profile: bytes) -> Image.Image:
    """Return a picture with 8 bits a channel as sRGB, on white."""
    alpha = picture.getchannel("A") if picture.mode in ("LA", "RGBA") else None
    colours = picture
    if alpha is not None:
        colours = picture.convert("L" if picture.mode == "LA" else "RGB")
    transform = _transform(profile, colours.mode) if profile or colours.mode == "LAB" else None
    if transform is not None:
        colours = _applied(transform, colours)
    colours = colours.convert("RGB")
    if alpha is None:
        return colours
    return Image.composite(colours, Image.new("RGB", colours.size, "white"), alpha)


def _applied(transform: ImageCms.ImageCmsTransform, colours: Image.Image) -> Image.Image:
    converted = ImageCms.applyTransform(colours, transform)
    assert converted is not None  # noqa: S101 — it is None only for a conversion in place
    return converted


@lru_cache(maxsize=_PROFILES)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Return the conversion from a profile to sRGB, or None if it would change nothing or cannot be built."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile)) if profile else ImageCms.createProfile("LAB")
        transform = ImageCms.buildTransform(
            source,
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        if mode != "RGB":
            return transform
        converted = np.asarray(_applied(transform, Image.fromarray(_PROBES)), np.int16)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
    return None if np.abs(converted - _PROBES).max() <= 1 else transform
