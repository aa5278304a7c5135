"""A picture's pixels → a square of pixels, a thumbnail and a perceptual hash.

Contract: EXIF orientation is applied, transparency is composited on white, and every picture becomes 8-bit sRGB. Only
the first shown frame of an animation is decoded. A picture is refused only for its pixels, never for its metadata. The
functions are pure and may run on many threads.

Memory beyond the decoded pixels is bounded: a large picture is converted and averaged in strips.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from enum import Enum
from math import isfinite

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from PIL.ExifTags import IFD
from PIL.TiffImagePlugin import TiffImageFile

from model.errors import InvalidCrop
from model.images.colours import Levels, find_levels, to_8_bits, to_srgb
from model.images.containers import ImageFile
from model.images.formats import damage, damaged, open_pillow
from model.images.metadata import PhotoMetadata
from model.images.perceptual_hash import perceptual_hash

THUMBNAIL_QUALITY = 80
_STRIP_PIXELS = 2**22
_MAX_FACTOR = 32  # beyond it, the rounding of Pillow's averages becomes visible
# The transposition that turns a picture upright, by EXIF orientation.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_LYING = (5, 6, 7, 8)


_Box = tuple[int, int, int, int]  # left, top, right, bottom


class Resize(Enum):
    """The way to make a square from a picture of any shape."""

    CENTER_CROP = "center crop"
    SQUASH = "squash"


@dataclass(frozen=True)
class CropBox:
    """A part of an image in fractions of its width and height, after EXIF orientation."""

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
    """A decoded image: `pixels` are uint8 (size, size, 3) RGB; width and height are the original's after orientation.

    If a thumbnail was requested, it is WebP, and `perceptual_hash` has 256 bits; otherwise both are empty.
    """

    pixels: NDArray[np.uint8]
    width: int
    height: int
    media_type: str
    thumbnail: bytes
    metadata: PhotoMetadata
    perceptual_hash: bytes = b""


class OpenedImage:
    """An image of which only the header has been read. `decode` may be called once."""

    def __init__(
        self,
        image: Image.Image,
        file: ImageFile,
        *,
        media_type: str,
        metadata: PhotoMetadata,
        turn: int,
        size: tuple[int, int],
    ) -> None:
        self._image = image
        self._file = file
        self._media_type = media_type
        self._metadata = metadata
        self._turn = turn
        self._size = size

    @property
    def pixels(self) -> int:
        """The maximum number of pixels that are decoded."""
        return self._image.width * self._image.height

    def decode(
        self,
        *,
        size: int,
        resize: Resize = Resize.CENTER_CROP,
        crop: CropBox | None = None,
        thumbnail_edge: int = 0,
    ) -> DecodedImage:
        """Return the picture as a square with edges of `size` pixels; `thumbnail_edge` 0 makes no thumbnail.

        Raises:
            DamagedImage: Its pixels cannot be read.
        """
        with damage():
            # JPEG can be decoded at 1/2, 1/4 or 1/8, HEIC from its own thumbnail; a crop needs the full size.
            reduced = None if crop else (max(size * 2, thumbnail_edge),) * 2
            image = _load(self._image, self._file, reduced)
            profile = image.info.get("icc_profile") or b""
            upright = _turned_size(image.size, self._turn)
            box = _box(crop, upright) if crop else (0, 0, *upright)
            part_edge, whole_edge = min(box[2] - box[0], box[3] - box[1]), max(upright)
            factors = [_factor(part_edge, size)]
            if thumbnail_edge:
                factors.append(_factor(whole_edge, thumbnail_edge))
            levels = find_levels(image)

            def picture(box: _Box, factor: int) -> Image.Image:
                stored = _stored_box(box, upright, self._turn)
                small = to_srgb(_shrink(image, stored, factor, levels), profile)
                return small.transpose(_TURNS[self._turn]) if self._turn in _TURNS else small

            if crop is None:
                part = whole = picture(box, min(factors))
            else:
                part = picture(box, factors[0])
                whole = picture((0, 0, *upright), factors[-1]) if thumbnail_edge else part
            square = _square(part, size, resize)
            thumbnail = _webp(whole, thumbnail_edge) if thumbnail_edge else b""
            hash_bits = perceptual_hash(whole) if thumbnail_edge else b""
        width, height = _turned_size(self._size, self._turn)
        return DecodedImage(square, width, height, self._media_type, thumbnail, self._metadata, hash_bits)


def _load(image: Image.Image, file: ImageFile, reduced: tuple[int, int] | None) -> Image.Image:
    """Decode the first shown frame, at a fraction of its size if that is still at least `reduced`."""
    if isinstance(image, TiffImageFile):
        exif = image.getexif()
        for directory in IFD:  # Pillow reads them after the pixels, and would fail on a broken one
            exif.pop(directory, None)
    if image.info.get("default_image"):
        image.seek(1)
    if reduced:
        image.draft("RGB", reduced)
    image.load()
    if file.end_added and image.format == "JPEG":
        # Missing pixels would take their values from the bytes that follow.
        other = open_pillow(file.content[:-2] + b"\x55" * 4096 + file.content[-2:])
        with other:
            if reduced:
                other.draft("RGB", reduced)
            other.load()
            if other.tobytes() != image.tobytes():
                raise damaged()
    if image.format == "BMP" and image.mode == "RGBA" and not image.getchannel("A").getbbox():
        return image.convert("RGB")  # an alpha channel of only zeros counts as absent
    return image


def _shrink(image: Image.Image, box: _Box, factor: int, levels: Levels | None) -> Image.Image:
    """Return a part of an image with 8 bits a channel, averaged over squares with edges of `factor` pixels."""
    left, top, right, bottom = box
    if factor == 1 and box == (0, 0, *image.size):
        return to_8_bits(image, levels)
    rows = max(1, _STRIP_PIXELS // (right - left) // factor) * factor
    canvas: Image.Image | None = None
    for y in range(top, bottom, rows):
        strip = to_8_bits(image.crop((left, y, right, min(y + rows, bottom))), levels).reduce(factor)
        if canvas is None:
            canvas = Image.new(strip.mode, (strip.width, -(-(bottom - top) // factor)))
        canvas.paste(strip, (0, (y - top) // factor))
    assert canvas is not None  # noqa: S101 — a box has at least one row
    return canvas


def _factor(edge: int, wanted: int) -> int:
    """Return the factor by which to average a picture before the resize, which needs twice the wanted edge."""
    return min(max(1, edge // (2 * wanted)), _MAX_FACTOR)


def _turned_size(size: tuple[int, int], turn: int) -> tuple[int, int]:
    return size[::-1] if turn in _LYING else size


def _box(crop: CropBox, size: tuple[int, int]) -> _Box:
    """Return a crop box in pixels, at least one wide and high."""
    left, top = min(int(crop.left * size[0]), size[0] - 1), min(int(crop.top * size[1]), size[1] - 1)
    return left, top, max(round(crop.right * size[0]), left + 1), max(round(crop.bottom * size[1]), top + 1)


def _stored_box(box: _Box, size: tuple[int, int], turn: int) -> _Box:
    """Return the box in the stored picture for a box in the upright one, whose size is given."""
    left, top, right, bottom = box
    if turn in (2, 3, 6, 7):
        left, right = size[0] - right, size[0] - left
    if turn in (3, 4, 7, 8):
        top, bottom = size[1] - bottom, size[1] - top
    return (top, left, bottom, right) if turn in _LYING else (left, top, right, bottom)


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
