"""The settings of a caption head. What ships has the defaults; docs/decisions/0017 has how they were chosen."""

from __future__ import annotations

from dataclasses import dataclass

from trainer.errors import TrainingSetUnusable

__all__ = ["CaptionHeadSettings"]


@dataclass(frozen=True)
class CaptionHeadSettings:
    """Everything that the trained weights follow from, besides the pictures and the words.

    Attributes:
        members: Heads that are trained apart, by other random numbers, and whose mean serves.
        hidden: Width of the hidden layer of each.
        dropout: Share of the hidden units that a step leaves out.
        feature_dropout: Share of the features that a step leaves out.
        class_sharpness: What the classes' logits are multiplied by, so that the likeliest classes lead.
        class_power: How fast a picture's own part gives way where the classes are sure of it: its length is
            `caption_share` · (1 − length of the classes' sum) ^ `class_power`.
        caption_share: Length of a picture's own part where the classes know nothing of it.
        words_weight: Weight of the words' loss beside the captions'.
        pictures_weight: Weight of the loss of pictures of words.
        turn_weight: How much the matrix on the words is held to a rotation. A rotation leaves all angles between words
            as they are.
        move_weight: How much the words that pictures teach are held to where the matrix puts them.
        least_right: A word takes part in the words' loss if it is right for that many pictures.
        batch: Captioned pictures in a step.
        worded_batch: Pictures of words in a step, from each set.
    """

    members: int = 2
    hidden: int = 1024
    dropout: float = 0.6
    feature_dropout: float = 0.3
    class_sharpness: float = 1.4
    class_power: float = 1.0
    caption_share: float = 1.5
    words_weight: float = 0.15
    pictures_weight: float = 0.05
    turn_weight: float = 10.0
    move_weight: float = 5.0
    least_right: int = 8
    batch: int = 256
    worded_batch: int = 48
    epochs: int = 40
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("dropout", "feature_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise TrainingSetUnusable(f"{name} is a share from 0 to less than 1, not {getattr(self, name)}.")
        for name in ("members", "hidden", "batch", "worded_batch", "epochs", "least_right", "learning_rate"):
            if getattr(self, name) <= 0:
                raise TrainingSetUnusable(f"{name} must be greater than 0; it is {getattr(self, name)}.")
