"""Camera RAW files: recognised by their first bytes and tags, and decoded from the embedded preview.

Contract: no sensor data is decoded. The library, rawpy (LibRaw), is an extra; if it is missing, the error names it.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from model.errors import DamagedImage, UnsupportedImage

_SIGNATURES = {
    b"FUJIFILMCCD-RAW": "image/x-fuji-raf",
    b"IIU\x00": "image/x-panasonic-rw2",
    b"IIRO": "image/x-olympus-orf",
    b"IIRS": "image/x-olympus-orf",
    b"MMOR": "image/x-olympus-orf",
}
_TIFF = (b"II*\x00", b"MM\x00*")
_MAKERS = {"nikon": "image/x-nikon-nef", "sony": "image/x-sony-arw"}
_SUBFILE_TYPE, _MAKE, _SUB_DIRECTORIES, _DNG_VERSION = 254, 271, 330, 50706
# LibRaw's flip → EXIF orientation.
_ORIENTATIONS = {0: 1, 3: 3, 5: 8, 6: 6}
_NO_PREVIEW = "This RAW file has no preview that can be read. Send a JPEG of it."


@dataclass(frozen=True)
class RawPreview:
    """An embedded picture (a JPEG file, or pixels), with the photo's stored width, height and EXIF orientation."""

    picture: bytes | Image.Image
    width: int
    height: int
    orientation: int


def raw_media_type(content: bytes) -> str:
    """Return the media type of a RAW file, or "" for any other."""
    for signature, media_type in _SIGNATURES.items():
        if content.startswith(signature):
            return media_type
    if content[4:12] == b"ftypcrx ":
        return "image/x-canon-cr3"
    if not content.startswith(_TIFF):
        return ""
    if content[8:10] == b"CR":
        return "image/x-canon-cr2"
    try:
        tags = ImageFileDirectory_v2(content[:8])
        file = io.BytesIO(content)
        file.seek(tags.next)
        tags.load(file)
        if _DNG_VERSION in tags:
            return "image/x-adobe-dng"
        if _SUB_DIRECTORIES in tags and tags.get(_SUBFILE_TYPE) == 1:
            make = str(tags.get(_MAKE, "")).casefold()
            return next((kind for maker, kind in _MAKERS.items() if make.startswith(maker)), "")
    except Exception:  # noqa: BLE001 — damaged tags raise many kinds; the TIFF reader reports the problem
        return ""
    return ""


def _picture(pixels: NDArray[np.uint8]) -> Image.Image:
    """Return the picture of pixels (height, width, channels)."""
    try:
        return Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels)
    except TypeError as error:
        raise UnsupportedImage(_NO_PREVIEW) from error


def read_preview(content: bytes) -> RawPreview:
    """Return the embedded preview of a RAW file.

    Raises:
        UnsupportedImage: rawpy is not installed, or the file has no preview.
        DamagedImage: The file cannot be read.
    """
    try:
        import rawpy
    except ImportError as error:
        raise UnsupportedImage(
            "This is a camera's RAW file, and the embedder lacks the library that reads its preview. Install the extra "
            '"raw" (the package rawpy) for the embedder, or send a JPEG.'
        ) from error
    try:
        with rawpy.imread(io.BytesIO(content)) as raw:
            preview = raw.extract_thumb()
            picture = preview.data if isinstance(preview.data, bytes) else _picture(preview.data)
            sizes = raw.sizes
            return RawPreview(picture, sizes.width, sizes.height, _ORIENTATIONS.get(sizes.flip, 1))
    except (rawpy.LibRawNoThumbnailError, rawpy.LibRawUnsupportedThumbnailError, rawpy.NotSupportedError) as error:
        raise UnsupportedImage(_NO_PREVIEW) from error
    except rawpy.LibRawError as error:
        raise DamagedImage(
            "The RAW file is cut off or damaged, or its camera is not supported yet. Send the whole file, or a JPEG."
        ) from error
