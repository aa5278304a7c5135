"""A file's kind by its suffix. It decides which files are worth sending; only the server examines the bytes."""

from __future__ import annotations

import enum
from pathlib import PurePosixPath

_PICTURES = (
    ".apng .avif .bmp .gif .heic .heif .hif .jfif .jpe .jpeg .jpg .jxl .mpo .png .tif .tiff .webp"
    " .arw .cr2 .cr3 .dng .nef .orf .raf .rw2"
)
_VIDEOS = ".3gp .avi .flv .insv .m2ts .m4v .mkv .mov .mp4 .mpeg .mpg .mts .ogv .vob .webm .wmv"


class FileKind(enum.Enum):
    """A kind of file."""

    IMAGE = "image"
    VIDEO = "video"
    OTHER = "other"


_KINDS = dict.fromkeys(_VIDEOS.split(), FileKind.VIDEO) | dict.fromkeys(_PICTURES.split(), FileKind.IMAGE)


def kind_of(name: str) -> FileKind:
    """Return the kind of a file with that name, whatever its case."""
    return _KINDS.get(PurePosixPath(name).suffix.lower(), FileKind.OTHER)
