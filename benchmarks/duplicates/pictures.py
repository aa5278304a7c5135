"""Test pictures: photos with their copies, and look-alikes that are different pictures."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

ORIGINAL = "original"
CUT = "borders cut"
_QUALITIES = (30, 50, 70, 85, 95)
_SIZES = {"1/2": 0.5, "1/4": 0.25, "2×": 2.0}
_BORDER = 0.02
_PAGE = (620, 877)


@dataclass(frozen=True)
class Picture:
    """A file, the picture that it shows, and the way it was made from the original."""

    shows: str
    kind: str
    content: bytes


def photos_with_copies(folder: Path, most: int) -> Iterator[Picture]:
    """Yield the first photos of a folder, each with its copies."""
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in {".jpg", ".jpeg", ".png", ".webp"})
    for file in files[:most]:
        content = file.read_bytes()
        yield Picture(str(file), ORIGINAL, content)
        with Image.open(io.BytesIO(content)) as opened:
            yield from _copies(str(file), opened.convert("RGB"))


def look_alikes(count: int) -> Iterator[Picture]:
    """Yield `count` pictures of each kind; those of one kind look alike."""
    random = np.random.default_rng(0)
    for number in range(count):
        yield _original(f"page {number}", _text(random, lines=38, width=66))
        yield _original(f"letter {number}", _text(random, lines=int(random.integers(8, 25)), width=66))
        yield _original(f"receipt {number}", _text(random, lines=int(random.integers(8, 38)), width=18))
        yield _original(f"plain {number}", _plain(random, noise=(0, 3, 20)[number % 3]))
        yield _original(f"gradient {number}", _gradient(random))


def _copies(shows: str, picture: Image.Image) -> Iterator[Picture]:
    for quality in _QUALITIES:
        yield Picture(shows, f"JPEG {quality}", _encoded(picture, "JPEG", quality=quality))
    for name, factor in _SIZES.items():
        size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
        resized = picture.resize(size, Image.Resampling.LANCZOS)
        yield Picture(shows, f"{name}, JPEG 90", _encoded(resized, "JPEG", quality=90))
    half = picture.resize((max(1, picture.width // 2), max(1, picture.height // 2)), Image.Resampling.BICUBIC)
    yield Picture(shows, "1/2, JPEG 50", _encoded(half, "JPEG", quality=50))
    yield Picture(shows, "WebP 75", _encoded(picture, "WEBP", quality=75))
    yield Picture(shows, "PNG", _encoded(picture, "PNG"))
    across, down = round(picture.width * _BORDER), round(picture.height * _BORDER)
    cropped = picture.crop((across, down, picture.width - across, picture.height - down))
    yield Picture(shows, CUT, _encoded(cropped, "JPEG", quality=90))


def _text(random: np.random.Generator, *, lines: int, width: int) -> Image.Image:
    """Return a page of random words, with the same margins and lines as every other page."""
    picture = Image.new("RGB", _PAGE, "white")
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(14)
    for line in range(lines):
        words = ("".join(map(chr, random.integers(97, 123, random.integers(2, 10)))) for _ in range(width // 4))
        draw.text((60, 60 + 20 * line), " ".join(words)[:width], fill=(20, 20, 20), font=font)
    return picture


def _plain(random: np.random.Generator, noise: float) -> Image.Image:
    levels = random.integers(0, 256, 3) + random.normal(0, noise, (300, 400, 3))
    return Image.fromarray(levels.clip(0, 255).astype(np.uint8))


def _gradient(random: np.random.Generator) -> Image.Image:
    top, bottom = random.integers(0, 256, 3), random.integers(0, 256, 3)
    share = np.linspace(0, 1, 300)[:, None, None]
    return Image.fromarray(np.broadcast_to(top * (1 - share) + bottom * share, (300, 400, 3)).astype(np.uint8))


def _original(shows: str, picture: Image.Image) -> Picture:
    return Picture(shows, ORIGINAL, _encoded(picture, "JPEG", quality=85))


def _encoded(picture: Image.Image, format_name: str, **options: int) -> bytes:
    file = io.BytesIO()
    picture.save(file, format_name, **options)
    return file.getvalue()
