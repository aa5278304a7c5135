"""Camera metadata: EXIF (CIPA DC-008), read by Pillow tag by tag.

Contract: no metadata makes a picture fail. A tag that is missing, of the wrong type or out of range counts as absent,
and so does a structure that cannot be read at all.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from math import isfinite
from typing import Any

from PIL import Image
from PIL.ExifTags import GPS, IFD, Base

_MAX_TEXT = 200
_TIME = re.compile(r"(\d{4})[:\-/](\d\d)[:\-/](\d\d)[ T](\d\d):(\d\d)(?::(\d\d))?")
_OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)|Z")


@dataclass(frozen=True)
class PhotoMetadata:
    """A photo's EXIF data; "" and None if a value is absent.

    `taken_time` is the camera's local time in ISO 8601, with the offset from UTC if the camera wrote one:
    "2024-06-05T14:03:22" or "2024-06-05T14:03:22+02:00". Latitude and longitude are degrees, WGS 84. `orientation` is
    EXIF's, 1 to 8, as stored; 1 is upright.
    """

    taken_time: str = ""
    camera: str = ""
    lens: str = ""
    latitude: float | None = None
    longitude: float | None = None
    orientation: int = 1


def parse_exif(data: bytes) -> PhotoMetadata:
    """Read a TIFF structure of EXIF tags."""
    exif = Image.Exif()
    if not data:
        return PhotoMetadata()
    with contextlib.suppress(Exception):
        exif.load(data)
    photo, place = _directory(exif, IFD.Exif), _directory(exif, IFD.GPSInfo)
    latitude = _degrees(place, GPS.GPSLatitude, GPS.GPSLatitudeRef, "S", 90)
    longitude = _degrees(place, GPS.GPSLongitude, GPS.GPSLongitudeRef, "W", 180)
    return PhotoMetadata(
        taken_time=_taken_time(exif, photo),
        camera=_camera(_text(exif, Base.Make), _text(exif, Base.Model)),
        lens=_text(photo, Base.LensModel),
        latitude=None if longitude is None else latitude,
        longitude=None if latitude is None else longitude,
        orientation=_orientation(exif),
    )


def _directory(exif: Image.Exif, which: IFD) -> Any:
    try:
        return exif.get_ifd(which)
    except Exception:  # noqa: BLE001 — damaged bytes raise many kinds
        return {}


def _tag(directory: Any, tag: int) -> Any:
    try:
        return directory.get(tag)
    except Exception:  # noqa: BLE001 — as above
        return None


def _text(directory: Any, tag: int) -> str:
    value = _tag(directory, tag)
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if not isinstance(value, str):
        return ""
    printable = "".join(char for char in value.split("\x00")[0] if char.isprintable())
    return " ".join(printable.split())[:_MAX_TEXT]


def _camera(make: str, model: str) -> str:
    """Return make and model without repetition: many models begin with their make ("Canon EOS R5")."""
    if make and model.casefold().startswith(make.split()[0].casefold()):
        return model
    return f"{make} {model}".strip()


def _taken_time(exif: Image.Exif, photo: Any) -> str:
    for directory, time_tag, offset_tag in (
        (photo, Base.DateTimeOriginal, Base.OffsetTimeOriginal),
        (photo, Base.DateTimeDigitized, Base.OffsetTimeDigitized),
        (exif, Base.DateTime, Base.OffsetTime),
    ):
        match = _TIME.match(_text(directory, time_tag))
        if match and _is_time(*(int(part or 0) for part in match.groups())):
            year, month, day, hour, minute, second = match.groups(default="00")
            return f"{year}-{month}-{day}T{hour}:{minute}:{second}{_offset(_text(photo, offset_tag))}"
    return ""


def _is_time(year: int, month: int, day: int, hour: int, minute: int, second: int) -> bool:
    return year > 0 and 1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60 and second < 61


def _offset(text: str) -> str:
    match = _OFFSET.fullmatch(text)
    if match is None:
        return ""
    return "+00:00" if text == "Z" else f"{match[1]}{match[2]}:{match[3]}"


def _degrees(place: Any, tag: int, reference_tag: int, negative: str, most: float) -> float | None:
    try:
        degrees, minutes, seconds = (float(part) for part in _tag(place, tag))
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    value = degrees + minutes / 60 + seconds / 3600
    if not (isfinite(value) and 0 <= value <= most):
        return None
    return round(-value if _text(place, reference_tag).upper().startswith(negative) else value, 7)


def _orientation(exif: Image.Exif) -> int:
    value = _tag(exif, Base.Orientation)
    if isinstance(value, tuple) and value:
        value = value[0]
    try:
        number = float(value)  # some cameras write a fraction or text
    except (TypeError, ValueError, OverflowError, ZeroDivisionError):
        return 1
    return int(number) if number in range(1, 9) else 1
