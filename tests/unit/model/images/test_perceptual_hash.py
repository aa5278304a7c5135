"""Perceptual hashes: copies have nearly the same bits, other pictures do not."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from model.images.perceptual_hash import HASH_BYTES, perceptual_hash
from tests.unit.model.images.picture_files import encode

WITHIN = 24


def page(seed: int) -> Image.Image:
    """Return a page of text; pages differ only in their words."""
    random = np.random.default_rng(seed)
    picture = Image.new("RGB", (620, 877), "white")
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(14)
    for y in range(60, 817, 20):
        words = ["".join(chr(97 + each) for each in random.integers(0, 26, random.integers(2, 9))) for _ in range(11)]
        draw.text((60, y), " ".join(words)[:66], fill="black", font=font)
    return picture


def clouds(seed: int) -> Image.Image:
    noise = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((400, 300), Image.Resampling.BICUBIC)


def bits(one: Image.Image, other: Image.Image) -> int:
    pairs = zip(perceptual_hash(one), perceptual_hash(other), strict=True)
    return sum((left ^ right).bit_count() for left, right in pairs)


def again(picture: Image.Image, kind: str, **options: object) -> Image.Image:
    return Image.open(io.BytesIO(encode(picture, kind, **options))).convert("RGB")


@pytest.mark.parametrize("picture", [clouds(1), page(1)], ids=["clouds", "page"])
def test_copies_of_other_size_format_and_quality_are_near(picture: Image.Image) -> None:
    half = picture.resize((picture.width // 2, picture.height // 2), Image.Resampling.LANCZOS)
    copies = (again(picture, "JPEG", quality=30), again(picture, "WEBP", quality=50), again(half, "JPEG", quality=85))
    assert all(bits(picture, copy) <= WITHIN for copy in copies)


@pytest.mark.parametrize("make", [clouds, page])
def test_other_pictures_are_far_even_pages_of_text(make: Callable[[int], Image.Image]) -> None:
    pictures = [make(seed) for seed in range(8)]
    assert all(bits(one, other) > WITHIN for one in pictures for other in pictures if one is not other)


@pytest.mark.parametrize("noise", [0, 2, 20])
def test_a_picture_of_one_colour_has_no_bits(noise: int) -> None:
    levels = np.random.default_rng(0).normal(120, noise, (300, 400, 3)) if noise else np.full((300, 400, 3), 120)
    picture = Image.fromarray(levels.clip(0, 255).astype(np.uint8))
    assert perceptual_hash(again(picture, "JPEG", quality=70)) == bytes(HASH_BYTES)
