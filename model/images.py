"""Image bytes → a square of pixels: the one implementation of decoding and resizing, for serving and for training.

Contract: bytes, pixels and frames are checked against `ImageLimits` before any pixel is decoded, so that a small file
cannot claim a lot of memory. EXIF orientation is applied, transparency lies on white, everything becomes 8-bit RGB. The
first frame of an animation counts. Whatever the bytes are, only `ImageError` is raised. The functions are pure and may
run on many threads.
"""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass
from enum import Enum
from math import isfinite

import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from model.errors import DamagedImage, ImageTooLarge, InvalidCrop, NotAnImage

__all__ = ["CropBox", "DecodedImage", "ImageLimits", "Resize", "decode"]

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "HEIF", "AVIF")
THUMBNAIL_QUALITY = 80
# What Pillow's and libheif's readers raise for damaged bytes, as found by fuzzing their formats.
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    IndexError,
    KeyError,
    TypeError,
    EOFError,
    OverflowError,
    RuntimeError,
    struct.error,
    zlib.error,
)

# First bytes of JPEG, PNG, GIF and TIFF; WebP, HEIC and AVIF have theirs further in, and "BM" alone says too little.
_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"II*\x00", b"MM\x00*")


pillow_heif.register_heif_opener()
# Pillow would refuse pictures by a cap of its own, whatever `ImageLimits` allow.
Image.MAX_IMAGE_PIXELS = None


class Resize(Enum):
    """How a picture of any shape becomes a square."""

    CENTER_CROP = "center crop"
    SQUASH = "squash"


@dataclass(frozen=True)
class ImageLimits:
    """What one image may have at most."""

    bytes: int = 32 * 2**20
    pixels: int = 100_000_000
    frames: int = 10_000


@dataclass(frozen=True)
class CropBox:
    """A part of an image in shares of its width and height, after EXIF orientation."""

    left: float
    top: float
    right: float
    bottom: float

    def __post_init__(self) -> None:
        sides = (self.left, self.top, self.right, self.bottom)
        inside = all(isfinite(side) and 0 <= side <= 1 for side in sides)
        if not (inside and self.left < self.right and self.top < self.bottom):
            raise InvalidCrop(
                f"The crop box {sides} is empty or outside the image: 0 ≤ left < right ≤ 1 and 0 ≤ top < bottom ≤ 1."
            )


@dataclass(frozen=True)
class DecodedImage:
    """uint8 (size, size, 3) RGB; width and height of the original after orientation; a WebP thumbnail if asked for."""

    pixels: NDArray[np.uint8]
    width: int
    height: int
    media_type: str
    thumbnail: bytes


def decode(
    content: bytes,
    *,
    size: int,
    resize: Resize = Resize.CENTER_CROP,
    crop: CropBox | None = None,
    thumbnail_edge: int = 0,
    limits: ImageLimits | None = None,
) -> DecodedImage:
    """Return the picture as a square of `size` pixels an edge; `thumbnail_edge` 0 makes no thumbnail.

    Raises:
        NotAnImage, DamagedImage, ImageTooLarge: see `embedder_service.errors`.
    """
    limits = limits or ImageLimits()
    if len(content) > limits.bytes:
        raise ImageTooLarge("bytes", len(content), limits.bytes)
    with _open(content) as image:
        if image.width * image.height > limits.pixels:
            raise ImageTooLarge("pixels", image.width * image.height, limits.pixels)
        media_type = Image.MIME.get(image.format or "", "application/octet-stream")
        try:
            if (frames := getattr(image, "n_frames", 1)) > limits.frames:
                raise ImageTooLarge("frames", frames, limits.frames)
            whole = image.size
            # JPEG decodes at 1/2, 1/4 or 1/8; a cut-out needs its share of the size.
            if crop is None:
                image.draft("RGB", (max(size * 2, thumbnail_edge),) * 2)
            picture = _rgb(ImageOps.exif_transpose(image))
        except _DAMAGE as error:
            raise _damaged() from error
    turned = (picture.width > picture.height) != (whole[0] > whole[1]) and whole[0] != whole[1]
    width, height = whole[::-1] if turned else whole
    part = picture if crop is None else picture.crop(_box(crop, picture.size))
    return DecodedImage(
        _square(part, size, resize),
        width,
        height,
        media_type,
        _webp(picture, thumbnail_edge) if thumbnail_edge else b"",
    )


def _open(content: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(content), formats=FORMATS)
    except (UnidentifiedImageError, *_DAMAGE) as error:
        if content.startswith(_SIGNATURES) or content[8:12] == b"WEBP" or content[4:8] == b"ftyp":
            raise _damaged() from error
        raise NotAnImage(
            "The bytes are not an image that can be read: send JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC or AVIF."
        ) from error


def _damaged() -> DamagedImage:
    return DamagedImage(
        "The image is cut off or damaged: it begins as one but cannot be read to its end. Send the whole file."
    )


def _rgb(image: Image.Image) -> Image.Image:
    """Return the first frame as 8-bit RGB, transparency on white."""
    image.load()
    if image.mode.startswith("I") or image.mode == "F":  # 16 bits and more: the brightest value becomes white
        levels = np.asarray(image, dtype=np.float32)
        top = 65535.0 if levels.max() > 255 else 255.0
        return Image.fromarray(np.clip(levels * (255 / top), 0, 255).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(white, layer).convert("RGB")
    return image.convert("RGB")


def _box(crop: CropBox, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return a crop box in pixels, at least one wide and high."""
    left, top = min(int(crop.left * size[0]), size[0] - 1), min(int(crop.top * size[1]), size[1] - 1)
    return left, top, max(round(crop.right * size[0]), left + 1), max(round(crop.bottom * size[1]), top + 1)


def _square(picture: Image.Image, size: int, resize: Resize) -> NDArray[np.uint8]:
    if resize is Resize.CENTER_CROP:
        return np.asarray(ImageOps.fit(picture, (size, size), Image.Resampling.BICUBIC))
    return np.asarray(picture.resize((size, size), Image.Resampling.BICUBIC))


def _webp(picture: Image.Image, edge: int) -> bytes:
    small = picture.copy()
    small.thumbnail((edge, edge), Image.Resampling.BICUBIC, reducing_gap=2.0)
    file = io.BytesIO()
    small.save(file, "WEBP", quality=THUMBNAIL_QUALITY, method=1)
    return file.getvalue()
