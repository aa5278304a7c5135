"""The forms in which callers give images: files, bytes, Pillow images, NumPy arrays, or the ids of stored ones.

Neither Pillow nor NumPy is imported unless a caller gives such an image.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from semsearch.errors import InvalidRequest


class Pixels(Protocol):
    """A Pillow image, or an array of height × width (grey) or height × width × 3 or 4 (RGB, RGBA) bytes."""

    @property
    def __array_interface__(self) -> Mapping[str, Any]: ...


ImageContent: TypeAlias = bytes | bytearray | memoryview | os.PathLike[str] | Pixels
ImageSource: TypeAlias = ImageContent | str

_WHAT = "An image is a Path, its bytes, a Pillow image or a NumPy array"


def content_of(image: ImageContent) -> bytes:
    """Return the bytes of an image file. Pixels become a PNG, which loses nothing.

    Raises:
        InvalidRequest: it is no image, or its file cannot be read.
    """
    if isinstance(image, bytes | bytearray | memoryview):
        return bytes(image)
    if isinstance(image, os.PathLike):
        try:
            return Path(image).read_bytes()
        except OSError as error:
            raise InvalidRequest(f"{os.fspath(image)} cannot be read: {error.strerror}.") from error
    if isinstance(image, str):
        raise InvalidRequest(f"{_WHAT}, not a string: write Path({image!r}) for a file.")
    if hasattr(type(image), "__array_interface__"):
        return _png(image)
    raise InvalidRequest(f"{_WHAT}, not {type(image).__name__}.")


def source_of(image: ImageSource) -> str | bytes:
    """Return the id of a stored image, or the bytes of another.

    Raises:
        InvalidRequest: it is neither.
    """
    if not isinstance(image, str):
        return content_of(image)
    if "/" in image and "." in image.rpartition("/")[2]:  # a file's name; no id has a slash
        raise InvalidRequest(
            f"A string is the id of a stored image, and {image!r} is not one.",
            hint=f"Write Path({image!r}) for a file.",
        )
    return image


def _png(pixels: Pixels) -> bytes:
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise InvalidRequest(
            "An array becomes an image with Pillow, which is not installed.",
            hint='Run: pip install "semsearch[images]"',
        ) from error
    if isinstance(pixels, Image.Image):
        # Turned upright, because the PNG does not carry the orientation that the camera wrote.
        try:
            picture = ImageOps.exif_transpose(pixels)  # reads the file of an image that was only opened
        except OSError as error:
            raise InvalidRequest(f"Pillow cannot read the image: {error}.") from error
        if picture.mode not in {"1", "L", "LA", "I;16", "P", "RGB", "RGBA"}:
            picture = picture.convert("RGB")
    else:
        kind, shape = str(pixels.__array_interface__["typestr"]), pixels.__array_interface__["shape"]
        if kind[1:] != "u1" or len(shape) not in {2, 3} or 0 in shape or shape[2:] not in {(), (1,), (3,), (4,)}:
            raise InvalidRequest(
                f"An array of shape {tuple(shape)} and type {kind} is not an image: give height × width (grey) or "
                "height × width × 3 or 4 (RGB, RGBA) of uint8, 0 to 255."
            )
        array: Any = pixels
        picture = Image.fromarray(array[:, :, 0] if shape[2:] == (1,) else array)
    png = io.BytesIO()
    picture.save(png, "PNG", compress_level=1)
    return png.getvalue()
