"""Opens supported image formats with Pillow, and explains why other files are refused.

Contract: whatever the bytes, opening raises only `ImageError`, and nothing is decoded.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import pillow_heif
from PIL import Image, UnidentifiedImageError

from model.errors import DamagedImage, NotAnImage, UnsupportedImage

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "HEIF", "AVIF")
# The exceptions of Pillow's and libheif's readers for damaged bytes, found by fuzzing their formats.
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    IndexError,
    KeyError,
    TypeError,
    EOFError,
    ArithmeticError,
    RuntimeError,
    MemoryError,
    struct.error,
    zlib.error,
)

# First bytes of JPEG, PNG, GIF and TIFF; those of WebP, HEIC and AVIF come later, and "BM" alone is too short.
_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"II*\x00", b"MM\x00*")
_VIDEO_BRANDS = (b"qt  ", b"mp4", b"isom", b"iso2", b"iso4", b"iso5", b"iso6", b"avc1", b"M4V", b"3gp", b"3g2", b"dash")


pillow_heif.register_heif_opener()
# Pillow warns about damage that it can work around. `catch_warnings` would not be thread-safe.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
# Pillow's own cap would refuse pictures that `ImageLimits` allow.
Image.MAX_IMAGE_PIXELS = None


def open_pillow(content: bytes) -> Image.Image:
    """Read an image's header.

    Raises:
        NotAnImage, UnsupportedImage, DamagedImage: see `model.errors`.
    """
    try:
        return Image.open(io.BytesIO(content), formats=FORMATS)
    except (UnidentifiedImageError, *_DAMAGE) as error:
        if problem := _unsupported(content):
            raise UnsupportedImage(problem) from error
        if content.startswith(_SIGNATURES) or content[8:12] == b"WEBP" or content[4:8] == b"ftyp":
            raise damaged() from error
        raise NotAnImage(
            "The bytes are not a supported image: send JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC or AVIF."
        ) from error


def _unsupported(content: bytes) -> str:
    """Return a message about a known but unsupported kind of file, or ""."""
    is_mp4 = content[4:8] == b"ftyp" and content[8:12].startswith(_VIDEO_BRANDS)
    if is_mp4 or content.startswith(b"\x1aE\xdf\xa3") or (content.startswith(b"RIFF") and content[8:12] == b"AVI "):
        return "This is a video, and videos are not read. Send a picture of it."
    if content.startswith((b"\xff\x0a", b"\x00\x00\x00\x0cJXL \r\n\x87\n")):
        return "This is JPEG XL, which is not read yet. Save it as JPEG, PNG or WebP."
    if content.startswith((b"\x00\x00\x00\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")):
        return "This is JPEG 2000, which is not read. Save it as JPEG, PNG or TIFF."
    if content.startswith((b"II*\x00", b"MM\x00*")) and (tags := _tiff_tags(content)):
        return f"This kind of TIFF is not read ({tags}). Save it with 8 or 16 bits a channel."
    return ""


def _tiff_tags(content: bytes) -> str:
    """Return the pixel format in a TIFF's directory as text, or "" if it is incomplete."""
    exif = Image.Exif()
    try:
        exif.load(content)
        width, height = exif[256], exif[257]
        bits, form = exif.get(258, 1), exif.get(339, 1)
    except _DAMAGE:
        return ""
    depth = bits[0] if isinstance(bits, tuple) else bits
    channels = len(bits) if isinstance(bits, tuple) else 1
    kind = {3: "float", 2: "signed"}.get(form[0] if isinstance(form, tuple) else form, "unsigned")
    return f"{width} × {height}, {channels} channels of {depth} bits, {kind}"


@contextmanager
def damage() -> Iterator[None]:
    """Turn the readers' exceptions for damaged bytes into `DamagedImage`."""
    try:
        yield
    except _DAMAGE as error:
        raise damaged() from error


def damaged() -> DamagedImage:
    """Return the error of an image that cannot be read to its end."""
    return DamagedImage(
        "The image is cut off or damaged: it begins as one but cannot be read to its end. Send the whole file."
    )
