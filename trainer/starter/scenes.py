"""Render the gallery: everyday things in their settings, from Noto Color Emoji on drawn backgrounds.

The same seed gives the same picture. Seeds below `GALLERY_SEEDS` make the gallery that ships, those from it to
`VALIDATION_SEEDS` measure, and those above train: no picture is in two of the three.
"""

from __future__ import annotations

import colorsys
import json
import random
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont

from trainer.errors import FontMissing
from trainer.starter.scene_catalog import SCENE_CLASSES, SceneClass

FONT = Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
GLYPH_PIXELS = 109  # the only size that the font has bitmaps for
GALLERY_SEEDS = 1_000
VALIDATION_SEEDS = 2_000
Color = tuple[int, int, int]


@dataclass(frozen=True)
class Scene:
    """What a picture shows; a line of truth.jsonl."""

    file: str
    label: str
    setting: str
    seed: int


def render(scene_class: SceneClass, seed: int, edge: int) -> tuple[Image.Image, str]:
    """Return the picture of a class and a seed, RGB and `edge` pixels square, and the name of its setting."""
    rng = random.Random(f"{scene_class.word}/{seed}")
    setting = rng.choice(scene_class.settings)
    picture = Image.new("RGB", (edge, edge))
    ground = _SETTINGS[setting](ImageDraw.Draw(picture), edge, rng)
    picture = picture.filter(ImageFilter.GaussianBlur(edge / 256))
    size = int(edge * rng.uniform(*scene_class.size))
    glyph = _glyph(rng.choice(scene_class.glyphs)).resize((size, size), Image.Resampling.LANCZOS)
    if rng.random() < 0.5:
        glyph = glyph.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    glyph = glyph.rotate(rng.uniform(-10, 10), Image.Resampling.BICUBIC)
    left = int(rng.uniform(0.02, 0.98) * (edge - size))
    top = int(min(max(ground * edge - size * rng.uniform(0.75, 0.95), 0), edge - size))
    if setting in GROUNDED:
        shadow = Image.new("RGBA", picture.size)
        ImageDraw.Draw(shadow).ellipse(
            (left + size * 0.1, top + size * 0.86, left + size * 0.9, top + size * 1.0), fill=(0, 0, 0, 70)
        )
        picture.paste(shadow, mask=shadow.filter(ImageFilter.GaussianBlur(size / 30)))
    picture.paste(glyph, (left, top), glyph)
    picture = ImageEnhance.Brightness(picture).enhance(rng.uniform(0.75, 1.1))
    return ImageEnhance.Color(picture).enhance(rng.uniform(0.7, 1.15)), setting


def write_gallery(folder: Path, per_class: int = 20, edge: int = 320) -> tuple[Scene, ...]:
    """Write the gallery as WebP with a `truth.jsonl`, and return the truth."""
    folder.mkdir(parents=True, exist_ok=True)
    truth = []
    for scene_class in SCENE_CLASSES:
        for seed in range(per_class):
            picture, setting = render(scene_class, seed, edge)
            name = f"{scene_class.word}-{seed:02}.webp"
            picture.save(folder / name, quality=80, method=6)
            truth.append(Scene(name, scene_class.word, setting, seed))
    (folder / "truth.jsonl").write_text("".join(json.dumps(asdict(scene)) + "\n" for scene in truth))
    return tuple(truth)


def render_many(first_seed: int, per_class: int, edge: int) -> Iterator[tuple[Image.Image, int]]:
    """Yield pictures with the position of their class in `SCENE_CLASSES`."""
    for label, scene_class in enumerate(SCENE_CLASSES):
        for seed in range(first_seed, first_seed + per_class):
            yield render(scene_class, seed, edge * 2)[0].resize((edge, edge), Image.Resampling.LANCZOS), label


