"""The twenty everyday classes of the rendered gallery, with their glyphs and settings.

The glyphs are those of Noto Color Emoji (SIL Open Font License 1.1); the settings are drawn by `scenes`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SceneClass:
    """A class: the word for it, its WordNet 3.0 noun synset, the glyphs that show it, its settings and its size.

    `size` is the glyph's edge as a share of the picture's, smallest and largest.
    """

    word: str
    synset: str
    glyphs: tuple[str, ...]
    settings: tuple[str, ...]
    size: tuple[float, float] = (0.38, 0.62)


SCENE_CLASSES: tuple[SceneClass, ...] = (
    SceneClass("airplane", "airplane.n.01", ("✈", "🛩", "🛫"), ("sky",), (0.3, 0.6)),
    SceneClass("apple", "apple.n.01", ("🍎", "🍏"), ("table", "meadow")),
    SceneClass("banana", "banana.n.02", ("🍌",), ("table",)),
    SceneClass("bicycle", "bicycle.n.01", ("🚲",), ("street", "park")),
    SceneClass("bird", "bird.n.01", ("🐦", "🦜", "🦉", "🕊"), ("sky", "park", "meadow")),
    SceneClass("boat", "boat.n.01", ("⛵", "🚤", "🛶"), ("sea",)),
    SceneClass("bus", "bus.n.01", ("🚌", "🚍"), ("street",)),
    SceneClass("car", "car.n.01", ("🚗", "🚙", "🏎", "🚘"), ("street",)),
    SceneClass("cat", "cat.n.01", ("🐈", "🐱", "🐈‍⬛"), ("room", "park")),
    SceneClass("clock", "clock.n.01", ("🕰", "🕒", "⏰"), ("room",)),
    SceneClass("cup", "cup.n.01", ("☕", "🍵"), ("table",)),
    SceneClass("dog", "dog.n.01", ("🐕", "🐶", "🐩", "🦮"), ("park", "room", "meadow")),
    SceneClass("elephant", "elephant.n.01", ("🐘",), ("savanna",), (0.45, 0.7)),
    SceneClass("fish", "fish.n.01", ("🐟", "🐠", "🐡"), ("underwater",)),
    SceneClass("flower", "flower.n.01", ("🌷", "🌻", "🌹", "🌼"), ("meadow", "table")),
    SceneClass("guitar", "guitar.n.01", ("🎸",), ("stage", "room")),
    SceneClass("horse", "horse.n.01", ("🐎", "🐴"), ("meadow", "savanna")),
    SceneClass("house", "house.n.01", ("🏠", "🏡", "🏚"), ("meadow", "street")),
    SceneClass("train", "train.n.01", ("🚂", "🚆", "🚄"), ("meadow", "savanna")),
    SceneClass("tree", "tree.n.01", ("🌳", "🌲", "🌴"), ("park", "meadow", "savanna")),
)