@lru_cache(maxsize=128)
def _glyph(text: str) -> Image.Image:
    """Return an emoji as RGBA, cut to what it shows and centred in a square."""
    try:
        font = ImageFont.truetype(str(FONT), GLYPH_PIXELS)
    except OSError as error:
        raise FontMissing(f"The font {FONT} is missing. Install the Debian package fonts-noto-color-emoji.") from error
    canvas = Image.new("RGBA", (GLYPH_PIXELS * 2, GLYPH_PIXELS * 2))
    ImageDraw.Draw(canvas).text((GLYPH_PIXELS // 2, GLYPH_PIXELS // 2), text, font=font, embedded_color=True)
    box = canvas.getbbox()
    if box is None:
        raise FontMissing(f"The font {FONT} has no picture of {text}.")
    cut = canvas.crop(box)
    square = Image.new("RGBA", (max(cut.size), max(cut.size)))
    square.paste(cut, ((square.width - cut.width) // 2, (square.height - cut.height) // 2))
    return square


def _color(rng: random.Random, hue: float, saturation: float, value: float, spread: float = 0.04) -> Color:
    """Return a colour near the one given, as RGB."""
    channels = colorsys.hsv_to_rgb(
        (hue + rng.uniform(-spread, spread)) % 1.0,
        min(max(saturation + rng.uniform(-0.12, 0.12), 0), 1),
        min(max(value + rng.uniform(-0.12, 0.12), 0), 1),
    )
    return tuple(int(255 * channel) for channel in channels)  # type: ignore[return-value]


def _gradient(draw: ImageDraw.ImageDraw, edge: int, upper: Color, lower: Color, start: float, end: float) -> None:
    """Fill the rows from `start` to `end`, shares of the height, from one colour to another."""
    first, last = int(start * edge), int(end * edge)
    for row in range(first, last):
        share = (row - first) / max(last - first, 1)
        mixed = tuple(int(a + (b - a) * share) for a, b in zip(upper, lower, strict=True))
        draw.line(((0, row), (edge, row)), fill=mixed)


def _sky(draw: ImageDraw.ImageDraw, edge: int, rng: random.Random, end: float = 1.0) -> float:
    evening = rng.random() < 0.2
    upper = _color(rng, 0.7 if evening else 0.57, 0.55, 0.5 if evening else 0.9)
    _gradient(draw, edge, upper, _color(rng, 0.07 if evening else 0.55, 0.35, 0.95), 0, end)
    for _ in range(rng.randrange(5)):
        x, y, wide = rng.uniform(0, edge), rng.uniform(0, end * edge * 0.7), edge * rng.uniform(0.1, 0.25)
        for puff in range(4):
            at = x + (puff - 1.5) * wide * 0.3
            high = wide * rng.uniform(0.12, 0.28)
            draw.ellipse((at - wide * 0.25, y - high, at + wide * 0.25, y + high), fill=(245, 247, 250))
    return rng.uniform(0.5, 0.8)


def _land(draw: ImageDraw.ImageDraw, edge: int, rng: random.Random, hue: float, saturation: float) -> float:
    horizon = rng.uniform(0.4, 0.6)
    _sky(draw, edge, rng, horizon)
    hill = _color(rng, hue, saturation, 0.5)
    for _ in range(rng.randrange(3)):
        x, wide, high = rng.uniform(0, edge), edge * rng.uniform(0.3, 0.7), edge * rng.uniform(0.05, 0.18)
        draw.ellipse((x - wide, horizon * edge - high, x + wide, horizon * edge + high), fill=hill)
    _gradient(draw, edge, _color(rng, hue, saturation, 0.7), _color(rng, hue, saturation, 0.5), horizon, 1)
    return rng.uniform(horizon + 0.2, 0.95)


def _meadow(draw: ImageDraw.ImageDraw, edge: int, rng: random.Random) -> float:
    ground = _land(draw, edge, rng, 0.27, 0.6)
    for _ in range(rng.randrange(10, 60)):
        x, y, dot = rng.uniform(0, edge), rng.uniform(0.65, 1) * edge, edge * rng.uniform(0.003, 0.01)
        draw.ellipse((x - dot, y - dot, x + dot, y + dot), fill=_color(rng, rng.random(), 0.5, 0.9))
    return ground


def _park(draw: ImageDraw.ImageDraw, edge: int, rng: random.Random) -> float:
    ground = _land(draw, edge, rng, 0.3, 0.55)
    for _ in range(rng.randrange(1, 5)):
        x, base, high = rng.uniform(0, edge), edge * rng.uniform(0.55, 0.65), edge * rng.uniform(0.15, 0.3)
        draw.rectangle((x - high * 0.06, base - high * 0.4, x + high * 0.06, base), fill=_color(rng, 0.07, 0.5, 0.4))
        draw.ellipse(
            (x - high * 0.35, base - high, x + high * 0.35, base - high * 0.3), fill=_color(rng, 0.32, 0.6, 0.45)
        )
    path = _color(rng, 0.1, 0.25, 0.8)
    middle = rng.uniform(0.2, 0.8) * edge
    draw.polygon(((middle, edge * 0.62), (middle - edge * 0.3, edge), (middle + edge * 0.15, edge)), fill=path)
    return ground


def _savanna(draw: ImageDraw.ImageDraw, edge: int, rng: random.Random) -> float:
    return _land(draw, edge, rng, 0.12, 0.5)


def _sea(draw: ImageDraw.ImageDraw, edge: int, rng: random.Random) -> float:
    horizon = rng.uniform(0.4, 0.6)
    _sky(draw, edge, rng, horizon)
    _gradient(draw, edge, _color(rng, 0.55, 0.6, 0.7), _color(rng, 0.6, 0.75, 0.45), horizon, 1)
    for _ in range(rng.randrange(10, 40)):
        x, y, wide = rng.uniform(0, edge), rng.uniform(horizon + 0.03, 1) * edge, edge * rng.uniform(0.03, 0.1)
        draw.arc((x, y, x + wide, y + wide * 0.4), 180, 360, fill=(230, 240, 250), width=max(edge // 200, 1))
    return rng.uniform(horizon + 0.15, 0.85)


def _underwater(draw: ImageDraw.ImageDraw, edge: int, rng: random.Random) -> float:
    _gradient(draw, edge, _color(rng, 0.52, 0.6, 0.85), _color(rng, 0.6, 0.8, 0.4), 0, 1)
    for _ in range(rng.randrange(5, 25)):
        x, y, dot = rng.uniform(0, edge), rng.uniform(0, edge), edge * rng.uniform(0.005, 0.025)
        draw.ellipse((x - dot, y - dot, x + dot, y + dot), outline=(220, 240, 255), width=max(edge // 200, 1))
    for _ in range(rng.randrange(6)):
        x, high = rng.uniform(0, edge), edge * rng.uniform(0.1, 0.35)
        draw.line(
            ((x, edge), (x + rng.uniform(-0.05, 0.05) * edge, edge - high)),
            fill=_color(rng, 0.38, 0.6, 0.45),
            width=max(edge // 40, 1),
        )
    return rng.uniform(0.5, 0.9)


def _street(draw: ImageDraw.ImageDraw, edge: int, rng: random.Random) -> float:
    curb = rng.uniform(0.55, 0.68)
    _sky(draw, edge, rng, curb)
    x = 0.0
    while x < edge:
        wide, high = edge * rng.uniform(0.12, 0.28), edge * rng.uniform(0.2, 0.5)
        draw.rectangle((x, curb * edge - high, x + wide, curb * edge), fill=_color(rng, rng.random(), 0.25, 0.65))
        pane = wide / 5
        for column in range(2):
            for row in range(int(high / pane / 2)):
                at, up = x + pane * (1 + 2 * column), curb * edge - high + pane * (0.6 + 2 * row)
                draw.rectangle((at, up, at + pane, up + pane), fill=_color(rng, 0.14, 0.3, 0.85))
        x += wide + edge * rng.uniform(0, 0.03)
    draw.rectangle((0, curb * edge, edge, (curb + 0.05) * edge), fill=_color(rng, 0.1, 0.05, 0.7))
    draw.rectangle((0, (curb + 0.05) * edge, edge, edge), fill=_color(rng, 0.6, 0.06, 0.35))
    for dash in range(6):
        at = edge * (dash / 5 - 0.03)
        draw.rectangle((at, edge * 0.9, at + edge * 0.09, edge * 0.915), fill=(235, 235, 225))
    return rng.uniform(curb + 0.15, 0.95)


def _room(draw: ImageDraw.ImageDraw, edge: int, rng: random.Random) -> float:
    floor = rng.uniform(0.65, 0.78)
    _gradient(draw, edge, _color(rng, rng.random(), 0.25, 0.85), _color(rng, 0.1, 0.2, 0.8), 0, floor)
    draw.rectangle((0, floor * edge, edge, edge), fill=_color(rng, 0.07, 0.5, 0.5))
    x = rng.uniform(0.05, 0.6) * edge
    draw.rectangle(
        (x, edge * 0.1, x + edge * 0.3, edge * 0.38),
        fill=_color(rng, 0.55, 0.3, 0.95),
        outline=(250, 250, 250),
        width=max(edge // 60, 1),
    )
    if rng.random() < 0.7:
        sofa, left, wide = _color(rng, rng.random(), 0.5, 0.6), rng.uniform(0, 0.3) * edge, rng.uniform(0.5, 0.8) * edge
        draw.rounded_rectangle((left, edge * 0.48, left + wide, edge * 0.82), edge // 25, fill=sofa)
        lighter: Color = tuple(min(int(channel * 1.2), 255) for channel in sofa)  # type: ignore[assignment]
        draw.rounded_rectangle(
            (left + wide * 0.07, edge * 0.64, left + wide * 0.93, edge * 0.84), edge // 30, fill=lighter
        )
    return rng.uniform(0.72, 0.9)


def _table(draw: ImageDraw.ImageDraw, edge: int, rng: random.Random) -> float:
    edge_of_table = rng.uniform(0.45, 0.6)
    _gradient(draw, edge, _color(rng, rng.random(), 0.25, 0.8), _color(rng, rng.random(), 0.2, 0.7), 0, edge_of_table)
    _gradient(draw, edge, _color(rng, 0.08, 0.5, 0.7), _color(rng, 0.07, 0.55, 0.5), edge_of_table, 1)
    if rng.random() < 0.5:
        x, wide = rng.uniform(0.3, 0.7) * edge, edge * rng.uniform(0.25, 0.4)
        draw.ellipse((x - wide, edge * 0.72, x + wide, edge * 0.95), fill=_color(rng, 0.6, 0.05, 0.92))
    return rng.uniform(0.8, 0.92)


def _stage(draw: ImageDraw.ImageDraw, edge: int, rng: random.Random) -> float:
    hue = rng.random()
    _gradient(draw, edge, _color(rng, hue, 0.6, 0.2), _color(rng, hue, 0.6, 0.4), 0, 0.75)
    for _ in range(rng.randrange(2, 5)):
        x, foot = rng.uniform(0, edge), rng.uniform(0, edge)
        draw.polygon(
            ((x, 0), (foot - edge * 0.12, edge * 0.75), (foot + edge * 0.12, edge * 0.75)),
            fill=_color(rng, rng.random(), 0.4, 0.6),
        )
    _gradient(draw, edge, _color(rng, 0.07, 0.4, 0.4), _color(rng, 0.07, 0.4, 0.25), 0.75, 1)
    return rng.uniform(0.8, 0.95)


GROUNDED = frozenset({"meadow", "park", "savanna", "street", "room", "table", "stage"})
_SETTINGS = {
    "meadow": _meadow,
    "park": _park,
    "room": _room,
    "savanna": _savanna,
    "sea": _sea,
    "sky": _sky,
    "stage": _stage,
    "street": _street,
    "table": _table,
    "underwater": _underwater,
}
